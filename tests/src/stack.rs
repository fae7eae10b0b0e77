//! One running installation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use database::testing::TestDatabase;
use futures::StreamExt;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sea_orm::{ConnectionTrait, Statement};
use storage::ObjectStore;
use storage::testing::SeaweedFs;
use tempfile::TempDir;

use crate::{End, Finished, Line, OwnEdge, Person, Server, program, run, until};

/// What an installation stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// SQLite and a folder: what `make run` gives.
    Embedded,
    /// PostgreSQL and an S3 server (SeaweedFS), both real and on loopback.
    Servers,
}

/// What an installation is to be.
#[derive(Debug)]
pub struct Setup {
    /// What it stands on.
    pub engines: Engines,
    /// More lines of configuration (TOML, whole tables).
    pub configuration: String,
    /// A folder that was prepared for it.
    pub home: Option<TempDir>,
    /// The roles of the server, with commas; all if empty.
    pub roles: &'static str,
    /// Whether the line to S3 can be cut, and PostgreSQL crashed without anybody else noticing.
    pub is_breakable: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let (engines, roles) = (Engines::Embedded, "");
        Self { engines, configuration: String::new(), home: None, roles, is_breakable: false }
    }
}

/// A running installation with everything it stands on; all of it ends when this is dropped.
#[derive(Debug)]
pub struct Stack {
    engines: Engines,
    home: TempDir,
    settings: String,
    /// The lines of configuration that name the bucket.
    storage: String,
    roles: &'static str,
    listen: String,
    server: Option<Server>,
    store: Arc<dyn ObjectStore>,
    workers: AtomicU32,
    line_to_s3: Option<Line>,
    // Held for their ends: the database and the S3 server stop when these are dropped.
    postgres: Option<TestDatabase>,
    _seaweed: Option<SeaweedFs>,
}

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
        Self::set_up(Setup { engines, configuration: extra.to_owned(), ..Setup::default() }).await
    }

    /// An installation in a folder that was prepared for it.
    pub async fn start_in(home: TempDir, engines: Engines, extra: &str) -> Self {
        let configuration = extra.to_owned();
        Self::set_up(Setup { engines, configuration, home: Some(home), ..Setup::default() }).await
    }

    /// An installation of one's own wishes.
    pub async fn set_up(setup: Setup) -> Self {
        let home = setup.home.unwrap_or_else(|| TempDir::new().expect("a temporary folder"));
        let mut stack = match setup.engines {
            Engines::Embedded => {
                let folder = home.path().join("objects");
                let storage = format!("[storage]\nfolder = \"{}\"\n", folder.display());
                let config = storage::Config::Folder(folder);
                Self { storage, ..Self::around(home, config, String::new()).await }
            }
            Engines::Servers => Self::on_servers(home, setup.is_breakable).await,
        };
        stack.engines = setup.engines;
        stack.roles = setup.roles;
        stack.settings = format!("{}\n{}", stack.settings, setup.configuration);
        stack.start_server().await;
        stack
    }

    async fn on_servers(home: TempDir, is_breakable: bool) -> Self {
        let postgres = match is_breakable {
            true => TestDatabase::postgres_of_its_own().await,
            false => TestDatabase::postgres().await,
        };
        let seaweed = SeaweedFs::start();
        let s3 = seaweed.config("stories");
        let line = match is_breakable {
            true => Some(Line::to(s3.endpoint.port().expect("it has one")).await),
            false => None,
        };
        let mut endpoint = s3.endpoint.clone();
        if let Some(line) = &line {
            endpoint.set_port(Some(line.port())).expect("a host has a port");
        }
        let storage = format!(
            "[storage.s3]\nendpoint = \"{endpoint}\"\nbucket = \"{}\"\naccess_key_id = \"{}\"\n\
             secret_access_key = \"{}\"\n",
            s3.bucket,
            s3.access_key_id,
            storage::testing::SECRET_KEY,
        );
        let settings = format!("database = \"{}\"\n{storage}", postgres.url());
        let stack = Self::around(home, storage::Config::S3(s3), settings).await;
        Self { storage, line_to_s3: line, postgres: Some(postgres), _seaweed: Some(seaweed), ..stack }
    }

    async fn around(home: TempDir, config: storage::Config, settings: String) -> Self {
        Self {
            engines: Engines::Embedded,
            home,
            settings,
            storage: String::new(),
            roles: "",
            listen: "127.0.0.1:0".to_owned(),
            server: None,
            store: storage::open(&config).await.expect("open the bucket"),
            workers: AtomicU32::new(0),
            line_to_s3: None,
            postgres: None,
            _seaweed: None,
        }
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

    /// The plain port.
    pub fn address(&self) -> SocketAddr {
        self.listen.parse().expect("it has been found out")
    }

    /// The HTTPS port, of an installation that has one.
    pub fn https_address(&self) -> SocketAddr {
        let log = self.log();
        let line = log.lines().rev().find_map(|line| line.split_once("serves https://"));
        line.and_then(|(_, address)| address.trim().parse().ok())
            .unwrap_or_else(|| panic!("no port in {log}"))
    }

    /// Where live streams are published to, `rtmp://127.0.0.1:port/live`.
    pub fn live_url(&self) -> String {
        let log = self.log();
        let line = log.lines().rev().find_map(|line| line.split_once("takes live streams at rtmp://"));
        line.map_or_else(|| panic!("no port in {log}"), |(_, place)| format!("rtmp://{}", place.trim()))
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) {
        self.server.as_ref().expect("the server runs").signal(signal);
    }

    /// Where a foreign player (VLC, a TV) would go with this answer to a request for playback.
    pub fn foreign_url(&self, playback: &serde_json::Value) -> String {
        let url = playback["foreign_url"].as_str().expect("a url for foreign players");
        if url.starts_with("http") { url.to_owned() } else { self.url(url) }
    }

    /// Everything the server has logged so far.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// The server's process.
    pub fn pid(&self) -> Pid {
        self.server.as_ref().expect("the server runs").pid()
    }

    /// Starts the server and waits until it answers.
    pub async fn start_server(&mut self) {
        self.start_server_with(&[]).await;
    }

    /// [`Stack::start_server`] with more arguments for `cocuyo serve`.
    pub async fn start_server_with(&mut self, arguments: &[&str]) {
        self.start_command(self.command("cocuyo", self.home.path(), self.roles).args(arguments)).await;
    }

    async fn start_command(&mut self, command: &mut Command) {
        let ports = ["--listen", &self.listen, "--rtmp", "127.0.0.1:0"];
        let mut server = Server::spawn(command.args(ports));
        self.listen = format!("127.0.0.1:{}", server.until_listening().await);
        self.server = Some(server);
    }

    /// Another process that only packages, with a data folder of its own as on another machine.
    pub async fn add_worker(&self) -> Server {
        let mut worker = Server::spawn(&mut self.worker("cocuyo"));
        worker.until_listening().await;
        worker
    }

    /// [`Stack::add_worker`], of the build in which `failpoints` (see `packager::faults`) happen.
    pub fn add_worker_that_fails(&self, failpoints: &str) -> Server {
        Server::spawn(self.worker("cocuyo-faults").env("FAILPOINTS", failpoints))
    }

    fn worker(&self, program: &str) -> Command {
        let number = self.workers.fetch_add(1, Ordering::Relaxed);
        let data = match self.engines {
            // The folder store and SQLite are for one machine, and one data folder.
            Engines::Embedded => self.data(),
            Engines::Servers => self.home.path().join(format!("worker-{number}")),
        };
        let mut command = self.command(program, &data, "packager");
        command.args(["--listen", "127.0.0.1:0"]);
        command
    }

    /// `cocuyo serve` with another role, with the data folder that it shares.
    pub(crate) fn part(&self, role: &str) -> Command {
        self.command("cocuyo", self.home.path(), role)
    }

    fn command(&self, name: &str, data: &Path, roles: &str) -> Command {
        let config = self.config_file();
        let text = format!("admin_listen = \"127.0.0.1:0\"\n{}", with_free_rtmps(&self.settings));
        std::fs::write(&config, text).expect("write the configuration");
        let mut command = Command::new(program(name));
        command.arg("serve");
        command.args(["--config".as_ref(), config.as_os_str(), "--data".as_ref(), data.as_os_str()]);
        if !roles.is_empty() {
            command.args(["--roles", roles]);
        }
        command
    }

    /// The lines of configuration that name the bucket.
    pub fn storage_settings(&self) -> &str {
        &self.storage
    }

    /// An edge of its own, enrolled under `name`, on a machine that shares the bucket and nothing
    /// else with this installation.
    pub async fn add_edge(&self, name: &str) -> OwnEdge {
        self.add_edge_with(name, &self.url(""), "").await
    }

    /// [`Stack::add_edge`] that finds the origin at `origin`, with more lines of configuration.
    pub async fn add_edge_with(&self, name: &str, origin: &str, extra: &str) -> OwnEdge {
        let credential = self.cocuyo(&["edge", "enrol", name]).trim().to_owned();
        let settings = format!("{}\n[origin]\naddress = \"{origin}\"\n{extra}", self.storage);
        OwnEdge::start(settings, credential).await
    }

    /// `kill -9`, as a crash does it; the machine and its disks live on.
    pub fn kill_server(&mut self) {
        self.server.take().expect("the server runs").kill();
    }

    /// SIGTERM, and the exit code.
    pub async fn stop_server(&mut self) -> Option<i32> {
        let server = self.server.take().expect("the server runs");
        server.signal(Signal::SIGTERM);
        match server.ended().await {
            End::Code(code) => Some(code),
            End::Signal(_) => None,
        }
    }

    /// Waits until the server has ended by itself.
    pub async fn server_ended(&mut self) -> End {
        self.server.take().expect("the server runs").ended().await
    }

    /// The line to S3 of a breakable installation.
    pub fn line_to_s3(&self) -> &Line {
        self.line_to_s3.as_ref().expect("a breakable installation on servers")
    }

    /// Crashes PostgreSQL of a breakable installation; it comes back by itself.
    pub fn crash_postgres(&self) {
        self.postgres.as_ref().expect("an installation on servers").crash_server();
    }

    /// The next start of the server uses this database.
    pub fn use_database(&mut self, url: &str) {
        self.settings = format!("database = \"{url}\"\n{}", self.settings);
    }

    /// Runs `cocuyo COMMAND…` against this installation and expects it to succeed.
    pub fn cocuyo(&self, arguments: &[&str]) -> String {
        self.try_cocuyo(arguments).ok()
    }

    /// Runs `cocuyo COMMAND…` against this installation.
    pub fn try_cocuyo(&self, arguments: &[&str]) -> Finished {
        let config = self.config_file();
        let mut all = arguments.to_vec();
        let (config, data) = (config.to_string_lossy(), self.home.path().to_string_lossy());
        all.extend(["--config", &config, "--data", &data]);
        run(program("cocuyo"), &all)
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

    /// The only value of the only row of a query, from behind; empty if there is none.
    pub async fn row(&self, query: &str) -> String {
        let database = self.database().await;
        let statement = Statement::from_string(database.read().get_database_backend(), query);
        let row = database.read().query_one_raw(statement).await.expect("the query is right");
        row.map(|row| row.try_get_by_index(0).expect("a text")).unwrap_or_default()
    }

    /// Changes rows, from behind.
    pub async fn change_rows(&self, statement: &str) {
        let transaction = self.database().await.begin_write().await.expect("begin to write");
        transaction.execute_unprepared(statement).await.expect("the statement is right");
        transaction.commit().await.expect("commit");
    }

    async fn database(&self) -> database::Database {
        let url = match &self.postgres {
            Some(postgres) => postgres.url().to_owned(),
            None => database::sqlite_url(&self.data().join("cocuyo.db")),
        };
        database::Database::open(&url).await.expect("open the database")
    }

    /// Waits until the jobs that nobody works on are wished for this often.
    pub async fn until_wishes(&self, wishes: &str) {
        until("the wishes in the queue", Duration::from_secs(20), || async {
            let query = "SELECT CAST(sum(wants) AS TEXT) FROM jobs WHERE state = 'queued'";
            let found = self.row(query).await;
            if found == wishes { Ok(()) } else { Err(found) }
        })
        .await;
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

    /// From now on the server may have so many descriptors at once.
    pub fn limit_descriptors(&self, most: u32) {
        let (pid, limit) = (self.pid().to_string(), format!("--nofile={most}:{most}"));
        run("prlimit", &["--pid", &pid, &limit]).ok();
    }

    /// What `/metrics` says at the operator's port.
    pub async fn metrics(&self) -> String {
        let log = self.log();
        let (_, rest) = log.split_once("operator's port is http://").expect("the log names it");
        let address = rest.split_whitespace().next().expect("an address");
        Person::stranger(format!("http://{address}")).get("/metrics").await.expect(200).text()
    }

    /// The value of one of them, 0 while nothing was counted.
    pub async fn metric(&self, name: &str) -> u64 {
        let told = self.metrics().await;
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().expect("a number"))
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

/// A file inside the home of the project (`scripts/…`, `.tools/…`).
pub fn project_file(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// These lines of configuration, and a free port for encrypted live streams: other stories have a
/// certificate at the same time.
fn with_free_rtmps(settings: &str) -> String {
    const PORT: &str = "rtmps = \"127.0.0.1:0\"\n";
    match settings.contains("[ingest]\n") {
        true => settings.replace("[ingest]\n", &format!("[ingest]\n{PORT}")),
        false => format!("ingest.{PORT}{settings}"),
    }
}
