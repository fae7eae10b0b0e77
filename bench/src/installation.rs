//! A running Cocuyo, seen through its public door.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The account that does everything.
const USERNAME: &str = "bench";
const PASSWORD: &str = "banco de pruebas";
/// Bytes of one `PATCH`.
const PATCH: usize = 32 << 20;

/// A server with the shipped configuration on a data folder of its own.
#[derive(Debug)]
pub(crate) struct Installation {
    home: TempDir,
    /// A core for it alone, if it shall have only one.
    core: Option<usize>,
    server: Option<Child>,
    address: String,
    session: String,
    runtime: Runtime,
    client: Client,
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
    pub(crate) fn start(core: Option<usize>) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("cocuyo-bench-").context("make a data folder")?;
        let arguments = [
            "account",
            "create",
            "--username",
            USERNAME,
            "--password",
            PASSWORD,
            "--role",
            "admin",
            "--tier",
            "3",
        ];
        let made = Command::new(program("cocuyo")?).args(arguments).arg("--data").arg(home.path()).output();
        let made = made.context("run cocuyo")?;
        ensure!(made.status.success(), "no account: {}", String::from_utf8_lossy(&made.stderr));
        let mut installation = Self {
            home,
            core,
            server: None,
            address: String::new(),
            session: String::new(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            // Between two questions a measurement takes minutes; the server ends what idles so long.
            client: Client::builder().pool_max_idle_per_host(0).build().context("make the client")?,
        };
        installation.serve()?;
        Ok(installation)
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.home.path()
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Child::id)
    }

    /// Stops the server and starts it again: nothing is left in its memory.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.serve()
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // It holds nothing that is wanted later, and nobody else waits for it.
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let config = self.home.path().join("cocuyo.toml");
        std::fs::write(&config, "admin_listen = \"127.0.0.1:0\"\n").context("write the configuration")?;
        let cocuyo = program("cocuyo")?;
        let mut command = match self.core {
            None => Command::new(cocuyo),
            Some(core) => on_core(core, &cocuyo),
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config);
        command.arg("--data").arg(self.home.path());
        let log = File::options().create(true).append(true).open(self.home.path().join("server.log"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.context("open the log")?);
        let mut server = command.spawn().context("start cocuyo")?;
        let output = server.stdout.take().context("the output is piped")?;
        self.server = Some(server);
        let (told, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("serves http://") {
                    let _ = told.send(rest.trim().to_owned());
                }
            }
        });
        self.address =
            address.recv_timeout(Duration::from_secs(60)).context("wait for the server to listen")?;
        self.session = self.sign_in()?;
        Ok(())
    }

    /// A new login's token.
    pub(crate) fn sign_in(&self) -> anyhow::Result<String> {
        let request = self.client.post(self.url("/api/v1/session"));
        let answer = self.json(request.json(&json!({ "username": USERNAME, "password": PASSWORD })))?;
        Ok(answer["token"].as_str().context("a session has a token")?.to_owned())
    }

    /// A grant for `video`, made from the login with this token.
    pub(crate) fn grant(&self, session: &str, video: &str) -> anyhow::Result<String> {
        let url = self.url(&format!("/api/v1/videos/{video}/playback"));
        let answer = self.json(self.client.post(url).bearer_auth(session))?;
        Ok(answer["token"].as_str().context("a gated video has a token")?.to_owned())
    }

    /// Uploads `file` by tus and returns the video's id.
    pub(crate) fn upload(&self, file: &Path) -> anyhow::Result<String> {
        let bytes = std::fs::read(file).with_context(|| format!("read `{}`", file.display()))?;
        let metadata =
            format!("filename {},title {}", STANDARD.encode("bench.mp4"), STANDARD.encode("bench"));
        let created = self.send(
            self.request(Method::POST, "/api/v1/uploads")
                .header("tus-resumable", "1.0.0")
                .header("upload-length", bytes.len())
                .header("upload-metadata", metadata),
        )?;
        let header = |name: &str| -> anyhow::Result<String> {
            let value = created.headers().get(name).with_context(|| format!("an upload has `{name}`"))?;
            Ok(value.to_str()?.to_owned())
        };
        let (location, video) = (header("location")?, header("cocuyo-video-id")?);
        let mut offset = 0;
        for part in bytes.chunks(PATCH) {
            self.send(
                self.request(Method::PATCH, &location)
                    .header("tus-resumable", "1.0.0")
                    .header("upload-offset", offset)
                    .header("content-type", "application/offset+octet-stream")
                    .body(part.to_vec()),
            )?;
            offset += part.len();
        }
        Ok(video)
    }

    /// Waits until `video` plays, and returns what the API says of it.
    pub(crate) fn wait_ready(&self, video: &str, limit: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.json(self.request(Method::GET, &format!("/api/v1/videos/{video}")))?;
            match seen["state"].as_str() {
                Some("ready") => return Ok(seen),
                Some("failed") => bail!("packaging failed: {seen}"),
                _ if Instant::now() > deadline => bail!("not ready in time; last seen: {seen}"),
                _ => self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await }),
            }
        }
    }

    /// Shares `video` with whoever has tier 1.
    pub(crate) fn publish(&self, video: &str) -> anyhow::Result<()> {
        let request = self.request(Method::PATCH, &format!("/api/v1/videos/{video}"));
        self.json(request.json(&json!({ "visibility": "public", "min_tier": 1 })))?;
        Ok(())
    }

    /// Deletes `video`.
    pub(crate) fn delete(&self, video: &str) -> anyhow::Result<()> {
        self.send(self.request(Method::DELETE, &format!("/api/v1/videos/{video}")))?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.address) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(&self.session)
    }

    fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = self.runtime.block_on(request.send()).context("ask the server")?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, url) = (answer.status(), answer.url().clone());
        bail!("{url} says {status}: {}", self.runtime.block_on(answer.text()).unwrap_or_default())
    }

    fn json(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = self.send(request)?;
        self.runtime.block_on(answer.json()).context("read the server's JSON")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A command that may run on one core only.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}
