//! Files that are refused, each with the reason that its owner reads.

use std::path::Path;

use model::FailureReason;
use model::FailureReason::{Empty, NotMedia, NothingToPlay, TooLarge, Truncated, UnsupportedCodec};
use model::SegmentGrid;
use model::cell::Ratio;

use crate::driver::{Clips, encode, probe, small_plan};

const FILM: &str = "-f lavfi -i testsrc2=size=320x240:rate=25 -f lavfi -i sine=sample_rate=48000 -t 8 \
                    -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";

fn refusal(media: &Path) -> FailureReason {
    let said = probe(media);
    assert_eq!(said.status, Some(0), "{}", said.log);
    said.refused.unwrap_or_else(|| panic!("{media:?} was taken: {:?}", said.probe)).0
}

#[test]
fn what_is_no_film_is_refused() {
    let clips = Clips::new();
    let secret = clips.file("secret.txt", b"root:x:0:0");
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{}\n#EXT-X-ENDLIST\n",
        secret.display()
    );
    let concat = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
    let picture = clips.make("picture.png", "-f lavfi -i testsrc2=size=64x64 -frames:v 1");
    let photo = clips.make("photo.jpg", "-f lavfi -i testsrc2=size=64x64 -frames:v 1");
    for (name, bytes, reason) in [
        ("empty.mp4", &b""[..], Empty),
        ("one.mp4", b"x", NotMedia),
        ("text.mp4", b"Once upon a time there was a file.\n".repeat(200).as_slice(), NotMedia),
        ("page.mp4", b"<!DOCTYPE html><html><body><video src=\"/etc/passwd\"></video></body></html>", NotMedia),
        ("playlist.mp4", playlist.as_bytes(), NotMedia),
        ("concat.mp4", concat.as_bytes(), NotMedia),
        ("session.mp4", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\n", NotMedia),
        ("vector.mp4", b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>", NotMedia),
        ("subtitles.mp4", b"1\n00:00:00,000 --> 00:00:02,000\nHola\n\n2\n00:00:02,000 --> 00:00:04,000\nAdios\n", NotMedia),
        ("noise.mp4", &(0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(), NotMedia),
    ] {
        assert_eq!(refusal(&clips.file(name, bytes)), reason, "{name}");
    }
    for file in [picture, photo] {
        assert_eq!(refusal(&file), NotMedia, "{file:?}");
    }
}

#[test]
fn codecs_that_are_not_allowed_never_run() {
    let clips = Clips::new();
    for (name, codec) in
        [("magic.avi", "magicyuv -pix_fmt gbrp"), ("raw.avi", "rawvideo"), ("lossless.mkv", "ffv1")]
    {
        let file = clips.make(name, &format!("-f lavfi -i testsrc2=size=64x64:rate=5 -t 1 -c:v {codec}"));
        assert_eq!(refusal(&file), UnsupportedCodec, "{name}");
    }
}

#[test]
fn a_container_without_picture_and_sound_is_refused() {
    let clips = Clips::new();
    let words = clips.file("words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nHola\n");
    let file = clips.make("words.mkv", &format!("-i {} -c:s srt", words.display()));
    assert_eq!(refusal(&file), NothingToPlay);
}

#[test]
fn pictures_beyond_8k_are_refused_before_they_are_decoded() {
    let clips = Clips::new();
    let film =
        clips.make("huge.avi", "-f lavfi -i color=size=10000x4000 -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p");
    assert_eq!(refusal(&film), TooLarge);
}

#[test]
fn cut_films_are_told_from_whole_ones() {
    let clips = Clips::new();
    let moov_last = std::fs::read(clips.make("last.mp4", FILM)).unwrap();
    let moov_first = std::fs::read(clips.make("first.mp4", &format!("{FILM} -movflags +faststart"))).unwrap();
    let mkv = std::fs::read(clips.make("film.mkv", FILM)).unwrap();

    // No index: refused by the probe.
    for (name, bytes) in
        [("last-half.mp4", &moov_last[..moov_last.len() / 2]), ("head.mp4", &moov_first[..200])]
    {
        assert_eq!(refusal(&clips.file(name, bytes)), Truncated, "{name}");
    }
    // What promises more than there is.
    for (name, bytes, kept, whole) in [
        ("first-half.mp4", &moov_first, 50, false),
        ("half.mkv", &mkv, 50, false),
        ("first-most.mp4", &moov_first, 97, true),
        ("most.mkv", &mkv, 97, true),
    ] {
        let file = clips.file(name, &bytes[..bytes.len() * kept / 100]);
        if !whole {
            assert_eq!(refusal(&file), Truncated, "{name}");
            continue;
        }
        let said = encode(&file, small_plan(&probe(&file).probe.unwrap()));
        assert!(said.done.is_some(), "{name}: {:?} {}", said.status, said.log);
    }
}

#[test]
fn a_damaged_film_is_shown_or_refused_but_never_kills() {
    let clips = Clips::new();
    let seeds = [
        clips.make("seed.mp4", &format!("{FILM} -t 2 -movflags +frag_keyframe+empty_moov")),
        clips.make("seed.mkv", &format!("{FILM} -t 2")),
        clips.make("seed.ts", &format!("{FILM} -t 2")),
    ]
    .map(|seed| std::fs::read(seed).unwrap());
    for round in 0..18u64 {
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        // Knuth's generator: the same damage each time, from 0.05 % to 2 % of the bytes.
        let mut state = round;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..bytes.len() * (5 + 11 * round as usize) / 10_000 {
            let at = next() % bytes.len();
            bytes[at] = next() as u8;
        }
        let film = clips.file("damaged", &bytes);
        let mut said = probe(&film);
        if let Some(found) = &said.probe {
            let mut plan = small_plan(found);
            // What a stranger's header says of its rate is settled by the packager.
            if let Some(video) = &mut plan.video {
                (video.frame_rate, video.segment_frames) = (Ratio::new(25, 1), 50);
                video.frames = (found.video.as_ref().unwrap().end_us / 40_000).max(1);
                plan.grid = SegmentGrid::even(video.frame_rate, 50, video.frames);
            }
            said = encode(&film, plan);
        }
        let internal = said.refused.as_ref().filter(|(reason, _)| *reason == FailureReason::Internal);
        assert!(
            said.status == Some(0) && internal.is_none(),
            "{round}: {:?} {internal:?}\n{}",
            said.status,
            said.log
        );
        assert!(said.done.is_some() || said.refused.is_some(), "{round}: no last word");
    }
}
