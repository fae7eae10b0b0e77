//! nginx at its best: one worker, files by `sendfile`, descriptors cached, no log, no check.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::installation::on_core;

/// Where Debian has it; not on the path of ordinary users.
pub(crate) const NGINX: &str = "/usr/sbin/nginx";

/// A running nginx; its end when dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Nginx {
    /// Serves the files under `root` from one core.
    pub(crate) fn start(core: usize, root: &Path) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("cocuyo-nginx-").context("make a folder")?;
        // Free now, and nobody else here takes ports.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = home.path().join("nginx.conf");
        std::fs::write(&config, configuration(address, root, home.path())).context("configure nginx")?;
        let errors = home.path().join("error.log");
        let child = on_core(core, Path::new(NGINX))
            .args(["-e".as_ref(), errors.as_os_str(), "-c".as_ref(), config.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .context("start nginx")?;
        let nginx = Self { child, address, _home: home };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "nginx does not listen");
            std::thread::yield_now();
        }
        Ok(nginx)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its master; the worker is a child.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its worker with it only when it is asked.
        let _ = std::process::Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The headers are those that a player needs from us too, so that both send as many bytes.
fn configuration(address: SocketAddr, root: &Path, home: &Path) -> String {
    // As root, workers would become `nobody`, who may not look into a temporary folder.
    let user = if std::env::var("USER").is_ok_and(|user| user != "root") { "" } else { "user root;\n" };
    let (root, home) = (root.display(), home.display());
    format!(
        "{user}worker_processes 1;
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 4096; use epoll; }}
http {{
  access_log off;
  sendfile on; tcp_nopush on; tcp_nodelay on;
  open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
  keepalive_requests 100000000; keepalive_timeout 75s;
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  types {{ video/mp4 m4s; }}
  server {{
    listen {address} reuseport;
    root {root};
    add_header Cache-Control \"private, max-age=31536000, immutable\";
    add_header Access-Control-Allow-Origin \"*\";
    add_header X-Content-Type-Options nosniff;
    add_header Vary \"Authorization, Cookie\";
  }}
}}
"
    )
}
