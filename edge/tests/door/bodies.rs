//! The bytes: those that were put, from every kind of store.

use cmaf::{VirtualMp4, VirtualTrack, read_chunk_index};
use model::ObjectKey;
use storage::{Memory, ObjectStore};

use crate::film::{Film, PICTURES, SOUNDS, VERSION, VIDEO};
use crate::origin::{grant, keeping};
use crate::serving::{Serving, path};

async fn plays_whole<S: ObjectStore>(serving: &Serving<S>) {
    let bearer = serving.bearer(&grant(1080));
    let names = PICTURES.map(|height| format!("{height}p")).into_iter();
    for name in names.chain(SOUNDS.map(|kbps| format!("a{kbps}"))) {
        let playlist = serving.get(&path(&format!("{name}/playlist.m3u8")), &[&bearer]).await;
        let uris: Vec<_> = playlist.text().lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(uris, ["0.m4s", "1.m4s", "2.m4s"], "{name}");
        for (n, uri) in (0..).zip(uris) {
            let segment = serving.get(&path(&format!("{name}/{uri}")), &[&bearer]).await;
            assert!(segment.body == serving.film.segment(&name, n), "{name}/{uri} has other bytes");
        }
        let init = serving.get(&path(&format!("{name}/init.mp4")), &[&bearer]).await;
        let rendition = name.parse().unwrap();
        let key = ObjectKey::Init { video: VIDEO, version: VERSION, rendition, number: 0 };
        assert!(init.body == *serving.film.object(key), "{name}/init.mp4 has other bytes");
    }
    let poster = serving.get(&path("poster.jpg"), &[&bearer]).await;
    assert!(poster.body == *serving.film.object(ObjectKey::Poster { video: VIDEO, version: VERSION }));
}

#[tokio::test]
async fn a_film_plays_out_of_memory() {
    plays_whole(&Serving::start().await).await;
}

#[tokio::test]
async fn a_film_plays_out_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    plays_whole(&Serving::start_in(folder.path()).await).await;
}

#[tokio::test]
async fn a_film_plays_without_any_memory_for_media() {
    let config = edge::Config { media_cache_bytes: 0, index_cache_bytes: 0, ..edge::Config::default() };
    plays_whole(&Serving::over(Memory::default(), config).await).await;
}

/// The plain MP4 of a picture, built from what was put.
fn mp4(film: &Film, picture: &str) -> (Vec<u8>, String) {
    let picture = film.index.rendition(picture.parse().unwrap()).unwrap();
    let sound = film.index.audio_for(picture.name).unwrap();
    let tracks = [picture, sound];
    let init = |rendition: &cmaf::RenditionIndex| film.object(film.index.init_key(rendition.name, 0)).clone();
    let inits = tracks.map(|rendition| [init(rendition)]);
    let chunks: Vec<Vec<_>> = tracks
        .iter()
        .map(|rendition| {
            let read = |chunk: &cmaf::ChunkRef| {
                read_chunk_index(film.object(film.index.chunk_key(rendition.name, chunk))).unwrap()
            };
            rendition.chunks.iter().map(read).collect()
        })
        .collect();
    let tracks: Vec<_> = tracks
        .iter()
        .zip(&inits)
        .zip(&chunks)
        .map(|((rendition, inits), chunks)| VirtualTrack { rendition, inits, chunks })
        .collect();
    let map = VirtualMp4::build(&tracks).unwrap();
    let mut bytes = Vec::new();
    for piece in map.pieces(0..map.len()) {
        match (&piece, piece.key(VIDEO, VERSION)) {
            (cmaf::Piece::Object { range, .. }, Some(key)) => {
                bytes.extend_from_slice(&film.object(key)[range.start as usize..range.end as usize]);
            }
            (cmaf::Piece::Head(range), _) => bytes.extend_from_slice(&map.head()[range.clone()]),
            (cmaf::Piece::Object { .. }, None) => unreachable!("a piece of an object has a key"),
        }
    }
    (bytes, map.etag().to_owned())
}

#[tokio::test]
async fn a_plain_mp4_is_made_of_the_streams_and_every_edge_makes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let here = Serving::start().await;
    let there = Serving::start_in(folder.path()).await;
    for picture in ["144p", "360p", "1080p"] {
        let (expected, etag) = mp4(&here.film, picture);
        let name = path(&format!("{picture}.mp4"));
        let one = here.get(&name, &[&here.bearer(&keeping(1080))]).await;
        assert!(one.body == expected, "{picture}: other bytes");
        assert_eq!(one.header("etag"), etag);
        // A download that was cut here goes on there.
        let half = expected.len() / 2;
        let condition = [
            there.bearer(&keeping(1080)),
            format!("range: bytes={half}-"),
            format!("if-range: {}", one.header("etag")),
        ];
        let rest = there.get(&name, &[&condition[0], &condition[1], &condition[2]]).await;
        assert_eq!(rest.status, 206, "{picture}");
        assert!(rest.body == expected[half..], "{picture}: other bytes in the second half");
    }
}

#[tokio::test]
async fn many_who_want_one_segment_cause_one_read() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(1080));
    assert_eq!(serving.get(&path("1080p/playlist.m3u8"), &[&bearer]).await.status, 200);
    let before = serving.store.reads();
    let name = path("1080p/0.m4s");
    let headers = [bearer.as_str()];
    let wanted = (0..50).map(|_| serving.get(&name, &headers));
    let wanted: Vec<_> = wanted.collect();
    for answer in futures::future::join_all(wanted).await {
        assert!(answer.body == serving.film.segment("1080p", 0));
    }
    // Two segments, the index behind them, and a look at the object's size.
    assert_eq!(serving.store.reads() - before, 4);
    assert_eq!(serving.get(&path("1080p/1.m4s"), &[&bearer]).await.status, 200);
    assert_eq!(serving.store.reads() - before, 4, "its neighbour came with it");
}
