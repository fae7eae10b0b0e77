//! Broadcasts, told with real encoders from the first picture to the shelf.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Broadcaster, Engines, Person, Signal, Stack, Watching, decode, until};

pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Sounds of a publisher, in ffmpeg's words.
pub(crate) const AAC: &str = "-c:a aac -b:a 96k";
pub(crate) const OPUS: &str = "-c:a libopus -b:a 96k -ac 2";

/// An event of ana's, and what an encoder needs for it.
pub(crate) struct Broadcast {
    pub(crate) ana: Person,
    pub(crate) id: String,
    server: String,
    key: String,
    /// What encoders complain of, which names where they publish: not in the data folder.
    log: PathBuf,
    _folder: TempDir,
}

impl Broadcast {
    pub(crate) async fn create(stack: &Stack, min_tier: u8) -> Self {
        Self::create_at(stack, stack.live_url(), min_tier).await
    }

    /// One that is published to a door of its own.
    pub(crate) async fn create_at(stack: &Stack, server: String, min_tier: u8) -> Self {
        let ana = stack.person("ana", "creator", 0).await;
        let order = json!({ "title": "Desde el malecón", "visibility": "public", "min_tier": min_tier });
        let created = ana.post("/api/v1/events", order).await.expect(201).json();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            id: text(&created["id"]),
            server,
            key: text(&created["publish"]["key"]),
            log: folder.path().join("broadcaster.log"),
            _folder: folder,
            ana,
        }
    }

    /// Where it is published to, with its key.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.key)
    }

    /// Publishes eight seconds of a picture and a sound that are coded so, and keeps what it sent in the
    /// file `record`.
    pub(crate) fn start_enhanced(&self, [picture, sound]: [&str; 2], record: &Path) -> Broadcaster {
        let codecs: Vec<&str> = picture.split(' ').chain(sound.split(' ')).collect();
        Broadcaster::enhanced(&self.url(), &codecs, record, &self.log)
    }

    /// What encoders complained of.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn start(&self, signal: Signal) -> Broadcaster {
        Broadcaster::start(&self.url(), signal, &self.log)
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// From now on it is published to this server.
    pub(crate) fn is_at(&mut self, server: String) {
        self.server = server;
    }

    pub(crate) async fn event(&self) -> Value {
        self.ana.get(&format!("/api/v1/events/{}", self.id)).await.expect(200).json()
    }

    /// How its feed is, as the studio shows it.
    pub(crate) async fn health(&self) -> Value {
        self.ana.get(&format!("/api/v1/events/{}/health", self.id)).await.expect(200).json()
    }

    pub(crate) async fn until_on_air(&self) {
        until("pictures", PATIENCE, async || {
            let event = self.event().await;
            if event["on_air"] == true { Ok(()) } else { Err((event, self.log())) }
        })
        .await;
    }

    pub(crate) async fn until_off_air(&self) {
        until("nobody who publishes", PATIENCE, async || {
            let event = self.event().await;
            if event["on_air"] == false { Ok(()) } else { Err(event) }
        })
        .await;
    }

    /// The names of the renditions that are offered now.
    pub(crate) async fn offered(&self, viewer: &Watching) -> BTreeSet<String> {
        let text = viewer.get("multivariant.m3u8").await.expect(200).text();
        let names = text.split(['"', '\n']).filter_map(|word| word.strip_suffix("/playlist.m3u8"));
        names.map(str::to_owned).collect()
    }

    /// The same once its cell has begun.
    pub(crate) async fn until_encoded(&self, viewer: &Watching) -> BTreeSet<String> {
        until("all renditions", PATIENCE, async || {
            let offered = self.offered(viewer).await;
            if offered.contains("144p") { Ok(offered) } else { Err(offered) }
        })
        .await
    }

    pub(crate) async fn end(&self) {
        self.ana.post(&format!("/api/v1/events/{}/end", self.id), json!({})).await.expect(200);
    }
}

/// A media playlist, as far as these stories ask.
#[derive(Debug)]
struct Listed {
    text: String,
    first_msn: u32,
    segments: Vec<String>,
}

impl Listed {
    fn read(text: String) -> Self {
        let value = |tag: &str| text.lines().find_map(|line| line.strip_prefix(tag)?.parse().ok());
        let first_msn = value("#EXT-X-MEDIA-SEQUENCE:").unwrap_or_else(|| panic!("no number in {text}"));
        let segments = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        Self { first_msn, segments, text }
    }

    /// The number behind the last segment.
    fn next_msn(&self) -> u32 {
        self.first_msn + self.segments.len() as u32
    }

    /// Whether the last segments have something in them.
    fn ends_with_media(&self, segments: usize) -> bool {
        let last =
            self.text.lines().rev().filter(|line| line.starts_with("#EXTINF") || *line == "#EXT-X-GAP");
        let last: Vec<&str> = last.take(segments).collect();
        last.len() == segments && last.iter().all(|line| line.starts_with("#EXTINF"))
    }
}

async fn playlist(viewer: &Watching, name: &str) -> Listed {
    Listed::read(viewer.get(name).await.expect(200).text())
}

