//! From upload to player.

use expect_test::expect;
use tests::{Clip, Engines, Stack, decode};

async fn an_upload_becomes_watchable(engines: Engines) {
    let stack = Stack::start_on(engines).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Prueba de imagen", Clip::Short.file()).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;

    // One original, and per rendition an init and its chunks: 10 s are an 8 s chunk and the rest.
    expect![[r#"
        VIDEO/VERSION/144p/00000-HASH.cmaf
        VIDEO/VERSION/144p/00001-HASH.cmaf
        VIDEO/VERSION/144p/init.mp4
        VIDEO/VERSION/240p/00000-HASH.cmaf
        VIDEO/VERSION/240p/00001-HASH.cmaf
        VIDEO/VERSION/240p/init.mp4
        VIDEO/VERSION/360p/00000-HASH.cmaf
        VIDEO/VERSION/360p/00001-HASH.cmaf
        VIDEO/VERSION/360p/init.mp4
        VIDEO/VERSION/a32/00000-HASH.cmaf
        VIDEO/VERSION/a32/00001-HASH.cmaf
        VIDEO/VERSION/a32/init.mp4
        VIDEO/VERSION/a64/00000-HASH.cmaf
        VIDEO/VERSION/a64/00001-HASH.cmaf
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
    assert_eq!(parsed.variants.len(), 5, "{}", multivariant.text());
    let smallest = parsed.variants.iter().filter(|v| v.resolution.is_some()).map(|v| v.bandwidth).min();
    assert!(smallest.is_some_and(|bps| bps <= 90_000), "{}", multivariant.text());
    for variant in &parsed.variants {
        assert!(variant.average_bandwidth.is_some_and(|average| average <= variant.bandwidth));
        assert!(variant.codecs.is_some());
    }

    // The whole ladder through the door, as VLC would take it: no complaint from any decoder.
    let foreign = stack.foreign_url(&playback);
    let decoded = decode(&foreign);
    assert_eq!(decoded.complaints, "", "{ready:#}");
    assert!((decoded.seconds - 10.0).abs() < 0.2, "{decoded:?}");

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
