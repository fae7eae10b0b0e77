//! The edge through its real door: sockets, raw requests, a small film in a real store.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod event;
mod film;
mod origin;
mod serving;
mod watched;

mod attacks;
mod bodies;
mod gate;
mod growing;
mod heads;
mod holding;
mod iframes;
mod live_bodies;
mod live_links;
mod live_pieces;
mod live_playlists;
mod secrecy;
mod trouble;
