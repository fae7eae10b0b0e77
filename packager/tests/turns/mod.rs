//! Who comes before whom, where several films want the machine.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use model::ObjectKey;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use packager::{Packager, PackagerError};
use storage::{Listed, ObjectStore, StorageError};

use crate::house::{House, clip, transcoder};
use crate::{FIRST, SECOND, SOUND};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_waits_for_gets_the_processor_before_the_rest() {
    let house = House::new().await;
    let folder = house.folder().display();
    let told = |pattern, file| format!("{pattern}) cut -d' ' -f19 /proc/$$/stat > {folder}/{file} ;;");
    let action = format!("case $(cat request) in {} {} esac", told(FIRST, "first"), told(SECOND, "second"));
    let packager = house.start(house.config(house.when("*", &action)));
    let video = house.upload(clip(12)).await;
    house.until_ready(video).await;
    packager.stop().await;
    let nice = |file| std::fs::read_to_string(house.folder().join(file)).unwrap().trim().to_owned();
    // The server itself, and so the edge, is at 0.
    assert_eq!((nice("first"), nice("second")), ("5".to_owned(), "19".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_begins_while_two_long_ones_have_their_sound_made() {
    let house = House::new().await;
    let mark = |group: &str| house.folder().join(group);
    let tell = format!("echo $$ > {0}.new; mv {0}.new {0}$$", mark("sound-").display());
    // One worker for everything, and one for what somebody waits for.
    let packager = house.start(house.config(house.when(SOUND, &tell)));
    let mut long = Vec::new();
    for n in 1..=2 {
        let video = house.upload(silence(3600)).await;
        long.push(house.until_playing(video).await);
        let cells: Vec<Pid> = std::fs::read_dir(house.folder())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix("sound-")?.parse().ok())
            .map(Pid::from_raw)
            .collect();
        assert_eq!(cells.len(), n);
        // They stand still, and so will not be done before the third.
        cells.iter().for_each(|group| killpg(*group, Signal::SIGSTOP).unwrap());
    }
    let short = house.upload(silence(3)).await;
    house.until_ready(short).await;
    for version in long {
        assert!(house.catalog.growing(version).await.unwrap().is_some(), "ended before the short one");
    }
    packager.stop().await;
}

/// A file of so many seconds without a picture, which takes an encoder long and us no time.
fn silence(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 8000;
    let size = seconds * RATE * 2;
    let word = |value: u32| value.to_le_bytes();
    let mut wav = [*b"RIFF", word(36 + size), *b"WAVE", *b"fmt ", word(16)].concat();
    // PCM, one channel, the rate, bytes a second, two bytes a sample of 16 bits.
    wav.extend([word(1 | 1 << 16), word(RATE), word(RATE * 2), word(2 | 16 << 16)].concat());
    wav.extend([*b"data", word(size)].concat());
    wav.resize(wav.len() + size as usize, 0);
    wav
}

/// A store with a defect that every job meets.
#[derive(Debug)]
struct Defective;

#[async_trait]
impl ObjectStore for Defective {
    async fn put(&self, _: &ObjectKey, _: Bytes) -> Result<(), StorageError> {
        panic!("a defect")
    }
    async fn put_file(&self, _: &ObjectKey, _: &Path) -> Result<(), StorageError> {
        panic!("a defect")
    }
    async fn get(&self, _: &ObjectKey) -> Result<Bytes, StorageError> {
        panic!("a defect")
    }
    async fn get_range(&self, _: &ObjectKey, _: Range<u64>) -> Result<Bytes, StorageError> {
        panic!("a defect")
    }
    async fn size(&self, _: &ObjectKey) -> Result<Option<u64>, StorageError> {
        panic!("a defect")
    }
    async fn delete(&self, _: &ObjectKey) -> Result<(), StorageError> {
        panic!("a defect")
    }
    fn list<'a>(&'a self, _: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        panic!("a defect")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_dies_of_a_defect_ends_the_packager() {
    let house = House::new().await;
    house.upload(clip(3)).await;
    let store = Arc::new(Defective);
    let packager =
        Packager::new(house.config(transcoder()), house.catalog.clone(), store, house.clock.clone());
    let ended = tokio::time::timeout(Duration::from_secs(60), packager.run(Default::default())).await;
    assert!(matches!(ended, Ok(Err(PackagerError::Worker(_)))), "last seen: {ended:?}");
}
