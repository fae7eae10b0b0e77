//! Sound that is copied is the source's own, and is heard when the encoded sound is.

use std::path::Path;

use cmaf::{Bandwidth, GrowingIndex, SampleTable, SegmentRef, Track, read_init, read_segment};
use model::cell::{AudioPlan, CodedSound, EncodePlan, Probe, Request, Task};
use model::{VersionId, VideoId};

use crate::driver::{Clips, Rendition, ask, ask_for_ranges, probe, small_plan, work};

const BARS: &str = "-f lavfi -i testsrc2=size=64x64:rate=25";
/// Noise never looks like itself a little later; here and there it is silent.
const NOISE: &str = "-f lavfi -i aevalsrc=0.3*(random(0)*2-1)*gt(mod(t\\,1.7)\\,0.3)|0.3*(random(1)*2-1):s=";
const CODED: &str = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 50 -c:a aac -b:a 96k";
const FRAME: u64 = AudioPlan::FRAME as u64;

fn found(media: &Path) -> Option<CodedSound> {
    let said = probe(media);
    let probe = said.probe.unwrap_or_else(|| panic!("{:?}\n{}", said.refused, said.log));
    probe.audio.into_iter().next().and_then(|sound| sound.copyable)
}

/// The small plan of a film with its second sound rendition copied.
fn plan(media: &Path) -> EncodePlan {
    plan_of(&probe(media).probe.unwrap()).unwrap()
}

fn plan_of(probe: &Probe) -> Option<EncodePlan> {
    let coded = probe.audio.first()?.copyable.clone()?;
    let mut plan = small_plan(probe);
    let audio = plan.audio.as_mut().unwrap();
    audio.sample_rate = if coded.asc[0] == 0x12 { 44_100 } else { 48_000 };
    let measured = probe.audio[0].end_us * u64::from(audio.sample_rate) / 1_000_000;
    let priming = u64::from(coded.priming);
    audio.samples = (measured + priming).div_ceil(FRAME).min(coded.frames) * FRAME - priming;
    audio.rungs[1].copied = Some(coded);
    Some(plan)
}

/// The coded frames of a rendition.
fn frames(rendition: &Rendition) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for bytes in &rendition.segments {
        let segment = read_segment(bytes).unwrap();
        let mut at = segment.payload.start;
        for sample in &segment.samples {
            let end = at + sample.size as usize;
            frames.push(bytes[at..end].to_vec());
            at = end;
        }
    }
    frames
}

/// The inside of a file's `moov`.
fn moov(file: &[u8]) -> &[u8] {
    let at = file.windows(4).rposition(|kind| kind == b"moov").unwrap();
    let size = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    &file[at + 4..at - 4 + size]
}

/// The coded frames of a source, by its tables.
fn stored(file: &[u8], track: u32) -> Vec<Vec<u8>> {
    let table = SampleTable::read(moov(file), track).unwrap();
    let bytes = |at: u64, size: u32| file[at as usize..][..size as usize].to_vec();
    table.samples.iter().map(|sample| bytes(sample.offset, sample.size)).collect()
}

