//! Files whose headers say another length than they have.

use serde_json::Value;
use tests::{Clip, Person, Stack, TINY, Watching, film, run};

const FRAMES: u32 = 500;

/// The film with every duration that its headers name multiplied.
fn with_durations(film: &[u8], factor: f64) -> Vec<u8> {
    let mut bytes = film.to_vec();
    // Behind the name: version and flags, then for version 0 (ISO/IEC 14496-12 §8.2.2, §8.3.2, §8.4.2).
    for (name, offset) in [(b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)] {
        let places: Vec<_> = film.windows(4).enumerate().filter(|(_, four)| four == name).collect();
        assert!(!places.is_empty(), "no {name:?}");
        for (at, _) in places {
            let field = at + 4 + offset..at + 8 + offset;
            let duration = u32::from_be_bytes(film[field.clone()].try_into().expect("four bytes"));
            bytes[field].copy_from_slice(&((f64::from(duration) * factor) as u32).to_be_bytes());
        }
    }
    bytes
}

/// The beginning of a film, in another container if asked.
fn beginning(container: &str, part: f64) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("film").with_extension(container);
    let (from, to) = (TINY.file().to_string_lossy(), file.to_string_lossy());
    // Sound without priming: Matroska would move the pictures by it, off the grid.
    let words = ["-c:v", "copy", "-c:a", if container == "mkv" { "flac" } else { "copy" }];
    let front = ["-nostdin", "-v", "error", "-i", &from];
    run("ffmpeg", &[&front[..], &words, &["-movflags", "+faststart", &to]].concat()).ok();
    let bytes = std::fs::read(&file).expect("ffmpeg wrote it");
    bytes[..(bytes.len() as f64 * part) as usize].to_vec()
}

/// How much of a published video is there: its pictures, each once and in order, with its beeps.
async fn length_of(stack: &Stack, person: &Person, video: &str) -> u32 {
    let watching = Watching::start(stack, person, video).await;
    let url = |name: &str| watching.url(&format!("{name}/playlist.m3u8"));
    let (picture, sound) = (url("144p"), url("a32"));
    let checked = tokio::task::spawn_blocking(move || {
        let shown = film::shown(&picture);
        let last = shown.last().expect("a picture").number;
        film::assert_every_frame_once(&picture, last + 2, 25.0, 2);
        film::assert_beeps(&sound, f64::from(last + 2) / 25.0);
        last + 2
    });
    checked.await.expect("complete and in step")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duration_that_lies_changes_nothing() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let honest = Clip::bytes(TINY);
    for factor in [0.5, 1.5] {
        let video = creator.upload_bytes("Mentira", with_durations(&honest, factor)).await;
        let ready = creator.until_ready(&video).await;
        assert_eq!(length_of(&stack, &creator, &video).await, FRAMES, "{factor}: {ready:#}");
        let duration = ready["duration_ms"].as_u64().expect("a duration");
        assert!(duration.abs_diff(20_000) < 50, "{factor}: {ready:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_early_plays_to_its_end_or_says_so() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    for (container, part, may_fail) in
        [("mp4", 0.97, false), ("mp4", 0.5, true), ("mkv", 0.97, false), ("mkv", 0.5, true)]
    {
        let what = format!("{part} of an {container}");
        let video = creator.upload_bytes(&what, beginning(container, part)).await;
        let settled = creator.until_settled(&video).await;
        if may_fail && settled["state"] == "failed" {
            assert_eq!(settled["failure"]["code"], "truncated", "{what}: {settled:#}");
            continue;
        }
        assert_eq!(settled["state"], "ready", "{what}: {settled:#}");
        let frames = length_of(&stack, &creator, &video).await;
        let least = (f64::from(FRAMES) * (part - 0.1)) as u32;
        assert!((least..=FRAMES).contains(&frames), "{what}: {frames} frames");
        let duration =
            settled["duration_ms"].as_u64().unwrap_or_else(|| panic!("{:#}", Value::clone(&settled)));
        assert!(duration.abs_diff(u64::from(frames) * 40) < 200, "{what}: {frames} frames, {settled:#}");
    }
}
