//! Packagers that die, stall and come back: whatever they do, one video comes of it.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    Cells, Clip, End, Engines, Kind, Person, Poison, Setup, Stack, Started, TINY, film, named_by, until,
};

/// The doors, in a process that only others can stop.
const DOORS: &str = "web,ingest,edge";
/// As short as a lease may be, so that what is left behind is taken over soon.
const SHORT_LEASE: &str = "slots = 1\nlease_s = 3\n";

async fn doors(engines: Engines, configuration: String) -> Stack {
    Stack::set_up(Setup { engines, configuration, roles: DOORS, ..Setup::default() }).await
}

/// The one video is whole and in step, and the bucket holds what its index names and no more.
async fn assert_one_whole_video(stack: &Stack, person: &Person, video: &str, clip: Clip) {
    let Clip::Numbered { seconds, .. } = clip else { panic!("a clip whose pictures say their number") };
    let ready = person.until_ready(video).await;
    film::assert_whole(stack, person, video, seconds).await;

    stack.cocuyo(&["sweep", "--in", "25h"]);
    let listing: BTreeSet<String> = stack.listing().await.into_iter().collect();
    assert_eq!(listing, named_by(&index(stack, video, &ready).await), "no orphan after the sweep");
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
    let mine = person.get("/api/v1/videos?mine=true").await.expect(200).json();
    assert_eq!(mine["items"].as_array().map(Vec::len), Some(1), "{mine:#}");
}

async fn index(stack: &Stack, video: &str, ready: &Value) -> Value {
    let version = ready["version"].as_str().and_then(|id| id.parse().ok()).expect("a version");
    let video = video.parse().expect("an id");
    let index = stack.bucket().get(&model::ObjectKey::Index { video, version }).await;
    serde_json::from_slice(&index.expect("the index is there")).expect("it is JSON")
}

