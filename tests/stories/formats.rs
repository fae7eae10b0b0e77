//! One event whose publisher came back with other formats: one film that has all of them, each as it was
//! sent.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Browser, Signal, Stack, Watching, decode, pictures, probe, stored, until};

use crate::live::{AAC, Broadcast, OPUS, PATIENCE};

const LARGE: [&str; 2] = ["-c:v libx264 -preset ultrafast -sc_threshold 0", AAC];
const SMALL: [&str; 2] = ["-s 426x240 -c:v libx264 -preset veryfast -bf 2 -sc_threshold 0", AAC];
const HEVC: [&str; 2] = [
    "-c:v libx265 -preset ultrafast \
     -x265-params log-level=error:keyint=60:min-keyint=60:scenecut=0:open-gop=0",
    AAC,
];
const OTHER_SOUND: [&str; 2] = [LARGE[0], OPUS];

/// Publishes these one behind the other, eight seconds each; the files with what was sent.
async fn published(event: &Broadcast, folder: &TempDir, formats: &[[&str; 2]]) -> Vec<String> {
    let mut records = Vec::new();
    for (n, codecs) in formats.iter().enumerate() {
        let record = folder.path().join(format!("record-{n}.mkv"));
        let mut publisher = event.start_enhanced(*codecs, &record);
        event.until_on_air().await;
        publisher.until_ended(PATIENCE).await;
        assert_eq!(event.log(), "");
        event.until_off_air().await;
        records.push(record.to_str().expect("a plain path").to_owned());
    }
    records
}

/// A rendition's playlist, cut where its format changes.
struct Listed {
    text: String,
    /// For each format its init, and the names of its segments.
    formats: Vec<(String, Vec<String>)>,
    /// When each break comes, in seconds, and when the film ends.
    breaks: Vec<f64>,
    seconds: f64,
}

impl Listed {
    async fn of(film: &Watching, name: &str) -> Self {
        let text = film.get(&format!("{name}/playlist.m3u8")).await.expect(200).text();
        let (mut formats, mut breaks, mut seconds) = (Vec::<(String, Vec<String>)>::new(), Vec::new(), 0.0);
        for line in text.lines() {
            if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
                formats.push((map.trim_end_matches('"').to_owned(), Vec::new()));
            } else if line == "#EXT-X-DISCONTINUITY" {
                breaks.push(seconds);
            } else if let Some(duration) = line.strip_prefix("#EXTINF:") {
                seconds += duration.trim_end_matches(',').parse::<f64>().expect("a duration");
            } else if !line.starts_with('#') {
                formats.last_mut().expect("an init before it").1.push(line.to_owned());
            }
        }
        Self { text, formats, breaks, seconds }
    }

    /// A file for each format: its init and its segments.
    async fn files(&self, film: &Watching, name: &str, folder: &TempDir) -> Vec<String> {
        let mut files = Vec::new();
        for (init, segments) in &self.formats {
            let mut bytes = film.get(&format!("{name}/{init}")).await.expect(200).body.to_vec();
            for segment in segments {
                bytes.extend_from_slice(&film.get(&format!("{name}/{segment}")).await.expect(200).body);
            }
            let path: PathBuf = folder.path().join(format!("{name}-{init}"));
            std::fs::write(&path, bytes).expect("write a file");
            files.push(path.to_str().expect("a plain path").to_owned());
        }
        files
    }
}

