use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cmaf::{Sample, segment_head};
use live::Begun;
use model::{ManualClock, Timestamp};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use storage::Memory;

use super::*;
use crate::live::broadcast::Broadcast;
use crate::live::spool::Spool;
use crate::live::testing::{OWN, SMALL, SOUND, breaking, record, rendition};

/// An event that is over, in a spool: of each segment two pictures, whose bytes say where they belong.
struct Spooled {
    archive: Archive,
    closed: BTreeMap<(RenditionName, u32), Bytes>,
    store: Arc<Memory>,
    spool: Spool,
    _folder: tempfile::TempDir,
}

impl Spooled {
    fn new(renditions: &[(RenditionName, Recorded)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let event = record([]);
        let Record { video, version, timing, .. } = event;
        let mut spool =
            Spool::create(folder.path().join("event"), &Line::Began { video, version, timing }).unwrap();
        let (mut lines, mut segments) = (Vec::new(), Vec::new());
        for (name, recorded) in renditions {
            for track in &recorded.tracks {
                lines.push(Line::Track(track.clone()));
                spool.begin(lines.last().unwrap(), &init(*name, track.init)).unwrap();
            }
            for (segment, _) in &recorded.segments {
                let bytes = if segment.begun.gap { Bytes::new() } else { closed(segment) };
                let segment = Segment { size_bytes: bytes.len() as u32, ..segment.clone() };
                segments.push((*name, segment, bytes));
            }
        }
        lines.extend(spool.close(&segments).unwrap());
        let store = Arc::new(Memory::new(Arc::new(ManualClock::at(Timestamp::from_seconds(0)))));
        let archive = Archive::new(
            event,
            spool.reader(),
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(Semaphore::new(1)),
        );
        archive.note(lines);
        let closed = segments.into_iter().map(|(name, segment, bytes)| ((name, segment.begun.msn), bytes));
        Self { closed: closed.collect(), archive, store, spool, _folder: folder }
    }

    async fn shelved(&self) -> VersionIndex {
        for name in self.archive.renditions() {
            while let Some(line) = self.archive.seal(name, true).await.unwrap() {
                self.archive.note([line]);
            }
        }
        let (index, _) = self.archive.finish().await.unwrap().unwrap();
        assert_eq!(VersionIndex::from_json(&index.to_json()).unwrap(), index);
        index
    }

    /// The pictures of a film in order, each with how long it lasts.
    async fn pictures(&self, index: &VersionIndex, name: RenditionName) -> Vec<(u8, u32)> {
        let rendition = index.rendition(name).unwrap();
        let mut pictures = Vec::new();
        let mut end = 0;
        for chunk in &rendition.chunks {
            let bytes = self.store.get(&index.chunk_key(name, chunk)).await.unwrap();
            for segment in read_chunk_index(&bytes).unwrap().segments {
                assert_eq!(segment.base_decode_time, end, "one behind the other");
                end += ticks_of(&segment.samples);
            }
            let mut at = 0;
            for segment in &chunk.segments {
                let whole = &bytes[at..at + segment.size_bytes as usize];
                at += whole.len();
                let ReadSegment { samples, payload, .. } = read_part(whole).unwrap();
                pictures.extend(
                    whole[payload].iter().zip(samples).map(|(byte, sample)| (*byte, sample.duration)),
                );
            }
        }
        pictures
    }
}

fn init(name: RenditionName, number: u32) -> Bytes {
    format!("{name} {number}").into()
}

fn closed(segment: &Segment) -> Bytes {
    let Begun { msn, start, .. } = segment.begun;
    let sample = |sync| Sample { size: 1, duration: 1000, cts_offset: 0, sync };
    let samples = [sample(true), sample(false)];
    let payload = [msn as u8 * 2, msn as u8 * 2 + 1];
    [&segment_head(msn, start, &samples, 2).unwrap()[..], &payload].concat().into()
}

#[tokio::test]
async fn a_film_of_several_formats_has_every_picture_and_breaks_everywhere_at_once() {
    let name = |height| RenditionName::Video { height };
    // Everybody lacks 2 and 3; with 4 and with 8 the publisher has another format.
    let own = breaking(rendition(OWN, 0..12, &[2, 3]), &[4, 8]);
    let event = Spooled::new(&[
        own,
        // Its encoder is a bit late behind each change, and has a pause.
        rendition(SMALL, 0..12, &[2, 3, 4, 8, 10]),
        // It has nothing of the second format,
        rendition(name(72), 0..12, &[2, 3, 4, 5, 6, 7]),
        // and this one nothing of the first.
        rendition(name(90), 5..12, &[]),
    ]);
    let index = event.shelved().await;
    assert_eq!(index.format, VersionIndex::FORMAT_OF_SEVERAL);
    for rendition in &index.renditions {
        let starts: Vec<u64> = rendition.segments().map(|segment| segment.start).collect();
        let breaks: Vec<u64> = rendition.breaks.iter().map(|at| starts[*at as usize]).collect();
        assert_eq!((breaks, rendition.duration()), (vec![4000, 12_000], 20_000), "{}", rendition.name);
    }
    let formats: Vec<_> = index.rendition(OWN).unwrap().formats().map(|it| (it.number, it.segment)).collect();
    assert_eq!(formats, [(0, 0), (1, 2), (2, 6)]);
    for (number, _) in formats {
        assert_eq!(event.store.get(&index.init_key(OWN, number)).await.unwrap(), init(OWN, number));
    }
    let all = (0..24).filter(|picture| !(4..8).contains(picture)).map(|picture| (picture, 1000));
    assert_eq!(event.pictures(&index, OWN).await, all.collect::<Vec<_>>());
    let small = event.pictures(&index, SMALL).await;
    // The first picture behind a break lasts from there; what is lost elsewhere the one before fills.
    assert_eq!(small[4..6], [(10, 3000), (11, 1000)]);
    assert_eq!(small[10..14], [(18, 3000), (19, 3000), (22, 1000), (23, 1000)]);
    let none_of_second = event.pictures(&index, name(72)).await;
    assert_eq!(none_of_second[3..6], [(3, 1000), (16, 8000), (16, 1000)]);
    let none_of_first = event.pictures(&index, name(90)).await;
    assert_eq!(none_of_first[..3], [(10, 4000), (10, 3000), (11, 1000)]);
    assert_eq!(index.rendition(SMALL).unwrap().changes, []);
}

#[tokio::test]
async fn what_is_in_the_store_only_is_as_it_was_on_air() {
    let own = breaking(rendition(OWN, 0..40, &[2, 3]), &[4, 8]);
    let event = Spooled::new(&[
        own,
        rendition(SMALL, 0..40, &[2, 3, 4, 8, 10]),
        rendition(RenditionName::Video { height: 90 }, 5..40, &[]),
    ]);
    event.shelved().await;
    for (name, msn) in event.closed.keys() {
        event.spool.reader().discard(*name, *msn).unwrap();
    }
    for ((name, msn), bytes) in &event.closed {
        let found = event.archive.segment(*name, *msn).await.unwrap();
        assert_eq!(found.is_some(), !bytes.is_empty(), "{name} {msn}");
        let Some(found) = found else { continue };
        let read = |bytes: &Bytes| {
            let ReadSegment { samples, payload, .. } = read_part(bytes).unwrap();
            (samples, bytes.slice(payload))
        };
        assert_eq!(read(&found), read(bytes), "{name} {msn}");
    }
}

#[test]
fn all_that_have_enough_have_their_turn() {
    const MIDDLE: RenditionName = RenditionName::Video { height: 240 };
    let given_up: Vec<u32> = (20..100).collect();
    let event = record([
        rendition(SMALL, 0..40, &[]),
        rendition(MIDDLE, 0..100, &given_up),
        rendition(OWN, 0..100, &[40, 41]),
    ]);
    for (last, expected) in [(None, SMALL), (Some(SMALL), OWN), (Some(MIDDLE), OWN), (Some(OWN), SMALL)] {
        assert_eq!(due(&event, last), Some(expected), "after {last:?}");
    }
    let alone = record([rendition(OWN, 0..32, &[])]);
    assert_eq!(due(&alone, Some(OWN)), Some(OWN));
    let too_little = record([rendition(OWN, 0..33, &[3, 4]), rendition(MIDDLE, 0..100, &given_up)]);
    assert_eq!(due(&too_little, None), None);
}

/// Nothing is recorded in it but the segment that its reel is asked for.
fn archive(store: Arc<dyn ObjectStore>, record: Record, folder: &Path) -> Archive {
    let began = Line::Began { video: record.video, version: record.version, timing: record.timing };
    let spool = Spool::create(folder.to_owned(), &began).unwrap();
    Archive::new(record, spool.reader(), store, Arc::new(Semaphore::new(1)))
}

fn store() -> Arc<dyn ObjectStore> {
    Arc::new(Memory::new(Arc::new(ManualClock::at(Timestamp::from_seconds(0)))))
}

#[test]
fn who_seals_keeps_no_thread_that_serves_others() {
    let event = record([rendition(OWN, 0..40, &[])]);
    others_go_on(event, &format!("{OWN}-00000000.reel"), async |archive| {
        let _ = archive.seal(OWN, true).await;
    });
}

#[test]
fn who_puts_an_event_on_the_shelf_keeps_no_thread_that_serves_others() {
    let hash = ChunkHash::of(b"");
    let chunk = ChunkRef { number: 0, hash, size_bytes: 1, index_bytes: 1, segments: vec![] };
    let (_, recorded) = rendition(OWN, 0..1, &[]);
    let event = record([(OWN, Recorded { sealed: vec![(vec![(0, 0)], chunk)], ..recorded })]);
    others_go_on(event, &format!("{OWN}-init-0.mp4"), async |archive| {
        let _ = archive.finish().await;
    });
}

/// A file of the spool that nobody writes to yet: whoever opens it waits.
fn others_go_on(event: Record, file: &str, work: impl AsyncFnOnce(&Archive) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(store(), event, &folder.path().join("event"));
    let file = folder.path().join("event").join(file);
    mkfifo(&file, Mode::S_IRWXU).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let others = async {
                tokio::task::yield_now().await;
                done.send(()).unwrap();
            };
            tokio::join!(work(&archive), others);
        });
    });
    is_done.recv_timeout(Duration::from_secs(30)).expect("the disk held up everybody");
    // Whoever waits for it is let go.
    drop(std::fs::OpenOptions::new().write(true).open(&file).unwrap());
}

