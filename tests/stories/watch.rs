//! From upload to player.

use expect_test::expect;
use m3u8_rs::{MasterPlaylist, MediaPlaylist, VariantStream};
use tests::{Clip, Engines, Person, Stack, decode, probe};

/// One rendition as it was served: what its decoder says, and how many bits each second costs.
struct Measured {
    stream: serde_json::Value,
    average_bps: f64,
    peak_bps: f64,
}

async fn measure(person: &Person, playlist: &str) -> Measured {
    let decoded = decode(playlist);
    assert_eq!(decoded.complaints, "", "{playlist}");
    assert!((decoded.seconds - 10.0).abs() < 0.2, "{playlist}: {decoded:?}");
    let body = person.fetch(playlist, None).await.expect(200).body;
    let parsed = m3u8_rs::parse_media_playlist_res(&body).expect("it parses");
    let (mut bits, mut seconds, mut peak_bps) = (0.0, 0.0, 0.0f64);
    for segment in &parsed.segments {
        let url = playlist.replace("playlist.m3u8", &segment.uri);
        let size = person.fetch(&url, None).await.expect(200).body.len() as f64 * 8.0;
        bits += size;
        seconds += f64::from(segment.duration);
        peak_bps = peak_bps.max(size / f64::from(segment.duration));
    }
    Measured { stream: probe(playlist), average_bps: bits / seconds, peak_bps }
}

/// What the multivariant playlist promises of a variant is what its renditions are.
async fn assert_tells_the_truth(
    person: &Person,
    folder: &str,
    multivariant: &MasterPlaylist,
    variant: &VariantStream,
) {
    let mut renditions = vec![measure(person, &format!("{folder}{}", variant.uri)).await];
    if let Some(group) = &variant.audio {
        let sound = multivariant.alternatives.iter().find(|media| media.group_id == *group);
        let uri = sound.and_then(|media| media.uri.as_deref()).expect("the group's playlist");
        renditions.push(measure(person, &format!("{folder}{uri}")).await);
    }
    let codecs: Vec<_> = renditions.iter().map(|rendition| codec(&rendition.stream)).collect();
    assert_eq!(variant.codecs.as_deref(), Some(codecs.join(",").as_str()), "{variant:?}");
    let picture = &renditions[0].stream;
    assert_eq!(variant.resolution.map(|size| size.width), picture["width"].as_u64(), "{variant:?}");
    assert_eq!(variant.resolution.map(|size| size.height), picture["height"].as_u64(), "{variant:?}");
    if let Some(rate) = variant.frame_rate {
        assert!((rate - frame_rate(picture)).abs() < 0.001, "{variant:?}");
    }
    assert_eq!(variant.frame_rate.is_some(), variant.resolution.is_some(), "{variant:?}");

    let average_bps: f64 = renditions.iter().map(|rendition| rendition.average_bps).sum();
    let peak_bps: f64 = renditions.iter().map(|rendition| rendition.peak_bps).sum();
    let (promised, promised_average) =
        (variant.bandwidth as f64, variant.average_bandwidth.expect("an average") as f64);
    assert!(promised >= peak_bps.floor(), "{promised} below the peak of {peak_bps}: {variant:?}");
    let off = (promised_average - average_bps).abs() / average_bps;
    assert!(off < 0.03, "{promised_average} is not {average_bps}: {variant:?}");
}

fn frame_rate(stream: &serde_json::Value) -> f64 {
    let ratio = stream["avg_frame_rate"].as_str().and_then(|text| text.split_once('/'));
    let (frames, seconds) = ratio.unwrap_or_else(|| panic!("no frame rate: {stream:#}"));
    let number = |text: &str| -> f64 { text.parse().expect("a number") };
    number(frames) / number(seconds)
}

/// The name of a codec in a playlist (RFC 6381), from what ffprobe calls its profile and level.
fn codec(stream: &serde_json::Value) -> String {
    let profile = stream["profile"].as_str().unwrap_or_default();
    let level = stream["level"].as_u64().unwrap_or_default();
    match profile {
        "Constrained Baseline" => format!("avc1.42c0{level:02x}"),
        "Main" => format!("avc1.4d40{level:02x}"),
        "High" => format!("avc1.6400{level:02x}"),
        "LC" => "mp4a.40.2".to_owned(),
        _ => panic!("another codec: {stream:#}"),
    }
}

