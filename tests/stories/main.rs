//! Stories about the product, told through its public door with the real programs.

mod bad_input;
mod browser;
mod clients;
mod configuration;
mod crash;
mod delete;
mod deployment;
mod gate;
mod order;
mod space;
mod watch;
