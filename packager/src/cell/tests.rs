use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use model::cell::encode_head;
use model::{ObjectKey, VideoId};
use nix::unistd::Pid;
use storage::{Flaky, Memory, ObjectStore};

use super::*;

const QUICK: Patience =
    Patience { grace: Duration::from_secs(20), pace: 1, quiet: Duration::from_millis(300) };

/// A child that is a shell script, in a folder with `frames` of the given replies.
struct Fake {
    folder: tempfile::TempDir,
    program: PathBuf,
    tasks: TaskTracker,
    right_of_way: RightOfWay,
    stop: CancellationToken,
}

impl Fake {
    fn new(script: &str, replies: &[Reply]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let frames: Vec<u8> = replies.iter().flat_map(|reply| encode_head(reply, 0).unwrap()).collect();
        fs::write(folder.path().join("frames"), frames).unwrap();
        let program = folder.path().join("fake");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            folder,
            program,
            tasks: TaskTracker::new(),
            right_of_way: RightOfWay::new(),
            stop: CancellationToken::new(),
        }
    }

    async fn start(&self, patience: Patience) -> Cell {
        let key = ObjectKey::Original { video: VideoId::from_bits(1) };
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new(Arc::new(model::SystemClock)));
        store.put(&key, "film".into()).await.unwrap();
        self.start_on(Media::find(&store, key).await.unwrap().unwrap(), patience).await
    }

    async fn start_on(&self, media: Media, patience: Patience) -> Cell {
        let start = Start {
            program: &self.program,
            scratch: self.folder.path(),
            patience,
            niceness: 7,
            tasks: &self.tasks,
            stop: &self.stop,
        };
        Cell::start(start, self.right_of_way.gives(), media, |source| Request::Probe { source })
            .await
            .unwrap()
    }

    /// Runs to the end; gives how many messages came before it.
    async fn run(&self, patience: Patience) -> (usize, Ending) {
        self.hear(self.start(patience).await).await
    }

    async fn hear(&self, mut cell: Cell) -> (usize, Ending) {
        let mut messages = 0;
        loop {
            match cell.next().await {
                Said::Message { .. } => messages += 1,
                Said::Ended(ending) => {
                    self.tasks.close();
                    self.tasks.wait().await;
                    return (messages, ending);
                }
            }
        }
    }
}

/// Waits until no process of the group runs; zombies are whoever's child they are.
async fn until_dead(group: Pid) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let running = running(group);
        if running.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still running: {running:?}");
        tokio::task::yield_now().await;
    }
}

fn running(group: Pid) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    // After the name in brackets: state, parent, group (proc(5)).
    let is_running = |stat: &String| {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        fields.first() != Some(&"Z") && fields.get(2) == Some(&group.to_string().as_str())
    };
    stats.filter(is_running).collect()
}

#[tokio::test]
async fn a_cell_that_is_done_is_heard_to_the_end() {
    let done = Reply::Done { duration_ms: 4000, damaged: 1, missing_ms: 0 };
    let fake = Fake::new("cat frames", &[Reply::Progress { position_ms: 1 }, done]);
    let (messages, ending) = fake.run(QUICK).await;
    assert!(matches!(ending, Ending::Finished { damaged: 1, missing_ms: 0 }), "{ending:?}");
    assert_eq!(messages, 1);
}

