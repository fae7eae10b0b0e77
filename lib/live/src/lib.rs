//! A live event as values: its segments and parts, and the playlists that are pure functions of
//! them. No I/O, no clock.
//!
//! ```text
//! packager:  parts, closed segments → Rendition → Update ─┐   Line… on disk → Record
//! edge:      LiveSource ──────────────────────── Update ──┴→ Rendition → playlists, by view
//! ```
//!
//! Clauses are those of draft-pantos-hls-rfc8216bis-22.

mod event;
mod line;
mod multivariant;
mod playlist;
mod position;
mod reload;
mod rendition;
mod source;
mod view;

#[cfg(test)]
mod samples;

pub use event::{Event, Offered, Timing};
pub use line::{Line, Record, RecordError, Recorded, Track};
pub use multivariant::multivariant;
pub use playlist::{Report, Shown, media};
pub use position::Position;
pub use reload::{Directives, InvalidDirectives, Reload, Skip};
pub use rendition::{Begun, OpenSegment, Part, Rendition, Segment, Update};
pub use source::{Failure, LiveSource, Piece};
pub use view::{InvalidView, View, Window};
