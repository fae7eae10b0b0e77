//! A running Cocuyo with the shipped configuration, and what it stands on.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use database::testing::TestDatabase;
use futures::TryStreamExt;
use storage::testing::{SECRET_KEY, SeaweedFs};
use tempfile::TempDir;

use crate::door::{Door, PASSWORD, USERNAME};

/// What an installation stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engines {
    /// SQLite and a folder: what `make run` gives.
    Folder,
    /// PostgreSQL and SeaweedFS, private ones on this machine.
    Servers,
}

impl Engines {
    /// Both, the embedded ones first.
    pub(crate) const ALL: [Self; 2] = [Self::Folder, Self::Servers];

    /// The word for it in names of figures.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Servers => "seaweedfs",
        }
    }
}

/// How an installation is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// What it stands on.
    pub(crate) engines: Engines,
    /// A core for the server alone, if it shall have only one.
    pub(crate) core: Option<usize>,
    /// What the server does, as `--roles` has it; everything if absent.
    pub(crate) roles: Option<&'static str>,
    /// What it logs, as `COCUYO_LOG` has it; the shipped choice if absent.
    pub(crate) log: Option<&'static str>,
}

impl Setup {
    /// One server that does everything on all cores.
    pub(crate) const fn on(engines: Engines) -> Self {
        Self { engines, core: None, roles: None, log: None }
    }
}

/// A server on a data folder of its own; all of it ends with this value.
#[derive(Debug)]
pub(crate) struct Installation {
    setup: Setup,
    home: TempDir,
    settings: String,
    storage: storage::Config,
    server: Option<Server>,
    ports: Ports,
    https: Option<String>,
    door: Door,
    // Held for their ends.
    _postgres: Option<TestDatabase>,
    _seaweed: Option<SeaweedFs>,
}

/// Where a process listens. A port that was found once is taken again: who watches and who publishes
/// comes back to where the server was.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// For HTTP,
    pub(crate) http: String,
    /// and for live streams.
    pub(crate) rtmp: String,
}

impl Ports {
    /// Free ones.
    pub(crate) fn any() -> Self {
        let any = "127.0.0.1:0".to_owned();
        Self { http: any.clone(), rtmp: any }
    }
}

/// One process of an installation; it is killed when dropped, for it holds nothing wanted later.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody else waits for it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of this workspace, built beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("find this program")?;
    let path = exe.with_file_name(name);
    ensure!(path.exists(), "`{}` is not built", path.display());
    Ok(path)
}

