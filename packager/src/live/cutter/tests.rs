use bytes::Bytes;

use super::*;
use crate::live::sound::SoundClock;

const PICTURE: RenditionName = RenditionName::Video { height: 720 };
const SOUND: RenditionName = RenditionName::Audio { kbps: 128 };
const CADENCE: Cadence = Cadence { target_duration_s: 2, part_target_ms: Some(350) };
const SECOND: u64 = 90_000;

/// A publisher of 30 pictures a second and 48 kHz.
struct Publisher {
    cutter: Cutter,
    clock: SoundClock,
    heard: u64,
}

impl Publisher {
    fn new() -> Self {
        let mut cutter = Cutter::new(CADENCE, 0, 0, false);
        cutter.join(PICTURE, 90_000, 0);
        cutter.join(SOUND, 48_000, 0);
        cutter.set_leader(PICTURE);
        Self { cutter, clock: SoundClock::aac(48_000), heard: 0 }
    }

    /// Pictures from `from` to `to`, in ticks, a key frame every `group` pictures, and their sound.
    fn send(&mut self, from: u64, to: u64, group: u64, with_sound: bool) {
        let data = || Bytes::from_static(b"frame");
        self.heard = self.heard.max(from);
        for n in 0..(to - from) / 3000 {
            let at = from + n * 3000;
            let key = n % group == 0;
            self.cutter.push(PICTURE, Frame { time: at, cts_offset: 0, key, data: data() }).unwrap();
            // Interleaved as encoders do: the sound is a bit ahead.
            while with_sound && self.heard < at + 4000 {
                let frame = Frame { time: self.heard, cts_offset: 0, key: true, data: data() };
                if let Some(frame) = self.clock.place(frame) {
                    self.cutter.push(SOUND, frame).unwrap();
                }
                self.heard += 1920;
            }
        }
    }

    fn made(&mut self) -> Vec<Told> {
        told(self.cutter.take())
    }
}

/// A closed segment: whose, which, from when to when in ticks of its rendition, and whether a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    name: RenditionName,
    begun: Begun,
    end: u64,
    parts: usize,
}

fn told(made: Vec<(RenditionName, Made)>) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    let mut open: BTreeMap<RenditionName, Told> = BTreeMap::new();
    for (name, made) in made {
        match made {
            Made::Begun(begun) => {
                let before = open.insert(name, Told { name, begun, end: begun.start, parts: 0 });
                assert_eq!(before, None, "a segment began before the last was closed");
            }
            Made::Part(part, bytes) => {
                let told = open.get_mut(&name).unwrap();
                assert_eq!(bytes.is_empty(), told.begun.gap);
                told.end += u64::from(part.duration);
                told.parts += 1;
            }
            Made::Closed(bytes) => {
                let told = open.remove(&name).unwrap();
                if !bytes.is_empty() {
                    assert_eq!(bytes[4..8], *b"moof");
                }
                all.push(told);
            }
        }
    }
    for name in [PICTURE, SOUND] {
        let one: Vec<&Told> = all.iter().filter(|told| told.name == name).collect();
        for pair in one.windows(2) {
            assert_eq!(pair[0].begun.msn + 1, pair[1].begun.msn, "{name}");
            assert_eq!(pair[0].end, pair[1].begun.start, "{name} at {}", pair[1].begun.msn);
        }
    }
    all
}

fn of(all: &[Told], name: RenditionName) -> Vec<Told> {
    all.iter().filter(|told| told.name == name).cloned().collect()
}

/// Every border of the picture is one of the sound, to a frame.
fn assert_aligned(all: &[Told]) {
    let (picture, sound) = (of(all, PICTURE), of(all, SOUND));
    assert!(picture.len().abs_diff(sound.len()) <= 1, "{} and {}", picture.len(), sound.len());
    for (picture, sound) in picture.iter().zip(&sound) {
        assert_eq!(picture.begun.msn, sound.begun.msn);
        let (at, heard) = (picture.begun.start * 48, sound.begun.start * 90);
        assert!(heard.abs_diff(at) <= 1024 * 90, "{picture:?} {sound:?}");
    }
}

#[test]
fn segments_begin_with_key_frames_and_the_sound_follows() {
    let mut publisher = Publisher::new();
    publisher.send(0, 20 * SECOND, 60, true);
    let all = publisher.made();
    assert_aligned(&all);
    let picture = of(&all, PICTURE);
    assert_eq!(picture.len(), 9);
    for (n, told) in (0u64..).zip(&picture) {
        assert_eq!((told.begun.start, told.end, told.parts), (n * 180_000, (n + 1) * 180_000, 6));
    }
}

#[test]
fn short_groups_share_a_segment_and_long_ones_are_cut() {
    // Pictures in a group, and the lengths of segments in pictures.
    for (group, expected) in [(15, 60), (30, 60), (27, 54), (45, 45), (60, 60), (70, 70), (600, 72)] {
        let mut publisher = Publisher::new();
        publisher.send(0, 30 * SECOND, group, true);
        let all = publisher.made();
        assert_aligned(&all);
        let picture = of(&all, PICTURE);
        assert!(picture.len() > 5, "{group}: {picture:?}");
        let longest = picture.iter().map(|told| (told.end - told.begun.start) / 3000).max();
        assert_eq!(longest, Some(expected), "{group}");
        // Rounded to seconds, none is longer than the target.
        assert!(picture.iter().all(|told| told.end - told.begun.start < 225_000), "{group}");
    }
}

