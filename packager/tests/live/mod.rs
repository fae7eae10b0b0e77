//! What becomes of a feed while an event is on, told with the real transcoder.
#![expect(clippy::unwrap_used, reason = "a test's own assertions")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cmaf::{Configuration, SampleTable};
use model::cell::Ratio;
use model::cell::live::LivePlan;
use model::feed::{FeedConfig, FeedTrack, Packet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use packager::live::ladder::{self, LagHistory, SourcePicture};
use packager::live::{BacklogLimits, LiveCell, LiveEnding, LiveEvent, LiveStart};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::house::{made_by, transcoder};

/// The longest that anything here takes; nothing is asserted about how long it does.
const DEADLINE: Duration = Duration::from_secs(60);
/// A feed that is fed as quickly as it can be, and of which nothing is to be left out.
const UNLIMITED: BacklogLimits = BacklogLimits { behind: Duration::from_secs(3600), bytes: 1 << 30 };

/// A feed of 640 × 480 at 25, a key frame every second.
struct Feed {
    plan: LivePlan,
    packets: Vec<Packet>,
}

impl Feed {
    fn new(seconds: u32) -> Self {
        let film = made_by(
            &format!(
                "-f lavfi -i testsrc2=size=640x480:rate=25 -f lavfi -i sine=sample_rate=48000 -ac 2 -t {seconds} \
                 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -tune zerolatency -g 25 -c:a aac"
            ),
            "mp4",
        );
        let at = film.windows(4).position(|kind| kind == b"moov").unwrap();
        let size = u32::from_be_bytes(film[at - 4..at].try_into().unwrap()) as usize;
        let moov = &film[at + 4..at - 4 + size];
        let mut packets = Vec::new();
        let mut configs = Vec::new();
        for (id, track) in [(1, FeedTrack::Video), (2, FeedTrack::Audio)] {
            let table = SampleTable::read(moov, id).unwrap();
            let ticks = |value: i64| value * 90_000 / i64::from(table.timescale);
            packets.extend(table.samples.iter().map(|sample| Packet {
                track,
                dts: ticks(sample.dts),
                cts_offset: ticks(sample.pts - sample.dts) as i32,
                key: sample.sync || track == FeedTrack::Audio,
                data: film[sample.offset as usize..sample.end() as usize].to_vec().into(),
            }));
            configs.push(match table.configuration {
                Configuration::Avc(avcc) => FeedConfig::H264 { avcc },
                Configuration::Aac(asc) => FeedConfig::Aac { asc },
            });
        }
        packets.sort_by_key(|packet| packet.dts);
        let source = SourcePicture { width: 640, height: 480, frame_rate: Ratio::new(25, 1) };
        let video = Some((configs[0].clone(), source));
        let plan = ladder::plan(video, Some(&configs[1]), 2, &LagHistory::default());
        Self { plan, packets }
    }

    /// When pictures at which decoding can start are shown, from this second on.
    fn keys(&self, from: i64) -> Vec<i64> {
        let is_key = |packet: &&Packet| packet.track == FeedTrack::Video && packet.key;
        let keys = self.packets.iter().filter(is_key);
        keys.map(|packet| packet.dts + i64::from(packet.cts_offset))
            .filter(|pts| *pts >= from * 90_000)
            .collect()
    }

    /// The packets of these seconds.
    fn seconds(&self, seconds: std::ops::Range<i64>) -> impl Iterator<Item = &Packet> {
        self.packets
            .iter()
            .filter(move |packet| (seconds.start * 90_000..seconds.end * 90_000).contains(&packet.dts))
    }
}

/// A cell and what it gave.
struct Running {
    folder: tempfile::TempDir,
    tasks: TaskTracker,
    cell: LiveCell,
    events: mpsc::Receiver<LiveEvent>,
    heard: Heard,
}

#[derive(Debug, Default)]
struct Heard {
    inits: BTreeMap<String, model::cell::live::LiveTrack>,
    /// Times of packets, and of those at which decoding can start.
    times: BTreeMap<String, (Vec<i64>, Vec<i64>)>,
    ending: Option<LiveEnding>,
}

impl Running {
    fn start(plan: &LivePlan, limits: BacklogLimits) -> Self {
        let (folder, tasks) = (tempfile::tempdir().unwrap(), TaskTracker::new());
        let start = LiveStart {
            program: &transcoder(),
            folder: folder.path(),
            limits,
            quiet: LiveStart::QUIET,
            tasks: &tasks,
            stop: &CancellationToken::new(),
        };
        let (cell, events) = LiveCell::start(start, plan.clone()).unwrap();
        Self { folder, tasks, cell, events, heard: Heard::default() }
    }

    fn feed<'a>(&self, packets: impl IntoIterator<Item = &'a Packet>) {
        for packet in packets {
            let idr = packet.track == FeedTrack::Video && packet.key;
            self.cell.feed(packet.clone(), idr);
        }
    }

    /// Takes events until there is enough.
    async fn until(&mut self, what: &str, is_enough: impl Fn(&Heard, &LiveCell) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_enough(&self.heard, &self.cell) {
            let next = tokio::time::timeout_at(
                deadline.min(Instant::now() + Duration::from_millis(50)),
                self.events.recv(),
            );
            match next.await {
                Ok(Some(event)) => self.heard.hear(event),
                Ok(None) => panic!("ended before {what}: {:?}", self.heard),
                Err(_) => assert!(Instant::now() < deadline, "no {what}: {:?}", self.heard),
            }
        }
    }

    async fn ending(mut self) -> Heard {
        self.until("its end", |heard, _| heard.ending.is_some()).await;
        assert!(self.events.recv().await.is_none());
        self.tasks.close();
        self.tasks.wait().await;
        self.heard
    }

    /// The number of its process.
    fn process(&self) -> Pid {
        let own = self.folder.path().canonicalize().unwrap();
        let is_its = |process: &Path| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == own);
        let mut processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let found = processes.find(|process| is_its(process)).expect("it runs");
        Pid::from_raw(found.file_name().unwrap().to_str().unwrap().parse().unwrap())
    }
}