impl Installation {
    /// A new installation with one account, running and signed in.
    pub(crate) fn start(setup: Setup) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("cocuyo-bench-").context("make a data folder")?;
        let door = Door::new()?;
        let mut settings = "admin_listen = \"127.0.0.1:0\"\n".to_owned();
        let mut storage = storage::Config::Folder(home.path().join("objects"));
        let (mut postgres, mut seaweed) = (None, None);
        if setup.engines == Engines::Servers {
            let database = door.wait_for(TestDatabase::postgres());
            let server = SeaweedFs::start();
            let s3 = server.config("bench");
            writeln!(settings, "database = \"{}\"\n[storage.s3]", database.url())?;
            writeln!(settings, "endpoint = \"{}\"\nbucket = \"{}\"", s3.endpoint, s3.bucket)?;
            writeln!(settings, "access_key_id = \"{}\"", s3.access_key_id)?;
            writeln!(settings, "secret_access_key = \"{SECRET_KEY}\"")?;
            storage = storage::Config::S3(s3);
            (postgres, seaweed) = (Some(database), Some(server));
        }
        std::fs::write(home.path().join("cocuyo.toml"), &settings).context("write the configuration")?;
        create_account(home.path(), USERNAME, "admin")?;
        let mut this = Self {
            setup,
            home,
            settings,
            storage,
            server: None,
            ports: Ports::any(),
            https: None,
            door,
            _postgres: postgres,
            _seaweed: seaweed,
        };
        this.restart()?;
        Ok(this)
    }

    /// The public door, with somebody signed in.
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.home.path()
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Server::pid)
    }

    /// Kills the server and starts it again: nothing is left in its memory.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.server = None;
        let home = self.home.path();
        let config = home.join("cocuyo.toml");
        let process = Process { config: &config, data: home, core: self.setup.core, roles: self.setup.roles };
        let Serving { server, ports, https } = serve(&self.setup, &self.ports, process)?;
        (self.server, self.ports, self.https) = (Some(server), ports, https);
        self.door.enter(&self.ports.http)
    }

    /// Where encoders publish to.
    pub(crate) fn rtmp(&self) -> &str {
        &self.ports.rtmp
    }

    /// Starts the server again with `more` behind the configuration that it began with.
    pub(crate) fn configure(&mut self, more: &str) -> anyhow::Result<()> {
        let settings = self.settings.clone() + more;
        std::fs::write(self.data().join("cocuyo.toml"), settings).context("write the configuration")?;
        self.restart()
    }

    /// Where it speaks TLS.
    pub(crate) fn https(&self) -> anyhow::Result<&str> {
        self.https.as_deref().context("the server has no HTTPS port")
    }

    /// Makes an account of somebody who may watch everything, with the password of all.
    pub(crate) fn add_viewer(&self, username: &str) -> anyhow::Result<()> {
        create_account(self.data(), username, "viewer")
    }

    /// Makes an account of somebody who may broadcast, with the password of all.
    pub(crate) fn add_creator(&self, username: &str) -> anyhow::Result<()> {
        create_account(self.data(), username, "creator")
    }

    /// What the command prints, for example the credential of an edge.
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let home = self.home.path();
        let mut command = Command::new(program("cocuyo")?);
        command.args(arguments).arg("--data").arg(home).arg("--config").arg(home.join("cocuyo.toml"));
        let output = command.output().context("run cocuyo")?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Another process of this installation that only packages, on a core of its own.
    pub(crate) fn worker(&self, core: usize) -> anyhow::Result<Server> {
        let own = self.home.path().join(format!("worker-{core}"));
        std::fs::create_dir_all(&own).context("make the worker's folder")?;
        let config = self.home.path().join("cocuyo.toml");
        let process = Process { config: &config, data: &own, core: Some(core), roles: Some("packager") };
        Ok(serve(&self.setup, &Ports::any(), process)?.server)
    }

    /// Another process of this installation, with these roles, on this core, at these ports, and with these
    /// settings; everything that it keeps is in a folder called `name`.
    pub(crate) fn beside(
        &self,
        name: &str,
        roles: &str,
        core: Option<usize>,
        ports: &Ports,
        settings: &str,
    ) -> anyhow::Result<(Server, Ports)> {
        let own = self.home.path().join(name);
        std::fs::create_dir_all(&own).context("make a folder")?;
        let config = own.join("cocuyo.toml");
        std::fs::write(&config, settings).context("write the configuration")?;
        let process = Process { config: &config, data: &own, core, roles: Some(roles) };
        let Serving { server, ports, .. } = serve(&self.setup, ports, process)?;
        Ok((server, ports))
    }

    /// Names and sizes of all objects in the store.
    pub(crate) fn objects(&self) -> anyhow::Result<Vec<(String, u64)>> {
        self.door.wait_for(async {
            let store = storage::open(&self.storage).await.context("open the store")?;
            let listed = store.list(model::ObjectKey::ROOT);
            let listed: Vec<_> = listed.try_collect().await.context("list the store")?;
            Ok(listed.into_iter().map(|object| (object.name, object.size_bytes)).collect())
        })
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("server.log")).unwrap_or_default()
    }
}

fn create_account(home: &Path, username: &str, role: &str) -> anyhow::Result<()> {
    let mut create = Command::new(program("cocuyo")?);
    create.args(["account", "create", "--role", role, "--tier", "3", "--username", username]);
    create.args(["--password", PASSWORD, "--data"]).arg(home);
    let made = create.arg("--config").arg(home.join("cocuyo.toml")).output().context("run cocuyo")?;
    ensure!(made.status.success(), "no account: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// What a process is started with.
struct Process<'a> {
    config: &'a Path,
    data: &'a Path,
    core: Option<usize>,
    roles: Option<&'a str>,
}

/// A process, and where it listens.
struct Serving {
    server: Server,
    ports: Ports,
    https: Option<String>,
}

fn serve(setup: &Setup, ports: &Ports, process: Process<'_>) -> anyhow::Result<Serving> {
    let cocuyo = program("cocuyo")?;
    let mut command = process.core.map_or_else(|| Command::new(&cocuyo), |core| on_core(core, &cocuyo));
    command.args(["serve", "--listen", &ports.http, "--rtmp", &ports.rtmp, "--config"]).arg(process.config);
    command.arg("--data").arg(process.data);
    if let Some(roles) = process.roles {
        command.args(["--roles", roles]);
    }
    if let Some(log) = setup.log {
        command.env("COCUYO_LOG", log);
    }
    let log = File::options().create(true).append(true).open(process.data.join("server.log"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.context("open the log")?);
    let mut server = Server(command.spawn().context("start cocuyo")?);
    let output = server.0.stdout.take().context("the output is piped")?;
    let (told, address) = std::sync::mpsc::channel();
    let mut rtmp = ports.rtmp.clone();
    std::thread::spawn(move || {
        let mut https = None;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("live streams at rtmp://") {
                rest.trim().trim_end_matches("/live").clone_into(&mut rtmp);
            }
            if let Some((_, rest)) = line.split_once("serves https://") {
                https = Some(rest.trim().to_owned());
            }
            if let Some((_, rest)) = line.split_once("serves http://") {
                let ports = Ports { http: rest.trim().to_owned(), rtmp: rtmp.clone() };
                let _ = told.send((ports, https.take()));
            }
        }
    });
    let (ports, https) =
        address.recv_timeout(Duration::from_secs(60)).context("wait for the server to listen")?;
    Ok(Serving { server, ports, https })
}

/// A command that may run on one core only.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}
