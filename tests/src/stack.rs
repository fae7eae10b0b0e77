//! One running installation.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use storage::ObjectStore;
use tempfile::TempDir;

use crate::{Person, program, run, until};

/// What an installation stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// SQLite and a folder: what `make run` gives.
    Embedded,
    /// PostgreSQL and an S3 server (SeaweedFS), both real and on loopback.
    Servers,
}

/// A running installation with everything it stands on; all of it ends when this is dropped.
#[derive(Debug)]
pub struct Stack {
    engines: Engines,
    home: TempDir,
    settings: String,
    listen: String,
    server: Option<Running>,
    store: Arc<dyn ObjectStore>,
    log: Arc<Mutex<String>>,
    // Held for their ends: the database and the S3 server stop when these are dropped.
    _postgres: Option<database::testing::TestDatabase>,
    _seaweed: Option<storage::testing::SeaweedFs>,
}

#[derive(Debug)]
struct Running(Child);

impl Stack {
    /// An installation on embedded engines.
    pub async fn start() -> Self {
        Self::start_on(Engines::Embedded).await
    }

    /// An installation on these engines.
    pub async fn start_on(engines: Engines) -> Self {
        Self::start_with(engines, "").await
    }

    /// An installation on these engines with more lines of configuration (TOML, whole tables).
    pub async fn start_with(engines: Engines, extra: &str) -> Self {
        let home = TempDir::new().expect("a temporary folder");
        Self::start_in(home, engines, extra).await
    }

    /// An installation in a folder that was prepared for it.
    pub async fn start_in(home: TempDir, engines: Engines, extra: &str) -> Self {
        let (settings, store, postgres, seaweed) = match engines {
            Engines::Embedded => {
                let config = storage::Config::Folder(home.path().join("objects"));
                (String::new(), config, None, None)
            }
            Engines::Servers => {
                let postgres = database::testing::TestDatabase::postgres().await;
                let seaweed = storage::testing::SeaweedFs::start();
                let s3 = seaweed.config("stories");
                let settings = format!(
                    "database = \"{}\"\n[storage.s3]\nendpoint = \"{}\"\nbucket = \"{}\"\naccess_key_id = \"{}\"\n\
                     secret_access_key = \"{}\"\n",
                    postgres.url(),
                    s3.endpoint,
                    s3.bucket,
                    s3.access_key_id,
                    storage::testing::SECRET_KEY,
                );
                (settings, storage::Config::S3(s3), Some(postgres), Some(seaweed))
            }
        };
        let store = storage::open(&store).await.expect("open the bucket");
        let mut stack = Self {
            engines,
            home,
            settings: format!("{settings}\n{extra}"),
            listen: "127.0.0.1:0".to_owned(),
            server: None,
            store,
            log: Arc::default(),
            _postgres: postgres,
            _seaweed: seaweed,
        };
        stack.start_server().await;
        stack
    }

    /// What it stands on.
    pub fn engines(&self) -> Engines {
        self.engines
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// The configuration file that the commands take.
    pub fn config_file(&self) -> PathBuf {
        self.home.path().join("cocuyo.toml")
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// Where a foreign player (VLC, a TV) would go with this answer to a request for playback.
    pub fn foreign_url(&self, playback: &serde_json::Value) -> String {
        let url = playback["foreign_url"].as_str().expect("a url for foreign players");
        if url.starts_with("http") { url.to_owned() } else { self.url(url) }
    }

    /// Everything the server has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the reader never panics").clone()
    }

    /// The server's process.
    pub fn pid(&self) -> Pid {
        let child = &self.server.as_ref().expect("the server runs").0;
        Pid::from_raw(child.id().try_into().expect("a pid fits"))
    }

    /// Starts the server and waits until it answers.
    pub async fn start_server(&mut self) {
        self.start_server_with(&[]).await;
    }

    /// [`Stack::start_server`] with more arguments for `cocuyo serve`.
    pub async fn start_server_with(&mut self, arguments: &[&str]) {
        let config = self.config_file();
        let head = format!("admin_listen = \"127.0.0.1:0\"\n{}", self.settings);
        std::fs::write(&config, head).expect("write the configuration");
        let mut child = Command::new(program("cocuyo"))
            .arg("serve")
            .args(["--config".as_ref(), config.as_os_str(), "--data".as_ref(), self.home.path().as_os_str()])
            .args(["--listen", &self.listen])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start cocuyo");
        self.keep_log(child.stdout.take().expect("piped"));
        self.keep_log(child.stderr.take().expect("piped"));
        self.server = Some(Running(child));
        let stack = &*self;
        let address = until("the server to listen", Duration::from_secs(30), || async {
            let log = stack.log();
            let line = log.lines().rev().find_map(|line| line.split_once("http://127.0.0.1:"));
            match line {
                Some((_, rest)) => Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>()),
                None => Err(log),
            }
        })
        .await;
        self.listen = format!("127.0.0.1:{address}");
    }

