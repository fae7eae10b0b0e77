# The handful of commands that a newcomer needs; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR

.PHONY: help run samples-remove test test-long programs check bench bench-edge bench-live bench-packager tools-run tools-test tools-check tools-bench ui browser

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: tools-run ui ## install what is missing, build, serve http://localhost:8080 with data in ./data
	cargo build --release --locked --package server --package transcoder
	exec scripts/run

samples-remove: ## take the three sample clips away again
	$(CARGO_TARGET_DIR)/release/cocuyo samples remove --data $${COCUYO_DATA:-data}

test: tools-test ui browser programs ## install what is missing and run every test
	scripts/test-workspace
	cd web/ui && npm test

test-long: tools-test browser programs ## a film of an hour, 200 random kills, a broadcast of 8 h, 50 long outages; LONG_* make it shorter
	LONG_MINUTES=$${LONG_MINUTES:-60} LONG_KILLS=$${LONG_KILLS:-200} \
	LONG_BROADCAST_MINUTES=$${LONG_BROADCAST_MINUTES:-480} LONG_PULLS=$${LONG_PULLS:-50} \
		cargo test --locked --package tests --test stories -- --ignored --nocapture --test-threads=1 long::

# The programs that stories start: also `cocuyo` with its fail points, under another name.
programs: ui
	cargo build --locked --package server --features faults
	ln -f $(CARGO_TARGET_DIR)/debug/cocuyo $(CARGO_TARGET_DIR)/debug/cocuyo-faults
	cargo build --locked --package server --package transcoder

check: tools-check ui ## formatting, lints, dependency rules, types of the front end
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	scripts/cargo-deny check bans licenses sources
	cd web/ui && npm run check

bench: bench-packager bench-edge bench-live ## all comparisons

# Built apart: the comparisons use private database and S3 servers, of which the shipped program knows nothing.
bench-edge: tools-bench ui ## segments, parts and the gate, side by side with nginx and Varnish
	cargo build --release --locked --package server --package transcoder
	cargo build --release --locked --package bench
	$(CARGO_TARGET_DIR)/release/bench edge

bench-live: tools-bench ui browser ## broadcasts from the encoder to the screen and the shelf, and the door beside nginx-rtmp
	cargo build --release --locked --package server --package transcoder
	cargo build --release --locked --package bench
	$(CARGO_TARGET_DIR)/release/bench live

bench-packager: tools-bench ui browser ## how soon films play, and the ladder beside ffmpeg and PeerTube's way
	cargo build --release --locked --package server --package transcoder
	cargo build --release --locked --package bench
	$(CARGO_TARGET_DIR)/release/bench packager

# What each command needs on the machine; quick when nothing is missing.
tools-run:
	@scripts/install run
tools-check:
	@scripts/install check
tools-test:
	@scripts/install test
tools-bench:
	@scripts/install bench

# The front end is embedded into `cocuyo`, so it is built first; make's own file times decide.
UI_SOURCES := $(shell find web/ui/src web/ui/build web/ui/public web/messages -type f -not -path '*/paraglide/*' 2>/dev/null) \
              $(wildcard web/ui/*.json web/ui/*.ts web/ui/*.js web/ui/project.inlang/settings.json)
ui: web/ui/dist/.vite/manifest.json
web/ui/node_modules/.package-lock.json: web/ui/package-lock.json
	cd web/ui && npm ci --no-audit --no-fund
web/ui/dist/.vite/manifest.json: web/ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd web/ui && npm run build
	touch $@

browser: tests/browser/node_modules/.package-lock.json
tests/browser/node_modules/.package-lock.json: tests/browser/package-lock.json
	cd tests/browser && npm ci --no-audit --no-fund
