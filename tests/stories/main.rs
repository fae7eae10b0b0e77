//! Stories about the product, told through its public door with the real programs.

#![expect(clippy::disallowed_methods, reason = "what a story spawns ends with the story")]

mod acme;
mod afterwards;
mod apart;
mod attacks;
mod away;
mod bad_input;
mod browser;
mod checker;
mod clients;
mod clocks;
mod codecs;
mod configuration;
mod copied;
mod crash;
mod delete;
mod deployment;
mod documentation;
mod events;
mod formats;
mod gate;
mod held;
mod hostile_http;
mod hostile_http2;
mod live;
mod long;
mod lying;
mod meter;
mod observed;
mod operation;
mod order;
mod own_edge;
mod playing;
mod publishing;
mod recipes;
mod reencode;
mod samples;
mod sent;
mod slow;
mod space;
mod status;
mod still;
mod tls;
mod watch;
mod workers;
