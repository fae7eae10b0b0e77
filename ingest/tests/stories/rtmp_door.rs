//! The door for RTMP on a loopback port, and programs at it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ingest::live::{Admitted, Denied, FeedLimits, Publishers};
use ingest::rtmp::RtmpDoor;
use listener::{Certificates, Config, Place, StreamPort};
use model::{LetGo, StreamKey, StreamKeyHash, SystemClock, Timestamp, VersionId, VideoId};
use prometheus_client::registry::Registry;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::packager::Packager;

/// Waits for a condition; fails with what it last saw.
pub(crate) async fn until<T, E: Debug>(what: &str, mut is: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match is() {
            Ok(found) => return found,
            Err(last) => assert!(Instant::now() < deadline, "waited for {what}; last seen: {last:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All that every door of this process has logged, at every level.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

/// Two events, of two keys.
#[derive(Debug)]
pub(crate) struct Events {
    videos: HashMap<StreamKeyHash, VideoId>,
    pub(crate) limits: Mutex<FeedLimits>,
    pub(crate) answer: Mutex<Option<Denied>>,
    pub(crate) is_stuck: Mutex<bool>,
    /// Turns below this one are over.
    pub(crate) over_before: Mutex<u64>,
    pub(crate) left: Mutex<Vec<u64>>,
    /// Why the last of them was let go.
    pub(crate) let_go: Mutex<Option<LetGo>>,
    generations: Mutex<u64>,
}

#[async_trait]
impl Publishers for Events {
    async fn admit(&self, key: StreamKeyHash, from: IpAddr, _: Timestamp) -> Result<Admitted, Denied> {
        assert!(from.is_loopback());
        if *self.is_stuck.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        if let Some(denied) = *self.answer.lock().unwrap() {
            return Err(denied);
        }
        let video = *self.videos.get(&key).ok_or(Denied::Key)?;
        let mut generation = self.generations.lock().unwrap();
        *generation += 1;
        let limits = *self.limits.lock().unwrap();
        Ok(Admitted { video, version: VersionId::from_bits(9), generation: *generation, limits })
    }

    async fn heard(&self, admitted: &[Admitted], _: Timestamp) -> Vec<Admitted> {
        let over_before = *self.over_before.lock().unwrap();
        admitted.iter().copied().filter(|admitted| admitted.generation < over_before).collect()
    }

    async fn left(&self, admitted: &Admitted, why: Option<LetGo>, _: Timestamp) {
        self.left.lock().unwrap().push(admitted.generation);
        *self.let_go.lock().unwrap() = why;
    }
}

pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) encrypted: SocketAddr,
    pub(crate) keys: [StreamKey; 2],
    pub(crate) events: Arc<Events>,
    pub(crate) packager: Packager,
    pub(crate) stop: CancellationToken,
    pub(crate) registry: Registry,
    _folder: TempDir,
    _tasks: JoinSet<()>,
}

pub(crate) const EVENTS: [VideoId; 2] = [VideoId::from_bits(1), VideoId::from_bits(2)];

impl Door {
    pub(crate) fn open() -> Self {
        Self::exempting(&[])
    }

    /// One that looks at any number of wrong keys from these networks.
    pub(crate) fn exempting(networks: &[&str]) -> Self {
        // Once in a process; the others find it there.
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log);
        let _ = log.with_ansi(false).try_init();
        let mut rng = StdRng::seed_from_u64(1);
        let keys = [StreamKey::generate(&mut rng), StreamKey::generate(&mut rng)];
        let videos = keys.iter().map(StreamKey::hash).zip(EVENTS).collect();
        let limits = Mutex::new(FeedLimits { bits_per_s: 1 << 40, short_side: 1080, duration: None });
        let events = Events {
            videos,
            limits,
            answer: Mutex::default(),
            is_stuck: Mutex::default(),
            over_before: Mutex::default(),
            left: Mutex::default(),
            let_go: Mutex::default(),
            generations: Mutex::default(),
        };
        let (events, folder) = (Arc::new(events), tempfile::tempdir().unwrap());
        let socket = folder.path().join("live.sock");
        let packager = Packager::at(&socket);
        let config = Config::default();
        let place = || Place::At(([127, 0, 0, 1], 0).into());
        let plain = StreamPort::open(place(), None, &config).unwrap();
        let encrypted = StreamPort::open(place(), Some(&certificates()), &config).unwrap();
        let publishers = Arc::clone(&events) as Arc<dyn Publishers>;
        let door = RtmpDoor::new(
            Some(plain),
            Some(encrypted),
            publishers,
            socket,
            networks.iter().map(|network| network.parse().unwrap()).collect(),
            Arc::new(SystemClock),
        );
        let mut registry = Registry::default();
        door.register(&mut registry);
        let [address, encrypted] = door.addresses().map(Option::unwrap);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(door.run(stop.clone()));
        Self { address, encrypted, keys, events, packager, stop, registry, _folder: folder, _tasks: tasks }
    }

    /// Where the first event is published.
    pub(crate) fn url(&self) -> String {
        self.url_of(&self.keys[0].expose())
    }

    pub(crate) fn url_of(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.address)
    }

    /// What the door has counted.
    pub(crate) fn counted(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_default()
    }

    pub(crate) fn ended(&self, reason: &str) -> u64 {
        self.counted(&format!("cocuyo_live_connections_total{{ended=\"{reason}\"}}"))
    }

    pub(crate) async fn until_ended(&self, reason: &str, times: u64) {
        until(reason, || {
            let ended = self.ended(reason);
            if ended >= times { Ok(()) } else { Err(ended) }
        })
        .await;
    }

    pub(crate) async fn until_counted(&self, line: &str, value: u64) {
        until(line, || {
            let counted = self.counted(line);
            if counted == value { Ok(()) } else { Err(counted) }
        })
        .await;
    }
}

fn certificates() -> Certificates {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificates = Certificates::to_come();
    certificates.show(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
    certificates
}

/// Inputs that are made on the spot: a picture at 25 frames in a second, and a sound.
pub(crate) const PICTURE: &str = "-f lavfi -i testsrc2=size=320x180:rate=25";
pub(crate) const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000";
pub(crate) const SILENCE: &str = "-f lavfi -i anullsrc=sample_rate=48000:channel_layout=mono";
pub(crate) const H264: &str = "-c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -pix_fmt yuv420p";

/// A real ffmpeg that publishes to `url`.
pub(crate) fn ffmpeg(arguments: &str, url: &str) -> Child {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "info"]);
    command.args(arguments.split(' ')).args(["-f", "flv", url]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// Waits for its end: its code, and what it has said.
pub(crate) async fn finished(child: Child) -> (Option<i32>, String) {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.expect("ffmpeg has ended").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