#[test]
fn an_outage_is_a_gap_in_all_renditions_and_what_follows_is_the_next_segment() {
    let mut publisher = Publisher::new();
    publisher.send(0, 5 * SECOND, 60, true);
    let end = publisher.cutter.outage().unwrap();
    assert!((5 * SECOND..5 * SECOND + 4000).contains(&end), "{end}");
    let passed = publisher.cutter.pass(end, end + 7 * SECOND).unwrap();
    assert!(end + 7 * SECOND - passed < 30_000);
    let back = end + 7 * SECOND + 1234;
    publisher.cutter.resume(passed, back, false).unwrap();
    publisher.clock = SoundClock::aac(48_000);
    publisher.send(back, back + 6 * SECOND, 60, true);
    let all = publisher.made();
    assert_aligned(&all);
    let picture = of(&all, PICTURE);
    let gaps: Vec<u32> = picture.iter().filter(|told| told.begun.gap).map(|told| told.begun.msn).collect();
    // 2 + 2 + 1 s, then 2 + 2 + 2 + 1 s of nothing.
    assert_eq!(gaps, [3, 4, 5, 6], "{picture:?}");
    assert_eq!(picture[7].begun.start, back);
    assert!(!picture.iter().any(|told| told.begun.discontinuity));
    assert_eq!(of(&all, SOUND).iter().filter(|told| told.begun.gap).count(), 4);
}

#[test]
fn what_was_shown_of_the_last_gap_stays_when_the_event_ends() {
    for (away, gaps) in [(0, 0), (SECOND, 1), (3 * SECOND, 2)] {
        let mut publisher = Publisher::new();
        publisher.send(0, 5 * SECOND, 60, true);
        let end = publisher.cutter.outage().unwrap();
        publisher.cutter.pass(end, end + away).unwrap();
        publisher.cutter.end().unwrap();
        let all = publisher.made();
        assert_aligned(&all);
        for name in [PICTURE, SOUND] {
            let closed = of(&all, name);
            assert_eq!(closed.iter().filter(|told| told.begun.gap).count(), gaps, "{away}: {closed:?}");
            assert_eq!(closed.len(), 3 + gaps, "{away}: {closed:?}");
        }
    }
}

#[test]
fn a_return_within_a_moment_leaves_no_gap_of_nothing() {
    let mut publisher = Publisher::new();
    publisher.send(0, 4 * SECOND, 60, true);
    let end = publisher.cutter.outage().unwrap();
    publisher.cutter.resume(end, end, true).unwrap();
    publisher.clock = SoundClock::aac(48_000);
    publisher.send(end, end + 6 * SECOND, 60, true);
    let all = publisher.made();
    assert_aligned(&all);
    let picture = of(&all, PICTURE);
    assert!(picture.iter().all(|told| !told.begun.gap && told.end > told.begun.start), "{picture:?}");
    let breaks: Vec<u32> =
        picture.iter().filter(|told| told.begun.discontinuity).map(|told| told.begun.msn).collect();
    assert_eq!(breaks, [2]);
}

#[test]
fn a_sound_that_falls_silent_is_not_waited_for() {
    let mut publisher = Publisher::new();
    publisher.send(0, 5 * SECOND, 60, true);
    publisher.send(5 * SECOND + 15_000, 25 * SECOND, 60, false);
    let all = publisher.made();
    let (picture, sound) = (of(&all, PICTURE), of(&all, SOUND));
    assert!(picture.len() - sound.len() <= 1, "{} and {}", picture.len(), sound.len());
    assert!(sound.last().unwrap().begun.gap && !sound[1].begun.gap);
}

#[test]
fn sound_alone_is_cut_by_its_own_clock() {
    let mut cutter = Cutter::new(Cadence::SOUND, 0, 0, false);
    cutter.join(SOUND, 48_000, 0);
    cutter.set_leader(SOUND);
    for n in 0..470u64 {
        let data = Bytes::from_static(b"frame");
        cutter.push(SOUND, Frame { time: n * 1024, cts_offset: 0, key: true, data }).unwrap();
    }
    let all = told(cutter.take());
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|told| (96_000..98_000).contains(&(told.end - told.begun.start))), "{all:?}");
}

#[test]
fn another_format_is_a_break_in_all_renditions() {
    let mut publisher = Publisher::new();
    publisher.send(0, 3 * SECOND, 30, true);
    let end = publisher.cutter.outage().unwrap();
    publisher.cutter.join(PICTURE, 90_000, 1);
    publisher.cutter.resume(end, end, true).unwrap();
    publisher.clock = SoundClock::aac(48_000);
    publisher.send(end, end + 6 * SECOND, 30, true);
    let all = publisher.made();
    assert_aligned(&all);
    for name in [PICTURE, SOUND] {
        let breaks: Vec<(u32, u32)> = of(&all, name)
            .iter()
            .filter(|told| told.begun.discontinuity)
            .map(|told| (told.begun.msn, told.begun.init))
            .collect();
        assert_eq!(breaks, [(2, u32::from(name.is_video()))], "{name}");
    }
}
