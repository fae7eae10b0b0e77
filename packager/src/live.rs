//! Live events.
mod cadence;
mod cutter;
mod format;
mod lane;
mod sound;
mod timeline;
