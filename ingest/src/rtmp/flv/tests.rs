use model::feed::FEED_TIMESCALE;

use super::*;
use crate::rtmp::error;
use model::testing::mutants;

const AVCC: &[u8] = &[1, 0x64, 0, 0x0b, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x0b, 1, 0, 3, 0x68, 0xea, 0xe1];
const UNIT: &[u8] = &[0, 0, 0, 2, 0x65, 0x88];
const ASC: &[u8] = &[0x11, 0x90];
const OPUS: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

fn hvcc() -> Vec<u8> {
    let mut hvcc = vec![1; 23];
    hvcc[21] = 0x0f;
    hvcc
}

fn video(demuxer: &mut Demuxer, timestamp: u32, parts: &[&[u8]]) -> Result<Option<Item>, RtmpError> {
    demuxer.video(timestamp, parts.concat().into())
}

fn audio(demuxer: &mut Demuxer, timestamp: u32, parts: &[&[u8]]) -> Result<Option<Item>, RtmpError> {
    demuxer.audio(timestamp, parts.concat().into())
}

fn packet(track: FeedTrack, ms: i64, cts_ms: i32, key: bool, data: &[u8]) -> Result<Option<Item>, RtmpError> {
    let ticks = i64::from(FEED_TIMESCALE / 1000);
    let data = Bytes::copy_from_slice(data);
    Ok(Some(Item::Packet(Packet { track, dts: ms * ticks, cts_offset: cts_ms * ticks as i32, key, data })))
}

fn config(config: FeedConfig) -> Result<Option<Item>, RtmpError> {
    Ok(Some(Item::Config(config)))
}

#[test]
fn h264_and_aac_as_they_always_were() {
    let mut demuxer = Demuxer::default();
    let avcc = FeedConfig::H264 { avcc: AVCC.to_vec() };
    let asc = FeedConfig::Aac { asc: ASC.to_vec() };
    assert_eq!(video(&mut demuxer, 0, &[b"\x17\x01\0\0\0", UNIT]), Ok(None), "before its configuration");
    assert_eq!(video(&mut demuxer, 0, &[b"\x17\0\0\0\0", AVCC]), config(avcc));
    assert_eq!(video(&mut demuxer, 9, &[b"\x17\0\0\0\0", AVCC]), Ok(None), "nothing new");
    assert_eq!(audio(&mut demuxer, 0, &[b"\xaf\0", ASC]), config(asc));
    let picture = video(&mut demuxer, 40, &[b"\x17\x01\0\0\x50", UNIT]);
    assert_eq!(picture, packet(FeedTrack::Video, 40, 80, true, UNIT));
    let picture = video(&mut demuxer, 80, &[b"\x27\x01\xff\xff\xd8", UNIT]);
    assert_eq!(picture, packet(FeedTrack::Video, 80, -40, false, UNIT));
    assert_eq!(audio(&mut demuxer, 61, &[b"\xaf\x01abc"]), packet(FeedTrack::Audio, 61, 0, true, b"abc"));
    for nothing in [&b"\x17\x02\0\0\0"[..], b"", b"\x57\0", b"\x52\0", b"\x27\x01\0\0\0"] {
        assert_eq!(video(&mut demuxer, 99, &[nothing]), Ok(None), "{nothing:?}");
    }
    assert_eq!(audio(&mut demuxer, 99, &[]), Ok(None));
    assert_eq!(audio(&mut demuxer, 99, &[b"\xaf\x01"]), Ok(None));
}

#[test]
fn lengths_of_nal_units_become_four_bytes() {
    for (size, wire) in [
        (1u8, b"\x02\x65\x88\x01\x06".to_vec()),
        (2, b"\0\x02\x65\x88\0\x01\x06".to_vec()),
        (3, b"\0\0\x02\x65\x88\0\0\x01\x06".to_vec()),
        (4, b"\0\0\0\x02\x65\x88\0\0\0\x01\x06".to_vec()),
    ] {
        let mut demuxer = Demuxer::default();
        let mut avcc = AVCC.to_vec();
        avcc[4] = 0xfc | (size - 1);
        let Ok(Some(Item::Config(FeedConfig::H264 { avcc: said }))) =
            video(&mut demuxer, 0, &[b"\x17\0\0\0\0", &avcc])
        else {
            panic!("no configuration")
        };
        assert_eq!(said, AVCC);
        assert_eq!(video(&mut demuxer, 0, &[b"\x17\0\0\0\0", &avcc]), Ok(None), "the same again");
        let expected = packet(FeedTrack::Video, 0, 0, true, b"\0\0\0\x02\x65\x88\0\0\0\x01\x06");
        assert_eq!(video(&mut demuxer, 0, &[b"\x17\x01\0\0\0", &wire]), expected, "{size}");
        for wrong in [&wire[..wire.len() - 1], &[&wire[..], &[0xff]].concat()] {
            assert_eq!(
                video(&mut demuxer, 0, &[b"\x17\x01\0\0\0", wrong]),
                Err(RtmpError::Malformed("lengths of NAL units"))
            );
        }
    }
    let mut demuxer = Demuxer::default();
    let mut avcc = AVCC.to_vec();
    avcc[4] = 0xfc;
    video(&mut demuxer, 0, &[b"\x17\0\0\0\0", &avcc]).unwrap();
    let nothings = vec![0; 3 << 20];
    assert_eq!(video(&mut demuxer, 0, &[b"\x17\x01\0\0\0", &nothings]), Err(RtmpError::TooMuch("NAL units")));
}

