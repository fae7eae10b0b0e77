//! What there is of a rendition at one moment, and how it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use live::{Directives, Position, Reload, Shown, Timing, View};

use crate::document::Document;

/// What a follower has come to.
#[derive(Clone)]
pub(crate) enum Stage {
    /// It has heard nothing yet.
    Unknown,
    /// This is there.
    Known(Arc<Moment>),
    /// There is no such rendition any more, or nobody has asked for it.
    Over,
    /// Whoever followed it failed: who asks again has it followed anew.
    Lost,
}

/// A rendition between two updates.
pub(crate) struct Moment {
    pub(crate) position: Position,
    pub(crate) parts_of_previous: u32,
    pub(crate) ended: bool,
    /// The playlists, each written by the first who asks for it: a few, since tiers and events do not
    /// differ much in how far back they let anybody go.
    playlists: Mutex<HashMap<Shown, Document>>,
}

impl Moment {
    pub(super) fn new(position: Position, parts_of_previous: u32, ended: bool) -> Self {
        Self { position, parts_of_previous, ended, playlists: Default::default() }
    }

    /// What becomes of a request for one of its playlists.
    pub(crate) fn decide(&self, view: View, directives: Directives, timing: &Timing) -> Reload {
        let directives = match (view, timing.part_target_ms) {
            // It does not offer to wait, so what says until when means nothing (§6.2.5).
            (View::Saver, _) => return Reload::Now,
            (View::Low, Some(_)) => directives,
            (View::Low, None) | (View::Normal, _) => directives.without_parts(),
        };
        directives.decide(self.position, self.parts_of_previous, self.ended, timing)
    }

    /// One of its playlists, as `write` has it.
    pub(super) fn playlist(&self, shown: Shown, write: impl FnOnce() -> String) -> Document {
        let mut playlists = self.playlists.lock().unwrap_or_else(PoisonError::into_inner);
        playlists.entry(shown).or_insert_with(|| Document::quick(write().into())).clone()
    }
}