#[tokio::test]
async fn a_clip_waits_for_no_event_and_no_event_for_a_clip() {
    let folder = tempfile::tempdir().unwrap();
    let event = record([]);
    let archive = archive(store(), event.clone(), &folder.path().join("event"));
    let Record { video, version, timing, .. } = event;
    let broadcast = Broadcast::new(live::Event {
        video,
        version,
        timing,
        renditions: Vec::new(),
        revision: 0,
        ended: false,
    });
    let on_air = Arc::new(OnAir { broadcast, archive });
    let clip = Archive::of_clip(event, Arc::clone(&on_air), Arc::new(Semaphore::new(1)));
    let _sealing = on_air.archive.turns.acquire().await.unwrap();
    let sealed = tokio::time::timeout(Duration::from_secs(30), clip.seal(OWN, true)).await;
    assert!(matches!(sealed, Ok(Ok(None))), "{sealed:?}");
}

#[tokio::test]
async fn sound_without_a_picture_is_in_the_film_and_stays_with_it() {
    // The publisher was away, and then came back with sound alone for a while; with another for 8 and 9.
    let picture = |name| breaking(rendition(name, 0..14, &[2, 3, 6, 7, 8, 9]), &[8, 10]);
    let sound = breaking(rendition(SOUND, 0..14, &[2, 3]), &[8, 10]);
    let event = Spooled::new(&[sound, picture(OWN), picture(SMALL)]);
    let index = event.shelved().await;
    for rendition in &index.renditions {
        let starts: Vec<u64> = rendition.segments().map(|segment| segment.start).collect();
        let breaks: Vec<u64> = rendition.breaks.iter().map(|at| starts[*at as usize]).collect();
        assert_eq!((breaks, rendition.duration()), (vec![12_000, 16_000], 24_000), "{}", rendition.name);
    }
    let sounds = event.pictures(&index, SOUND).await;
    assert_eq!(sounds.len(), 24);
    assert!(sounds.iter().all(|(_, lasts)| *lasts == 1000), "{sounds:?}");
    let pictures = event.pictures(&index, OWN).await;
    assert_eq!(pictures[6..10], [(10, 1000), (11, 5000), (20, 4000), (20, 1000)]);
}

#[tokio::test]
async fn a_chunk_waits_until_it_is_clear_what_the_film_has() {
    // What the sound has of segment 20 decides whether the picture lacks it.
    for (sound, is_there) in [(0..20, false), (0..21, true)] {
        let event = Spooled::new(&[rendition(SOUND, sound, &[]), rendition(OWN, 0..34, &[20])]);
        assert_eq!(event.archive.seal(OWN, false).await.unwrap().is_some(), is_there);
    }
}
