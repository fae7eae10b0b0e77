//! How long a film is, whatever it says.

use std::path::Path;

use model::FailureReason;

use crate::driver::{Clips, probe};

const PICTURE: &str = "-f lavfi -i testsrc2=size=320x240:rate=25";
const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -bf 2";

/// The measured ends of picture and sound in milliseconds, 0 for what is not there.
fn ends(film: &Path) -> (u64, u64) {
    let said = probe(film);
    let found = said.probe.unwrap_or_else(|| panic!("{film:?}: {:?}\n{}", said.refused, said.log));
    let picture = found.video.map_or(0, |video| video.end_us);
    (picture.div_ceil(1000), found.audio.first().map_or(0, |audio| audio.end_us.div_ceil(1000)))
}

/// When picture and sound of these lengths end: muxers start streams where they like.
fn expected(clips: &Clips, film: &Path, lengths: (u64, u64)) -> (u64, u64) {
    let bytes = std::fs::read(film).unwrap();
    let starts: Vec<f64> =
        clips.ffprobe(&bytes, "stream=start_time").iter().map(|start| start.parse().unwrap()).collect();
    let late = |stream: usize| (1000.0 * (starts[stream] - starts[0].min(starts[1]))).round() as u64;
    let shown_late = if film.extension().is_some_and(|name| name == "avi") { 40 } else { 0 };
    (lengths.0 + late(0) + shown_late, lengths.1 + late(1))
}

fn check(name: &str, found: (u64, u64), expected: (u64, u64)) {
    let near = found.0.abs_diff(expected.0) <= 4 && found.1.abs_diff(expected.1) <= 90;
    assert!(near, "{name}: {found:?} instead of {expected:?}");
}

#[test]
fn films_are_measured_to_their_last_picture_and_sound() {
    let clips = Clips::new();
    for (name, codecs) in [
        ("film.mp4", format!("{H264} -c:a aac")),
        ("first.mp4", format!("{H264} -c:a aac -movflags +faststart")),
        ("fragments.mp4", format!("{H264} -c:a aac -movflags +frag_keyframe+empty_moov")),
        ("late.mp4", format!("{H264} -c:a aac -output_ts_offset 3")),
        ("film.mkv", format!("{H264} -c:a flac")),
        ("late.mkv", format!("{H264} -c:a aac -output_ts_offset 3")),
        ("film.webm", "-c:v vp8 -deadline realtime -c:a libopus".into()),
        ("film.ts", format!("{H264} -c:a aac")),
        ("film.mpg", "-c:v mpeg2video -c:a mp2".into()),
        ("film.flv", format!("{H264} -c:a aac")),
        ("film.mov", "-c:v prores_ks -c:a pcm_s16le".into()),
        ("film.wmv", "-c:v wmv2 -c:a wmav2".into()),
        ("film.ogv", "-c:v libtheora -c:a flac".into()),
        // What AVI counts are coded pictures: with B-frames the first is shown as the second.
        ("film.avi", "-c:v mpeg4 -bf 2 -c:a libmp3lame".into()),
    ] {
        let film = clips.make(name, &format!("{PICTURE} {SOUND} -t 7.2 {codecs}"));
        check(name, ends(&film), expected(&clips, &film, (7200, 7200)));
    }
    for (name, codec) in
        [("song.mp3", "libmp3lame"), ("song.wav", "pcm_s16le"), ("song.m4a", "aac"), ("song.opus", "libopus")]
    {
        check(name, ends(&clips.make(name, &format!("{SOUND} -t 7.2 -c:a {codec}"))), (0, 7200));
    }
    check("film.gif", ends(&clips.make("film.gif", &format!("{PICTURE} -t 7.2"))), (7200, 0));
}

#[test]
fn each_stream_has_an_end_of_its_own() {
    let clips = Clips::new();
    for (picture, sound, name) in [
        ("2", "9", "long.mp4"),
        ("9", "2", "short.mp4"),
        ("2", "9", "long.mkv"),
        ("9", "2", "short.mkv"),
        ("9", "2", "short.ts"),
    ] {
        let source = format!(
            "-f lavfi -t {picture} -i testsrc2=size=320x240:rate=25 -f lavfi -t {sound} -i sine=sample_rate=48000 {H264} -c:a aac"
        );
        let seconds = |text: &str| text.parse::<u64>().unwrap() * 1000;
        let film = clips.make(name, &source);
        check(name, ends(&film), expected(&clips, &film, (seconds(picture), seconds(sound))));
    }
    // What was cut away by an edit list is neither seen nor heard.
    let film = clips.make("film.mp4", &format!("{PICTURE} {SOUND} -t 7.2 {H264} -c:a aac"));
    let cut = clips.make("cut.mp4", &format!("-ss 3.2 -i {} -c copy", film.display()));
    check("cut.mp4", ends(&cut), (4000, 4010));
}

/// Where `needle` first stands in `bytes`, and behind it.
fn behind(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len()
}

#[test]
fn a_header_that_lies_is_not_believed() {
    let clips = Clips::new();
    let source = format!("{PICTURE} {SOUND} -t 20 {H264} -c:a aac");
    let mp4 = std::fs::read(clips.make("film.mp4", &source)).unwrap();
    let mkv = std::fs::read(clips.make("film.mkv", &source)).unwrap();
    for factor in [0.5, 1.5] {
        // Version 0 boxes: ISO/IEC 14496-12 §8.2.2, §8.3.2, §8.4.2.
        for boxes in [&[(b"mvhd", 16)][..], &[(b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)]] {
            let mut bytes = mp4.clone();
            for (name, offset) in boxes {
                let mut at = 0;
                while let Some(next) = bytes[at..].windows(4).position(|window| window == *name) {
                    at += next + 4;
                    let place = at + offset..at + offset + 4;
                    let said = u32::from_be_bytes(bytes[place.clone()].try_into().unwrap());
                    bytes[place].copy_from_slice(&((f64::from(said) * factor) as u32).to_be_bytes());
                }
            }
            check("lying.mp4", ends(&clips.file("lying.mp4", &bytes)), (20_000, 20_010));
        }
        let mut bytes = mkv.clone();
        // Duration (RFC 9559 §5.1.2.10), a float of eight bytes.
        let at = behind(&bytes, &[0x44, 0x89, 0x88]);
        let said = f64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        bytes[at..at + 8].copy_from_slice(&(said * factor).to_be_bytes());
        check("lying.mkv", ends(&clips.file("lying.mkv", &bytes)), (20_023, 20_033));
    }
}

#[test]
fn a_film_that_ends_early_is_refused_unless_almost_all_is_there() {
    let clips = Clips::new();
    let source = format!("{PICTURE} {SOUND} -t 20 {H264} -c:a aac");
    let mp4 = std::fs::read(clips.make("film.mp4", &format!("{source} -movflags +faststart"))).unwrap();
    let mkv = std::fs::read(clips.make("film.mkv", &source)).unwrap();
    for (name, bytes) in [("cut.mp4", &mp4), ("cut.mkv", &mkv)] {
        let said = probe(&clips.file(name, &bytes[..bytes.len() / 2]));
        assert_eq!(said.refused.map(|(reason, _)| reason), Some(FailureReason::Truncated), "{name}");
        let (picture, _) = ends(&clips.file(name, &bytes[..bytes.len() * 97 / 100]));
        assert!((18_500..19_990).contains(&picture), "{name}: {picture}");
    }
}