/// Every file below `folder` that holds `text`.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("list a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_outlives_its_publishers_and_is_on_the_shelf_when_it_ends() {
    for engines in [Engines::Embedded, Engines::Servers] {
        let stack = Stack::start_on(engines).await;
        let event = Broadcast::create(&stack, 0).await;
        let first = event.start(Signal { b_frames: 2, ..Signal::default() });
        event.until_on_air().await;
        let viewer = Watching::start(&stack, &event.ana, &event.id).await;
        let offered = viewer.get("multivariant.m3u8").await.expect(200).text();
        assert!(offered.contains("\n360p/playlist.m3u8\n"), "{offered}");

        // A reload that asks for what is not there yet is answered when it is.
        let now = playlist(&viewer, "360p/playlist.m3u8").await;
        let next = now.next_msn() + 1;
        let held = playlist(&viewer, &format!("360p/playlist.m3u8?_HLS_msn={next}&_HLS_part=1")).await;
        assert!(held.text.contains(&format!("URI=\"{next}.1.m4s\"")), "{held:?}");

        // The publisher is gone, and comes back.
        first.kill();
        let away = until("a gap", PATIENCE, async || {
            let listed = playlist(&viewer, "360p/playlist.m3u8").await;
            if listed.text.contains("#EXT-X-GAP") { Ok(listed) } else { Err(listed) }
        })
        .await;
        assert_eq!(event.event().await["on_air"], false);
        let second = event.start(Signal { b_frames: 2, ..Signal::default() });
        let back = until("pictures again", PATIENCE, async || {
            let listed = playlist(&viewer, "360p/playlist.m3u8").await;
            if listed.ends_with_media(2) { Ok(listed) } else { Err(listed) }
        })
        .await;
        assert!(
            back.next_msn() > away.next_msn() && !back.text.contains("#EXT-X-DISCONTINUITY\n"),
            "{back:?}"
        );
        assert!(!back.text.contains("init-1"), "{back:?}");

        event.end().await;
        let video = event.ana.until_ready(&event.id).await;
        assert_eq!(video["state"], "ready");
        second.kill();
        // The player that is still there sees the end; the next one gets the film.
        let ended = viewer.get("360p/playlist.m3u8").await.expect(200).text();
        assert!(ended.ends_with("#EXT-X-ENDLIST\n"), "{ended}");
        let film = Watching::start(&stack, &event.ana, &event.id).await;
        let decoded = decode(&film.url("multivariant.m3u8"));
        assert_eq!(decoded.complaints, "");
        film.get("poster.jpg").await.expect(200);
        stack.cocuyo(&["doctor"]);
        let whole = decode(&film.url("360p.mp4"));
        assert_eq!(whole.complaints, "");
        assert!(whole.seconds > 5.0 && whole.frames as f64 > whole.seconds * 29.0, "{whole:?}");

        // The key is nowhere but in what its owner was told once.
        let log = stack.log();
        assert!(!log.contains(&event.key), "the log has the key: {log}");
        assert_eq!(holding(&stack.data(), &event.key), [] as [PathBuf; 0]);
        assert!(!event.event().await.to_string().contains(&event.key));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_for_a_tier_is_gated_as_a_film_is() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 2).await;
    let _publisher = event.start(Signal::default());
    event.until_on_air().await;
    let luis = stack.person("luis", "viewer", 2).await;
    let poor = stack.person("pobre", "viewer", 1).await;
    poor.playback(&event.id).await.expect(403);
    let viewer = Watching::start(&stack, &luis, &event.id).await;
    let listed = playlist(&viewer, "360p/playlist.m3u8").await;
    let segment = listed.segments.last().expect("a segment").clone();
    viewer.get(&format!("360p/{segment}")).await.expect(200);
    let open = viewer.url("360p/playlist.m3u8");
    let open =
        open.split_once("/live/").map(|(_, rest)| format!("/live/{rest}")).expect("a path of the event");
    stack.stranger().get(&open).await.expect(401);

    // Their tier is taken away while they watch.
    let admin = stack.person("jefa", "admin", 0).await;
    admin.patch("/api/v1/accounts/luis", json!({ "tier": 0 })).await.expect(200);
    until("a refusal", Duration::from_secs(10), async || {
        let status = viewer.get("360p/playlist.m3u8").await.status;
        if status.as_u16() == 401 { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_with_its_broadcast() {
    let mut stack = Stack::start().await;
    let mut event = Broadcast::create(&stack, 0).await;
    let publisher = event.start(Signal::default());
    event.until_on_air().await;
    let viewer = Watching::start(&stack, &event.ana, &event.id).await;
    let before = until("some segments", PATIENCE, async || {
        let listed = playlist(&viewer, "360p/playlist.m3u8").await;
        if listed.segments.len() >= 3 { Ok(listed) } else { Err(listed) }
    })
    .await;
    stack.kill_server();
    drop(publisher);
    stack.start_server().await;
    event.is_at(stack.live_url());
    let _again = event.start(Signal::default());
    let after = until("pictures again", PATIENCE, async || {
        let answer = viewer.get("360p/playlist.m3u8").await;
        if answer.status.as_u16() != 200 {
            return Err(answer.text());
        }
        let listed = Listed::read(answer.text());
        let is_back = listed.next_msn() > before.next_msn() + 2 && listed.ends_with_media(2);
        if is_back { Ok(listed) } else { Err(listed.text) }
    })
    .await;
    assert!(after.first_msn >= before.first_msn, "{before:?} {after:?}");
    assert!(!after.text.contains("#EXT-X-DISCONTINUITY\n"), "{after:?}");
    // What was listed before has the same name and the same length.
    let kept = |listed: &Listed, name: &str| {
        let lines: Vec<&str> = listed.text.lines().collect();
        lines.iter().position(|line| *line == name).map(|at| lines[at - 1].to_owned())
    };
    for name in &before.segments {
        assert_eq!(kept(&before, name), kept(&after, name), "{name}: {before:?} {after:?}");
    }
    event.end().await;
    event.ana.until_ready(&event.id).await;
}