#[test]
fn enhanced_video_of_each_codec() {
    let hvcc = hvcc();
    let hevc = FeedConfig::Hevc { hvcc: hvcc.clone() };
    let av1 = FeedConfig::Av1 { av1c: vec![0x81, 4, 0x0c, 0] };
    let avc = FeedConfig::H264 { avcc: AVCC.to_vec() };
    let key = |ms, cts, data: &[u8]| packet(FeedTrack::Video, ms, cts, true, data);
    let mut demuxer = Demuxer::default();
    for (what, body, expected) in [
        ("HEVC begins", [&b"\x90hvc1"[..], &hvcc].concat(), config(hevc.clone())),
        ("with an offset", [&b"\x91hvc1\0\0\x28"[..], UNIT].concat(), key(7, 40, UNIT)),
        ("without", [&b"\xa3hvc1"[..], UNIT].concat(), packet(FeedTrack::Video, 7, 0, false, UNIT)),
        ("another codec's", b"\x91av01obu".to_vec(), Ok(None)),
        ("ends", b"\x92hvc1".to_vec(), Ok(None)),
        ("metadata", b"\x94hvc1\x02\0\x09colorInfo".to_vec(), Ok(None)),
        ("a seek", b"\xd1\0".to_vec(), Ok(None)),
        ("AV1 begins", b"\x90av01\x81\x04\x0c\0".to_vec(), config(av1)),
        ("has no offset", b"\x91av01obu".to_vec(), key(7, 0, b"obu")),
        ("H.264 begins", [&b"\x90avc1"[..], AVCC].concat(), config(avc)),
        ("with an offset", [&b"\x91avc1\0\0\x28"[..], UNIT].concat(), key(7, 40, UNIT)),
        ("HEVC of old OBS begins, by a draft", [b"\x1c\0\0\0\0\0", &hvcc[1..]].concat(), config(hevc)),
        ("and goes on", [&b"\x1c\x01\0\0\x28"[..], UNIT].concat(), key(7, 40, UNIT)),
        ("one track", [&b"\x96\x01hvc1\0\0\0\x28"[..], UNIT].concat(), key(7, 40, UNIT)),
        ("one other track", [&b"\x96\x01hvc1\x01\0\0\x28"[..], UNIT].concat(), Ok(None)),
        (
            "many tracks",
            [&b"\x96\x11hvc1\x01\0\0\x03abc\0\0\0\x09\0\0\x28"[..], UNIT].concat(),
            key(7, 40, UNIT),
        ),
        (
            "many codecs",
            [&b"\x96\x21av01\x01\0\0\x03abchvc1\0\0\0\x09\0\0\x28"[..], UNIT].concat(),
            key(7, 40, UNIT),
        ),
        ("an unknown extension", [&b"\x97\0\xff\x11hvc1\0\0\x28"[..], UNIT].concat(), key(7, 40, UNIT)),
        (
            "a long extension",
            [&b"\x97\xff\x01\x2b"[..], &[9; 300], b"\x11hvc1\0\0\x28", UNIT].concat(),
            key(7, 40, UNIT),
        ),
        ("VP9", b"\x90vp09".to_vec(), Err(RtmpError::Unsupported(error::Codec::FourCc(*b"vp09")))),
        ("in a transport stream", b"\x95av01".to_vec(), Err(RtmpError::Malformed("video packet"))),
        ("tracks of no kind", b"\x96\x31hvc1".to_vec(), Err(RtmpError::Malformed("kind of tracks"))),
        ("H.263", b"\x12abc".to_vec(), Err(RtmpError::Unsupported(error::Codec::Named("Sorenson H.263")))),
        ("too short", b"\x91hvc1\0".to_vec(), Err(RtmpError::Malformed("tag that ends early"))),
        ("no record", b"\x90hvc1\x01".to_vec(), Err(RtmpError::Malformed("decoder configuration"))),
    ] {
        assert_eq!(video(&mut demuxer, 7, &[&body]), expected, "{what}");
    }
    assert_eq!(demuxer.take_others(), Some(FeedTrack::Video), "it is told that there were others");
    assert_eq!(demuxer.take_others(), None, "once");
    let late = video(&mut demuxer, 7, &[b"\x97\x02\x07\xa1\x20\x01hvc1\0\0\x28", UNIT]).unwrap();
    let Some(Item::Packet(late)) = late else { panic!("no packet") };
    assert_eq!(late.dts, 7 * 90 + 45, "500,000 ns later");
}

