//! Live events, told with a publisher that is one end of a socket.
#![expect(clippy::unwrap_used, reason = "test support, outside any test function")]

mod publisher;

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use catalog::{Admitted, NewEvent};
use cmaf::VersionIndex;
use live::{LiveSource, Piece, Rendition, Shown, View, Window, media};
use model::feed::{FeedOver, FeedTrack};
use model::{
    AccountId, Air, Clock, EventPolicy, EventState, ManualClock, ObjectKey, RenditionName, StreamKeyHash,
    Tier, Timestamp, VersionId, VideoId, VideoState, Visibility,
};
use packager::{Live, LiveSettings};
use storage::testing::SmallDisk;
use storage::{Flaky, Memory, ObjectStore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::house::{House, transcoder};
use publisher::{P360, P720, Publisher};

const PICTURE: RenditionName = RenditionName::Video { height: 720 };
const SOUND: RenditionName = RenditionName::Audio { kbps: 128 };

const VIDEO: VideoId = VideoId::from_bits(1);
const VERSION: VersionId = VersionId::from_bits(2);

/// Of the key with which the event is published.
fn key() -> StreamKeyHash {
    "07".repeat(32).parse().unwrap()
}

/// A packager with one event that somebody may publish.
struct Studio {
    house: House,
    live: Live,
    clock: Arc<Trap>,
    running: JoinSet<()>,
    stop: CancellationToken,
    socket: PathBuf,
}

/// A clock that somebody who looks at it may get a fright from.
#[derive(Debug)]
struct Trap {
    clock: Arc<ManualClock>,
    is_set: AtomicBool,
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        assert!(!self.is_set.swap(false, Ordering::SeqCst), "as the test wants it");
        self.clock.now()
    }
}

impl Studio {
    async fn open(grace: Duration) -> Self {
        Self::of(Self::house().await, grace)
    }

    async fn house() -> House {
        let house = House::new().await;
        let new = NewEvent {
            video: VIDEO,
            version: VERSION,
            owner: AccountId::from_bits(1),
            title: "En directo".to_owned(),
            description: String::new(),
            visibility: Visibility::Public,
            min_tier: Tier::NONE,
            starts_at: None,
            policy: EventPolicy::default(),
            key: key(),
        };
        house.catalog.create_event(&new, house.clock.now()).await.unwrap();
        house
    }

    fn of(house: House, grace: Duration) -> Self {
        let socket = house.folder().join("live.sock");
        let settings = LiveSettings {
            folder: house.folder().join("live"),
            socket: socket.clone(),
            grace,
            transcoder: Some(transcoder()),
            cores: 0,
        };
        let clock = Arc::new(Trap { clock: Arc::clone(&house.clock), is_set: AtomicBool::new(false) });
        let (stop, shown) = (CancellationToken::new(), Arc::clone(&clock) as Arc<dyn Clock>);
        let live = Live::new(settings, house.catalog.clone(), Arc::clone(&house.store), shown);
        let (running, until) = (live.clone(), stop.clone());
        let running = JoinSet::from_iter([async move { running.run(until).await.unwrap() }]);
        Self { house, live, clock, running, stop, socket }
    }

    /// The process ends as one that was asked to.
    async fn stop(self) -> House {
        self.stop.cancel();
        self.running.join_all().await;
        self.house
    }

    /// And another begins.
    async fn restart(self, grace: Duration) -> Self {
        Self::of(self.stop().await, grace)
    }

    /// The event's folder.
    fn spool(house: &House) -> PathBuf {
        house.folder().join("live").join(VIDEO.to_string())
    }

    async fn turn(&self) -> Admitted {
        self.house.catalog.admit_publisher(&key(), self.house.clock.now()).await.unwrap().unwrap()
    }

    /// Follows a rendition until `enough`, and gives what there is of it then.
    async fn follow(&self, name: RenditionName, enough: impl Fn(&Rendition) -> bool) -> Rendition {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let mut known: Option<Rendition> = None;
        loop {
            assert!(tokio::time::Instant::now() < deadline, "last seen: {known:?}");
            let event = self.live.event(VIDEO, VERSION, None).await.unwrap();
            let offered = event.as_ref().and_then(|event| event.rendition(name));
            let Some(offered) = offered else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let replica =
                known.get_or_insert_with(|| Rendition::new(name, offered.timescale, offered.first_msn));
            let after = replica.position();
            if let Some(update) = self.live.news(VIDEO, VERSION, name, after).await.unwrap() {
                replica.apply(&update);
            }
            if enough(replica) {
                return replica.clone();
            }
        }
    }

