//! Stories about the product, told through its public door with the real programs.

#![expect(clippy::disallowed_methods, reason = "what a story spawns ends with the story")]

mod bad_input;
mod browser;
mod clients;
mod configuration;
mod crash;
mod delete;
mod deployment;
mod documentation;
mod gate;
mod meter;
mod order;
mod playing;
mod samples;
mod space;
mod watch;