/// All renditions break at the same moments, `count` of them, and end together.
async fn assert_aligned(film: &Watching, count: usize) {
    let own = Listed::of(film, "360p").await;
    assert_eq!(own.breaks.len(), count, "{}", own.text);
    for name in film.planned().await {
        let listed = Listed::of(film, &name).await;
        let moments = listed.breaks.iter().chain([&listed.seconds]);
        let apart: Vec<_> =
            moments.zip(own.breaks.iter().chain([&own.seconds])).map(|(a, b)| (a - b).abs()).collect();
        assert_eq!(listed.breaks.len(), count, "{name}: {}", listed.text);
        // Sound is cut at its own frames, and its last one may be cut off.
        assert!(apart.iter().all(|apart| *apart < 0.15), "{name}: {apart:?}\n{}\n{}", listed.text, own.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_of_two_sizes_has_every_frame_and_plays_past_the_change() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    stack.person("eva", "viewer", 0).await;
    let (folder, found) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let records = published(&event, &folder, &[LARGE, SMALL]).await;

    // A moment of it with the change in its middle.
    let clips = format!("/api/v1/events/{}/clips", event.id);
    let order = json!({ "title": "El cambio", "from_s": 5, "to_s": 14 });
    let clip = event.ana.post(&clips, order).await.expect(201).json();
    event.end().await;
    let shown = event.ana.until_ready(&event.id).await;

    let film = Watching::start(&stack, &event.ana, &event.id).await;
    let own = Listed::of(&film, "360p").await;
    assert_eq!(
        own.formats.iter().map(|(init, _)| init.as_str()).collect::<Vec<_>>(),
        ["init.mp4", "init-1.mp4"]
    );
    let files = own.files(&film, "360p", &found).await;
    let mut sent = Vec::new();
    for (file, record) in files.iter().zip(&records) {
        let coded = stored(record, "v");
        assert_eq!(coded.len(), 240);
        assert_eq!(stored(file, "v"), coded, "{file}: as it was sent");
        let shown = pictures(record);
        assert_eq!(pictures(file), shown, "{file}");
        sent.extend(coded.into_iter().zip(shown));
    }
    let (coded, sent): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
    assert_aligned(&film, 1).await;
    for absent in ["360p/init-2.mp4", "144p/init-1.mp4", "a96/init-1.mp4"] {
        film.get(absent).await.expect(404);
    }
    let offered = film.get("multivariant.m3u8").await.expect(200).text();
    assert!(offered.contains("RESOLUTION=640x360"), "{offered}");
    assert!(
        shown["renditions"].as_array().is_some_and(|all| all.iter().any(|it| it["height"] == 360)),
        "{shown:#}"
    );
    for name in ["144p/playlist.m3u8", "144p.mp4"] {
        let decoded = decode(&film.url(name));
        assert_eq!(decoded.complaints, "", "{name}");
        assert!((decoded.seconds - own.seconds).abs() < 0.3, "{name}: {decoded:?} {}", own.seconds);
    }
    // ffmpeg's parser, which has seen one format only, complains; its decoder knows better.
    let plain = film.url("360p.mp4");
    assert_eq!((stored(&plain, "v"), pictures(&plain)), (coded, sent), "the plain file has them, too");

    // The site's player, past the change; and the page's plain file.
    let viewer = ["--viewer", "eva:contraseña de eva"];
    let page = ["--base", &stack.url(""), "--video", &event.id];
    let browser = Browser::start("live.js", &[&page[..], &viewer].concat());
    browser.ask(&json!({ "sign": true }));
    let played = browser.ask(&json!({ "film": true, "until_s": 11 }));
    assert_eq!(
        (&played["failure"], &played["sources"], &played["height"]),
        (&Value::Null, &json!(1), &json!(240)),
        "{played:#}"
    );
    let played = browser.ask(&json!({ "file": true, "until_s": 11 }));
    assert_eq!((&played["failure"], &played["height"]), (&Value::Null, &json!(144)), "{played:#}");
    let told = browser.ask(&json!({ "close": true }));
    assert_eq!(told["complaints"], json!([]), "{told:#}");

    // The clip has the change, too.
    let moment = Watching::start(&stack, &event.ana, clip["id"].as_str().expect("an id")).await;
    assert_aligned(&moment, 1).await;
    let files = Listed::of(&moment, "360p").await.files(&moment, "360p", &found).await;
    assert_eq!(
        files.iter().map(|file| probe(file)["height"].clone()).collect::<Vec<_>>(),
        [json!(360), json!(240)]
    );
    for file in files {
        assert_eq!(decode(&file).complaints, "", "{file}");
    }
    assert_eq!(decode(&moment.url("144p.mp4")).complaints, "");

    // So has what is left when its ends are trimmed, and behind the change there is one format.
    for (from_s, to_s, heights) in [(3, 12, &[360, 240][..]), (10, 15, &[240])] {
        let path = format!("/api/v1/videos/{}", event.id);
        event.ana.post(&format!("{path}/trim"), json!({ "from_s": from_s, "to_s": to_s })).await.expect(202);
        let trimmed = until("a trimmed film", PATIENCE, async || {
            let shown = event.ana.video(&event.id).await;
            if shown["version"] != film_version(&film) { Ok(shown) } else { Err(shown) }
        })
        .await;
        let left = Watching::start(&stack, &event.ana, &event.id).await;
        assert_aligned(&left, heights.len() - 1).await;
        let files = Listed::of(&left, "360p").await.files(&left, "360p", &found).await;
        let found: Vec<_> = files.iter().map(|file| probe(file)["height"].clone()).collect();
        assert_eq!(found, heights.iter().map(|height| json!(height)).collect::<Vec<_>>(), "{trimmed:#}");
        for file in files.iter().chain([&left.url("144p.mp4")]) {
            assert_eq!(decode(file).complaints, "", "{file}");
        }
        let shown: Vec<String> = files.iter().flat_map(|file| pictures(file)).collect();
        assert_eq!(pictures(&left.url("360p.mp4")), shown);
        event.ana.delete(&format!("{path}/trim")).await.expect(200);
    }
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

/// The version that a grant is for.
fn film_version(film: &Watching) -> Value {
    let url = film.url("");
    json!(url.trim_end_matches('/').rsplit('/').next().expect("a version"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_of_two_codecs_has_every_frame_and_says_so() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let (folder, found) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let records = published(&event, &folder, &[LARGE, HEVC]).await;
    event.end().await;
    event.ana.until_ready(&event.id).await;
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    let files = Listed::of(&film, "360p").await.files(&film, "360p", &found).await;
    for (file, (record, codec)) in files.iter().zip(records.iter().zip(["h264", "hevc"])) {
        assert_eq!(probe(file)["codec_name"], codec);
        assert_eq!(pictures(file), pictures(record), "{file}");
    }
    assert_eq!(files.len(), 2);
    assert_aligned(&film, 1).await;
    let offered = film.get("multivariant.m3u8").await.expect(200).text();
    let own = offered.lines().find(|line| line.contains("RESOLUTION=640x360")).expect("its own picture");
    assert!(own.contains("avc1.") && own.contains(",hvc1."), "{own}");
    assert_eq!(decode(&film.url("144p.mp4")).complaints, "");
    until("a film that is left as it is", PATIENCE, async || {
        let log = stack.log();
        if log.contains("the film stays as it is") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(film_version(&film), event.ana.video(&event.id).await["version"], "no ladder took its place");
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_of_two_sounds_has_both_and_plays_past_the_change() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    stack.person("eva", "viewer", 0).await;
    let (folder, found) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let records = published(&event, &folder, &[LARGE, OTHER_SOUND]).await;
    event.end().await;
    event.ana.until_ready(&event.id).await;
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    assert_aligned(&film, 1).await;
    let picture = Listed::of(&film, "360p").await;
    assert_eq!(picture.formats.len(), 1, "the picture is what it was: {}", picture.text);
    let files = Listed::of(&film, "a96").await.files(&film, "a96", &found).await;
    assert_eq!(files.len(), 2);
    for (file, (record, codec)) in files.iter().zip(records.iter().zip(["aac", "opus"])) {
        assert_eq!(probe(file)["codec_name"], codec);
        // Sound from before the first picture is no part of the event.
        let (heard, sent) = (stored(file, "a"), stored(record, "a"));
        assert!(sent.ends_with(&heard) && sent.len() - heard.len() <= 3, "{} of {}", heard.len(), sent.len());
    }
    let offered = film.get("multivariant.m3u8").await.expect(200).text();
    assert!(offered.contains("mp4a.40.2,opus\""), "{offered}");
    for name in ["144p.mp4", "a32/playlist.m3u8"] {
        assert_eq!(decode(&film.url(name)).complaints, "", "{name}");
    }
    let viewer = ["--viewer", "eva:contraseña de eva"];
    let page = ["--base", &stack.url(""), "--video", &event.id];
    let browser = Browser::start("live.js", &[&page[..], &viewer].concat());
    browser.ask(&json!({ "sign": true }));
    for command in [json!({ "film": true, "until_s": 11 }), json!({ "file": true, "until_s": 11 })] {
        let played = browser.ask(&command);
        assert_eq!(played["failure"], Value::Null, "{command}: {played:#}");
    }
    let told = browser.ask(&json!({ "close": true }));
    assert_eq!(told["complaints"], json!([]), "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_comes_back_without_its_picture_stays_with_the_film() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let mut renditions = Vec::new();
    for size in ["640x360", "", "640x360"] {
        let publisher = event.start(Signal { size, ..Signal::default() });
        event.until_on_air().await;
        let viewer = Watching::start(&stack, &event.ana, &event.id).await;
        // Three segments of sound more than there were.
        let count = async || {
            let listed = viewer.get("a96/playlist.m3u8").await.expect(200).text();
            listed.split("#EXTINF").skip(1).filter(|segment| !segment.contains("#EXT-X-GAP")).count()
        };
        let before = count().await;
        until("six seconds more", PATIENCE, async || {
            let now = count().await;
            if now >= before + 3 { Ok(()) } else { Err((before, now, event.log())) }
        })
        .await;
        renditions = event.until_encoded(&viewer).await.into_iter().collect();
        publisher.kill();
        event.until_off_air().await;
    }
    event.end().await;
    event.ana.until_ready(&event.id).await;
    let film = Watching::start(&stack, &event.ana, &event.id).await;
    assert_aligned(&film, 0).await;
    assert_eq!(film.planned().await.into_iter().collect::<Vec<_>>(), renditions);
    let sound = Listed::of(&film, "a96").await;
    assert!(sound.seconds > 16.0, "{}", sound.text);
    for name in ["360p/playlist.m3u8", "144p.mp4"] {
        let decoded = decode(&film.url(name));
        assert_eq!(decoded.complaints, "", "{name}");
        assert!((decoded.seconds - sound.seconds).abs() < 0.3, "{name}: {decoded:?} {}", sound.seconds);
    }
}
