//! What belongs to somebody who may publish.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::feed::{FeedMessage, FeedTrack};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep_until};

use super::door::Inner;
use super::ended::Ended;
use super::flv::Demuxer;
use super::rate::Rate;
use crate::live::{Admitted, Feed, Item, Standing, Turn};

/// Longer than any event.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// Until dropped it has the turn of its event in this process, unless somebody newer takes it.
pub(super) struct Publishing {
    standing: Standing,
    turn: Turn,
    since: Instant,
    until: Instant,
    rate: Rate,
    demuxer: Demuxer,
    /// From the first item on.
    feed: Option<Feed>,
    _counted: Counted,
}

impl Publishing {
    /// Of who was admitted now.
    pub(super) fn new(admitted: Admitted, door: &Inner) -> Self {
        let since = Instant::now();
        let (publishers, clock) = (Arc::clone(&door.publishers), Arc::clone(&door.clock));
        Self {
            standing: Standing::new(publishers, clock, admitted, &door.tasks),
            turn: door.turns.take(admitted.video, admitted.generation),
            since,
            until: since + admitted.limits.duration.unwrap_or(FOREVER),
            rate: Rate::new(admitted.limits.bits_per_s),
            demuxer: Demuxer::default(),
            feed: None,
            _counted: Counted::new(&door.metrics.publishers),
        }
    }

    /// Puts what is in a tag on its way; whether it was media.
    pub(super) fn tag(
        &mut self,
        track: FeedTrack,
        timestamp: u32,
        body: Bytes,
        encoder: &str,
        door: &Inner,
    ) -> Result<bool, Ended> {
        let item = match track {
            FeedTrack::Audio => self.demuxer.audio(timestamp, body)?,
            FeedTrack::Video => self.demuxer.video(timestamp, body)?,
        };
        let Some(item) = item else { return Ok(false) };
        let is_media = matches!(item, Item::Packet(_));
        let feed = self.feed.get_or_insert_with(|| {
            let Admitted { video, version, generation, .. } = *self.standing.admitted();
            let begin = FeedMessage::Begin { video, version, generation, encoder: encoder.to_owned() };
            Feed::open(door.socket.clone(), begin, door.metrics.clone(), &door.tasks)
        });
        feed.push(item);
        Ok(is_media)
    }

    /// Counts what was read against the limits.
    pub(super) fn count(&mut self, bytes: usize, door: &Inner) -> Result<(), Ended> {
        door.metrics.received.inc_by(bytes as u64);
        match self.rate.takes(bytes, self.since.elapsed()) {
            true => Ok(()),
            false => Err(Ended::TooFast { kbit_per_s: self.standing.admitted().limits.bits_per_s / 1000 }),
        }
    }

    /// Waits until it may not publish any more.
    pub(super) async fn over(&mut self) -> Ended {
        let Self { standing, turn, until, feed, .. } = self;
        let feed_over = async {
            match feed {
                Some(feed) => feed.over().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = turn.over() => Ended::Overtaken,
            over = feed_over => Ended::Over(over),
            () = sleep_until(*until) => Ended::TooLong,
            () = standing.is_over() => Ended::PutOff,
        }
    }

    /// Sends what is left, and tells everybody that the publisher has gone; whether it `said_so`.
    pub(super) async fn leave(self, said_so: bool) {
        if let Some(feed) = self.feed {
            feed.finish(said_so).await;
        }
        self.standing.leave().await;
    }
}

/// Counts somebody among those who publish, until dropped.
struct Counted(Gauge);

impl Counted {
    fn new(publishers: &Gauge) -> Self {
        publishers.inc();
        Self(publishers.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