/// Each entry of an I-frame playlist is one key frame, at its place, and in no more bytes a second than
/// promised.
async fn assert_is_of_key_frames(person: &Person, folder: &str, variant: &VariantStream) {
    let playlist = format!("{folder}{}", variant.uri);
    let answer = person.fetch(&playlist, None).await.expect(200);
    let parsed = m3u8_rs::parse_media_playlist_res(&answer.body).expect("it parses");
    assert!(parsed.i_frames_only && parsed.end_list && parsed.version >= Some(5), "{}", answer.text());
    let whole = person.fetch(&playlist.replace("iframes.m3u8", "playlist.m3u8"), None).await.expect(200).body;
    let whole = m3u8_rs::parse_media_playlist_res(&whole).expect("it parses");
    let durations = |playlist: &MediaPlaylist| {
        playlist.segments.iter().map(|segment| segment.duration).collect::<Vec<_>>()
    };
    assert_eq!(durations(&parsed), durations(&whole));
    let pictures = tests::pictures(&playlist.replace("iframes.m3u8", "playlist.m3u8"));
    let url = |name: &str| playlist.replace("iframes.m3u8", name);
    let map = parsed.segments[0].map.as_ref().expect("an initialisation segment");
    let init = person.fetch(&url(&map.uri), None).await.expect(200).body;
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let mut at = 0.0;
    for segment in &parsed.segments {
        let range = segment.byte_range.as_ref().expect("a range");
        let (from, len) = (range.offset.expect("where it begins"), range.length);
        let request = Person::stranger(String::new()).request(reqwest::Method::GET, &url(&segment.uri));
        let request = request.header("range", format!("bytes={from}-{}", from + len - 1));
        let frame = person.send(request).await.expect(206).body;
        assert_eq!(frame.len() as u64, len, "{}", segment.uri);
        let promised = variant.bandwidth as f64 * f64::from(segment.duration);
        assert!(len as f64 * 8.0 <= promised.ceil(), "{} has {len} bytes", segment.uri);
        let file = scratch.path().join("frame.mp4");
        std::fs::write(&file, [&init[..], &frame].concat()).expect("write the frame");
        let file = file.to_str().expect("a plain path");
        let words =
            ["-v", "error", "-show_entries", "frame=key_frame,pict_type,width", "-of", "csv=p=0", file];
        let shown = tests::run("ffprobe", &words);
        let width = variant.resolution.expect("a picture").width;
        assert_eq!(shown.stdout.trim(), format!("1,{width},I"), "{} of {playlist}", segment.uri);
        // It is the picture that is shown there.
        let place = pictures.len() as f64 * at / durations(&whole).iter().sum::<f32>() as f64;
        assert_eq!(tests::pictures(file), [pictures[place.round() as usize].clone()], "{}", segment.uri);
        at += f64::from(segment.duration);
    }
}

