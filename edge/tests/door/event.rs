//! A live event that goes on when a test says so, and an edge that shows it: the time is tokio's,
//! and stands still until all wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cmaf::{Bandwidth, RenditionKind};
use edge::{Config, Edge};
use http::Request;
use http_body_util::BodyExt;
use live::{
    Begun, Event, Failure, LiveSource, Offered, Part, Piece, Position, Rendition, Segment, Timing, Update,
};
use model::cell::Ratio;
use model::{Grant, ManualClock, RenditionName, Use, Uses, VersionId, VideoId};
use storage::Memory;
use tokio::sync::watch;

use crate::film::{VERSION, VIDEO};
use crate::growing::until;
use crate::origin::{NOW, Said, Signer, grant};
use crate::serving::Answer;

/// What the event has.
pub(crate) const NAMES: [&str; 5] = ["a32", "a128", "144p", "480p", "1080p"];
/// Parts of a segment,
const PARTS: u32 = 6;
/// of so many ticks each.
const TICKS: u32 = 30_000;

/// The event, as its packager knows it.
pub(crate) struct Stage {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    news: AtomicUsize,
    /// Where the one who asks for news of a rendition is, while they wait.
    waiting: Mutex<HashMap<RenditionName, Position>>,
    pieces: Mutex<Vec<(RenditionName, Piece)>>,
    events: AtomicUsize,
    away: AtomicBool,
    /// Whether what it gives has lost its end.
    spoilt: AtomicBool,
    /// Whether it knows of no event any more.
    forgotten: AtomicBool,
    /// Whether who asks it for news the next time is in for a panic.
    cursed: AtomicBool,
}

struct State {
    event: Event,
    renditions: BTreeMap<RenditionName, Made>,
}

struct Made {
    rendition: Rendition,
    parts: Vec<(u32, u32, Bytes)>,
}

