use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{Answer, Person, Server, program, until};

/// An edge of its own: a process without database, with a data folder of its own.
#[derive(Debug)]
pub struct OwnEdge {
    home: TempDir,
    settings: String,
    credential: String,
    listen: String,
    /// The operator's port.
    admin: u16,
    /// The certificates that it trusts instead of the machine's.
    roots: Option<PathBuf>,
    server: Option<Server>,
}

impl OwnEdge {
    /// An edge with these lines of configuration, which shows `credential` at its origin.
    pub async fn start(settings: String, credential: String) -> Self {
        Self::start_trusting(settings, credential, None).await
    }

    /// [`OwnEdge::start`], with the certificates in a file of their own.
    pub async fn start_trusting(settings: String, credential: String, roots: Option<PathBuf>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let admin = free.local_addr().expect("its address").port();
        drop(free);
        let home = TempDir::new().expect("a temporary folder");
        let listen = "127.0.0.1:0".to_owned();
        let mut edge = Self { home, settings, credential, listen, admin, roots, server: None };
        edge.start_server().await;
        edge
    }

    /// Starts it again, on the same port, and waits until it listens.
    pub async fn start_server(&mut self) {
        let config = self.home.path().join("cocuyo.toml");
        let text = format!("admin_listen = \"127.0.0.1:{}\"\n{}", self.admin, self.settings);
        std::fs::write(&config, text).expect("write the configuration");
        let mut command = Command::new(program("cocuyo"));
        command.arg("serve").args(["--roles", "edge", "--listen", &self.listen]);
        command.arg("--config").arg(&config).arg("--data").arg(self.data());
        command.env_remove("COCUYO_DATABASE").env("COCUYO_ORIGIN_CREDENTIAL", &self.credential);
        if let Some(roots) = &self.roots {
            command.env("SSL_CERT_FILE", roots);
        }
        let mut server = Server::spawn(&mut command);
        self.listen = format!("127.0.0.1:{}", server.until_listening().await);
        self.server = Some(server);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server.take().expect("the edge runs").kill();
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("the edge runs");
        server.signal(Signal::SIGTERM);
        server.ended().await;
    }

    /// `http://127.0.0.1:port` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// What it shows at its origin.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Everything it has logged since it was started.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.server.as_ref().expect("the edge runs").pid()
    }

    /// What `/health/ready` says.
    pub async fn health(&self) -> Answer {
        Person::stranger(format!("http://127.0.0.1:{}", self.admin)).get("/health/ready").await
    }

    /// Waits until it has heard from its origin, today or before.
    pub async fn until_ready(&self) {
        until("the edge to be ready", Duration::from_secs(30), || async {
            let health = self.health().await;
            if health.status == 200 { Ok(()) } else { Err((health, self.log())) }
        })
        .await;
    }

    /// Waits until a file of what the origin said holds `text`.
    pub async fn until_kept(&self, file: &str, text: &str) {
        let path = self.data().join("origin").join(file);
        until("what the origin said to be on the disk", Duration::from_secs(30), || {
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            std::future::ready(if kept.contains(text) { Ok(()) } else { Err(kept) })
        })
        .await;
    }
}