/// Its packager has other things to wait for, and drops the question whenever one of them comes.
#[tokio::test]
async fn how_it_ended_is_not_lost_with_a_question_that_was_dropped() {
    let done = Reply::Done { duration_ms: 4000, damaged: 0, missing_ms: 0 };
    let fake = Fake::new("cat frames; sleep 0.05", &[done]);
    let mut cell = fake.start(QUICK).await;
    let ending = loop {
        match futures::poll!(std::pin::pin!(cell.next())) {
            std::task::Poll::Ready(Said::Ended(ending)) => break ending,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(matches!(ending, Ending::Finished { .. }), "{ending:?}");
}

#[tokio::test]
async fn a_refusal_carries_its_reason() {
    let refused = Reply::Refused { reason: FailureReason::NotMedia, detail: "a playlist".into() };
    let (_, ending) = Fake::new("cat frames", &[refused]).run(QUICK).await;
    assert!(matches!(ending, Ending::Refused { reason: FailureReason::NotMedia, .. }), "{ending:?}");
}

#[tokio::test]
async fn a_crash_is_told_with_its_last_words() {
    for (script, seen) in [
        ("echo out of luck >&2; exit 1", "closed its output (exit status: 1): out of luck"),
        ("kill -SEGV $$", "closed its output (signal: 11 (SIGSEGV)"),
        ("head -c 7 frames", "stopped in the middle of a frame (exit status: 0)"),
        ("echo this is not a frame; exec sleep 60", "said what no cell says"),
        ("yes", "said what no cell says"),
    ] {
        let (_, ending) = Fake::new(script, &[Reply::Progress { position_ms: 1 }]).run(QUICK).await;
        let Ending::Crashed { how } = ending else { panic!("{script}: {ending:?}") };
        assert!(how.starts_with(seen), "{script}: {how}");
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_read_is_not_the_files_fault() {
    let (_, ending) = Fake::new("exit 74", &[]).run(QUICK).await;
    assert!(matches!(ending, Ending::Unread), "{ending:?}");
}

/// What no store will give.
fn unreachable_media() -> Media {
    let store = Flaky::new(Memory::new(Arc::new(model::SystemClock)), u32::MAX);
    Media { store: Arc::new(store), key: ObjectKey::Original { video: VideoId::from_bits(1) }, size: 4 }
}

/// Asks for four bytes at 0 and waits for them.
const READS: &str = r"printf '\0\0\0\0\0\0\0\0\4\0\0\0' >&3; cat frames; head -c 4 <&3";

#[tokio::test]
async fn a_cell_that_is_silent_because_its_store_is_has_read_nothing() {
    let fake = Fake::new(READS, &[]);
    let mut cell = fake.start_on(unreachable_media(), QUICK).await;
    let said = cell.next().await;
    assert!(matches!(said, Said::Ended(Ending::Unread)), "{said:?}");
    fake.tasks.close();
    let left = tokio::time::timeout(Duration::from_secs(2), fake.tasks.wait()).await;
    assert!(left.is_ok(), "nobody waits for the store any longer");
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_store() {
    let fake = Fake::new(READS, &[Reply::Progress { position_ms: 1 }]);
    let patience = Patience { quiet: Duration::from_secs(60), ..QUICK };
    let mut cell = fake.start_on(unreachable_media(), patience).await;
    // Its request is on the way.
    assert!(matches!(cell.next().await, Said::Message { .. }));
    cell.halt().await;
    drop(cell);
    fake.tasks.close();
    let left = tokio::time::timeout(Duration::from_secs(2), fake.tasks.wait()).await;
    assert!(left.is_ok(), "nobody waits for the store any longer");
}

#[tokio::test]
async fn a_cell_and_its_children_leave_the_processor_to_others() {
    let fake = Fake::new("sleep 60 & cat frames; wait", &[Reply::Progress { position_ms: 1 }]);
    let mut cell = fake.start(QUICK).await;
    // Its child was there before it spoke.
    assert!(matches!(cell.next().await, Said::Message { .. }));
    let running = running(cell.process.group().unwrap());
    assert!(running.len() > 1, "{running:?}");
    for stat in running {
        // The seventeenth field behind the name (proc(5)).
        let nice = stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap();
        assert_eq!(nice, "7", "{stat}");
    }
    cell.halt().await;
}

#[tokio::test]
async fn a_silent_cell_is_killed_with_its_whole_group() {
    // It ignores the polite signal, and has a child of its own that holds the output open.
    let fake = Fake::new("trap '' TERM; sleep 60 & wait", &[]);
    let mut cell = fake.start(QUICK).await;
    let group = cell.process.group().unwrap();
    assert!(!running(group).is_empty());
    assert!(matches!(cell.next().await, Said::Ended(Ending::TimedOut)));
    until_dead(group).await;
}

#[tokio::test]
async fn a_cell_that_talks_but_gets_nowhere_is_out_of_time() {
    let patience = Patience { grace: Duration::from_millis(500), ..QUICK };
    let script = "while cat frames; do sleep 0.05; done";
    let (messages, ending) = Fake::new(script, &[Reply::Progress { position_ms: 1 }]).run(patience).await;
    assert!(matches!(ending, Ending::TimedOut), "{ending:?}");
    assert!(messages > 1);
}

#[tokio::test]
async fn a_cell_that_never_pauses_is_out_of_time_too() {
    let fake = Fake::new("cat frames", &vec![Reply::Progress { position_ms: 1 }; 3]);
    let mut cell = fake.start(QUICK).await;
    // All came in one write: the next ones are ready whenever they are asked for.
    assert!(matches!(cell.next().await, Said::Message { .. }));
    cell.deadline = Instant::now();
    let said = cell.next().await;
    assert!(matches!(said, Said::Ended(Ending::TimedOut)), "{said:?}");
}

#[tokio::test]
async fn stopping_ends_it_at_once() {
    let fake = Fake::new("exec sleep 60", &[]);
    let patience = Patience { quiet: Duration::from_secs(60), ..QUICK };
    fake.stop.cancel();
    let (_, ending) = fake.run(patience).await;
    assert!(matches!(ending, Ending::Stopped), "{ending:?}");
}

#[tokio::test]
async fn a_dropped_cell_is_dead() {
    let fake = Fake::new("sleep 60 & wait", &[]);
    let cell = fake.start(QUICK).await;
    let group = cell.process.group().unwrap();
    drop(cell);
    until_dead(group).await;
}

#[tokio::test]
async fn the_media_is_on_its_descriptor_and_nothing_else_is() {
    // The socket answers a read of four bytes at 0: the film itself. No environment reaches it.
    let script = r#"printf '\0\0\0\0\0\0\0\0\4\0\0\0' >&3; head -c 4 <&3 >&2; echo " $HOME" >&2; exit 1"#;
    let (_, ending) = Fake::new(script, &[]).run(QUICK).await;
    let Ending::Crashed { how } = ending else { panic!("{ending:?}") };
    assert!(how.ends_with(": film"), "{how}");
}

#[tokio::test]
async fn a_cell_stands_still_while_another_goes_first_and_has_the_time_for_itself() {
    let fake = Fake::new("while :; do cat frames; sleep 0.05; done", &[Reply::Progress { position_ms: 1 }]);
    let mut cell = fake.start(QUICK).await;
    assert!(matches!(cell.next().await, Said::Message { .. }));
    let first = fake.right_of_way.first();
    // What it had said before is still heard; its silence is not held against it.
    let listen = async { while let Said::Message { .. } = cell.next().await {} };
    assert!(tokio::time::timeout(QUICK.quiet * 3, listen).await.is_err(), "it ended");
    let all = running(cell.process.group().unwrap());
    assert!(!all.is_empty() && all.iter().all(|stat| stat.contains(") T ")), "{all:?}");
    drop(first);
    assert!(matches!(cell.next().await, Said::Message { .. }));
    cell.halt().await;
}