#[test]
fn enhanced_audio_of_each_codec() {
    let mut demuxer = Demuxer::default();
    let sound = |data: &[u8]| packet(FeedTrack::Audio, 7, 0, true, data);
    for (what, body, expected) in [
        ("Opus begins", [&b"\x90Opus"[..], OPUS].concat(), config(FeedConfig::Opus { head: OPUS.to_vec() })),
        ("its comment", b"\x90OpusOpusTags".to_vec(), Ok(None)),
        ("and goes on", b"\x91Opusabc".to_vec(), sound(b"abc")),
        ("its channels", b"\x94Opus\x01\x02\0\0\0\x03".to_vec(), Ok(None)),
        ("ends", b"\x92Opus".to_vec(), Ok(None)),
        ("one track", b"\x95\x01Opus\0abc".to_vec(), sound(b"abc")),
        ("later by nothing", b"\x97\x02\0\0\0\x01Opusabc".to_vec(), sound(b"abc")),
        ("AAC begins", [&b"\x90mp4a"[..], ASC].concat(), config(FeedConfig::Aac { asc: ASC.to_vec() })),
        ("and goes on", b"\x91mp4aabc".to_vec(), sound(b"abc")),
        ("FLAC", b"\x90fLaC".to_vec(), Err(RtmpError::Unsupported(error::Codec::FourCc(*b"fLaC")))),
        ("MP3", b"\x2fabc".to_vec(), Err(RtmpError::Unsupported(error::Codec::Named("MP3 audio")))),
        ("no kind", b"\xaf\x02".to_vec(), Err(RtmpError::Malformed("AAC packet"))),
        ("no record", b"\xaf\x00\x11".to_vec(), Err(RtmpError::Malformed("decoder configuration"))),
    ] {
        assert_eq!(audio(&mut demuxer, 7, &[&body]), expected, "{what}");
    }
    assert_eq!(demuxer.take_others(), None);
    assert_eq!(audio(&mut demuxer, 7, &[b"\x95\x01Opus\x01abc"]), Ok(None));
    assert_eq!(demuxer.take_others(), Some(FeedTrack::Audio));
}

#[test]
fn both_tracks_go_round_together() {
    let mut demuxer = Demuxer::default();
    video(&mut demuxer, 0, &[b"\x17\0\0\0\0", AVCC]).unwrap();
    audio(&mut demuxer, 0, &[b"\xaf\0", ASC]).unwrap();
    let start = u32::MAX - 50;
    let mut times = Vec::new();
    for n in 0..5u32 {
        let time = start.wrapping_add(n * 40);
        for item in [
            video(&mut demuxer, time, &[b"\x27\x01\0\0\0", UNIT]),
            audio(&mut demuxer, time.wrapping_sub(13), &[b"\xaf\x01abc"]),
        ] {
            let Ok(Some(Item::Packet(packet))) = item else { panic!("no packet") };
            times.push(packet.dts / 90 - i64::from(start));
        }
    }
    assert_eq!(times, [0, -13, 40, 27, 80, 67, 120, 107, 160, 147]);
}

#[test]
fn damaged_tags_are_read_or_refused() {
    let hvcc = hvcc();
    let mut demuxer = Demuxer::default();
    let mut read = |is_video: bool, body: &[u8]| {
        let body = Bytes::copy_from_slice(body);
        let item = if is_video { demuxer.video(0, body) } else { demuxer.audio(0, body) };
        if let Ok(Some(Item::Packet(packet))) = item {
            assert!(!packet.data.is_empty());
        }
    };
    for (is_video, body) in [
        (true, [&b"\x17\0\0\0\0"[..], AVCC].concat()),
        (true, [&b"\x17\x01\0\0\x50"[..], UNIT, UNIT].concat()),
        (true, [&b"\x90hvc1"[..], &hvcc].concat()),
        (true, [&b"\x97\x02\x07\xa1\x20\x01hvc1\0\0\x28"[..], UNIT].concat()),
        (true, [&b"\x96\x21av01\x01\0\0\x03abchvc1\0\0\0\x09\0\0\x28"[..], UNIT].concat()),
        (false, [&b"\xaf\0"[..], ASC].concat()),
        (false, [&b"\x90Opus"[..], OPUS].concat()),
        (false, b"\x95\x11Opus\x01\0\0\x02ab\0\0\0\x02cd".to_vec()),
    ] {
        read(is_video, &body);
        mutants(&body, 10_000, |mutant| read(is_video, mutant));
    }
}
