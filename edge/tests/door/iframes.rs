//! I-frame playlists: the first frames of segments, as ranges of them.

use crate::growing::{FIRST, Growing};
use crate::origin::grant;
use crate::serving::{Serving, path};

#[tokio::test]
async fn every_entry_is_the_first_frame_of_its_segment() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(480));
    let multivariant = serving.get(&path("multivariant.m3u8"), &[&bearer]).await.text().to_owned();
    let named = |name: &str| multivariant.contains(&format!("URI=\"{name}/iframes.m3u8\""));
    assert_eq!([named("144p"), named("360p"), named("1080p")], [true, true, false], "{multivariant}");
    for name in ["144p", "360p"] {
        let answer = serving.get(&path(&format!("{name}/iframes.m3u8")), &[&bearer]).await;
        let told = (answer.status, answer.header("content-type"), answer.header("cache-control"));
        assert_eq!(told, (200, "application/vnd.apple.mpegurl", "private, max-age=31536000, immutable"));
        let parsed = m3u8_rs::parse_media_playlist_res(&answer.body).unwrap();
        assert_eq!((parsed.i_frames_only, parsed.segments.len()), (true, 3));
        for (number, segment) in (0..).zip(&parsed.segments) {
            let whole = serving.film.segment(name, number);
            let read = cmaf::read_segment(&whole).unwrap();
            let end = read.payload.start + read.samples[0].size as usize;
            let range = segment.byte_range.as_ref().unwrap();
            assert_eq!((range.offset, range.length), (Some(0), end as u64), "{name}/{number}");
            let header = format!("range: bytes=0-{}", end - 1);
            let frame = serving.get(&path(&format!("{name}/{}", segment.uri)), &[&bearer, &header]).await;
            assert!(frame.status == 206 && frame.body == whole[..end], "{name}/{number}");
        }
    }
}

#[tokio::test]
async fn they_are_gated_as_their_pictures_are() {
    let serving = Serving::start().await;
    let bearer = serving.bearer(&grant(480));
    for (name, headers, status) in [
        ("360p/iframes.m3u8", &[][..], 401),
        ("1080p/iframes.m3u8", &[bearer.as_str()], 403),
        ("480p/iframes.m3u8", &[bearer.as_str()], 404),
        ("a64/iframes.m3u8", &[bearer.as_str()], 404),
    ] {
        assert_eq!(serving.get(&path(name), headers).await.status, status, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_grows_has_none_yet() {
    let growing = Growing::start().await;
    growing.said.grow(Some(growing.film.growing(2, &FIRST)));
    let multivariant = growing.get("multivariant.m3u8?planned=1").await.text().to_owned();
    assert!(
        multivariant.contains("1080p/playlist.m3u8") && !multivariant.contains("iframes"),
        "{multivariant}"
    );
    assert_eq!(growing.get("144p/iframes.m3u8").await.status, 503);
    assert_eq!(growing.get("480p/iframes.m3u8").await.status, 404);
}
