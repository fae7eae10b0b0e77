//! A film whose pictures are good already keeps them.

use tests::film::{assert_beeps, assert_every_frame_once, heard};
use tests::{Cells, Clip, Engines, Kind, Person, Stack, Watching, run};

const SECONDS: u32 = 21;
const GOOD: Clip = Clip::Good { seconds: SECONDS, width: 854 };
const SMALL: Clip = Clip::Good { seconds: SECONDS, width: 428 };

/// A fingerprint of the coded pictures of a playlist or file.
fn coded_pictures(input: &str) -> String {
    let words = ["-nostdin", "-v", "error", "-i", input, "-map", "0:v:0", "-c", "copy", "-f", "md5", "-"];
    run("ffmpeg", &words).ok()
}

/// A fingerprint of each coded frame of sound of a playlist or file.
fn coded_sound(input: &str) -> Vec<String> {
    let words =
        ["-nostdin", "-v", "error", "-i", input, "-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-"];
    let said = run("ffmpeg", &words).ok();
    let frames = said.lines().filter(|line| !line.starts_with('#'));
    frames.map(|line| line.split(',').nth(5).expect("a sixth column").trim().to_owned()).collect()
}

/// Plays a playlist or file of which ffmpeg has nothing to say.
fn assert_plays(input: &str) {
    let words = ["-nostdin", "-v", "warning", "-xerror", "-i", input, "-f", "null", "-"];
    let played = run("ffmpeg", &words);
    assert_eq!((played.code, played.stderr.as_str()), (Some(0), ""), "{input}");
}

/// The frame before the film is silence, all others are the source's.
fn assert_sound_copied(clip: Clip, copy: &str) {
    let (frames, source) = (coded_sound(copy), coded_sound(&clip.file().to_string_lossy()));
    assert!(frames.len() > 900 && source.starts_with(&frames[1..]), "{} frames", frames.len());
}

/// What has copied sound plays, and is heard when the encoded sound is.
fn assert_in_step(copy: &str, encoded: &str) {
    assert_plays(copy);
    for (copied, encoded) in heard(copy).into_iter().zip(heard(encoded)) {
        assert!((copied - encoded).abs() < 0.001, "{copy}: {copied} and {encoded}");
    }
}

/// How long each segment of a playlist is, in milliseconds.
fn lengths_ms(playlist: &str) -> Vec<u64> {
    let lengths = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.split(',').next());
    lengths.map(|length| (length.parse::<f64>().expect("seconds") * 1000.0).round() as u64).collect()
}

async fn assert_copied(stack: &Stack, person: &Person, video: &str) {
    let watching = Watching::start(stack, person, video).await;
    let playlists = watching.playlists().await;
    // Two groups of pictures of 2.4 s each; the last segment has what is left.
    for (name, playlist) in playlists.iter().filter(|(name, _)| name.ends_with('p')) {
        let lengths = lengths_ms(playlist);
        assert_eq!(lengths[..4], [4800; 4], "{name}");
        assert!(lengths.len() == 5 && lengths[4].abs_diff(1800) <= 40, "{name}: {lengths:?}");
    }
    let names: Vec<_> = playlists.keys().filter(|name| name.ends_with('p')).cloned().collect();
    assert_eq!(names, ["144p", "240p", "360p", "480p"]);
    let url = |name: &str| watching.url(&format!("{name}/playlist.m3u8"));
    let [small, copied, sound, copied_sound] = ["144p", "480p", "a32", "a128"].map(url);
    let looked = tokio::task::spawn_blocking(move || {
        let source = coded_pictures(&GOOD.file().to_string_lossy());
        assert_eq!(coded_pictures(&copied), source);
        assert_every_frame_once(&copied, SECONDS * 25, 25.0, 1);
        assert_every_frame_once(&small, SECONDS * 25, 25.0, 2);
        assert_beeps(&sound, SECONDS.into());
        assert_sound_copied(GOOD, &copied_sound);
        assert_in_step(&copied_sound, &sound);
        assert_plays(&copied);
    });
    looked.await.expect("whole and in step");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_film_is_copied_and_its_key_frames_cut_all_renditions() {
    let cells = Cells::new();
    let upper = cells.hold(Kind::Upper);
    let stack = Stack::start_with(Engines::Embedded, &cells.configuration("slots = 1")).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Buena", GOOD.file()).await;
    // Nothing of lane B was made, because nothing of it was left to make.
    creator.until_ready(&video).await;
    drop(upper);
    let copies: Vec<_> = cells.started().into_iter().filter(|cell| cell.kind == Kind::Copy).collect();
    assert_eq!(copies.iter().map(|cell| cell.segments.clone()).collect::<Vec<_>>(), [Some(0..2), Some(2..5)]);
    assert_copied(&stack, &creator, &video).await;
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_it_is_copied_costs_nothing() {
    let cells = Cells::new();
    let copying = cells.hold(Kind::Copy);
    let configuration = cells.configuration("slots = 1\nlease_s = 3");
    let mut stack = Stack::start_with(Engines::Embedded, &configuration).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Interrumpida", GOOD.file()).await;
    cells.until_started("the copy", |cell| cell.kind == Kind::Copy).await;
    stack.kill_server();
    drop(copying);
    stack.start_server().await;
    creator.until_ready(&video).await;
    assert_copied(&stack, &creator, &video).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_sound_is_copied_where_pictures_are_not() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Voz", SMALL.file()).await;
    creator.until_ready(&video).await;
    let watching = Watching::start(&stack, &creator, &video).await;
    let playlists = watching.playlists().await;
    assert_eq!(playlists.keys().collect::<Vec<_>>(), ["144p", "240p", "a32", "a64"]);
    assert_eq!(lengths_ms(&playlists["240p"])[..4], [4000; 4]);
    let [copied, sound] = ["a64", "a32"].map(|name| watching.url(&format!("{name}/playlist.m3u8")));
    let file = watching.url("240p.mp4");
    let looked = tokio::task::spawn_blocking(move || {
        assert_sound_copied(SMALL, &copied);
        assert_in_step(&copied, &sound);
        // The plain MP4 of a page without JavaScript.
        assert_in_step(&file, &sound);
        assert_beeps(&file, SECONDS.into());
        assert_every_frame_once(&file, SECONDS * 25, 25.0, 1);
    });
    looked.await.expect("whole and in step");
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_a_store_it_is_copied_likewise() {
    let stack = Stack::start_on(Engines::Servers).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Lejana", GOOD.file()).await;
    creator.until_ready(&video).await;
    assert_copied(&stack, &creator, &video).await;
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}
