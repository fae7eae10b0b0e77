//! Files made to hurt: each becomes a film or a named refusal, and touches nothing else.

use std::io::Read;
use std::path::Path;

use model::FailureReason::{self, Internal, TooLarge, Truncated};
use model::cell::Request;

use crate::driver::{Clips, Said, encode, pictures, probe, small_plan, start};

const PICTURE: &str = "-f lavfi -i testsrc2=size=64x64:rate=10 -t 2 -c:v libx264 -preset ultrafast \
                       -pix_fmt yuv420p";

/// Probes a file and, if it is taken, encodes it.
fn take(media: &Path) -> Said {
    let mut said = probe(media);
    if let Some(found) = &said.probe {
        said = encode(media, small_plan(found));
    }
    let internal = said.refused.as_ref().is_some_and(|(reason, _)| *reason == Internal);
    assert!(
        said.status == Some(0) && !internal,
        "{media:?}: {:?} {:?}\n{}",
        said.status,
        said.refused,
        said.log
    );
    assert!(said.done.is_some() || said.refused.is_some(), "{media:?}: no last word");
    said
}

fn refusal(media: &Path) -> FailureReason {
    let said = take(media);
    said.refused.unwrap_or_else(|| panic!("{media:?} was taken: {:?}", said.done)).0
}

/// Where `needle` first stands in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).expect("it stands there")
}