async fn a_worker_dies_at(engines: Engines, point: &str) {
    let stack = doors(engines, format!("[packager]\n{SHORT_LEASE}")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload(point, TINY.file()).await;
    let worker = stack.add_worker_that_fails(&format!("{point}=return(kill)"));
    assert_eq!(worker.ended().await, End::Signal(Signal::SIGKILL as i32), "{point} was not reached");
    let _worker = stack.add_worker().await;
    assert_one_whole_video(&stack, &creator, &video, TINY).await;
}

/// Every point of `packager::faults`, in the order in which a film comes by.
pub(crate) const POINTS: [&str; 10] = [
    "packager::claimed",
    "packager::probed",
    "packager::started",
    "packager::segment",
    "packager::before_put",
    "packager::stored",
    "packager::committed",
    "packager::before_index",
    "packager::indexed",
    "packager::published",
];

#[test]
fn every_fail_point_is_in_the_list() {
    let source = std::fs::read_to_string(tests::project_file("packager/src/faults.rs")).expect("read it");
    let named = source.lines().filter_map(|line| line.strip_prefix("pub(crate) const ")?.split('"').nth(1));
    assert_eq!(named.collect::<Vec<_>>(), POINTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_leaves_one_video_on_a_folder_and_sqlite() {
    // At once, for each waits some seconds until the lease of the dead is over.
    join_all(POINTS.map(|point| a_worker_dies_at(Engines::Embedded, point))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_leaves_one_video_on_s3_and_postgresql() {
    let points = ["packager::stored", "packager::committed", "packager::indexed"];
    join_all(points.map(|point| a_worker_dies_at(Engines::Servers, point))).await;
}

/// Takes the protection away, to see that the stories above would tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_was_never_stored_is_noticed() {
    let stack = doors(Engines::Embedded, format!("[packager]\n{SHORT_LEASE}")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Sabotaje", TINY.file()).await;
    let mut worker = stack.add_worker_that_fails("packager::skip_put=1*off->1*return->off");
    worker.until_listening().await;
    creator.until_ready(&video).await;
    let looked =
        AssertUnwindSafe(assert_one_whole_video(&stack, &creator, &video, TINY)).catch_unwind().await;
    assert!(looked.is_err(), "nobody misses it");
    assert_eq!(stack.try_cocuyo(&["doctor"]).code, Some(1), "nor does the doctor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_past_its_lease_commits_nothing_more() {
    let cells = Cells::new();
    let stack = doors(Engines::Embedded, cells.configuration(SHORT_LEASE)).await;
    let creator = stack.person("ana", "creator", 0).await;
    let late = stack.add_worker().await;
    let rest = cells.hold(Kind::Rest);
    let video = creator.upload("A destiempo", TINY.file()).await;
    let is_rest = |cell: &Started| cell.kind == Kind::Rest;
    let first = cells.until_started("the second chunk", is_rest).await;
    assert_eq!(first.packager, late.pid().as_raw());

    // It stands still with a cell in its hands, and another one takes over.
    late.signal(Signal::SIGSTOP);
    let other = stack.add_worker().await;
    let is_second = |cell: &Started| is_rest(cell) && cell.packager == other.pid().as_raw();
    let second = cells.until_started("the other worker to take over", is_second).await;
    assert_eq!(second.segments, first.segments);
    drop(rest);
    let ready = creator.until_ready(&video).await;
    let before = stack.listing().await;

    late.signal(Signal::SIGCONT);
    until("the late worker to see that it is late", Duration::from_secs(30), || async {
        let log = late.log();
        if log.contains("lost the lease") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(creator.video(&video).await["version"], ready["version"]);
    assert_eq!(stack.listing().await, before);
    assert_one_whole_video(&stack, &creator, &video, TINY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_crashes_every_cell_fails_its_video_and_no_other() {
    let cells = Cells::new();
    let stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 1")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let file_bytes = TINY.bytes().len() as u64;
    let poison = Poison { kind: Kind::Rest, file_bytes, segment: Some(3) };
    cells.poison(&poison);
    let video = creator.upload("Veneno", TINY.file()).await;
    let playing = creator.until_plays(&video).await;
    assert_eq!(playing["state"], "packaging", "the beginning is good: {playing:#}");
    let good = creator.upload("Bueno", Clip::Short.file()).await;
    creator.until_ready(&good).await;

    let failed = creator.until_settled(&video).await;
    assert_eq!(
        (&failed["state"], &failed["failure"]["code"]),
        (&"failed".into(), &"crashed".into()),
        "{failed:#}"
    );
    let tries = cells.started().into_iter().filter(|cell| poison.is_for(cell)).count();
    assert_eq!(tries, 3);
    // Nobody needs what there is of it.
    let left = async || -> Vec<String> {
        let listing = stack.listing().await.into_iter();
        listing.filter(|name| name.contains(&video) && !name.ends_with("/original")).collect()
    };
    until("its chunks to go", Duration::from_secs(20), || async {
        let left = left().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    creator.playback(&video).await.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_film_and_a_stopped_one_gives_its_part_back() {
    const FILM: Clip = Clip::Numbered { seconds: 60, width: 256 };
    let cells = Cells::new();
    // A lease that nobody in this story waits for.
    let stack = doors(Engines::Servers, cells.configuration("slots = 1\nlease_s = 600\n")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let rest = cells.hold(Kind::Rest);
    let [one, two] = [stack.add_worker().await, stack.add_worker().await];
    let video = creator.upload("A medias", FILM.file()).await;
    // Each has one slot, and each holds a chunk in it.
    let chunk_of = async |worker: i32| {
        cells.until_started("a chunk", |cell| cell.kind == Kind::Rest && cell.packager == worker).await
    };
    let ([one_pid, two_pid], name) = ([&one, &two].map(|worker| worker.pid().as_raw()), &video);
    let (first, second) = tokio::join!(chunk_of(one_pid), chunk_of(two_pid));
    assert_ne!(first.segments, second.segments);
    assert!(one.log().contains(name) && two.log().contains(name), "both tell whose part they do");

    one.signal(Signal::SIGTERM);
    assert_eq!(one.ended().await, End::Code(0));
    drop(rest);
    let again = |cell: &Started| cell.packager == two_pid && cell.segments == first.segments;
    cells.until_started("the given back chunk to be taken over", again).await;
    assert_one_whole_video(&stack, &creator, &video, FILM).await;
}
