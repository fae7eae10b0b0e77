//! What becomes of an upload, told with the real transcoder, a real database and a bucket that is
//! looked into; transcoders that misbehave are shell scripts.

mod broadcasts;
mod house;
mod live;
mod reencode;
mod turns;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Claim, Work};
use cmaf::{GrowingIndex, read_chunk_index};
use database::testing::TestDatabase;
use expect_test::expect;
use model::{
    ChunkHash, Clock, ErrorKind, FailureReason, Lane, ManualClock, ObjectKey, RenditionName, VideoId,
    VideoState, WorkerId,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use packager::doctor::{self, Finding};
use packager::sweep::{self, Swept};
use rand::{RngExt, SeedableRng};
use storage::testing::{SeaweedFs, SmallDisk};
use storage::{Flaky, Memory, ObjectStore, S3};

use house::{House, clip, is_empty, made_by, noise, transcoder};

const P240: RenditionName = RenditionName::Video { height: 240 };
const A32: RenditionName = RenditionName::Audio { kbps: 32 };

/// Patterns of requests to a cell.
const PROBE: &str = r#"*'"request":"probe"'*"#;
const ANNOUNCE: &str = r#"*'"task":"announce"'*"#;
const SOUND: &str = r#"*'"task":"sound"'*"#;
const STILLS: &str = r#"*'"task":"stills"'*"#;
/// The first and the second chunk of pictures.
const FIRST: &str = r#"*'"task":"pictures"'*'"start":0'*"#;
const SECOND: &str = r#"*'"task":"pictures"'*'"start":2'*"#;

const DAY: Duration = Duration::from_secs(24 * 3600 + 1);

/// The bucket without what differs from run to run.
fn shape(bucket: &[String]) -> String {
    let hidden = |part: &str| match part {
        id if id.len() == 26 => "…".to_owned(),
        chunk if chunk.len() > 64 => format!("{}-….cmaf", &chunk[..5]),
        plain => plain.to_owned(),
    };
    let line = |name: &String| name.split('/').map(hidden).collect::<Vec<_>>().join("/") + "\n";
    bucket.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_becomes_a_version_whose_index_names_every_object() {
    for house in [House::new().await, House::with_folder().await] {
        let packager = house.start(house.config(transcoder()));
        let video = house.upload(clip(14)).await;
        house.until_ready(video).await;
        packager.stop().await;

        expect![[r#"
            videos/…/…/144p/00000-….cmaf
            videos/…/…/144p/00002-….cmaf
            videos/…/…/144p/init.mp4
            videos/…/…/240p/00000-….cmaf
            videos/…/…/240p/00002-….cmaf
            videos/…/…/240p/init.mp4
            videos/…/…/a32/00000-….cmaf
            videos/…/…/a32/00002-….cmaf
            videos/…/…/a32/init.mp4
            videos/…/…/a64/00000-….cmaf
            videos/…/…/a64/00002-….cmaf
            videos/…/…/a64/init.mp4
            videos/…/…/index.json
            videos/…/…/poster.jpg
            videos/…/…/thumbnail.jpg
            videos/…/original
        "#]]
        .assert_eq(&shape(&house.bucket().await));
        assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), []);
        assert!(is_empty(&house.scratch()));

        let index = house.index(video).await;
        assert_eq!(index.duration_ms, 14_000);
        for rendition in &index.renditions {
            for chunk in &rendition.chunks {
                let bytes = house.store.get(&index.chunk_key(rendition.name, chunk)).await.unwrap();
                assert_eq!(ChunkHash::of(&bytes), chunk.hash);
                let samples = read_chunk_index(&bytes).unwrap();
                assert_eq!(samples.segments.len(), chunk.segments.len());
            }
        }
        let smallest = index.rendition(RenditionName::Video { height: 144 }).unwrap();
        let bandwidth = index.variant_bandwidth(smallest).peak_bps;
        assert!(bandwidth <= 90_000, "{bandwidth}");

        let shown = house.video(video).await;
        let names: Vec<String> =
            shown.renditions.iter().map(|rendition| rendition.name.to_string()).collect();
        assert_eq!(names, ["a32", "a64", "144p", "240p"]);
        assert_eq!((shown.duration_ms, shown.progress.percent), (Some(14_000), 100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn films_of_every_shape_become_aligned_renditions() {
    const BARS: &str = "-f lavfi -i testsrc2=size";
    const TONE: &str = "-f lavfi -i sine=sample_rate=44100";
    const QUICK: &str = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast";
    let house = House::with_folder().await;
    let packager = house.start(house.config(transcoder()));
    let mut told = String::new();
    for (what, words, container) in [
        ("cinema", format!("{BARS}=640x352:rate=24000/1001 {TONE} -t 6 {QUICK} -c:a aac"), "mp4"),
        ("odd size", format!("{BARS}=241x161:rate=25 -t 3 -c:v mjpeg -pix_fmt yuvj420p"), "avi"),
        ("fast", format!("{BARS}=1280x720:rate=60 -t 2 {QUICK}"), "mp4"),
        ("slides", format!("{BARS}=320x240:rate=1 {TONE} -t 9 {QUICK} -c:a aac"), "mkv"),
        ("one frame", format!("{BARS}=320x240:rate=25 -frames:v 1 {QUICK}"), "mp4"),
        ("turned", format!("{BARS}=320x240:rate=25 -t 2 {QUICK} -metadata:s:v rotate=90"), "mp4"),
        ("oblong", format!("{BARS}=180x144:rate=25 -vf setsar=64/45 -t 2 {QUICK}"), "mp4"),
        ("uneven", format!("{BARS}=320x240:rate=30 -vf select=mod(n\\,7) -vsync vfr -t 6 {QUICK}"), "mp4"),
        ("late sound", format!("{BARS}=320x240:rate=25 -itsoffset 1.5 {TONE} -t 5 {QUICK} -c:a aac"), "mp4"),
        ("long sound", format!("{BARS}=320x240:rate=25:duration=2 {TONE} -t 7 {QUICK} -c:a aac"), "mp4"),
        (
            "short sound",
            format!("{BARS}=320x240:rate=25:duration=7 {TONE}:duration=2 {QUICK} -c:a aac"),
            "mp4",
        ),
        ("broadcast", format!("{BARS}=320x240:rate=25 {TONE} -t 5 -c:v mpeg2video -c:a mp2"), "ts"),
        ("six channels", format!("{BARS}=320x240:rate=25 {TONE} -t 2 {QUICK} -ac 6 -c:a ac3"), "mkv"),
        ("free codecs", format!("{BARS}=320x240:rate=25 {TONE} -t 2 -c:v libvpx -c:a libopus"), "webm"),
        ("moving picture", format!("{BARS}=20x10:rate=10 -t 2"), "gif"),
        ("song", format!("{TONE} -t 9 -ac 2 -c:a libmp3lame"), "mp3"),
        ("word", format!("{TONE} -t 0.3"), "wav"),
    ] {
        let video = house.upload(made_by(&words, container)).await;
        house.until_ready(video).await;
        let index = house.index(video).await;
        write!(told, "{what}: {} ms", index.duration_ms).unwrap();
        for rendition in &index.renditions {
            write!(told, ", {} {}", rendition.name, rendition.segment_count()).unwrap();
        }
        told.push('\n');
    }
    packager.stop().await;
    expect![[r#"
        cinema: 6006 ms, a32 2, a64 2, 144p 2, 240p 2, 352p 2
        odd size: 3000 ms, 144p 1
        fast: 2000 ms, 144p 1, 240p 1, 360p 1, 480p 1, 720p 1
        slides: 9000 ms, a32 3, a64 3, 144p 3, 240p 3
        one frame: 40 ms, 144p 1, 240p 1
        turned: 2000 ms, 144p 1, 240p 1
        oblong: 2000 ms, 144p 1
        uneven: 5920 ms, 144p 2, 240p 2
        late sound: 5000 ms, a32 2, a64 2, 144p 2, 240p 2
        long sound: 7000 ms, a32 2, a64 2, 144p 1, 240p 1
        short sound: 7000 ms, a32 1, a64 1, 144p 2, 240p 2
        broadcast: 5000 ms, a32 2, a64 2, 144p 2, 240p 2
        six channels: 2040 ms, a32 1, a64 1, 144p 1, 240p 1
        free codecs: 2000 ms, a32 1, a64 1, 144p 1, 240p 1
        moving picture: 2000 ms, 16p 1
        song: 9000 ms, a32 3, a64 3, a128 3
        word: 300 ms, a32 1, a64 1
    "#]]
    .assert_eq(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_itself_fits_a_link_of_90_kbit() {
    let house = House::new().await;
    let packager = house.start(house.config(transcoder()));
    let video = house.upload(noise(20)).await;
    house.until_ready(video).await;
    packager.stop().await;
    let index = house.index(video).await;
    for video in index.videos() {
        let variant = index.variant_bandwidth(video);
        assert!(variant.average_bps <= variant.peak_bps);
        println!("{}: {} of {variant:?}", video.name, video.bandwidth.peak_bps);
    }
    let smallest = index.videos().next().unwrap();
    let variant = index.variant_bandwidth(smallest);
    // Noise is as expensive as it gets: a rung that stays far below its ceiling is no proof.
    assert!((60_000..=90_000).contains(&variant.peak_bps), "{variant:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_film_fails_with_its_reason_and_leaves_only_the_original() {
    let house = House::new().await;
    let packager = house.start(house.config(transcoder()));
    let film = clip(4);
    for (bytes, reason) in [
        (&b""[..], FailureReason::Empty),
        (b"Dear diary, today I was named film.mp4.\n", FailureReason::NotMedia),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/hostname\n", FailureReason::NotMedia),
        (&film[..film.len() / 3], FailureReason::Truncated),
    ] {
        let video = house.upload(bytes.to_vec()).await;
        assert_eq!(house.until_failed(video).await, reason, "{:?}", &bytes[..bytes.len().min(16)]);
    }
    house.until_bucket(|bucket| bucket.iter().all(|name| name.ends_with("/original"))).await;
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_crashes_the_transcoder_fails_at_the_third_time_and_others_go_on() {
    let house = House::with_folder().await;
    let script = r#"if [ "$(head -c 6 <&3)" = poison ]; then kill -SEGV $$; fi; exec $REAL"#;
    let packager = house.start(house.config(house.script(script)));
    let poison = house.upload(&b"poison"[..]).await;
    let good = house.upload(clip(2)).await;
    house.until_ready(good).await;
    // Each crash is followed by a longer pause.
    house
        .until(poison, |video| {
            if matches!(video.state, VideoState::Queued { .. }) {
                house.clock.advance(Duration::from_secs(31));
            }
            matches!(video.state, VideoState::Failed { .. })
        })
        .await;
    assert_eq!(house.until_failed(poison).await, FailureReason::Crashed);
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcoder_that_hangs_is_out_of_time() {
    let house = House::new().await;
    let mut config = house.patient(house.stalling(FIRST));
    config.patience.quiet = Duration::from_millis(500);
    let packager = house.start(config);
    let video = house.upload(clip(12)).await;
    // Perhaps the machine was busy: each time is followed by a longer pause.
    house
        .until(video, |video| {
            house.clock.advance(Duration::from_secs(1));
            matches!(video.state, VideoState::Failed { .. })
        })
        .await;
    assert_eq!(house.until_failed(video).await, FailureReason::TimedOut);
    // What there was of the version goes with it.
    house.until_bucket(|bucket| bucket.len() == 1).await;
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_packager_gives_its_jobs_back_and_keeps_what_is_committed() {
    let house = House::new().await;
    let packager = house.start(house.config(house.stalling(SECOND)));
    let video = house.upload(clip(12)).await;
    house.until_file(&house.mark()).await;
    let version = house.until_playing(video).await;
    packager.stop().await;
    assert_eq!(house.video(video).await.state.plays(), Some(version), "viewers notice nothing");

    // At once, without the pause after a crash: no time goes by here.
    let packager = house.start(house.config(transcoder()));
    assert_eq!(house.until_ready(video).await, version);
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packager_killed_at_any_kind_of_job_is_followed_by_one_that_finishes() {
    for kind in [PROBE, ANNOUNCE, SOUND, FIRST, SECOND, STILLS] {
        let house = House::new().await;
        let video = house.upload(clip(9)).await;
        house.killed_when(house.config(house.stalling(kind)), house.mark()).await;
        let state = house.video(video).await.state;
        assert!(matches!(state, VideoState::Packaging { .. }), "{kind}: {state:?}");

        // Longer than the lease and the pause after a crash.
        house.clock.advance(Duration::from_secs(10));
        let packager = house.start(house.config(transcoder()));
        let version = house.until_ready(video).await;
        packager.stop().await;
        let known = house.catalog.known_video(video).await.unwrap().unwrap();
        assert_eq!(known.versions, [version], "{kind}: one version");
        assert_eq!(house.index(video).await.duration_ms, 9000, "{kind}");
        let findings = doctor::examine(&house.catalog, &*house.store).await.unwrap();
        assert!(
            findings.iter().all(|finding| matches!(finding, Finding::Unnamed { .. })),
            "{kind}: {findings:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_lost_its_lease_commits_nothing() {
    let house = House::new().await;
    let go = house.folder().join("go");
    let wait =
        format!("touch {}; while ! [ -e {} ]; do sleep 0.02; done", house.mark().display(), go.display());
    // A lease so long that its worker does not notice: as one that was stopped and continued.
    let config = house.patient(house.when(SECOND, &wait));
    let packager = house.start(config);
    let video = house.upload(clip(12)).await;
    house.until_file(&house.mark()).await;
    let version = house.until_playing(video).await;
    let rest_is_done = |growing: &GrowingIndex| growing.is_whole(A32) && growing.chunk_of(P240, 0).is_some();
    house.until_growing(version, rest_is_done).await;

    house.clock.advance(Duration::from_secs(7000));
    let other = WorkerId::new("other");
    let lease = Duration::from_secs(6000);
    let claim = || house.catalog.claim_next_job(&other, Claim::Any, house.clock.now(), lease);
    // Its other workers put the stills off or have made them.
    let job = loop {
        match claim().await.unwrap() {
            Some(job) if matches!(job.work, Work::Pictures { .. }) => break job,
            _ => house.clock.advance(Duration::from_secs(5)),
        }
    };
    assert!(job.attempt > 1);
    let before = house.bucket().await.len();
    std::fs::write(&go, "").unwrap();
    house.until_bucket(|bucket| bucket.len() >= before + 2).await;
    house.catalog.extend_lease(job.id, job.attempt, 0, house.clock.now(), lease).await.unwrap();
    let growing = house.catalog.growing(version).await.unwrap().unwrap();
    assert!(growing.chunk_of(P240, 2).is_none(), "stored, and no row names it");

    house.catalog.release_job(job.id, job.attempt, house.clock.now()).await.unwrap();
    assert_eq!(house.until_ready(video).await, version);
    packager.stop().await;
    assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), [], "its bytes were the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_in_any_order_by_two_packagers_give_one_version() {
    let house = House::with_folder().await;
    let second = house.another_catalog().await;
    let packagers =
        [house.start(house.config(transcoder())), house.start_on(second, house.config(transcoder()))];
    let video = house.upload(clip(62)).await;
    let version = house.until_playing(video).await;
    let mut order = rand::rngs::StdRng::seed_from_u64(7);
    while house.catalog.growing(version).await.unwrap().is_some() {
        let (lane, segment) = (order.random_bool(0.8).then_some(Lane::A), order.random_range(0..16));
        house.catalog.want_segment(version, lane, segment, house.clock.now()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(house.until_ready(video).await, version);
    for packager in packagers {
        packager.stop().await;
    }
    let index = house.index(video).await;
    assert_eq!(index.duration_ms, 62_000);
    assert!(index.renditions.iter().all(|rendition| rendition.segment_count() == 16));
    assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_that_sends_another_init_fails_its_chunk() {
    let house = House::new().await;
    // The stream parameters say how many reference frames there are.
    let other = r#"sed -i 's/"references":5/"references":1/' request"#;
    let packager = house.start(house.patient(house.when(SECOND, other)));
    let video = house.upload(clip(12)).await;
    let version = house.until_playing(video).await;
    house
        .until(video, |video| {
            house.clock.advance(Duration::from_secs(1));
            matches!(video.state, VideoState::Failed { .. })
        })
        .await;
    assert_eq!(house.until_failed(video).await, FailureReason::Crashed);
    house.until_bucket(|bucket| bucket.len() == 1).await;
    packager.stop().await;
    assert!(house.catalog.growing(version).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisonous_chunk_fails_its_film_at_the_third_time_and_others_go_on() {
    let house = House::with_folder().await;
    let poison = format!(r#"*'"frames":300'{SECOND}"#);
    let packager = house.start(house.patient(house.when(&poison, "kill -SEGV $$")));
    let poisoned = house.upload(clip(12)).await;
    let good = house.upload(clip(9)).await;
    house.until_ready(good).await;
    house
        .until(poisoned, |video| {
            house.clock.advance(Duration::from_secs(1));
            matches!(video.state, VideoState::Failed { .. })
        })
        .await;
    assert_eq!(house.until_failed(poisoned).await, FailureReason::Crashed);
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_film_stops_and_leaves_only_its_original() {
    let house = House::new().await;
    let packager = house.start(house.config(house.stalling(SECOND)));
    let video = house.upload(clip(12)).await;
    house.until_file(&house.mark()).await;
    house.catalog.cancel_video(video, house.clock.now()).await.unwrap();
    assert_eq!(house.until_failed(video).await, FailureReason::Cancelled);
    house.until_bucket(|bucket| bucket.len() == 1).await;
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_scratch_disk_puts_work_off_and_loses_nothing() {
    let house = House::new().await;
    let scratch = house.scratch();
    std::fs::create_dir_all(&scratch).unwrap();
    let Some(disk) = SmallDisk::mount(&scratch, "16k") else { return };
    let packager = house.start(house.patient(transcoder()));
    let video = house.upload(clip(12)).await;
    // Stills need no room, and come last. Then all other work waits for an operator.
    let is_waiting =
        |bucket: &[String]| bucket.iter().any(|name| name.ends_with("thumbnail.jpg")) && is_empty(&scratch);
    house.until_bucket(is_waiting).await;
    assert!(house.bucket().await.iter().all(|name| !name.ends_with(".cmaf")));
    assert!(matches!(house.video(video).await.state, VideoState::Packaging { .. }));
    disk.resize("64m");
    house.clock.advance(Duration::from_secs(61));
    house.until_ready(video).await;
    packager.stop().await;
    assert!(is_empty(&scratch));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_away_for_longer_than_a_lease_is_no_crash_of_the_film() {
    let house = House::new().await;
    let packager = house.start(house.config(house.stalling(SECOND)));
    let video = house.upload(clip(12)).await;
    house.until_file(&house.mark()).await;
    std::fs::remove_file(house.mark()).unwrap();
    let away = house.lock_database().await;
    // Its cell is ended and its scratch folder gone: it gave up.
    house.until_bucket(|_| is_empty(&house.scratch())).await;
    drop(away);
    // No time goes by for the catalog, so no lease runs out in it: the job was given back, and is
    // tried again without the pause after a crash.
    house.until_file(&house.mark()).await;
    packager.stop().await;
    assert!(matches!(house.video(video).await.state, VideoState::Packaging { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_goes_its_way_with_postgresql_and_s3() {
    let clock = Arc::new(ManualClock::at(house::MORNING));
    let server = SeaweedFs::start();
    let store = S3::open(&server.config("films")).await.unwrap();
    let house = House::on(TestDatabase::postgres().await, clock, Arc::new(store)).await;
    let second = house.another_catalog().await;
    let packagers =
        [house.start(house.config(transcoder())), house.start_on(second, house.config(transcoder()))];
    let video = house.upload(clip(14)).await;
    let version = house.until_ready(video).await;
    for packager in packagers {
        packager.stop().await;
    }
    assert_eq!(house.index(video).await.version, version);
    assert_eq!(doctor::examine(&house.catalog, &*house.store).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcoder_that_is_stopped_with_its_packager_has_not_crashed() {
    let house = House::new().await;
    let (transcoder, number) = house.idle();
    let packager = house.start(house.config(transcoder));
    let video = house.upload(clip(1)).await;
    house.until(video, |_| number.exists()).await;
    let cell = Pid::from_raw(std::fs::read_to_string(&number).unwrap().trim().parse().unwrap());
    kill(cell, Signal::SIGTERM).unwrap();
    // Reaped: the packager has seen its end before it is told to stop.
    while kill(cell, None).is_ok() {
        tokio::task::yield_now().await;
    }
    packager.stop().await;
    let again = house
        .catalog
        .claim_next_job(&WorkerId::new("next"), Claim::Any, house.clock.now(), DAY)
        .await
        .unwrap();
    assert_eq!(again.map(|job| job.crashes), Some(0), "at once, without the pause after a crash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stumbles_delays_and_harms_nothing() {
    for stumble in [Flaky::new as fn(Memory, u32) -> Flaky<Memory>, Flaky::losing_answers] {
        let house = House::with(|clock| Arc::new(stumble(Memory::new(clock), 1))).await;
        let packager = house.start(house.config(transcoder()));
        let video = house.upload(clip(9)).await;
        house.until_ready(video).await;
        packager.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_program_a_packager_keeps_the_job() {
    let house = House::new().await;
    let packager = house.start(house.config("/nowhere/cocuyo-transcoder".into()));
    let video = house.upload(clip(1)).await;
    let given_back = |video: &catalog::Video| {
        // Time goes on, so that it can be told from a video that is still waiting.
        house.clock.advance(Duration::from_millis(1));
        matches!(video.state, VideoState::Queued { since } if since > house::MORNING)
    };
    house.until(video, given_back).await;
    packager.stop().await;

    house.clock.advance(Duration::from_secs(61));
    let packager = house.start(house.config(transcoder()));
    house.until_ready(video).await;
    packager.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_sees_what_is_missing_short_or_nobodys() {
    let house = House::new().await;
    let packager = house.start(house.config(transcoder()));
    let video = house.upload(clip(2)).await;
    let version = house.until_ready(video).await;
    packager.stop().await;
    let a32: RenditionName = "a32".parse().unwrap();
    let init = ObjectKey::Init { video, version, rendition: a32, number: 0 };
    let poster = ObjectKey::Poster { video, version };
    let original = ObjectKey::Original { video };
    let stray = ObjectKey::Original { video: VideoId::from_bits(7) };
    house.store.delete(&poster).await.unwrap();
    house.store.put(&init, "short".into()).await.unwrap();
    house.store.delete(&original).await.unwrap();
    house.store.put(&stray, "stray".into()).await.unwrap();

    let index = house.index(video).await;
    let expected = u64::from(index.rendition(a32).unwrap().init_size);
    let mut findings = doctor::examine(&house.catalog, &*house.store).await.unwrap();
    findings.sort_by_key(ToString::to_string);
    let mut told = [
        Finding::Missing { key: poster },
        Finding::Missing { key: original },
        Finding::WrongSize { key: init, expected, found: 5 },
        Finding::Unnamed { key: stray, size_bytes: 5 },
    ];
    told.sort_by_key(ToString::to_string);
    assert_eq!(findings, told);

    house.store.delete(&ObjectKey::Index { video, version }).await.unwrap();
    let findings = doctor::examine(&house.catalog, &*house.store).await.unwrap();
    assert!(
        findings.contains(&Finding::Missing { key: ObjectKey::Index { video, version } }),
        "{findings:#?}"
    );
    let swept = sweep::sweep(&house.catalog, &*house.store, house.clock.now() + DAY).await.unwrap();
    assert_eq!(swept.objects, 1, "the stray: a version without its index is left for a person to judge");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_video_is_swept_to_its_last_object() {
    let house = House::new().await;
    let packager = house.start(house.config(transcoder()));
    let video = house.upload(clip(2)).await;
    house.until_ready(video).await;
    packager.stop().await;
    // The deletion was cut off before it came to the objects.
    house.catalog.delete_video(video, house.clock.now()).await.unwrap();
    sweep::sweep(&house.catalog, &*house.store, house.clock.now() + DAY).await.unwrap();
    assert_eq!(house.bucket().await, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_knows_no_video_sweeps_nothing() {
    let (house, stranger) = (House::new().await, House::new().await);
    let tomorrow = house.clock.now() + DAY;
    assert_eq!(sweep::sweep(&stranger.catalog, &*house.store, tomorrow).await.unwrap(), Swept::default());

    house.upload(clip(1)).await;
    let before = house.bucket().await;
    let refused = sweep::sweep(&stranger.catalog, &*house.store, tomorrow).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("COCUYO_DATABASE"), "{refused}");
    assert_eq!(house.bucket().await, before);
}