    fn keep_log(&self, lines: impl Read + Send + 'static) {
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let mut log = log.lock().expect("no holder panics");
                log.push_str(&line);
                log.push('\n');
            }
        });
    }

    /// `kill -9`, as a crash does it; the machine and its disks live on.
    pub fn kill_server(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.0.kill().expect("kill the server");
        server.0.wait().expect("reap the server");
        self.forget_log();
    }

    /// SIGTERM, and the exit code.
    pub async fn stop_server(&mut self) -> Option<i32> {
        kill(self.pid(), Signal::SIGTERM).expect("signal the server");
        let mut server = self.server.take().expect("the server runs");
        let code = tokio::task::spawn_blocking(move || server.0.wait().expect("reap the server").code());
        let code = code.await.expect("waiting does not panic");
        self.forget_log();
        code
    }

    fn forget_log(&self) {
        self.log.lock().expect("no holder panics").clear();
    }

    /// The next start of the server uses this database.
    pub fn use_database(&mut self, url: &str) {
        self.settings = format!("database = \"{url}\"\n{}", self.settings);
    }

    /// Runs `cocuyo COMMAND…` against this installation and expects it to succeed.
    pub fn cocuyo(&self, arguments: &[&str]) -> String {
        let config = self.config_file();
        let mut all = arguments.to_vec();
        let (config, data) = (config.to_string_lossy(), self.home.path().to_string_lossy());
        all.extend(["--config", &config, "--data", &data]);
        run(program("cocuyo"), &all).ok()
    }

    /// A new account, signed in.
    pub async fn person(&self, username: &str, role: &str, tier: u8) -> Person {
        let password = format!("contraseña de {username}");
        let tier = tier.to_string();
        self.cocuyo(&[
            "account",
            "create",
            "--username",
            username,
            "--password",
            &password,
            "--role",
            role,
            "--tier",
            &tier,
        ]);
        Person::sign_in(self.url(""), username, &password).await
    }

    /// Somebody who has not signed in.
    pub fn stranger(&self) -> Person {
        Person::stranger(self.url(""))
    }

    /// The bucket, from behind.
    pub fn bucket(&self) -> &dyn ObjectStore {
        &*self.store
    }

    /// The names of all objects in the bucket, sorted.
    pub async fn listing(&self) -> Vec<String> {
        let listed = self.store.list(model::ObjectKey::ROOT);
        let mut names: Vec<_> = listed.map(|object| object.expect("list the bucket").name).collect().await;
        names.sort();
        names
    }

    /// The listing with ids and hashes replaced, for comparison with what it should be.
    pub async fn shape(&self) -> String {
        let mut lines: Vec<_> = self.listing().await.iter().map(|name| shape_of(name)).collect();
        lines.sort();
        lines.join("\n") + "\n"
    }

    /// The shape with equal lines counted and chunks without their numbers: many objects in few lines.
    pub async fn outline(&self) -> String {
        let mut counts = BTreeMap::<String, usize>::new();
        for name in self.listing().await {
            let shape = shape_of(&name);
            let line = match shape.rsplit_once('/') {
                Some((folder, file)) if file.ends_with("-HASH.cmaf") => format!("{folder}/*-HASH.cmaf"),
                _ => shape,
            };
            *counts.entry(line).or_default() += 1;
        }
        counts.iter().map(|(line, count)| format!("{count} {line}\n")).collect()
    }

    /// The largest resident set that the server has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        memory(self.pid(), "VmHWM:")
    }

    /// The server's resident set now, in bytes.
    pub fn memory(&self) -> u64 {
        memory(self.pid(), "VmRSS:")
    }
}

fn memory(pid: Pid, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel says it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024
}

/// `videos/<id>/<id>/360p/00000-<hash>.cmaf` → `VIDEO/VERSION/360p/00000-HASH.cmaf`.
fn shape_of(name: &str) -> String {
    let parts: Vec<&str> = name.trim_start_matches(model::ObjectKey::ROOT).split('/').collect();
    let last = parts.len() - 1;
    let shaped = parts.iter().enumerate().map(|(place, part)| match place {
        0 => "VIDEO".to_owned(),
        1 if last > 1 => "VERSION".to_owned(),
        _ => match part.split_once('-') {
            Some((number, hash)) if hash.len() > 60 => format!("{number}-HASH.cmaf"),
            _ => (*part).to_owned(),
        },
    });
    shaped.collect::<Vec<_>>().join("/")
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody may be left behind when a story fails halfway.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file inside the home of the project (`scripts/…`, `.tools/…`).
pub fn project_file(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}