    async fn playlist(&self, rendition: &Rendition) -> String {
        let event = self.live.event(VIDEO, VERSION, None).await.unwrap().unwrap();
        let shown = Shown { view: View::Low, window: Window::back(Window::LONGEST_S), delta: false };
        media(rendition, &event.timing, shown, &[])
    }

    async fn bytes(&self, name: RenditionName, piece: Piece) -> Option<Bytes> {
        self.live.bytes(VIDEO, VERSION, name, piece).await.unwrap()
    }

    async fn end(&self) {
        self.house.catalog.end_event(VIDEO, self.house.clock.now()).await.unwrap();
    }

    /// Waits until the rows say that the event is on air, or that it is not.
    async fn until_on_air(&self, is_on_air: bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let (_, event) = self.house.catalog.event(VIDEO).await.unwrap().unwrap();
            let air = matches!(event.state, EventState::Live { air: Air::On { .. }, .. });
            if air == is_on_air {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{:?}", event.state);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the broadcast is on the shelf, and reads what is there.
    async fn shelf(&self) -> VersionIndex {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let video = self.house.catalog.video(VIDEO).await.unwrap().unwrap();
            if let VideoState::Ready { version, .. } = video.state {
                assert_eq!(version, VERSION);
                let key = ObjectKey::Index { video: VIDEO, version };
                return VersionIndex::from_json(&self.house.store.get(&key).await.unwrap()).unwrap();
            }
            assert!(tokio::time::Instant::now() < deadline, "{:?}", video.state);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Every sample that the shelf has of a rendition, in order.
async fn samples(
    store: &dyn ObjectStore,
    index: &VersionIndex,
    name: RenditionName,
) -> Vec<(u64, cmaf::Sample)> {
    let rendition = index.rendition(name).unwrap();
    let mut samples = Vec::new();
    for chunk in &rendition.chunks {
        let tail = store.get_range(&index.chunk_key(name, chunk), chunk.index_range()).await.unwrap();
        for segment in cmaf::read_chunk_index(&tail).unwrap().segments {
            let mut at = segment.base_decode_time;
            for sample in segment.samples {
                samples.push((at, sample));
                at += u64::from(sample.duration);
            }
        }
    }
    samples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_is_followed_in_parts_and_is_on_the_shelf_when_it_ends() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut publisher = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    publisher.send(40).await;
    let picture = studio.follow(PICTURE, |picture| picture.position().msn >= 39).await;
    let sound = studio.follow(SOUND, |sound| sound.position().msn >= 38).await;
    let text = studio.playlist(&picture).await;
    assert!(text.contains("#EXT-X-PART:DURATION=0.33333,URI=\"38.0.m4s\",INDEPENDENT=YES\n"), "{text}");
    assert!(!text.contains("GAP") && !text.contains("DISCONTINUITY\n"), "{text}");
    assert!(studio.playlist(&sound).await.contains("#EXTINF:2.0"));

    // Parts are the samples of their segment; old segments come from the disk or from the store.
    let whole = cmaf::read_segment(&studio.bytes(PICTURE, Piece::Segment(38)).await.unwrap()).unwrap();
    let first = studio.bytes(PICTURE, Piece::Part(38, 0)).await.unwrap();
    assert_eq!(whole.samples[..10], cmaf::read_segment(&first).unwrap().samples);
    for msn in 0..39 {
        let bytes = studio.bytes(PICTURE, Piece::Segment(msn)).await.unwrap();
        let segment = cmaf::read_segment(&bytes).unwrap();
        assert_eq!((segment.base_decode_time, segment.samples.len()), (u64::from(msn) * 180_000, 60));
        assert_eq!(bytes[segment.payload.start], (msn * 60) as u8);
    }
    assert_eq!(studio.bytes(PICTURE, Piece::Segment(40)).await, None);
    cmaf::read_init(&studio.bytes(PICTURE, Piece::Init(0)).await.unwrap()).unwrap();

    studio.end().await;
    assert_eq!(publisher.until_over().await, FeedOver::EventEnded);
    let index = studio.shelf().await;
    let store = &*studio.house.store;
    let pictures = samples(store, &index, PICTURE).await;
    assert_eq!(pictures.len() as u64, publisher.sent, "a picture is missing or doubled");
    assert!(pictures.iter().zip(0u64..).all(|((at, _), n)| *at == n * 3000));
    let lasts = index.rendition(PICTURE).unwrap().duration() / 90;
    let heard = index.rendition(SOUND).unwrap().duration() / 48;
    assert!(lasts.abs_diff(heard) <= 45, "{lasts} ms of pictures, {heard} ms of sound");
    let folder = Studio::spool(&studio.house);
    // The row comes first.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while folder.exists() {
        assert!(tokio::time::Instant::now() < deadline, "the spool is kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Whoever still follows sees the end.
    let ended = studio.follow(PICTURE, Rendition::is_ended).await;
    assert!(studio.playlist(&ended).await.ends_with("#EXT-X-ENDLIST\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_who_comes_back_goes_on_in_the_same_event() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut first = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    first.send(4).await;
    studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
    let before = first.sent;
    drop(first);
    // Nobody publishes: the playlist goes on, with nothing in it.
    let gap = studio.follow(PICTURE, |picture| picture.segments().iter().any(|one| one.begun.gap)).await;
    assert!(studio.playlist(&gap).await.contains("#EXT-X-GAP"));

    let mut second = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    second.send(3).await;
    let msn = gap.position().msn;
    let back =
        |picture: &Rendition| picture.segments().iter().any(|one| one.begun.msn > msn && !one.begun.gap);
    let picture = studio.follow(PICTURE, back).await;
    let text = studio.playlist(&picture).await;
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n") && !text.contains("init-1"), "{text}");

    // Another one with the same key: the newest is the event's.
    let mut third = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    assert_eq!(second.until_over().await, FeedOver::Superseded);
    third.send(2).await;
    let msn = picture.position().msn;
    studio.follow(PICTURE, |picture| picture.position().msn > msn + 1).await;
    studio.end().await;
    third.until_over().await;
    let index = studio.shelf().await;
    // What the second had under way when the third came is lost: less than a segment.
    let pictures = samples(&*studio.house.store, &index, PICTURE).await.len() as u64;
    let sent = before + second.sent + third.sent;
    assert!((sent - 60..=sent).contains(&pictures), "{pictures} of {sent} pictures");
    let (lasts, heard) =
        (index.rendition(PICTURE).unwrap().duration() / 90, index.rendition(SOUND).unwrap().duration() / 48);
    assert!(lasts.abs_diff(heard) <= 45, "{lasts} ms of pictures, {heard} ms of sound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_with_sound_alone_is_on_air() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut first = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    first.send(4).await;
    studio.until_on_air(true).await;
    drop(first);
    studio.until_on_air(false).await;
    let mut second = Publisher::of_sound(&studio.socket, &studio.turn().await).await;
    second.send_sound(8).await;
    studio.until_on_air(true).await;
    // Who watches hears it, and sees nothing new.
    let last = |one: &Rendition| one.segments().last().map(|last| last.begun.gap);
    studio.follow(SOUND, |sound| sound.position().msn >= 6 && last(sound) == Some(false)).await;
    studio.follow(PICTURE, |picture| picture.position().msn >= 6 && last(picture) == Some(true)).await;
    studio.end().await;
    let index = studio.shelf().await;
    let (lasts, heard) =
        (index.rendition(PICTURE).unwrap().duration() / 90, index.rendition(SOUND).unwrap().duration() / 48);
    assert!(heard >= 14_000 && lasts.abs_diff(heard) <= 45, "{lasts} ms of pictures, {heard} ms of sound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_in_an_event_that_began_with_sound_alone_is_refused() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut first = Publisher::of_sound(&studio.socket, &studio.turn().await).await;
    first.send_sound(8).await;
    studio.until_on_air(true).await;
    drop(first);
    studio.until_on_air(false).await;
    let mut second = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    second.packet(FeedTrack::Video, 0, true, vec![0; 9000]).await;
    assert_eq!(second.until_over().await, FeedOver::Unsupported);
    let mut third = Publisher::of_sound(&studio.socket, &studio.turn().await).await;
    third.send_sound(8).await;
    studio.until_on_air(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_key_frames_are_far_apart_is_on_air() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut first = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    first.group = 180;
    first.send(10).await;
    studio.until_on_air(true).await;
    let picture = studio.follow(PICTURE, |picture| picture.position().msn >= 2).await;
    assert!(!studio.playlist(&picture).await.contains("#EXT-X-PART"));
    drop(first);
    studio.until_on_air(false).await;
    let mut second = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    second.group = 180;
    second.send(4).await;
    studio.until_on_air(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_above_its_limit_is_let_go_at_the_beginning_and_in_the_middle() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut great = Publisher::limited(&studio.socket, &studio.turn().await, P720, 719).await;
    assert_eq!(great.until_over().await, FeedOver::TooLarge);
    let mut growing = Publisher::limited(&studio.socket, &studio.turn().await, P360, 360).await;
    growing.send(4).await;
    let smaller = RenditionName::Video { height: 360 };
    studio.follow(smaller, |picture| picture.position().msn >= 1).await;
    growing.configure(P720).await;
    assert_eq!(growing.until_over().await, FeedOver::TooLarge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_format_is_a_break_in_all_renditions() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut first = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    first.send(4).await;
    studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
    let mut second = Publisher::begin(&studio.socket, &studio.turn().await, P360).await;
    second.send(4).await;
    for name in [PICTURE, SOUND] {
        let has_break = |one: &Rendition| {
            let breaks = one.segments().iter().position(|one| one.begun.discontinuity);
            breaks.is_some_and(|at| one.segments().len() > at + 1)
        };
        let rendition = studio.follow(name, has_break).await;
        let text = studio.playlist(&rendition).await;
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
        assert_eq!(text.contains("init-1.mp4"), name.is_video(), "{text}");
    }
    let init = studio.bytes(PICTURE, Piece::Init(1)).await.unwrap();
    let cmaf::Track::Video(track) = cmaf::read_init(&init).unwrap() else { panic!() };
    assert_eq!((track.width, track.height), (640, 360));
    // The film has both formats, and all pictures but those that were under way when the second came.
    studio.end().await;
    let index = studio.shelf().await;
    let changes = |name| index.rendition(name).unwrap().changes.len();
    assert_eq!((changes(PICTURE), changes(SOUND)), (1, 0));
    let pictures = samples(&*studio.house.store, &index, PICTURE).await.len() as u64;
    let sent = first.sent + second.sent;
    assert!((sent - 60..=sent).contains(&pictures), "{pictures} of {sent} pictures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_goes_on_where_it_was() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut publisher = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    publisher.send(4).await;
    let before = studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
    let studio = studio.restart(Duration::from_secs(60)).await;
    let mut again = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    again.send(4).await;
    let msn = before.position().msn;
    let after = studio.follow(PICTURE, |picture| picture.position().msn >= msn + 4).await;
    assert_eq!(after.segments()[..msn as usize].len(), before.segments().len());
    for (before, after) in before.segments().iter().zip(after.segments()) {
        assert_eq!((before.begun, before.size_bytes), (after.begun, after.size_bytes));
    }
    let text = studio.playlist(&after).await;
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    studio.end().await;
    let index = studio.shelf().await;
    let pictures = samples(&*studio.house.store, &index, PICTURE).await.len() as u64;
    // What was on its way when the process ended is lost: less than a segment.
    let sent = publisher.sent + again.sent;
    assert!((sent - 60..=sent).contains(&pictures), "{pictures} of {sent} pictures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_nobody_comes_back_to_ends_when_its_grace_does() {
    let studio = Studio::open(Duration::from_secs(1)).await;
    let mut publisher = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    publisher.send(3).await;
    studio.follow(PICTURE, |picture| picture.position().msn >= 2).await;
    drop(publisher);
    let index = studio.shelf().await;
    assert_eq!(index.rendition(PICTURE).unwrap().segment_count(), 3);
    let late = studio.house.catalog.admit_publisher(&key(), studio.house.clock.now()).await.unwrap();
    assert!(late.is_err(), "{late:?}");
}

/// The process ends between the end of the broadcast and the shelf, as often as it likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_whose_process_ends_on_the_way_to_the_shelf_gets_there() {
    let mut studio = Studio::open(Duration::from_secs(60)).await;
    let good = Arc::clone(&studio.house.store);
    studio.house.store = Arc::new(Flaky::new(Memory::new(Arc::clone(&studio.house.clock) as _), u32::MAX));
    let mut studio = studio.restart(Duration::from_secs(60)).await;
    let mut publisher = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    publisher.send(4).await;
    studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
    studio.end().await;
    assert_eq!(publisher.until_over().await, FeedOver::EventEnded);
    for _ in 0..2 {
        studio.follow(PICTURE, Rendition::is_ended).await;
        studio = studio.restart(Duration::from_secs(60)).await;
    }
    studio.house.store = good;
    let studio = studio.restart(Duration::from_secs(60)).await;
    let index = studio.shelf().await;
    let pictures = samples(&*studio.house.store, &index, PICTURE).await.len() as u64;
    assert!((publisher.sent - 60..=publisher.sent).contains(&pictures), "{pictures} pictures");
}

/// The disk is full before the end of the broadcast, and has room again behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_broadcast_waits_for_a_disk_that_is_full() {
    for (is_restarted, has_room) in [(false, true), (true, true), (true, false)] {
        let house = Studio::house().await;
        let folder = house.folder().join("live");
        std::fs::create_dir(&folder).unwrap();
        let Some(disk) = SmallDisk::mount(&folder, "400k") else { return };
        let mut studio = Studio::of(house, Duration::from_secs(60));
        let mut publisher = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
        publisher.send(6).await;
        studio.follow(PICTURE, |picture| picture.position().msn >= 5).await;
        studio.end().await;
        assert_eq!(publisher.until_over().await, FeedOver::EventEnded);
        // What is listed as closed the disk was asked to take.
        studio.follow(PICTURE, |picture| picture.position().msn >= 6).await;
        studio.follow(SOUND, |sound| sound.position().msn >= 6).await;
        if has_room {
            disk.resize("64m");
        }
        if is_restarted {
            studio = studio.restart(Duration::from_secs(60)).await;
            // Whatever it says, it has tried to go on.
            let _ = studio.live.event(VIDEO, VERSION, None).await;
        }
        disk.resize("64m");
        let index = studio.shelf().await;
        let pictures = samples(&*studio.house.store, &index, PICTURE).await.len() as u64;
        let heard = index.rendition(SOUND).unwrap().duration() / 48;
        if is_restarted {
            // What was nowhere but in memory is gone; what was written is the film.
            assert!((60..=publisher.sent).contains(&pictures), "{pictures} pictures");
        } else {
            assert_eq!(pictures, publisher.sent, "a picture is missing or doubled");
            assert!(heard.abs_diff(12_000) <= 45, "{heard} ms of sound");
        }
        studio.stop().await;
    }
}

/// What is logged, as it is written.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// On one thread, whose log it reads.
#[tokio::test]
async fn a_disk_that_lets_no_event_begin_is_told_of_once() {
    let house = Studio::house().await;
    let folder = house.folder().join("live");
    std::fs::create_dir(&folder).unwrap();
    let Some(disk) = SmallDisk::mount(&folder, "16k") else { return };
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.clone()).finish();
    let _reading = tracing::subscriber::set_default(subscriber);
    let studio = Studio::of(house, Duration::from_secs(60));
    // The folder is locked before, in a file without bytes.
    let mut publisher = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    std::fs::write(folder.join("filler"), [0; 16 << 10]).unwrap();
    // Each packet from the second key frame on is a try.
    publisher.send(6).await;
    assert_eq!(studio.live.event(VIDEO, VERSION, None).await.unwrap(), None);
    disk.resize("64m");
    publisher.send(2).await;
    studio.until_on_air(true).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("No space left on device").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_of_which_nobody_knows_what_was_shown_goes_on() {
    let studio = Studio::open(Duration::from_secs(60)).await;
    let mut first = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    first.send(4).await;
    let known = studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
    let house = studio.stop().await;
    let shown = Studio::spool(&house).join(format!("{PICTURE}.shown"));
    std::fs::remove_file(&shown).unwrap();
    std::fs::create_dir(&shown).unwrap();
    let studio = Studio::of(house, Duration::from_secs(60));
    let again = studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
    assert_eq!(again.segment(2).unwrap().begun, known.segment(2).unwrap().begun);
    let mut second = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
    second.send(3).await;
    studio.follow(PICTURE, |picture| picture.position().msn >= again.position().msn + 2).await;
    studio.end().await;
    assert_eq!(second.until_over().await, FeedOver::EventEnded);
    let pictures = samples(&*studio.house.store, &studio.shelf().await, PICTURE).await.len() as u64;
    let sent = first.sent + second.sent;
    assert!((sent - 60..=sent).contains(&pictures), "{pictures} of {sent} pictures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_whose_task_panics_goes_on() {
    for comes_back in [true, false] {
        let studio = Studio::open(Duration::from_secs(60)).await;
        let mut first = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
        first.send(4).await;
        studio.follow(PICTURE, |picture| picture.position().msn >= 3).await;
        studio.clock.is_set.store(true, Ordering::SeqCst);
        assert_eq!(first.answer().await, None);
        let mut sent = first.sent;
        if comes_back {
            let mut second = Publisher::begin(&studio.socket, &studio.turn().await, P720).await;
            second.send(3).await;
            let is_on =
                |picture: &Rendition| picture.segments().iter().filter(|one| !one.begun.gap).count() >= 6;
            studio.follow(PICTURE, is_on).await;
            sent += second.sent;
        }
        studio.end().await;
        let pictures = samples(&*studio.house.store, &studio.shelf().await, PICTURE).await.len() as u64;
        // Of the segment that grew what was in no part is lost.
        assert!((sent - 60..=sent).contains(&pictures), "{pictures} of {sent} pictures");
        studio.stop().await;
    }
}
