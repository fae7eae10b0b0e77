//! libav behind safe types: all of the cell's dealings with C that `ffmpeg-next` does not cover,
//! or does not cover soundly for a stranger's file, are in this folder.
//!
//! Not used, because a crafted file makes them undefined behaviour: the crate's accessors of
//! colour fields (exhaustive enums over unchecked bytes) and of metadata (unchecked UTF-8).
#![expect(unsafe_code, reason = "libav is C; each block says why it is sound")]

mod decoder;
mod encoder;
mod frame;
mod graph;
mod log;
mod open;
mod stream;

pub(crate) use decoder::decoder_of;
pub(crate) use encoder::{Encoded, Encoder};
pub(crate) use frame::{Colour, Picture, Sound, SoundFormat};
pub(crate) use graph::{Chain, Medium};
pub(crate) use log::{limit_allocations, to_stderr, warn_of_known_holes};
pub(crate) use open::{look, open, read_only, seek};
pub(crate) use stream::{
    PictureShape, SoundShape, clock_may_jump, decoder, duration_is_guessed, first_indexed, is_yuv420p,
    last_indexed, picture_delay, quarter_turns, says_progressive,
};