#[test]
fn a_film_that_names_another_file_does_not_get_it() {
    let clips = Clips::new();
    // The neighbour's film, and a film without pictures of its own whose index is theirs.
    let secret = clips.make("secret.mov", PICTURE);
    let mut bytes = std::fs::read(&secret).unwrap();
    let moov = find(&bytes, b"moov") - 4;
    let mdat = find(&bytes, b"mdat") + 4;
    bytes[mdat..moov].fill(0);
    let alias = alias(secret.to_str().unwrap());
    let dref = find(&bytes, b"dref") - 4;
    // Header, version and count stay; of the entries there is one.
    let entries = dref + 16..dref + u32_at(&bytes, dref) as usize;
    let grown = (alias.len() - entries.len()) as u32;
    for name in [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"] {
        // The handler of the reference is named before the boxes that hold it.
        let at = (moov..=dref).rev().find(|at| &bytes[at + 4..at + 8] == name).unwrap();
        let size = u32_at(&bytes, at) + grown;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes.splice(entries, alias);
    let film = clips.file("film.mov", &bytes);

    // The trap works: a program that follows references shows the neighbour's film.
    let follows = |switch| {
        let mut command = std::process::Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-enable_drefs", switch, "-use_absolute_path", "1", "-i"]);
        let frames = command.arg(&film).args(["-f", "rawvideo", "-"]).output().unwrap().stdout;
        frames.len()
    };
    assert_eq!((follows("1"), follows("0")), (20 * 64 * 64 * 3 / 2, 0));
    assert_eq!(refusal(&film), Truncated);
}

/// An alias record of QuickTime that holds an absolute path.
fn alias(path: &str) -> Vec<u8> {
    let mut record = [&b"\0\0\0\0alis\0\0\0\0"[..], &[0; 150]].concat();
    for (kind, text) in [(2u16, path), (u16::MAX, "")] {
        record.extend_from_slice(&kind.to_be_bytes());
        record.extend_from_slice(&(text.len() as u16).to_be_bytes());
        record.extend_from_slice(text.as_bytes());
        record.resize(record.len() + text.len() % 2, 0);
    }
    let size = record.len() as u32;
    record[..4].copy_from_slice(&size.to_be_bytes());
    record
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn a_cover_that_would_fill_the_memory_is_not_unpacked() {
    let clips = Clips::new();
    clips.make("cover.png", "-f lavfi -i color=size=64x64 -frames:v 1");
    let song = "-f lavfi -i sine=sample_rate=48000 -i cover.png -t 2 -map 0 -map 1 -c:a aac -c:v copy \
                -disposition:v attached_pic";
    for name in ["song.m4a", "song.mp4"] {
        let mut bytes = std::fs::read(clips.make(name, song)).unwrap();
        let header = find(&bytes, b"IHDR");
        for side in [header + 4, header + 8] {
            bytes[side..side + 4].copy_from_slice(&60_000u32.to_be_bytes());
        }
        let sum = crc32(&bytes[header..header + 17]);
        bytes[header + 17..header + 21].copy_from_slice(&sum.to_be_bytes());
        let said = take(&clips.file(name, &bytes));
        let (duration, _) = said.done.unwrap_or_else(|| panic!("{name}: {:?}", said.refused));
        assert!((1900..2200).contains(&duration) && said.stills.is_empty(), "{name}: {duration}");
    }
}

/// The check sum of PNG (annex D).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[test]
fn sides_of_65535_are_refused() {
    let clips = Clips::new();
    let gif = "-f lavfi -i testsrc2=size=64x64:rate=10 -t 1";
    // Where the size stands, from the mark on: GIF89a §18, ISO/IEC 14496-12 §8.5.2 and §12.1.3.
    for (name, source, mark, offset) in [("film.gif", gif, b"GIF8", 6), ("film.mp4", PICTURE, b"stsd", 44)] {
        let mut bytes = std::fs::read(clips.make(name, source)).unwrap();
        let at = find(&bytes, mark) + offset;
        assert_eq!(bytes[at..at + 4].iter().sum::<u8>(), 128, "{name}: the size is elsewhere");
        bytes[at..at + 4].fill(0xff);
        assert_eq!(refusal(&clips.file(name, &bytes)), TooLarge, "{name}");
    }
}

#[test]
fn a_hundred_thousand_tiny_packets_are_nothing_special() {
    let clips = Clips::new();
    const PACKETS: usize = 100_000;
    // Pictures that all claim the last moment.
    let mut film =
        std::fs::read(clips.make("film.flv", "-f lavfi -i testsrc2=size=16x16:rate=10 -t 2 -c:v flv"))
            .unwrap();
    let end = film.len();
    let last = end - 4 - u32_at(&film, end - 4) as usize;
    let tag = film[last..].to_vec();
    film.extend(tag.repeat(PACKETS));
    let said = take(&clips.file("film.flv", &film));
    assert!(said.done.is_none_or(|(duration, _)| duration < 2500), "{:?}", said.done);
    // Sound frames of a header and no body: ISO/IEC 13818-7 §6.2.
    let frame = [0xff, 0xf1, 0x4c, 0x80, 0x00, 0xff, 0xfc];
    take(&clips.file("song.aac", &frame.repeat(PACKETS)));
}

#[test]
fn a_picture_that_moves_for_ever_is_shown_once() {
    let clips = Clips::new();
    let film = clips.make("film.gif", "-f lavfi -i testsrc2=size=64x64:rate=10 -t 2 -loop 0");
    assert!(std::fs::read(&film).unwrap().windows(11).any(|window| window == b"NETSCAPE2.0"));
    let (duration, damaged) = take(&film).done.unwrap();
    assert!((1900..2200).contains(&duration) && damaged == 0, "{duration} {damaged}");
}

#[test]
fn more_streams_than_are_allowed_are_refused() {
    let clips = Clips::new();
    for (count, name) in [(32, "few.mkv"), (33, "many.mkv"), (33, "many.mp4")] {
        let maps = "-map 0 ".repeat(count);
        let film = clips.make(name, &format!("-f lavfi -i sine=sample_rate=48000 {maps} -t 1 -c:a aac"));
        let said = take(&film);
        assert_eq!(said.refused.map(|(reason, _)| reason), (count > 32).then_some(TooLarge), "{name}");
    }
}

#[test]
fn the_cell_denies_itself_files_and_memory() {
    let clips = Clips::new();
    let film = clips.make(
        "film.mp4",
        "-f lavfi -i testsrc2=size=320x240:rate=25 -t 10 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    );
    let plan = small_plan(&probe(&film).probe.unwrap());
    let mut cell = start(&film, |source| Request::Work { source, task: pictures(&plan, 0..5), plan });
    // With its first reply it has its limits; the rest does not fit into the pipe, so it stays.
    cell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", cell.id())).unwrap();
    let hard = |name: &str| -> Option<u64> {
        let line = limits.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].split_whitespace().nth(1)?.parse().ok()
    };
    cell.kill().unwrap();
    cell.wait().unwrap();
    assert_eq!(hard("Max file size"), Some(0), "{limits}");
    assert_eq!(hard("Max core file size"), Some(0), "{limits}");
    assert!(hard("Max open files").is_some_and(|files| files <= 32), "{limits}");
    assert!(hard("Max cpu time").is_some_and(|seconds| seconds < 10_000), "{limits}");
    assert!(hard("Max address space").is_some_and(|bytes| bytes < 6 << 30), "{limits}");
}
