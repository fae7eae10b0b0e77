use cmaf::{Change, ChunkRef, Sample, SegmentRef, SegmentSamples};
use expect_test::expect;
use model::cell::Ratio;
use model::{ChunkHash, RenditionName, VersionId, VideoId};
use proptest::prelude::*;

use super::*;

fn rendition(name: &str, codecs: &str, timescale: u32, segments: Vec<SegmentRef>) -> RenditionIndex {
    let name: RenditionName = name.parse().unwrap();
    let kind = match name {
        RenditionName::Video { height } => RenditionKind::Video {
            width: height * 16 / 9,
            height,
            frame_rate: if height > 144 { Ratio::new(30_000, 1001) } else { Ratio::new(15, 1) },
        },
        RenditionName::Audio { .. } => RenditionKind::Audio { channels: 2, sample_rate: timescale },
    };
    RenditionIndex {
        name,
        codecs: codecs.to_owned(),
        timescale,
        kind,
        bandwidth: Bandwidth::measure(timescale, segments.iter().copied()),
        init_size: 600,
        init_hash: ChunkHash::of(b"init"),
        chunks: vec![ChunkRef {
            number: 0,
            hash: ChunkHash::of(b"chunk"),
            size_bytes: segments.iter().map(|segment| u64::from(segment.size_bytes)).sum(),
            index_bytes: 0,
            segments,
        }],
        changes: Vec::new(),
        breaks: Vec::new(),
    }
}

fn index(renditions: Vec<RenditionIndex>) -> VersionIndex {
    VersionIndex {
        format: VersionIndex::FORMAT,
        video: VideoId::from_bits(1),
        version: VersionId::from_bits(2),
        duration_ms: 10_000,
        renditions,
    }
}

/// Segments of a constant rate in bit/s.
fn segments(rate: u64, timescale: u32, durations: &[u32]) -> Vec<SegmentRef> {
    let size = |ticks: u32| u32::try_from(rate * u64::from(ticks) / u64::from(timescale) / 8).unwrap();
    durations.iter().map(|ticks| SegmentRef { size_bytes: size(*ticks), duration: *ticks }).collect()
}

