use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use model::cell::Ratio;
use model::cell::live::{LiveRung, LiveVideo};
use model::feed::FeedConfig;

use super::*;

const P144: RenditionName = RenditionName::Video { height: 144 };

fn plan() -> LivePlan {
    let rung = LiveRung {
        rendition: P144,
        width: 256,
        height: 144,
        frame_divisor: 1,
        crf: 28.0,
        maxrate_bps: 1,
        bufsize_bits: 1,
        preset: "fast".into(),
        profile: "main".into(),
        look_ahead: 0,
    };
    let config = FeedConfig::H264 { avcc: Vec::new() };
    LivePlan {
        video: Some(LiveVideo { config, frame_rate: Ratio::new(30, 1), rungs: vec![rung] }),
        audio: None,
    }
}

fn picture(n: i64) -> Packet {
    let data = vec![0; 4000].into();
    Packet { track: FeedTrack::Video, dts: n * 3000, cts_offset: 0, key: n % 60 == 0, data }
}

fn init() -> LiveReply {
    let track = LiveTrack::Video { avcc: vec![1; 20], width: 256, height: 144 };
    LiveReply::Init { rendition: P144, track }
}

/// A child that is a shell script, in a folder with frames of the given replies.
struct Fake {
    folder: tempfile::TempDir,
    program: PathBuf,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Fake {
    fn new(script: &str, replies: &[(LiveReply, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let frame = |(reply, data): &(LiveReply, &[u8])| {
            [encode_head(reply, data.len()).unwrap(), data.to_vec()].concat()
        };
        fs::write(folder.path().join("frames"), replies.iter().flat_map(frame).collect::<Vec<u8>>()).unwrap();
        let program = folder.path().join("fake");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder, program, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    fn start(&self, quiet: Duration) -> (LiveCell, mpsc::Receiver<LiveEvent>) {
        let start = LiveStart {
            program: &self.program,
            folder: self.folder.path(),
            limits: BacklogLimits::default(),
            quiet,
            tasks: &self.tasks,
            stop: &self.stop,
        };
        LiveCell::start(start, plan()).unwrap()
    }

    /// Everything that is passed on, when one picture is fed.
    async fn run(&self, quiet: Duration) -> (usize, LiveEnding) {
        let (cell, mut events) = self.start(quiet);
        cell.feed(picture(0), true);
        let mut before = 0;
        loop {
            match events.recv().await.unwrap() {
                LiveEvent::Ended(ending) => {
                    assert!(events.recv().await.is_none(), "something behind the end");
                    self.settle().await;
                    return (before, ending);
                }
                _ => before += 1,
            }
        }
    }

    /// Waits, and lets nothing of ours go on meanwhile, until the script has made this file.
    fn wait_for(&self, file: &str) {
        let begun = std::time::Instant::now();
        while !self.folder.path().join(file).exists() {
            assert!(begun.elapsed() < PATIENT, "the script has not made `{file}`");
            std::thread::yield_now();
        }
    }

    /// Waits for its tasks, which see its process out.
    async fn settle(&self) {
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(20), self.tasks.wait()).await.expect("its tasks end");
    }
}

const PATIENT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_no_cell_says_is_a_crash() {
    let picture = |dts, key| LiveReply::Packet { rendition: P144, dts, cts_offset: 0, key, duration: 3000 };
    let idr = &[0, 0, 0, 2, 0x65, 1][..];
    for (replies, seen) in [
        (vec![(init(), &[][..]), (init(), &[])], "is announced as"),
        (vec![(picture(0, true), idr)], "without its announcement"),
        (vec![(init(), &[]), (picture(0, false), idr)], "bytes that are none"),
        (vec![(init(), &[]), (picture(9_000_000, true), idr)], "fed up to"),
        (vec![(init(), &[]), (LiveReply::Done, &[])], "before the feed was over"),
    ] {
        let (_, ending) = Fake::new("head -c 100 >&2; cat frames; sleep 60", &replies).run(PATIENT).await;
        let LiveEnding::Crashed { how } = &ending else { panic!("{ending:?}") };
        assert!(how.contains(seen), "{how}");
    }
    let (_, ending) = Fake::new("echo no frames at all; sleep 60", &[]).run(PATIENT).await;
    assert!(matches!(&ending, LiveEnding::Crashed { how } if how.contains("over the limit")), "{ending:?}");
}

#[tokio::test]
async fn a_crash_is_told_with_its_last_words() {
    let (before, ending) =
        Fake::new("cat frames; echo out of luck >&2; exit 3", &[(init(), &[])]).run(PATIENT).await;
    assert_eq!(before, 1, "what it said before counts");
    let expected = "closed its output (exit status: 3): out of luck";
    assert_eq!(ending, LiveEnding::Crashed { how: expected.to_owned() });
}

#[tokio::test]
async fn a_refusal_carries_its_reason() {
    let refused = LiveReply::Refused { reason: FailureReason::UnsupportedCodec, detail: "none".into() };
    let (_, ending) = Fake::new("cat frames", &[(refused, &[])]).run(PATIENT).await;
    let reason = FailureReason::UnsupportedCodec;
    assert_eq!(ending, LiveEnding::Refused { reason, detail: "none".into() });
}

#[tokio::test]
async fn one_that_is_silent_is_out_of_time_but_not_while_it_has_nothing_to_do() {
    let quiet = Duration::from_millis(300);
    let (before, ending) = Fake::new("cat frames; sleep 60", &[(init(), &[])]).run(quiet).await;
    assert_eq!((before, ending), (1, LiveEnding::TimedOut));
    let (_, ending) = Fake::new("exec <&-; cat frames; sleep 60", &[(init(), &[])]).run(quiet).await;
    assert_eq!(ending, LiveEnding::TimedOut, "one that is deaf, too");
    // And one that was deaf before it was told its plan, which is not written before the first await.
    let fake = Fake::new("exec <&-; cat frames; touch said; sleep 60", &[(init(), &[])]);
    let (_cell, mut events) = fake.start(quiet);
    fake.wait_for("said");
    assert!(matches!(events.recv().await, Some(LiveEvent::Init { .. })));
    assert_eq!(events.recv().await, Some(LiveEvent::Ended(LiveEnding::TimedOut)));
    fake.settle().await;
    // Not fed, it waits for ever, also if it was quicker than its plan; here, until it is stopped.
    let fake = Fake::new("cat frames; touch said; sleep 60", &[(init(), &[])]);
    let (_cell, mut events) = fake.start(quiet);
    fake.wait_for("said");
    assert!(matches!(events.recv().await, Some(LiveEvent::Init { .. })));
    let silence = tokio::time::timeout(quiet * 3, events.recv()).await;
    assert!(silence.is_err(), "{silence:?}");
    fake.stop.cancel();
    assert_eq!(events.recv().await, Some(LiveEvent::Ended(LiveEnding::Stopped)));
    fake.settle().await;
}

#[tokio::test]
async fn one_that_reads_nothing_costs_a_second_of_memory() {
    let fake = Fake::new("cat frames; sleep 60", &[(init(), &[])]);
    let (cell, mut events) = fake.start(PATIENT);
    assert!(matches!(events.recv().await, Some(LiveEvent::Init { .. })));
    // Five minutes of an event, as quickly as they can be pushed, and the task in between.
    for n in 0..9000 {
        cell.feed(picture(n), n % 60 == 0);
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
        assert!(cell.behind() <= Duration::from_secs(1), "{:?} at {n}", cell.behind());
    }
    assert!(cell.left_out() > 8900, "{}", cell.left_out());
    drop(cell);
    assert_eq!(events.recv().await, Some(LiveEvent::Ended(LiveEnding::Stopped)));
    fake.settle().await;
}

#[tokio::test]
async fn whoever_takes_no_events_any_more_ends_it() {
    let many = vec![(init(), &[][..]); 1];
    let fake = Fake::new("cat frames; sleep 60", &many);
    let (cell, events) = fake.start(PATIENT);
    drop(events);
    fake.settle().await;
    // Nobody is there to be told; whoever feeds need not know.
    cell.feed(picture(0), true);
    assert_eq!(cell.damaged(), 0);
}

#[test]
fn it_is_started_anew_at_once_and_then_less_and_less_often() {
    let waits: Vec<u64> = (1..12).map(|ended| restart_after(ended).as_millis() as u64).collect();
    assert_eq!(waits, [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
}
