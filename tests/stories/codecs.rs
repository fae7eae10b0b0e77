//! Broadcasts in other codecs than H.264 and AAC: they reach the viewer and the shelf as they came.

use serde_json::json;
use tests::{Stack, Watching, decode, pictures, probe, stored, until};

use crate::browser::script;
use crate::live::{AAC, Broadcast, OPUS, PATIENCE};

/// What is published, and what becomes of it.
struct Case {
    /// In ffmpeg's words.
    codecs: [&'static str; 2],
    /// Picture and sound as playlists name them: how they begin.
    named: [&'static str; 2],
    /// As ffprobe names them.
    probed: [&'static str; 2],
    /// The rendition of the publisher's sound.
    sound: &'static str,
}

const HEVC_AAC: Case = Case {
    codecs: [
        "-c:v libx265 -preset ultrafast \
         -x265-params log-level=error:keyint=60:min-keyint=60:scenecut=0:open-gop=0:bframes=2",
        AAC,
    ],
    named: ["hvc1.1.6.L", "mp4a.40.2"],
    probed: ["hevc", "aac"],
    sound: "a96",
};

const AV1_OPUS: Case = Case {
    codecs: ["-c:v libsvtav1 -preset 12 -svtav1-params pred-struct=1", OPUS],
    named: ["av01.0.0", "opus"],
    probed: ["av1", "opus"],
    sound: "a160",
};

#[tokio::test(flavor = "multi_thread")]
async fn hevc_av1_and_opus_pass_through_to_the_viewer_and_into_the_film() {
    for Case { codecs, named: [picture, sound], probed, sound: sound_name } in [HEVC_AAC, AV1_OPUS] {
        let stack = Stack::start().await;
        let event = Broadcast::create(&stack, 0).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
        let record = path("record.mkv");
        let mut publisher = event.start_enhanced(codecs, record.as_ref());
        event.until_on_air().await;

        // Live: what the publisher sends, and below it what everybody can play.
        let viewer = Watching::start(&stack, &event.ana, &event.id).await;
        let offered = until("the rungs below", PATIENCE, async || {
            let offered = viewer.get("multivariant.m3u8").await.expect(200).text();
            if offered.contains("\n144p/") { Ok(offered) } else { Err(offered) }
        })
        .await;
        let lines: Vec<&str> = offered.lines().collect();
        let has = |name: &str, codecs: [&str; 2]| {
            lines.windows(2).any(|pair| {
                let [first, second] = codecs;
                let said = pair[0].split_once("CODECS=\"").map_or("", |(_, rest)| rest);
                let (said, _) = said.split_once('"').unwrap_or_default();
                let both = said.split_once(',').unwrap_or_default();
                pair[1] == format!("{name}/playlist.m3u8")
                    && both.0.starts_with(first)
                    && both.1.starts_with(second)
            })
        };
        assert!(has("360p", [picture, sound]), "{offered}");
        assert!(has("360p", [picture, "mp4a.40.2"]), "{offered}");
        assert!(has("144p", ["avc1.", "mp4a.40.2"]), "{offered}");
        for (name, codec) in [("360p", probed[0]), (sound_name, probed[1])] {
            let init = viewer.get(&format!("{name}/init-0.mp4")).await.expect(200).body;
            let part = viewer.get(&format!("{name}/0.0.m4s")).await.expect(200).body;
            let file = path(&format!("{name}.mp4"));
            std::fs::write(&file, [init, part].concat()).expect("write a part");
            assert_eq!(probe(&file)["codec_name"], codec, "{name}");
            assert_eq!(decode(&file).complaints, "", "{name}");
        }

        // The film: every picture that was sent, and nothing was encoded again.
        publisher.until_ended(PATIENCE).await;
        assert_eq!(event.log(), "");
        event.until_off_air().await;
        event.end().await;
        event.ana.until_ready(&event.id).await;
        let film = Watching::start(&stack, &event.ana, &event.id).await;
        assert_eq!(decode(&film.url("multivariant.m3u8")).complaints, "");
        let file = film.url("360p.mp4");
        let sent = pictures(&record);
        assert_eq!(sent.len(), 240);
        assert_eq!(pictures(&file), sent);
        // Sound from before the first picture is no part of the event.
        let (heard, sent) = (stored(&file, "a"), stored(&record, "a"));
        let missing: Vec<usize> = (0..sent.len()).filter(|n| !heard.contains(&sent[*n])).collect();
        assert!(sent.ends_with(&heard) && missing.len() <= 3, "{missing:?} of {}", sent.len());
        assert_eq!(probe(&film.url("360p/playlist.m3u8"))["codec_name"], probed[0]);
        assert_eq!(probe(&film.url(&format!("{sound_name}/playlist.m3u8")))["codec_name"], probed[1]);
        film.get("poster.jpg").await.expect(200);
        stack.cocuyo(&["doctor"]);
        // Debian's Chromium plays all but HEVC: it goes up from H.264 and AAC.
        if probed == ["av1", "opus"] {
            let (base, id) = (stack.url(""), event.id.clone());
            let told = tokio::task::spawn_blocking(move || {
                let ana = "ana:contraseña de ana";
                script("codecs.js", &["--base", &base, "--creator", ana, "--video", &id])
            });
            let told = told.await.expect("the script does not panic");
            assert_eq!((&told["last"]["height"], &told["complaints"]), (&json!(360), &json!([])), "{told:#}");
            let asked =
                |name: &str| told["asked"].as_array().is_some_and(|asked| asked.contains(&json!(name)));
            assert!(asked("360p") && asked(sound_name), "{told:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_pictures_the_first_is_taken_and_the_studio_says_so() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let codecs = ["-map 0:v -c:v libx264 -preset ultrafast", "-c:a aac"];
    let _publisher = event.start_enhanced(codecs, &folder.path().join("record.mkv"));
    event.until_on_air().await;
    until("the warning", PATIENCE, async || {
        let health = event.ana.get(&format!("/api/v1/events/{}/health", event.id)).await.expect(200).json();
        let warned = health.to_string().contains("\"one_track\"");
        if warned { Ok(()) } else { Err((health, event.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_packaged_is_refused_by_its_name() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (codecs, named) in [
        (["-c:v libvpx-vp9 -deadline realtime", "-c:a aac"], "codec `vp09` is not supported"),
        (["-c:v libx264", "-c:a flac"], "codec `fLaC` is not supported"),
        (["-c:v libx264", "-c:a libmp3lame"], "MP3 audio is not supported"),
    ] {
        let mut publisher = event.start_enhanced(codecs, &folder.path().join("record.mkv"));
        publisher.until_ended(PATIENCE).await;
        let said = event.log();
        assert!(said.contains(named) && said.contains("send H.264, HEVC or AV1 with AAC or Opus"), "{said}");
    }
}
