mod ending;
mod opening;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use live::{Position, Record};
use model::feed::{FeedAnswer, FeedMessage, FeedOver, FeedTrack, Packet};
use model::{ErrorKind, Health, VersionId, VideoId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::cell::LiveEvent;
use super::feed::Feed;
use super::format::short_side;
use super::going::{Going, OnAir};
use super::health::told;
use super::lane::Frame;
use super::rungs::{Came, plan};
use super::sound::elapsed;
use super::spool::Spool;
use super::timeline::Placed;
use super::{LiveError, Shared};

/// What reaches an event from outside.
#[derive(Debug)]
pub(crate) enum Input {
    /// A publisher's connection, accepted.
    Begin {
        connection: u64,
        generation: u64,
        encoder: String,
        short_side: u16,
        answers: mpsc::Sender<FeedAnswer>,
    },
    /// What it says.
    Said { connection: u64, message: FeedMessage, payload: Bytes },
    /// It is gone.
    Gone { connection: u64 },
}

/// Carries one event from its first feed to the shelf.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) video: VideoId,
    pub(crate) version: VersionId,
    pub(crate) on_air: watch::Sender<Option<Arc<OnAir>>>,
    /// How the feed is, told every second.
    health: watch::Sender<Option<Health>>,
    began: Instant,
    feed: Option<Feed>,
    going: Option<Going>,
    /// Why the event could not begin, or go on with the feed, the last time that this was tried.
    hindered: Option<String>,
    /// The turn in which the rows were told that there is something to see.
    told: Option<u64>,
    /// Whether it was over before this process.
    is_over: bool,
}

