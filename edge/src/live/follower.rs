//! One rendition of a live event, kept up to date for all who watch it here.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use live::{Event, Failure, LiveSource, Offered, Position, Rendition, Report, Shown, Timing, Update};
use model::{Clock, RenditionName, VersionId, VideoId};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::document::Document;
use crate::live::counts::Counts;
use crate::live::moment::{Moment, Stage};
use crate::live::ring::{Ring, Room};
use crate::live::{ENDED, RETRY};
use crate::media::Media;
use crate::origin::PATIENCE;

/// How long a rendition is followed that nobody asks for.
const IDLE: Duration = Duration::from_secs(60);
/// After so long without news those who wait look whether they still should.
const SILENCE: Duration = Duration::from_secs(1);
/// Before a source that had nothing new is asked again, should it not wait itself.
const BREATH: Duration = Duration::from_millis(20);

/// A rendition that is followed.
pub(crate) struct Follower {
    video: VideoId,
    version: VersionId,
    name: RenditionName,
    timing: Timing,
    replica: RwLock<Replica>,
    ring: RwLock<Ring>,
    /// Everybody who waits looks here.
    stage: watch::Sender<Stage>,
    /// When it was last asked for; `None` once nobody follows it any more.
    used: Mutex<Option<Instant>>,
}

/// What is known of the rendition.
pub(crate) struct Replica {
    pub(crate) rendition: Rendition,
    reports: Vec<Report>,
}

impl Follower {
    pub(super) fn new(event: &Event, offered: &Offered, room: &Arc<Room>) -> Arc<Self> {
        let rendition = Rendition::new(offered.name, offered.timescale, offered.first_msn);
        Arc::new(Self {
            video: event.video,
            version: event.version,
            name: offered.name,
            timing: event.timing,
            replica: RwLock::new(Replica { rendition, reports: Vec::new() }),
            ring: RwLock::new(Ring::new(Arc::clone(room))),
            stage: watch::Sender::new(Stage::Unknown),
            used: Mutex::new(Some(Instant::now())),
        })
    }

    /// The event's clock and cadence.
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// What it has come to, and all that it comes to.
    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// What is known of the rendition.
    pub(crate) fn replica(&self) -> RwLockReadGuard<'_, Replica> {
        // It is whole between any two statements that change it.
        self.replica.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A playlist as of `moment`, or a later one if that has just passed.
    pub(crate) fn playlist(&self, moment: &Moment, shown: Shown) -> Document {
        moment.playlist(shown, || {
            let replica = self.replica();
            live::media(&replica.rendition, &self.timing, shown, &replica.reports)
        })
    }

    /// A part, if its bytes are still here.
    pub(crate) fn part(&self, msn: u32, part: u32) -> Option<Media> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.get(msn, part).cloned()
    }

    /// A closed segment put together from its parts, if they are all still here: what was brought
    /// once over the link is not asked for again.
    pub(crate) fn gathered(&self, msn: u32) -> Option<Bytes> {
        let parts = self.replica().rendition.segment(msn)?.parts.len() as u32;
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let parts: Option<Vec<_>> = (0..parts).map(|part| Some(&ring.get(msn, part)?.bytes[..])).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.concat().into())
    }

    /// Notes that somebody asks; `false` if nobody follows it any more.
    pub(super) fn is_asked_for(&self) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.as_mut() {
            Some(used) => {
                *used = Instant::now();
                true
            }
            None => false,
        }
    }

    /// Lets nobody in any more, and all who wait look again.
    pub(super) fn end(&self, last: Stage) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.stage.send_replace(last);
    }

    /// Has everybody who waits look whether they still should.
    pub(super) fn nudge(&self) {
        self.stage.send_modify(|_| {});
    }

    /// Does so whenever there has been nothing new for a second: one timer for all who wait.
    pub(super) async fn nudge_in_silence(&self) -> Infallible {
        let mut stage = self.stage();
        loop {
            if tokio::time::timeout(SILENCE, stage.changed()).await.is_err() {
                self.nudge();
                stage.mark_unchanged();
            }
        }
    }

    /// Follows the rendition until there is no such thing, or nobody has asked for a while.
    pub(super) async fn follow(&self, source: &dyn LiveSource, clock: &dyn Clock, counts: &Counts) {
        let mut in_trouble = false;
        while !self.is_idle(IDLE) {
            let asked = Instant::now();
            match self.ask(source).await {
                Ok(Some(update)) => {
                    let asked_for = asked.elapsed();
                    if std::mem::take(&mut in_trouble) {
                        tracing::info!(version.id = %self.version, "{} of the event is followed again", self.name);
                    }
                    if !self.learn(update, clock, counts) && asked_for < BREATH {
                        tokio::time::sleep(BREATH).await;
                    }
                    if self.replica().rendition.is_ended() {
                        return self.rest().await;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    if !std::mem::replace(&mut in_trouble, true) {
                        tracing::warn!(
                            version.id = %self.version,
                            error = &*error as &dyn std::error::Error,
                            "cannot follow {} of the event; what is known of it is served", self.name
                        );
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// What has ended does not change; it is there for a while for whoever has not seen its end.
    async fn rest(&self) {
        while !self.is_idle(ENDED) {
            tokio::time::sleep(IDLE).await;
        }
    }

    async fn ask(&self, source: &dyn LiveSource) -> Result<Option<Update>, Failure> {
        let is_known = matches!(*self.stage.borrow(), Stage::Known(_));
        // What it has not heard of it does not know, not even that there is nothing.
        let after = if is_known { self.replica().rendition.position() } else { Position::default() };
        tokio::time::timeout(PATIENCE, source.news(self.video, self.version, self.name, after)).await?
    }

    /// Takes what is new, and lets everybody know; whether anything was.
    fn learn(&self, update: Update, clock: &dyn Clock, counts: &Counts) -> bool {
        let now = clock.now();
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for (msn, part, bytes) in &update.parts {
            ring.push(*msn, *part, bytes.clone());
        }
        drop(ring);
        let is_first = matches!(*self.stage.borrow(), Stage::Unknown);
        let mut replica = self.replica.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = replica.rendition.apply(&update);
        // With nothing new come no reports.
        let tells_more = !update.reports.is_empty() && replica.reports != update.reports;
        if tells_more {
            replica.reports = update.reports;
        }
        let rendition = &replica.rendition;
        if !is_first && !update.parts.is_empty() {
            let end = rendition.until() * 1000 / u64::from(rendition.timescale().max(1));
            counts.part_came(now.since(self.timing.zero + Duration::from_millis(end)));
        }
        let moment = Moment::new(rendition.position(), rendition.parts_of_previous(), rendition.is_ended());
        drop(replica);
        if is_new || tells_more || is_first {
            self.stage.send_replace(Stage::Known(Arc::new(moment)));
        }
        is_new || is_first
    }

    fn is_idle(&self, patience: Duration) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_idle = used.is_none_or(|at| at.elapsed() >= patience);
        if is_idle {
            *used = None;
        }
        is_idle
    }
}