impl Heard {
    fn hear(&mut self, event: LiveEvent) {
        assert!(self.ending.is_none(), "{event:?} behind the end");
        match event {
            LiveEvent::Init { rendition, track } => {
                self.inits.insert(rendition.to_string(), track);
            }
            LiveEvent::Packet { rendition, dts, key, .. } => {
                let (all, keys) = self.times.entry(rendition.to_string()).or_default();
                all.push(dts);
                keys.extend(key.then_some(dts));
            }
            LiveEvent::Ended(ending) => self.ending = Some(ending),
        }
    }

    fn keys(&self, name: &str) -> &[i64] {
        self.times.get(name).map_or(&[], |(_, keys)| keys)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_becomes_lower_rungs_with_its_key_frames() {
    let feed = Feed::new(6);
    let running = Running::start(&feed.plan, UNLIMITED);
    running.feed(&feed.packets);
    running.cell.finish();
    let heard = running.ending().await;
    assert_eq!(heard.ending, Some(LiveEnding::Finished));
    assert_eq!(heard.inits.keys().collect::<Vec<_>>(), ["144p", "360p", "a32"]);
    for name in ["144p", "360p"] {
        assert_eq!(heard.keys(name), feed.keys(0), "{name}");
    }
    assert_eq!([heard.times["144p"].0.len(), heard.times["360p"].0.len()], [6 * 13, 6 * 25]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_cell_costs_its_rungs_until_another_one_is_fed_a_key_frame() {
    let feed = Feed::new(8);
    let mut running = Running::start(&feed.plan, UNLIMITED);
    running.feed(feed.seconds(0..3));
    running.until("two seconds", |heard, _| heard.keys("144p").len() >= 3).await;
    kill(running.process(), Signal::SIGKILL).unwrap();
    let before = running.ending().await;
    let Some(LiveEnding::Crashed { how }) = &before.ending else { panic!("{:?}", before.ending) };
    assert!(how.contains("signal: 9"), "{how}");

    let running = Running::start(&feed.plan, UNLIMITED);
    running.feed(feed.seconds(5..8));
    running.cell.finish();
    let after = running.ending().await;
    assert_eq!(after.ending, Some(LiveEnding::Finished));
    assert_eq!(after.inits, before.inits, "a player needs nothing new");
    for name in ["144p", "360p"] {
        assert_eq!(after.keys(name), feed.keys(5), "{name}");
        // Half the rate is that of the same pictures whichever cell made them.
        assert_eq!(after.times[name].0[0], 5 * 90_000, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_that_stood_still_goes_on_with_a_key_frame_and_the_rest_is_counted() {
    let feed = Feed::new(20);
    let mut running = Running::start(&feed.plan, BacklogLimits::default());
    running.feed(feed.seconds(0..1));
    running
        .until("the first second", |heard, cell| {
            heard.keys("360p").len() == 1 && cell.behind() == Duration::ZERO
        })
        .await;
    let process = running.process();
    kill(process, Signal::SIGSTOP).unwrap();
    running.feed(feed.seconds(1..15));
    assert!(running.cell.behind() <= Duration::from_secs(1));
    let left_out = running.cell.left_out();
    assert!(left_out > 12 * 25, "{left_out}");
    kill(process, Signal::SIGCONT).unwrap();
    running.until("all that waited", |_, cell| cell.behind() == Duration::ZERO).await;
    running.feed(feed.seconds(15..16));
    running.cell.finish();
    let heard = running.ending().await;
    assert_eq!(heard.ending, Some(LiveEnding::Finished));
    for name in ["144p", "360p"] {
        let (all, keys) = &heard.times[name];
        assert!(keys.contains(&(15 * 90_000)), "{name}: {keys:?}");
        assert!(keys.iter().all(|pts| feed.keys(0).contains(pts)), "{name}: {keys:?}");
        // Behind whatever was left out comes a key frame.
        let gaps = all.windows(2).filter(|two| two[1] - two[0] > 2 * 7200).map(|two| two[1]);
        let gaps: Vec<i64> = gaps.collect();
        assert!(!gaps.is_empty() && gaps.iter().all(|behind| keys.contains(behind)), "{name}: {gaps:?}");
    }
}