/// How often an event without a publisher is looked after, and its row.
const TICK: Duration = Duration::from_millis(100);
const LOOK: u32 = 10;
/// Between two tries to put an event on the shelf, or to go on with one.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        video: VideoId,
        version: VersionId,
        on_air: watch::Sender<Option<Arc<OnAir>>>,
        health: watch::Sender<Option<Health>>,
    ) -> Self {
        let began = Instant::now();
        Self {
            shared,
            video,
            version,
            on_air,
            health,
            began,
            feed: None,
            going: None,
            hindered: None,
            told: None,
            is_over: false,
        }
    }

    /// Goes on with an event from before this process.
    pub(crate) fn restore(&mut self, spool: Spool, record: Record) -> Result<(), LiveError> {
        self.is_over = record.ended;
        let going = Going::restored(&self.shared, spool, record)?;
        self.on_air.send_replace(Some(Arc::clone(&going.on_air)));
        self.going = Some(going);
        Ok(())
    }

    /// Runs until the event is over, or the process stops.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, stop: CancellationToken) {
        if self.is_over {
            self.shelve(&stop).await;
            return self.linger(inputs, stop).await;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0u32;
        loop {
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.settle().await;
                    return;
                }
                event = heard(&mut self.going) => self.encoded(event).await,
                input = inputs.recv() => match input {
                    Some(input) => self.take(input).await,
                    None => return,
                },
                _ = ticks.tick() => {
                    count = count.wrapping_add(1);
                    self.tick(count.is_multiple_of(LOOK)).await
                }
            };
            match done {
                Ok(true) => {
                    self.shelve(&stop).await;
                    return self.linger(inputs, stop).await;
                }
                Ok(false) => {}
                Err(error) => tracing::error!(
                    video = %self.video,
                    error = &error as &dyn std::error::Error,
                    "a live event stumbled"
                ),
            }
        }
    }

    /// Takes what came; whether the event is over.
    async fn take(&mut self, input: Input) -> Result<bool, LiveError> {
        match input {
            Input::Begin { connection, generation, encoder, short_side, answers } => {
                if self.feed.as_ref().is_some_and(|feed| feed.generation > generation) {
                    let _ = answers.try_send(FeedAnswer::Over(FeedOver::Superseded));
                    return Ok(false);
                }
                if let Some(before) = self.feed.take() {
                    before.over(FeedOver::Superseded);
                    self.away().await?;
                }
                tracing::info!(video = %self.video, generation, %encoder, "a publisher is there");
                let _ = answers.try_send(FeedAnswer::Accepted);
                self.feed = Some(Feed::new(connection, generation, encoder, short_side, answers));
            }
            Input::Said { connection, message, payload } => {
                if self.feed.as_ref().is_some_and(|feed| feed.connection == connection) {
                    self.hear(message, payload).await?;
                }
            }
            Input::Gone { connection } => {
                if let Some(feed) = self.feed.take_if(|feed| feed.connection == connection) {
                    let generation = feed.generation;
                    tracing::info!(video = %self.video, generation, "the publisher is gone");
                    self.away().await?;
                    let now = self.shared.clock.now();
                    self.shared.catalog.publisher_left(self.video, generation, now).await?;
                }
            }
        }
        Ok(false)
    }

    async fn hear(&mut self, message: FeedMessage, payload: Bytes) -> Result<(), LiveError> {
        match message {
            FeedMessage::Begin { .. } => self.let_go(FeedOver::Malformed).await,
            FeedMessage::End => Ok(()),
            FeedMessage::Others { track } => {
                tracing::info!(video = %self.video, ?track, "only the first of a publisher's tracks is taken");
                if let Some(feed) = &mut self.feed {
                    feed.has_others = true;
                }
                Ok(())
            }
            FeedMessage::Config(config) => {
                let Some(feed) = &mut self.feed else { return Ok(()) };
                if short_side(&config).is_some_and(|pixels| pixels > feed.short_side.into()) {
                    return self.let_go(FeedOver::TooLarge).await;
                }
                // In the middle of a feed: what follows is placed anew, from its next key frame on.
                if feed.configure(config) && feed.timeline.take().is_some() {
                    self.away().await?;
                }
                Ok(())
            }
            FeedMessage::Packet { track, dts, cts_offset, key } => {
                let packet = Packet { track, dts, cts_offset, key, data: payload };
                if packet.data.is_empty() {
                    return Ok(());
                }
                self.packet(packet).await
            }
        }
    }

    async fn packet(&mut self, packet: Packet) -> Result<(), LiveError> {
        let Some(feed) = &mut self.feed else { return Ok(()) };
        feed.pulse.beat(&packet, self.began.elapsed());
        if feed.timeline.is_none() {
            if !feed.opening.push(packet) {
                return self.let_go(FeedOver::TooMuch).await;
            }
            return self.open().await;
        }
        if self.place(&packet)? {
            return self.flush().await;
        }
        // Its times jumped: what comes now is a feed of its own.
        tracing::info!(video = %self.video, "the publisher's clock jumped");
        self.away().await?;
        if let Some(feed) = &mut self.feed {
            (feed.timeline, feed.sound) = (None, None);
            feed.pulse.jump(self.began.elapsed());
            feed.opening.take();
            feed.opening.push(packet);
        }
        self.open().await
    }

    /// Gives a packet to the cutter and to the cell; `false` when its time has jumped.
    fn place(&mut self, packet: &Packet) -> Result<bool, LiveError> {
        let (Some(feed), Some(going)) = (&mut self.feed, &mut self.going) else { return Ok(true) };
        let Some(timeline) = &mut feed.timeline else { return Ok(true) };
        let frame = match timeline.place(packet) {
            Placed::At(frame) => frame,
            Placed::Early => return Ok(true),
            Placed::Jump => return Ok(false),
        };
        match packet.track {
            FeedTrack::Video => {
                if let Some(picture) = going.picture {
                    going.cutter.push(picture, frame)?;
                }
            }
            FeedTrack::Audio => {
                let placed: Option<Frame> = feed.sound.as_mut().and_then(|clock| clock.place(frame));
                if let (Some(sound), Some(frame)) = (going.sound, placed) {
                    going.cutter.push(sound, frame)?;
                }
            }
        }
        self.encode(packet);
        Ok(true)
    }

    /// Takes what the cell said.
    async fn encoded(&mut self, event: LiveEvent) -> Result<bool, LiveError> {
        let Some(going) = &mut self.going else { return Ok(false) };
        match going.rungs.hear(event)? {
            Came::Nothing => return Ok(false),
            Came::Format(name, format, bandwidth) => {
                going.enter_encoded(name, &format, going.rungs_from, bandwidth)?;
            }
            Came::Frame(name, frame) => going.cutter.push(name, frame)?,
        }
        self.flush().await?;
        Ok(false)
    }

    /// Gives a packet of the feed, which the cutter has already, to the cell; starts one with a key
    /// frame where there is none.
    fn encode(&mut self, packet: &Packet) {
        let (Some(feed), Some(going)) = (&self.feed, &mut self.going) else { return };
        let Some(timeline) = feed.timeline else { return };
        let leads = if feed.video.is_some() { FeedTrack::Video } else { FeedTrack::Audio };
        if packet.key && packet.track == leads && going.rungs.is_wanted() {
            let offset = timeline.offset();
            let at = u64::try_from(packet.dts + i64::from(packet.cts_offset) + offset).unwrap_or_default();
            going.rungs_from = going.cutter.expect_from(at);
            let picture = going.picture.and_then(|name| going.formats.get(&name));
            let plan = plan(feed, picture, going.sound, self.shared.cores, &going.rungs.history);
            if feed.video.is_some() {
                let rungs = plan.video.iter().flat_map(|video| &video.rungs);
                going.withdraw_all_but(&rungs.map(|rung| rung.rendition).collect::<Vec<_>>());
            }
            going.rungs.start(&self.shared, plan, offset);
        }
        going.rungs.feed(packet);
    }

    /// Looks after the event; whether it is over.
    async fn tick(&mut self, look: bool) -> Result<bool, LiveError> {
        if look && self.is_ended().await? {
            self.finish().await?;
            return Ok(true);
        }
        if self.feed.is_none() {
            self.away().await?;
        }
        if look {
            self.health.send_replace(self.feel());
        }
        let Some(going) = &mut self.going else { return Ok(false) };
        if let Some(away) = &mut going.away {
            let passed = away.since.elapsed();
            if passed >= self.shared.grace {
                tracing::info!(video = %self.video, "nobody came back to publish");
                self.shared.catalog.end_event(self.video, self.shared.clock.now()).await?;
                self.finish().await?;
                return Ok(true);
            }
            away.cut = going.cutter.pass(away.cut, away.began + elapsed(passed))?;
            self.flush().await?;
        }
        if let Some(going) = self.going.as_mut().filter(|_| look) {
            if going.rungs.has_warmed_up() {
                going.cutter.expect_nobody();
            }
            if going.rungs.after_second() {
                tracing::info!(video = %self.video, history = ?going.rungs.history, "an event has other rungs");
                going.rungs.stop();
            }
            going.seal(&self.shared).await?;
        }
        Ok(false)
    }

    /// How the feed is.
    fn feel(&self) -> Option<Health> {
        let feed = self.feed.as_ref()?;
        Some(told(feed, self.going.as_ref(), self.began.elapsed(), self.shared.clock.now()))
    }

    /// Whether the owner ended it.
    async fn is_ended(&self) -> Result<bool, LiveError> {
        let event = self.shared.catalog.event(self.video).await?;
        Ok(event.is_none_or(|(_, event)| event.state.is_ended()))
    }

    /// Shows what was made; what is closed is written down before.
    async fn flush(&mut self) -> Result<(), LiveError> {
        let Some(going) = &mut self.going else { return Ok(()) };
        let made = going.cutter.take();
        going.show(made).await;
        self.announce().await
    }

    /// Tells the rows that there is something to see.
    async fn announce(&mut self) -> Result<(), LiveError> {
        let (Some(going), Some(feed)) = (&self.going, &self.feed) else { return Ok(()) };
        if self.told == Some(feed.generation) || going.away.is_some() {
            return Ok(());
        }
        // Of a publisher without a picture it is the sound.
        let leader = going.cutter.leader();
        let position = leader.and_then(|name| going.on_air.broadcast.position(name)).unwrap_or_default();
        if !is_enough(position, feed.first_msn, going.has_parts) {
            return Ok(());
        }
        self.on_air.send_if_modified(|on_air| {
            let is_new = on_air.is_none();
            *on_air = Some(Arc::clone(&going.on_air));
            is_new
        });
        let (generation, now) = (feed.generation, self.shared.clock.now());
        match self.shared.catalog.event_went_live(self.video, generation, now).await {
            Ok(_) => self.told = Some(generation),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                // The next tick finds that nobody publishes.
                if let Some(feed) = self.feed.take() {
                    feed.over(FeedOver::Superseded);
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Whether so much is there for a player to begin with of an event whose feed begins with segment `first_msn`.
fn is_enough(Position { msn, parts }: Position, first_msn: u32, has_parts: bool) -> bool {
    match has_parts {
        // A hold-back of three parts.
        true => msn > 0 && parts >= 2,
        // A segment is one part, and hls.js stalls where it finds a single one.
        false => msn > first_msn && msn > 1,
    }
}

/// What an event's cell says next; never, while there is no event.
async fn heard(going: &mut Option<Going>) -> LiveEvent {
    match going {
        Some(going) => going.rungs.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_finds_enough_to_begin_with() {
        let cases = [
            ("nothing", (0, 0), 0, [false, false]),
            ("a segment that grows", (0, 5), 0, [false, false]),
            ("one segment", (1, 0), 0, [false, false]),
            ("and a bit", (1, 2), 0, [true, false]),
            ("two segments", (2, 0), 0, [false, true]),
            ("nothing of a feed that is back", (7, 0), 7, [false, false]),
            ("a bit of it", (7, 2), 7, [true, false]),
            ("a segment of it", (8, 0), 7, [false, true]),
        ];
        for (name, (msn, parts), first_msn, expected) in cases {
            let found =
                [true, false].map(|has_parts| is_enough(Position { msn, parts }, first_msn, has_parts));
            assert_eq!(found, expected, "{name}");
        }
    }
}