fn film() -> VersionIndex {
    let sound = |name, rate| {
        rendition(name, "mp4a.40.2", 48_000, segments(rate, 48_000, &[192_512, 191_488, 97_280]))
    };
    let picture = |name, codecs, rate| {
        rendition(name, codecs, 90_000, segments(rate, 90_000, &[360_360, 360_360, 180_180]))
    };
    index(vec![
        sound("a32", 32_000),
        sound("a64", 64_000),
        sound("a128", 128_000),
        picture("144p", "avc1.42c00c", 44_000),
        picture("360p", "avc1.4d401e", 400_000),
        picture("1080p", "avc1.640028", 4_000_000),
    ])
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_grant_to_480_gets_what_480_allows() {
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MEDIA:TYPE=AUDIO,URI="a32/playlist.m3u8",GROUP-ID="a32",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"
        #EXT-X-MEDIA:TYPE=AUDIO,URI="a64/playlist.m3u8",GROUP-ID="a64",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"
        #EXT-X-MEDIA:TYPE=AUDIO,URI="a128/playlist.m3u8",GROUP-ID="a128",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"
        #EXT-X-STREAM-INF:BANDWIDTH=76000,AVERAGE-BANDWIDTH=75999,CODECS="avc1.42c00c,mp4a.40.2",RESOLUTION=256x144,FRAME-RATE=15,AUDIO="a32"
        144p/playlist.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=464000,AVERAGE-BANDWIDTH=463999,CODECS="avc1.4d401e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=29.97,AUDIO="a64"
        360p/playlist.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=32000,AVERAGE-BANDWIDTH=31999,CODECS="mp4a.40.2"
        a32/playlist.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=64000,AVERAGE-BANDWIDTH=63999,CODECS="mp4a.40.2"
        a64/playlist.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=128000,AVERAGE-BANDWIDTH=127999,CODECS="mp4a.40.2"
        a128/playlist.m3u8
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=44000,CODECS="avc1.42c00c",RESOLUTION=256x144,URI="144p/iframes.m3u8"
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400000,CODECS="avc1.4d401e",RESOLUTION=640x360,URI="360p/iframes.m3u8"
    "##]].assert_eq(&text(multivariant(&offers(&film()), 480)));
}

#[test]
fn every_height_sees_its_own_and_sound_is_always_there() {
    for (height, pictures) in [(0, 0), (143, 0), (144, 1), (360, 2), (1079, 2), (1080, 3), (4320, 3)] {
        let mut parsed = m3u8_rs::parse_master_playlist_res(&multivariant(&offers(&film()), height)).unwrap();
        let scrubbed: Vec<_> = parsed.variants.extract_if(.., |variant| variant.is_i_frame).collect();
        assert_eq!(scrubbed.len(), pictures, "{height}: {scrubbed:?}");
        let heights: Vec<_> =
            parsed.variants.iter().filter_map(|variant| variant.resolution).map(|size| size.height).collect();
        assert_eq!(heights.len(), pictures, "{height}: {heights:?}");
        assert!(heights.iter().all(|found| *found <= u64::from(height)));
        assert_eq!(parsed.variants.len() - pictures, 3, "sound alone");
        for variant in &parsed.variants[..pictures] {
            let group = variant.audio.as_ref().unwrap();
            assert!(parsed.alternatives.iter().any(|sound| sound.group_id == *group), "{group}");
        }
    }
}

#[test]
fn the_smallest_variant_fits_a_link_of_90_kbit() {
    let parsed = m3u8_rs::parse_master_playlist_res(&multivariant(&offers(&film()), 144)).unwrap();
    assert!(parsed.variants[0].bandwidth <= 90_000, "{}", parsed.variants[0].bandwidth);
}

#[test]
fn a_silent_film_names_no_sound() {
    let silent = index(vec![rendition("144p", "avc1.42c00c", 90_000, segments(44_000, 90_000, &[360_360]))]);
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-STREAM-INF:BANDWIDTH=44000,AVERAGE-BANDWIDTH=44000,CODECS="avc1.42c00c",RESOLUTION=256x144,FRAME-RATE=15
        144p/playlist.m3u8
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=44000,CODECS="avc1.42c00c",RESOLUTION=256x144,URI="144p/iframes.m3u8"
    "##]].assert_eq(&text(multivariant(&offers(&silent), 480)));
}

#[test]
fn a_media_playlist_is_complete() {
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-TARGETDURATION:4
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.004,
        0.m4s
        #EXTINF:4.004,
        1.m4s
        #EXTINF:2.002,
        2.m4s
        #EXT-X-ENDLIST
    "##]]
    .assert_eq(&text(media(film().rendition("360p".parse().unwrap()).unwrap())));
}

/// A film whose own picture became smaller, and whose other renditions broke with it.
fn broken_film() -> VersionIndex {
    let mut film = film();
    for rendition in &mut film.renditions {
        rendition.breaks = vec![1];
    }
    let picture = &mut film.renditions[5];
    let segments = picture.chunks[0].segments.split_off(1);
    let chunk = ChunkRef { number: 1, segments, ..picture.chunks[0].clone() };
    picture.chunks.push(chunk);
    let RenditionKind::Video { frame_rate, .. } = picture.kind else { panic!("a picture") };
    picture.changes = vec![Change {
        segment: 1,
        codecs: "hvc1.1.6.L93.90".to_owned(),
        kind: RenditionKind::Video { width: 1280, height: 720, frame_rate },
        init_size: 700,
        init_hash: ChunkHash::of(b"another"),
    }];
    film
}

#[test]
fn a_film_of_several_formats_changes_its_init_behind_a_break_that_all_have() {
    let film = broken_film();
    let playlist = |name: &str| text(media(film.rendition(name.parse().unwrap()).unwrap()));
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-TARGETDURATION:4
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.004,
        0.m4s
        #EXT-X-DISCONTINUITY
        #EXT-X-MAP:URI="init-1.mp4"
        #EXTINF:4.004,
        1.m4s
        #EXTINF:2.002,
        2.m4s
        #EXT-X-ENDLIST
    "##]]
    .assert_eq(&playlist("1080p"));
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-TARGETDURATION:4
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.010667,
        0.m4s
        #EXT-X-DISCONTINUITY
        #EXTINF:3.9893334,
        1.m4s
        #EXTINF:2.0266666,
        2.m4s
        #EXT-X-ENDLIST
    "##]]
    .assert_eq(&playlist("a32"));
    let parsed = m3u8_rs::parse_media_playlist_res(playlist("1080p").as_bytes()).unwrap();
    assert!(parsed.segments[1].discontinuity && parsed.segments[1].map.is_some(), "others read it so");

    let variants = text(multivariant(&offers(&film), 1080));
    let best = variants.lines().find(|line| line.contains("1920x1080")).unwrap();
    assert!(best.contains(r#"CODECS="avc1.640028,hvc1.1.6.L93.90,mp4a.40.2""#), "{best}");
}

/// What is known of the samples of a rendition whose first frames have so many bytes.
fn chunks(rendition: &RenditionIndex, first: u32) -> Vec<ChunkIndex> {
    let samples = |segment: &SegmentRef| {
        let sample = |size, sync| Sample { size, duration: segment.duration / 2, cts_offset: 0, sync };
        SegmentSamples {
            sequence: 1,
            base_decode_time: 0,
            size_bytes: segment.size_bytes,
            payload_offset: 100,
            samples: vec![sample(first, true), sample(segment.size_bytes - 100 - first, false)],
        }
    };
    let index = |chunk: &ChunkRef| ChunkIndex { segments: chunk.segments.iter().map(samples).collect() };
    rendition.chunks.iter().map(index).collect()
}

#[test]
fn an_i_frame_playlist_lists_the_first_frame_of_each_segment() {
    let film = film();
    let picture = film.rendition("360p".parse().unwrap()).unwrap();
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-TARGETDURATION:4
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-I-FRAMES-ONLY
        #EXT-X-MAP:URI="init.mp4"
        #EXT-X-BYTERANGE:5100@0
        #EXTINF:4.004,
        0.m4s
        #EXT-X-BYTERANGE:5100@0
        #EXTINF:4.004,
        1.m4s
        #EXT-X-BYTERANGE:5100@0
        #EXTINF:2.002,
        2.m4s
        #EXT-X-ENDLIST
    "##]]
    .assert_eq(&text(i_frames(picture, &chunks(picture, 5000)).unwrap()));
}

#[test]
fn an_i_frame_playlist_goes_on_in_another_format_where_its_picture_does() {
    let film = broken_film();
    let picture = film.rendition("1080p".parse().unwrap()).unwrap();
    let playlist = text(i_frames(picture, &chunks(picture, 5000)).unwrap());
    expect![[r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-TARGETDURATION:4
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-I-FRAMES-ONLY
        #EXT-X-MAP:URI="init.mp4"
        #EXT-X-BYTERANGE:5100@0
        #EXTINF:4.004,
        0.m4s
        #EXT-X-BYTERANGE:5100@0
        #EXT-X-DISCONTINUITY
        #EXT-X-MAP:URI="init-1.mp4"
        #EXTINF:4.004,
        1.m4s
        #EXT-X-BYTERANGE:5100@0
        #EXTINF:2.002,
        2.m4s
        #EXT-X-ENDLIST
    "##]]
    .assert_eq(&playlist);
}

#[test]
fn indexes_that_contradict_each_other_give_no_i_frame_playlist() {
    let film = film();
    let picture = film.rendition("360p".parse().unwrap()).unwrap();
    let spoilt = |spoil: &dyn Fn(&mut ChunkIndex)| {
        let mut chunks = chunks(picture, 5000);
        spoil(&mut chunks[0]);
        i_frames(picture, &chunks)
    };
    assert!(spoilt(&|_| ()).is_some());
    assert_eq!(spoilt(&|chunk| drop(chunk.segments.pop())), None);
    assert_eq!(spoilt(&|chunk| chunk.segments[1].size_bytes += 1), None);
    assert_eq!(spoilt(&|chunk| chunk.segments[1].samples.clear()), None);
    assert_eq!(spoilt(&|chunk| chunk.segments[1].samples[0].sync = false), None);
    assert_eq!(spoilt(&|chunk| chunk.segments[1].samples[0].size = u32::MAX), None);
    assert_eq!(i_frames(picture, &[]), None);
}

#[test]
fn what_an_index_says_cannot_leave_its_quotes() {
    let mut hostile = film();
    hostile.renditions[3].codecs = "avc1\",URI=\"http://x/\r\n#EXT-X-ENDLIST\n".to_owned();
    let playlist = text(multivariant(&offers(&hostile), 480));
    assert!(playlist.contains(r#"CODECS="avc1,URI=http://x/#EXT-X-ENDLIST,mp4a.40.2""#), "{playlist}");
    assert!(!playlist.lines().any(|line| line.starts_with("#EXT-X-ENDLIST")), "{playlist}");
    m3u8_rs::parse_master_playlist_res(playlist.as_bytes()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// m3u8-rs keeps durations in 32-bit floats; players add them up.
    #[test]
    fn no_segment_and_no_film_is_a_millisecond_off(
        timescale in prop_oneof![Just(90_000u32), Just(48_000), Just(44_100), Just(12_800), Just(30_000)],
        durations in prop::collection::vec(1u32..8, 1..2000),
        odd in 0u32..1000,
    ) {
        let ticks: Vec<u32> = durations.iter().map(|s| s * timescale + odd).collect();
        let playlist = media(&rendition("360p", "avc1.4d401e", timescale, segments(44_000, timescale, &ticks)));
        let parsed = m3u8_rs::parse_media_playlist_res(&playlist).unwrap();
        prop_assert_eq!(parsed.segments.len(), ticks.len());
        let (mut shown, mut exact) = (0.0, 0.0);
        for (segment, ticks) in parsed.segments.iter().zip(&ticks) {
            let duration = f64::from(*ticks) / f64::from(timescale);
            prop_assert!((f64::from(segment.duration) - duration).abs() <= 1e-6);
            prop_assert!(segment.duration.round() as u64 <= parsed.target_duration);
            shown += f64::from(segment.duration);
            exact += duration;
        }
        prop_assert!((shown - exact).abs() <= 1e-3, "{} is not {}", shown, exact);
    }
}

#[test]
fn opus_is_offered_with_the_publishers_picture_and_aac_with_all() {
    let sound = |name, codecs| rendition(name, codecs, 48_000, segments(64_000, 48_000, &[96_000]));
    let picture = |name, codecs| rendition(name, codecs, 90_000, segments(800_000, 90_000, &[180_000]));
    let film = index(vec![
        sound("a32", "mp4a.40.2"),
        sound("a128", "mp4a.40.2"),
        sound("a160", "opus"),
        picture("144p", "avc1.4d400c"),
        picture("480p", "avc1.64001e"),
        picture("720p", "av01.0.05M.08"),
    ]);
    let text = String::from_utf8(multivariant(&offers(&film), 720).to_vec()).unwrap();
    let variants: Vec<String> = text
        .lines()
        .zip(text.lines().skip(1))
        .filter(|(line, _)| line.starts_with("#EXT-X-STREAM-INF"))
        .map(|(line, uri)| {
            let codecs = line.split_once("CODECS=\"").unwrap().1.split_once('"').unwrap().0;
            format!("{} {codecs}", uri.trim_end_matches("/playlist.m3u8"))
        })
        .collect();
    let expected = [
        "144p avc1.4d400c,mp4a.40.2",
        "480p avc1.64001e,mp4a.40.2",
        "720p av01.0.05M.08,opus",
        "720p av01.0.05M.08,mp4a.40.2",
        "a32 mp4a.40.2",
        "a128 mp4a.40.2",
        "a160 opus",
    ];
    assert_eq!(variants, expected);
}