impl Stage {
    pub(crate) fn new(timing: Timing) -> Arc<Self> {
        let offered = NAMES.map(|name| offered(name.parse().unwrap()));
        let renditions = offered.iter().map(|offered| {
            let rendition = Rendition::new(offered.name, offered.timescale, offered.first_msn);
            (offered.name, Made { rendition, parts: Vec::new() })
        });
        let renditions = renditions.collect();
        let (video, version, offered) = (VIDEO, VERSION, offered.to_vec());
        let event = Event { video, version, timing, renditions: offered, revision: 1, ended: false };
        Arc::new(Self {
            state: Mutex::new(State { event, renditions }),
            changed: watch::Sender::new(0),
            news: AtomicUsize::new(0),
            waiting: Mutex::default(),
            pieces: Mutex::default(),
            events: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            spoilt: AtomicBool::new(false),
            forgotten: AtomicBool::new(false),
            cursed: AtomicBool::new(false),
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// One part more of everything; the sixth closes its segment.
    pub(crate) fn part(&self) {
        self.change(|state| state.renditions.values_mut().for_each(Made::part));
    }

    pub(crate) fn parts(&self, count: u32) {
        (0..count).for_each(|_| self.part());
    }

    /// Whole segments, without a look in between.
    pub(crate) fn segments(&self, count: u32) {
        self.change(|state| {
            for made in state.renditions.values_mut() {
                (0..count * PARTS).for_each(|_| made.part());
            }
        });
    }

    /// The segment that grows is closed with the parts that it has.
    pub(crate) fn cut(&self) {
        self.change(|state| state.renditions.values_mut().for_each(Made::close));
    }

    /// A segment of nothing; then another format.
    pub(crate) fn gap_and_change(&self) {
        self.change(|state| {
            for made in state.renditions.values_mut() {
                let gap = Begun { gap: true, ..made.next(0) };
                made.rendition.push(Segment {
                    begun: gap,
                    duration: PARTS * TICKS,
                    size_bytes: 0,
                    parts: Vec::new(),
                });
                let changed = Begun { discontinuity: true, ..made.next(1) };
                made.rendition.begin(changed);
            }
        });
    }

    pub(crate) fn end(&self) {
        self.change(|state| {
            state.event.ended = true;
            state.event.revision += 1;
            for made in state.renditions.values_mut() {
                made.close();
                made.rendition.end();
            }
        });
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        self.change(|_| ());
    }

    pub(crate) fn spoil(&self) {
        self.spoilt.store(true, Ordering::SeqCst);
    }

    pub(crate) fn forget(&self) {
        self.forgotten.store(true, Ordering::SeqCst);
        self.change(|_| ());
    }

    /// Whoever asks for news panics, once.
    pub(crate) fn curse(&self) {
        self.cursed.store(true, Ordering::SeqCst);
        self.change(|_| ());
    }

    /// How often news were asked for.
    pub(crate) fn news_asked(&self) -> usize {
        self.news.load(Ordering::SeqCst)
    }

    pub(crate) fn events_asked(&self) -> usize {
        self.events.load(Ordering::SeqCst)
    }

    pub(crate) fn pieces_asked(&self) -> usize {
        self.pieces.lock().unwrap().len()
    }

    pub(crate) fn position(&self, name: &str) -> Position {
        self.state.lock().unwrap().renditions[&name.parse().unwrap()].rendition.position()
    }

    /// Waits until whoever follows a rendition knows all of it.
    pub(crate) async fn is_followed(&self, name: &str) {
        let key: RenditionName = name.parse().unwrap();
        until(|| self.waiting.lock().unwrap().get(&key) == Some(&self.position(name))).await;
    }

    pub(crate) fn bytes_of(name: &str, piece: Piece) -> Bytes {
        bytes(name.parse().unwrap(), piece)
    }

    fn here(&self) -> Result<(), Failure> {
        if self.away.load(Ordering::SeqCst) { Err("the packager is away".into()) } else { Ok(()) }
    }

    fn is_of(&self, video: VideoId, version: VersionId) -> bool {
        (video, version) == (VIDEO, VERSION) && !self.forgotten.load(Ordering::SeqCst)
    }

    fn since(&self, name: RenditionName, after: Position) -> Option<Option<Update>> {
        let state = self.state.lock().unwrap();
        let made = state.renditions.get(&name)?;
        let Some(mut update) = made.rendition.since(after) else { return Some(None) };
        update.reports = state.renditions.values().filter_map(|made| made.rendition.report()).collect();
        let new = made.parts.iter().filter(|(msn, part, _)| (*msn, *part) >= (after.msn, after.parts));
        update.parts = new.cloned().collect();
        Some(Some(update))
    }
}

impl Made {
    fn next(&self, init: u32) -> Begun {
        let msn = self.rendition.position().msn;
        Begun { msn, start: self.rendition.until(), init, discontinuity: false, gap: false }
    }

    fn part(&mut self) {
        if self.rendition.open().is_none() {
            self.rendition.begin(self.next(self.rendition.last_init()));
        }
        let Position { msn, parts } = self.rendition.position();
        let bytes = bytes(self.rendition.name(), Piece::Part(msn, parts));
        let independent = parts == 0 || !self.rendition.name().is_video();
        self.rendition.add(Part { duration: TICKS, size_bytes: bytes.len() as u32, independent });
        self.parts.push((msn, parts, bytes));
        self.parts.retain(|(kept, ..)| kept + 4 > msn);
        if parts + 1 == PARTS {
            self.close();
        }
    }

    fn close(&mut self) {
        let msn = self.rendition.position().msn;
        self.rendition.close(bytes(self.rendition.name(), Piece::Segment(msn)).len() as u32);
    }
}

/// What a piece holds: its name, many times.
fn bytes(name: RenditionName, piece: Piece) -> Bytes {
    let times = if name.is_video() { usize::from(name.height()) } else { 20 };
    format!("{name} {piece:?} ").repeat(times).into()
}

fn offered(name: RenditionName) -> Offered {
    let kind = match name {
        RenditionName::Video { height } => {
            RenditionKind::Video { width: height * 16 / 9, height, frame_rate: Ratio { num: 30, den: 1 } }
        }
        RenditionName::Audio { .. } => RenditionKind::Audio { channels: 2, sample_rate: 48_000 },
    };
    let codecs = if name.is_video() { "avc1.64001f" } else { "mp4a.40.2" };
    let bandwidth = Bandwidth { peak_bps: 100_000, average_bps: 90_000 };
    Offered { name, codecs: codecs.to_owned(), timescale: 90_000, kind, bandwidth, first_msn: 0 }
}

#[async_trait]
impl LiveSource for Stage {
    async fn event(
        &self,
        video: VideoId,
        version: VersionId,
        _: Option<u64>,
    ) -> Result<Option<Arc<Event>>, Failure> {
        self.events.fetch_add(1, Ordering::SeqCst);
        self.here()?;
        let event = self.state.lock().unwrap().event.clone();
        Ok(Some(Arc::new(event)).filter(|_| self.is_of(video, version)))
    }

    async fn news(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        after: Position,
    ) -> Result<Option<Update>, Failure> {
        self.news.fetch_add(1, Ordering::SeqCst);
        let mut changed = self.changed.subscribe();
        let wait = async {
            loop {
                self.here()?;
                assert!(!self.cursed.swap(false, Ordering::SeqCst), "as the test wants it");
                if !self.is_of(video, version) {
                    return Ok(None);
                }
                match self.since(rendition, after) {
                    None => return Ok(None),
                    Some(Some(update)) => return Ok(Some(update)),
                    Some(None) => {}
                }
                self.waiting.lock().unwrap().insert(rendition, after);
                changed.changed().await?;
            }
        };
        let news = tokio::time::timeout(Duration::from_secs(2), wait).await;
        self.waiting.lock().unwrap().remove(&rendition);
        news.unwrap_or_else(|_| {
            let (closed, reports, parts) = (Vec::new(), Vec::new(), Vec::new());
            Ok(Some(Update { closed, open: None, ended: false, reports, parts }))
        })
    }

    async fn bytes(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        piece: Piece,
    ) -> Result<Option<Bytes>, Failure> {
        self.pieces.lock().unwrap().push((rendition, piece));
        // So that others can ask for the same meanwhile.
        tokio::task::yield_now().await;
        self.here()?;
        let whole = bytes(rendition, piece);
        let end = whole.len() - usize::from(self.spoilt.load(Ordering::SeqCst));
        Ok(self.is_of(video, version).then(|| whole.slice(..end)))
    }
}

/// An edge without a socket that shows an event.
pub(crate) struct Showing {
    pub(crate) edge: Edge,
    pub(crate) stage: Arc<Stage>,
    pub(crate) said: Said,
    pub(crate) signer: Signer,
}

pub(crate) const TIMING: Timing = Timing { zero: NOW, target_duration_s: 2, part_target_ms: Some(350) };

impl Showing {
    pub(crate) async fn start() -> Self {
        Self::of(Stage::new(TIMING)).await
    }

    pub(crate) async fn of(stage: Arc<Stage>) -> Self {
        let signer = Signer::new("k1");
        let said = Said::new(&[&signer]);
        let edge = Edge::new(
            Config::default(),
            Arc::new(Memory::default()),
            Arc::new(said.clone()),
            Some(Arc::clone(&stage) as Arc<dyn LiveSource>),
            Arc::new(ManualClock::at(NOW)),
        );
        edge.refresh().await.unwrap();
        Self { edge, stage, said, signer }
    }

    pub(crate) async fn get(&self, name: &str) -> Answer {
        self.ask("GET", name, &grant(1080), &[]).await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        name: &str,
        grant: &Grant,
        headers: &[(&str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {}", self.signer.token(grant));
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        self.ask_as_nobody(method, name, &headers).await
    }

    pub(crate) async fn ask_as_nobody(&self, method: &str, name: &str, headers: &[(&str, &str)]) -> Answer {
        answer_of(&self.edge, method, name, headers).await
    }

    /// A playlist that holds all there is.
    pub(crate) async fn fresh(&self, name: &str) -> Answer {
        let rendition = name.rsplit('/').nth(1).unwrap();
        let _follows_from_now_on = self.get(name).await;
        self.stage.is_followed(rendition).await;
        self.get(name).await
    }
}

/// What an edge without a socket answers.
pub(crate) async fn answer_of(edge: &Edge, method: &str, name: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::builder().method(method).uri(live_path(name));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let (request, ()) = request.body(()).unwrap().into_parts();
    let (head, body) = edge.answer(&request).await.into_parts();
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: head.status.as_u16(), headers, body }
}

/// The same, and going back.
pub(crate) fn rewinding(height: u16) -> Grant {
    Grant { uses: Uses::PLAY.with(Use::Rewind), rewind_s: 12 * 3600, ..grant(height) }
}

/// The path of something of the event.
pub(crate) fn live_path(name: &str) -> String {
    format!("/live/{VIDEO}/{VERSION}/{name}")
}
