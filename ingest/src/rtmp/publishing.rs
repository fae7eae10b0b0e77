//! What belongs to somebody who may publish.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use model::feed::{FeedMessage, FeedOver, FeedTrack};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    _turn: Turn,
    since: Instant,
    /// As long as it may.
    until: Instant,
    rate: Rate,
    demuxer: Demuxer,
    /// From the first item on.
    feed: Option<Feed>,
    /// Until then: where its packager says that it is over.
    say_over: Option<oneshot::Sender<FeedOver>>,
    /// How somebody else ends it. One for its whole life: a publisher has something to say a hundred
    /// times a second, and each time this is looked at.
    ending: BoxFuture<'static, Ended>,
    _counted: Counted,
}

impl Publishing {
    /// Of who was admitted now.
    pub(super) fn new(admitted: Admitted, door: &Inner) -> Self {
        let since = Instant::now();
        let standing = door.standings.enter(admitted);
        let turn = door.turns.take(admitted.video, admitted.generation);
        let (say_over, over) = oneshot::channel();
        let ending = ending(turn.over().clone(), standing.over().clone(), over).boxed();
        Self {
            standing,
            _turn: turn,
            since,
            until: since + admitted.limits.duration.unwrap_or(FOREVER),
            rate: Rate::new(admitted.limits.bits_per_s),
            demuxer: Demuxer::default(),
            feed: None,
            say_over: Some(say_over),
            ending,
            _counted: Counted::new(&door.metrics.publishers),
        }
    }

    /// Takes what is in a tag that came at `now`, for [`Publishing::send`]; whether it was media.
    pub(super) fn tag(
        &mut self,
        track: FeedTrack,
        timestamp: u32,
        body: Bytes,
        now: Instant,
        encoder: &str,
        door: &Inner,
    ) -> Result<bool, Ended> {
        let item = match track {
            FeedTrack::Audio => self.demuxer.audio(timestamp, body)?,
            FeedTrack::Video => self.demuxer.video(timestamp, body)?,
        };
        if let Some(feed) = &self.feed
            && let Some(track) = self.demuxer.take_others()
        {
            feed.push(Item::Others(track), now);
        }
        let Some(item) = item else { return Ok(false) };
        let is_media = matches!(item, Item::Packet(_));
        if let Some(say_over) = self.say_over.take() {
            let Admitted { video, version, generation, limits } = *self.standing.admitted();
            let (encoder, short_side) = (encoder.to_owned(), limits.short_side);
            let begin = FeedMessage::Begin { video, version, generation, encoder, short_side };
            let (socket, metrics) = (door.socket.clone(), door.metrics.clone());
            self.feed = Some(Feed::open(socket, begin, metrics, say_over, &door.tasks));
        }
        if let Some(feed) = &self.feed {
            feed.push(item, now);
        }
        Ok(is_media)
    }

    /// Puts what was taken on its way.
    pub(super) fn send(&self) {
        if let Some(feed) = &self.feed {
            feed.send();
        }
    }

    /// Counts what was read at `now` against the limits.
    pub(super) fn count(&mut self, bytes: usize, now: Instant, door: &Inner) -> Result<(), Ended> {
        door.metrics.received.inc_by(bytes as u64);
        match self.rate.takes(bytes, now.saturating_duration_since(self.since)) {
            true => Ok(()),
            false => Err(Ended::TooFast { kbit_per_s: self.standing.admitted().limits.bits_per_s / 1000 }),
        }
    }

    /// Until when it may publish if nobody ends it.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// Waits until somebody else ends it.
    pub(super) async fn over(&mut self) -> Ended {
        match (&mut self.ending).await {
            Ended::Over(FeedOver::TooLarge) => {
                Ended::TooLarge { short_side: self.standing.admitted().limits.short_side }
            }
            ended => ended,
        }
    }

    /// Sends what is left, and tells everybody how it ended for the publisher.
    pub(super) async fn leave(self, ended: &Ended) {
        if let Some(feed) = self.feed {
            feed.finish(matches!(ended, Ended::Finished)).await;
        }
        self.standing.leave(ended.let_go()).await;
    }
}

/// Until another publisher has the turn, this one may not publish any more, or its feed is over.
async fn ending(
    overtaken: CancellationToken,
    put_off: CancellationToken,
    over: oneshot::Receiver<FeedOver>,
) -> Ended {
    tokio::select! {
        () = overtaken.cancelled() => Ended::Overtaken,
        () = put_off.cancelled() => Ended::PutOff,
        // Nothing is said by a task that panicked.
        over = over => Ended::Over(over.unwrap_or(FeedOver::Malformed)),
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