async fn an_upload_becomes_watchable(engines: Engines) {
    let stack = Stack::start_on(engines).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Prueba de imagen", Clip::Short.file()).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;

    // One original, and per rendition an init and its chunks, named by their first segment: 10 s are
    // an 8 s chunk and the rest.
    expect![[r#"
        VIDEO/VERSION/144p/00000-HASH.cmaf
        VIDEO/VERSION/144p/00002-HASH.cmaf
        VIDEO/VERSION/144p/init.mp4
        VIDEO/VERSION/240p/00000-HASH.cmaf
        VIDEO/VERSION/240p/00002-HASH.cmaf
        VIDEO/VERSION/240p/init.mp4
        VIDEO/VERSION/360p/00000-HASH.cmaf
        VIDEO/VERSION/360p/00002-HASH.cmaf
        VIDEO/VERSION/360p/init.mp4
        VIDEO/VERSION/a32/00000-HASH.cmaf
        VIDEO/VERSION/a32/00002-HASH.cmaf
        VIDEO/VERSION/a32/init.mp4
        VIDEO/VERSION/a64/00000-HASH.cmaf
        VIDEO/VERSION/a64/00002-HASH.cmaf
        VIDEO/VERSION/a64/init.mp4
        VIDEO/VERSION/index.json
        VIDEO/VERSION/poster.jpg
        VIDEO/VERSION/thumbnail.jpg
        VIDEO/original
    "#]]
    .assert_eq(&stack.shape().await);

    let subscriber = stack.person("luis", "viewer", 1).await;
    let playback = subscriber.playback(&video).await.expect(200).json();
    let url = playback["url"].as_str().expect("a url");
    let grant = playback["token"].as_str().expect("a token");
    let multivariant = subscriber.fetch(url, Some(grant)).await.expect(200);
    assert_eq!(multivariant.header("content-type"), "application/vnd.apple.mpegurl");
    let m3u8_rs::Playlist::MasterPlaylist(parsed) =
        m3u8_rs::parse_playlist_res(&multivariant.body).expect("it parses")
    else {
        panic!("not a multivariant playlist: {}", multivariant.text())
    };
    // 144p, 240p, 360p, and either sound alone; the smallest picture fits into 90 kbit/s with its sound.
    let (scrubbed, played): (Vec<_>, Vec<_>) = parsed.variants.iter().partition(|v| v.is_i_frame);
    assert_eq!((played.len(), scrubbed.len()), (5, 3), "{}", multivariant.text());
    let smallest = played.iter().filter(|v| v.resolution.is_some()).map(|v| v.bandwidth).min();
    assert!(smallest.is_some_and(|bps| bps <= 90_000), "{}", multivariant.text());

    // The whole ladder through the door, as VLC would take it: no complaint from any decoder.
    let foreign = stack.foreign_url(&playback);
    let decoded = decode(&foreign);
    assert_eq!(decoded.complaints, "", "{ready:#}");
    assert!((decoded.seconds - 10.0).abs() < 0.2, "{decoded:?}");
    let folder = foreign.trim_end_matches("multivariant.m3u8");
    for variant in played {
        assert_tells_the_truth(&subscriber, folder, &parsed, variant).await;
    }
    for variant in scrubbed {
        assert_is_of_key_frames(&subscriber, folder, variant).await;
    }

    // The plain MP4 of a page without JavaScript: exact length, and every frame in it.
    let mp4 = foreign.replace("multivariant.m3u8", "360p.mp4");
    let decoded = decode(&mp4);
    assert_eq!((decoded.frames, decoded.complaints.as_str()), (250, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_watchable_on_a_folder_and_sqlite() {
    an_upload_becomes_watchable(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_watchable_on_s3_and_postgresql() {
    an_upload_becomes_watchable(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_without_sound_and_sound_without_film_become_watchable() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, input, wanted) in [
        ("silent.webm", &["-f", "lavfi", "-i", "testsrc2=size=35x17:rate=15:duration=3"][..], "35x17"),
        ("only.mp3", &["-f", "lavfi", "-i", "sine=duration=5"][..], "sound"),
        ("phone.mp4", &["-f", "lavfi", "-i", "testsrc2=size=360x640:rate=30:duration=3"][..], "portrait"),
    ] {
        let file = folder.path().join(name);
        let path = file.to_string_lossy().into_owned();
        let mut arguments = vec!["-nostdin", "-v", "error", "-y"];
        arguments.extend(input);
        arguments.push(&path);
        tests::run("ffmpeg", &arguments).ok();
        let video = creator.upload(wanted, &file).await;
        let ready = creator.until_ready(&video).await;
        let playback = creator.playback(&video).await.expect(200).json();
        let foreign = stack.foreign_url(&playback);
        let decoded = decode(&foreign);
        assert_eq!(decoded.complaints, "", "{wanted}: {ready:#}");
        assert!(decoded.seconds > 2.5, "{wanted}: {decoded:?}");
    }
}