/// What is heard from the film's zero on, in mono.
fn heard(clips: &Clips, file: &[u8]) -> Vec<f32> {
    let words = "-copyts -map 0:a -af aresample=async=1:first_pts=0 -ac 1 -f f32le";
    let bytes = clips.raw(file, words);
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// By how many samples `late` lags behind `sound`: where they are most alike.
fn lag(sound: &[f32], late: &[f32]) -> i64 {
    const MOST: usize = 512;
    const FROM: usize = 60_000;
    let likeness = |shift: usize| -> f64 {
        let pairs = sound[FROM..][..8192].iter().zip(&late[FROM - MOST + shift..]);
        pairs.map(|(a, b)| f64::from(a * b)).sum()
    };
    let most = (0..=2 * MOST).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
    most as i64 - MOST as i64
}

/// Films that begin with their sound, in the middle of it, and before it.
fn films(clips: &Clips) -> Vec<(&'static str, std::path::PathBuf)> {
    let make = |name, words: String| clips.make(name, &words);
    let plain = make("plain.mp4", format!("{BARS} {NOISE}48000 -t 5 {CODED}"));
    make("bare.mp4", "-i plain.mp4 -map 0:a -c copy -use_editlist 0".into());
    make("picture.mp4", format!("{BARS} -t 5 {CODED}"));
    vec![
        ("as ffmpeg makes it", plain),
        ("44.1 kHz", make("44.mp4", format!("{BARS} {NOISE}44100 -t 5 {CODED}"))),
        ("QuickTime", make("film.mov", format!("{BARS} {NOISE}48000 -t 5 {CODED}"))),
        ("without a picture", make("sound.m4a", format!("{NOISE}48000 -t 5 -c:a aac -b:a 96k"))),
        ("without an edit list", make("front.mp4", "-i picture.mp4 -i bare.mp4 -c copy".into())),
        ("trimmed", make("trimmed.m4a", "-ss 1.234 -i sound.m4a -c copy".into())),
        ("late", make("late.mp4", "-i picture.mp4 -itsoffset 0.321 -i bare.mp4 -c copy".into())),
    ]
}

#[test]
fn a_copied_sound_is_its_source_and_heard_when_the_others_are() {
    let clips = Clips::new();
    for (why, film) in films(&clips) {
        let coded = found(&film).unwrap_or_else(|| panic!("{why} is copied"));
        let plan = plan(&film);
        let audio = plan.audio.as_ref().unwrap();
        let said = work(&film, &plan, Task::Sound);
        assert!(said.missing_ms == 0 && said.done.unwrap().1 == 0, "{why}");
        let (encoded, copied) = (said.rendition("a32"), said.rendition("a96"));

        let source = std::fs::read(&film).unwrap();
        let (stored, frames) = (stored(&source, coded.track), frames(copied));
        assert_eq!(frames.len() as u64, audio.coded_frames(), "{why}");
        let silent = usize::try_from(-coded.first).unwrap_or(0);
        let first = usize::try_from(coded.first).unwrap_or(0);
        assert_eq!(frames[silent..], stored[first..][..frames.len() - silent], "{why}");
        // Segments are those of all sound renditions.
        let lengths = |rendition: &Rendition| {
            let length = |bytes: &Vec<u8>| read_segment(bytes).unwrap().samples.len();
            rendition.segments.iter().map(length).collect::<Vec<_>>()
        };
        assert_eq!(lengths(copied), lengths(encoded), "{why}");

        // What is promised before it is copied.
        let segments = copied.segments.iter().map(|bytes| {
            let duration = read_segment(bytes).unwrap().duration() as u32;
            SegmentRef { size_bytes: bytes.len() as u32, duration }
        });
        let measured = Bandwidth::measure(audio.sample_rate, segments);
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(1));
        let promised = GrowingIndex::new(1, video, version, plan.clone(), Vec::new(), Vec::new())
            .bandwidth("a96".parse().unwrap());
        assert!(promised.peak_bps >= measured.peak_bps, "{why}: {promised:?}, {measured:?}");
        assert!(promised.peak_bps < measured.peak_bps * 5 / 4, "{why}: {promised:?}, {measured:?}");

        let Track::Audio(track) = read_init(&copied.init).unwrap() else { panic!("a sound") };
        assert_eq!((track.priming, track.sample_rate, track.channels), (coded.priming, audio.sample_rate, 2));
        let announced = work(&clips.file("nothing", b""), &plan, Task::Announce);
        assert!(
            announced.rendition("a96").init == copied.init && announced.rendition("a32").init == encoded.init
        );

        clips.decode(&copied.file());
        let [source, copied, encoded] =
            [source, copied.file(), encoded.file()].map(|file| heard(&clips, &file));
        assert!(copied.len().abs_diff(audio.samples as usize) <= 1, "{why}: {} samples", copied.len());
        let end = copied.len().min(source.len());
        assert!(end + FRAME as usize > copied.len(), "{why}");
        let other =
            copied[..end].iter().zip(&source).position(|(copied, source)| (copied - source).abs() > 1e-4);
        assert_eq!(other, None, "{why}: the same sound at the same moment");
        assert_eq!(lag(&copied, &encoded), 0, "{why}");
    }
}

