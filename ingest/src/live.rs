//! What all doors for live streams have in common: who may publish, and the way from a door to the
//! packager.

mod backlog;
mod feed;
mod metrics;
mod outflow;
mod publishers;
mod standing;
mod turns;

pub(crate) use feed::Feed;
pub(crate) use metrics::Metrics;
pub use publishers::{Admitted, Denied, FeedLimits, Publishers};
pub(crate) use standing::{Standing, Standings};
pub(crate) use turns::{Turn, Turns};

use model::feed::{FeedConfig, FeedTrack, Packet};

/// What a door gives to a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A decoder configuration, new or of another value than before.
    Config(FeedConfig),
    /// A packet behind its configuration.
    Packet(Packet),
    /// There are further tracks of this kind, which are left out.
    Others(FeedTrack),
}
