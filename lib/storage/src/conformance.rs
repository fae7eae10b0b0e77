//! What every store promises, checked against each of them.

mod patient;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use model::{ChunkHash, ErrorKind, ObjectKey, RenditionName, VersionId, VideoId};

use crate::testing::SeaweedFs;
use crate::{Flaky, Folder, Memory, ObjectStore, Operation, Part, Parts, S3};
use patient::Patient;

const VIDEO: VideoId = VideoId::from_bits(1);
const OTHER: VideoId = VideoId::from_bits(2);
const VERSION: VersionId = VersionId::from_bits(3);
/// What [`conforms`] calls, in the order of the alphabet.
const METHODS: [&str; 7] = ["delete", "get", "get_range", "list", "put", "put_file", "size"];

fn chunk(video: VideoId, number: u32) -> ObjectKey {
    let rendition = RenditionName::Video { height: 360 };
    let hash = ChunkHash::of(&number.to_le_bytes());
    ObjectKey::Chunk { video, version: VERSION, rendition, number, hash }
}

async fn names(store: &dyn ObjectStore, prefix: &str) -> BTreeMap<String, u64> {
    store.list(prefix).map_ok(|listed| (listed.name, listed.size_bytes)).try_collect().await.unwrap()
}

/// The promises of [`ObjectStore`]; `store` is empty before and after.
async fn conforms(store: &dyn ObjectStore) {
    nothing_is_there(store).await;
    bytes_read_back(store).await;
    ranges_are_exact_or_refused(store).await;
    a_file_is_taken_over(store, 100).await;
    listings_know_prefixes(store).await;
}

async fn nothing_is_there(store: &dyn ObjectStore) {
    let key = ObjectKey::Original { video: VIDEO };
    assert_eq!(store.get(&key).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.get_range(&key, 0..1).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.get_range(&key, 0..0).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.size(&key).await.unwrap(), None);
    store.delete(&key).await.unwrap();
    assert_eq!(names(store, "").await, BTreeMap::new());
}

async fn bytes_read_back(store: &dyn ObjectStore) {
    let key = ObjectKey::Index { video: VIDEO, version: VERSION };
    for bytes in ["", "one", "two: written over", "two: written over"] {
        store.put(&key, Bytes::from_static(bytes.as_bytes())).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), bytes);
        assert_eq!(store.size(&key).await.unwrap(), Some(bytes.len() as u64));
    }
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert_eq!(store.size(&key).await.unwrap(), None);
}

async fn ranges_are_exact_or_refused(store: &dyn ObjectStore) {
    let key = chunk(VIDEO, 0);
    store.put(&key, Bytes::from_static(b"0123456789")).await.unwrap();
    for range in [0..10, 0..1, 9..10, 3..7, 0..0, 10..10] {
        let expected = &b"0123456789"[range.start as usize..range.end as usize];
        assert_eq!(store.get_range(&key, range.clone()).await.unwrap(), expected, "{range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a range that ends before it begins is refused")]
    for range in [0..11, 9..12, 10..11, 11..11, 7..3, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
        let error = store.get_range(&key, range.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Range, "{range:?}");
    }
    store.delete(&key).await.unwrap();
}

async fn a_file_is_taken_over(store: &dyn ObjectStore, size: usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spool");
    let key = ObjectKey::Original { video: VIDEO };
    let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    store.put_file(&key, &file).await.unwrap();
    assert!(!file.exists());
    assert_eq!(store.size(&key).await.unwrap(), Some(size as u64));
    assert!(store.get(&key).await.unwrap() == bytes);
    let error = store.put_file(&key, &file).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Operation::Put));
    store.delete(&key).await.unwrap();
}

async fn listings_know_prefixes(store: &dyn ObjectStore) {
    let keys = [ObjectKey::Original { video: VIDEO }, chunk(VIDEO, 1), chunk(VIDEO, 2), chunk(OTHER, 1)];
    for key in &keys {
        store.put(key, Bytes::from_static(b"12345")).await.unwrap();
    }
    let expected = |keys: &[ObjectKey]| keys.iter().map(|key| (key.to_string(), 5)).collect();
    assert_eq!(names(store, "").await, expected(&keys));
    assert_eq!(names(store, ObjectKey::ROOT).await, expected(&keys));
    assert_eq!(names(store, &ObjectKey::video_prefix(VIDEO)).await, expected(&keys[..3]));
    assert_eq!(names(store, &ObjectKey::video_prefix(OTHER)).await, expected(&keys[3..]));
    assert_eq!(names(store, &keys[1].to_string()[..100]).await, expected(&keys[1..2]));
    assert_eq!(names(store, "videos/../").await, BTreeMap::new());
    for key in &keys {
        store.delete(key).await.unwrap();
    }
    assert_eq!(names(store, "").await, BTreeMap::new());
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&Memory::default()).await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let root = tempfile::tempdir().unwrap();
    conforms(&Folder::open(root.path().join("made/on/the/way")).await.unwrap()).await;
}