#[test]
fn sound_in_a_store_is_looked_at_and_copied_as_sound_that_is_here() {
    let clips = Clips::new();
    let film = clips.make("good.mp4", &format!("{BARS} {NOISE}48000 -t 9 {CODED}"));
    let near = probe(&film).probe.unwrap();
    assert!(near.audio[0].copyable.is_some());
    let bytes = std::fs::read(&film).unwrap();
    let far = ask_for_ranges(bytes.clone(), usize::MAX, |source| Request::Probe { source });
    assert_eq!(far.probe.unwrap().audio[0].copyable, near.audio[0].copyable);

    let plan = plan(&film);
    let here = work(&film, &plan, Task::Sound);
    let there = ask_for_ranges(bytes, usize::MAX, |source| Request::Work { source, plan, task: Task::Sound });
    for name in ["a32", "a96"] {
        assert!(there.rendition(name).segments == here.rendition(name).segments, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_not_offered() {
    let clips = Clips::new();
    let good = clips.make("good.mp4", &format!("{BARS} {NOISE}48000 -t 4 {CODED}"));
    assert!(found(&good).is_some());
    for (why, words, name) in [
        ("another codec", format!("{NOISE}48000 -t 4 -c:a libmp3lame"), "other.mp4"),
        ("another container", "-i good.mp4 -c copy".into(), "film.mkv"),
        ("fragments", "-i good.mp4 -c copy -movflags +frag_keyframe+empty_moov".into(), "parts.mp4"),
        ("six channels", format!("{NOISE}48000 -t 4 -ac 6 -c:a aac"), "six.mp4"),
        (
            "a late picture",
            "-itsoffset 0.4 -i good.mp4 -i good.mp4 -map 0:v -map 1:a -c copy".into(),
            "picture.mp4",
        ),
        ("a gap", "-i good.mp4 -c copy -bsf:a noise=drop=eq(n\\,70)".into(), "gap.mp4"),
    ] {
        assert_eq!(found(&clips.make(name, &words)), None, "{why}");
    }
    // Late sound whose beginning is left out: it would be heard before the rest.
    let late = "-i good.mp4 -itsoffset 0.3 -i good.mp4 -map 0:v -map 1:a -c copy";
    let mut late = std::fs::read(clips.make("late.mp4", late)).unwrap();
    assert!(found(&clips.file("late.mp4", &late)).is_some_and(|coded| coded.first < -1));
    let edits = late.windows(4).rposition(|kind| kind == b"elst").unwrap() + 12;
    // The second of two: its duration, then where in the media it begins.
    assert_eq!(late[edits - 4..edits], [0, 0, 0, 2]);
    late[edits + 16..edits + 20].copy_from_slice(&2048u32.to_be_bytes());
    assert_eq!(found(&clips.file("late.mp4", &late)), None);

    let bytes = std::fs::read(&good).unwrap();
    // Tables that lie: frames that are not where they are said to be.
    let audio = SampleTable::read(moov(&bytes), 2).unwrap();
    let sizes: Vec<u8> = audio.samples.iter().flat_map(|sample| sample.size.to_be_bytes()).collect();
    let at = bytes.windows(sizes.len()).position(|window| window == sizes).unwrap();
    for (why, size) in
        [("shifted", audio.samples[3].size - 9), ("huge", 5000), ("endless", u32::MAX), ("none", 0)]
    {
        let mut lying = bytes.clone();
        lying[at + 12..at + 16].copy_from_slice(&size.to_be_bytes());
        let said = probe(&clips.file("lying.mp4", &lying));
        assert_eq!(said.status, Some(0), "{why}: {}", said.log);
        let audio = said.probe.map(|probe| probe.audio);
        assert!(audio.is_none_or(|audio| audio.iter().all(|sound| sound.copyable.is_none())), "{why}");
    }
}

#[test]
fn another_file_than_was_planned_with_ends_the_job_by_name() {
    let clips = Clips::new();
    let film = clips.make("film.m4a", &format!("{NOISE}48000 -t 5 -c:a aac -b:a 96k"));
    let plan = plan(&film);
    let shorter = clips.make("shorter.m4a", &format!("{NOISE}48000 -t 3 -c:a aac -b:a 96k"));
    let other = clips.make("other.m4a", &format!("{NOISE}48000 -t 5 -c:a libmp3lame -f mp4"));
    for media in [shorter, other] {
        let plan = plan.clone();
        let said = ask(&media, |source| Request::Work { source, plan, task: Task::Sound });
        let (reason, detail) = said.refused.unwrap_or_else(|| panic!("{:?}\n{}", said.done, said.log));
        assert_eq!((said.status, reason), (Some(0), model::FailureReason::Internal), "{detail}");
        let segments = said.renditions.values().map(|rendition| rendition.segments.len());
        assert_eq!(segments.max().unwrap_or(0), 0, "nothing that could be committed: {detail}");
    }
}

#[test]
fn sound_that_cannot_be_read_is_not_silence() {
    let clips = Clips::new();
    let film = clips.make("film.wav", &format!("{NOISE}48000 -t 60"));
    let plan = small_plan(&probe(&film).probe.unwrap());
    let bytes = std::fs::read(&film).unwrap();
    let half = bytes.len() / 2;
    let said = ask_for_ranges(bytes, half, |source| Request::Work { source, plan, task: Task::Sound });
    assert_eq!((said.status, said.done), (Some(74), None));
    let segments = said.rendition("a32").segments.len();
    assert!((1..=15).contains(&segments), "{segments} of 30 segments, of which half can be read");
}

#[test]
fn damaged_tables_are_copied_encoded_or_refused() {
    let clips = Clips::new();
    let film = clips.make("film.m4a", &format!("{NOISE}48000 -t 1 -c:a aac -b:a 96k"));
    let good = std::fs::read(&film).unwrap();
    let moov = good.windows(4).rposition(|kind| kind == b"moov").unwrap();
    let mut state = 0x9e37_79b9u64;
    let mut next = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut copied = 0;
    for n in 0..60 {
        let mut bytes = good.clone();
        for _ in 0..=next(2) {
            bytes[moov + next(good.len() - moov)] = [0, 1, 7, 0x7f, 0x80, 0xff][next(6)];
        }
        let media = clips.file("damaged.m4a", &bytes);
        let said = probe(&media);
        assert_eq!(said.status, Some(0), "mutant {n}: {}", said.log);
        let is_short = |probe: &Probe| probe.duration_ms.is_some_and(|ms| ms < 5000);
        let Some(plan) = said.probe.filter(is_short).and_then(|probe| plan_of(&probe)) else { continue };
        let said = ask(&media, |source| Request::Work { source, plan, task: Task::Sound });
        assert_eq!(said.status, Some(0), "mutant {n}: {:?} {}", said.refused, said.log);
        copied += usize::from(said.done.is_some());
    }
    assert!(copied > 0, "some do no harm");
}