#[tokio::test]
async fn a_flaky_store_fails_first_and_then_conforms() {
    let key = chunk(VIDEO, 1);
    let store = Flaky::new(Memory::default(), 2);
    for _ in 0..2 {
        let error = store.put(&key, Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(store.inner().size(&key).await.unwrap(), None);
    }
    store.put(&key, Bytes::from_static(b"x")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.size(&key).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(store.size(&key).await.unwrap(), Some(1));

    let store = Patient::new(Memory::default(), 2);
    conforms(&store).await;
    assert_eq!(store.repeated(), METHODS);

    let store = Flaky::losing_answers(Memory::default(), 1);
    assert_eq!(store.put(&key, Bytes::from_static(b"x")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.inner().size(&key).await.unwrap(), Some(1));
}

#[tokio::test]
async fn s3_conforms_and_keeps_parts() {
    let server = SeaweedFs::start();
    let store = S3::open(&server.config("plain")).await.unwrap();
    conforms(&store).await;
    a_file_is_taken_over(&store, (20 << 20) + 1).await;
    parts_become_an_object(&store, &store).await;

    let flaky = Patient::new(S3::open(&server.config("flaky")).await.unwrap(), 2);
    conforms(&flaky).await;
    assert_eq!(flaky.repeated(), METHODS);
    parts_become_an_object(&flaky, flaky.parts().unwrap()).await;
    for method in ["start_parts", "put_part", "complete_parts", "abort_parts", "unfinished_parts"] {
        assert!(flaky.repeated().contains(&method), "{method}");
    }

    // Two installations share a bucket and do not see each other.
    let mut config = server.config("plain");
    config.prefix = "ours/".to_owned();
    let shared = S3::open(&config).await.unwrap();
    let key = chunk(VIDEO, 1);
    store.put(&key, Bytes::from_static(b"another's")).await.unwrap();
    shared.put(&key, Bytes::from_static(b"ours")).await.unwrap();
    assert_eq!(names(&shared, "").await, BTreeMap::from([(key.to_string(), 4)]));
    assert_eq!(store.get(&key).await.unwrap(), "another's");
    store.delete(&key).await.unwrap();
    shared.delete(&key).await.unwrap();
    conforms(&shared).await;
    parts_become_an_object(&shared, &shared).await;

    config.secret_access_key = crate::Secret::new("wrong");
    assert_eq!(S3::open(&config).await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(server);
    assert_eq!(store.size(&key).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

async fn parts_become_an_object(store: &dyn ObjectStore, parts: &dyn Parts) {
    let key = ObjectKey::Original { video: VIDEO };
    let token = parts.start_parts(&key).await.unwrap();
    let first = Bytes::from(vec![1; parts.least_part_size() as usize]);
    parts.put_part(&key, &token, 1, Bytes::from_static(b"written again below")).await.unwrap();
    let tags = [
        parts.put_part(&key, &token, 1, first.clone()).await.unwrap(),
        parts.put_part(&key, &token, 2, Bytes::from_static(b"tail")).await.unwrap(),
    ];
    assert_eq!(store.size(&key).await.unwrap(), None);
    let written = [1, 2].into_iter().zip(tags).map(|(number, tag)| Part { number, tag }).collect::<Vec<_>>();
    parts.complete_parts(&key, &token, &written).await.unwrap();
    let bytes = store.get(&key).await.unwrap();
    assert!(bytes[..first.len()] == first && &bytes[first.len()..] == b"tail");
    // A second try, by somebody who did not get the answer, harms nothing.
    if let Err(error) = parts.complete_parts(&key, &token, &written).await {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(store.size(&key).await.unwrap(), Some(bytes.len() as u64));
    store.delete(&key).await.unwrap();

    let token = parts.start_parts(&key).await.unwrap();
    parts.put_part(&key, &token, 1, first).await.unwrap();
    let begun = parts.unfinished_parts().await.unwrap();
    let begun: Vec<_> = begun.iter().map(|begun| (&begun.name, &begun.token)).collect();
    assert_eq!(begun, [(&key.to_string(), &token)]);
    parts.abort_parts(&key, &token).await.unwrap();
    parts.abort_parts(&key, &token).await.unwrap();
    assert_eq!(parts.unfinished_parts().await.unwrap(), []);
    let error = parts.put_part(&key, &token, 2, Bytes::from_static(b"late")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(names(store, "").await, BTreeMap::new());
}
