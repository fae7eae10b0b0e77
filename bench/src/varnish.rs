//! Varnish with everything in its memory.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::installation::on_core;

/// Where Debian has it; not on the path of ordinary users.
pub(crate) const VARNISHD: &str = "/usr/sbin/varnishd";

/// A running Varnish; its end when dropped.
#[derive(Debug)]
pub(crate) struct Varnish {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Varnish {
    /// Keeps what the server at `backend` has, and serves it from one core.
    pub(crate) fn start(core: usize, backend: SocketAddr) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("cocuyo-varnish-").context("make a folder")?;
        // Free now, and nobody else here takes ports.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let vcl = home.path().join("bench.vcl");
        std::fs::write(&vcl, vcl_for(backend)).context("configure Varnish")?;
        let child = on_core(core, Path::new(VARNISHD))
            .args(["-F", "-j", "none", "-s", "malloc,1G", "-a", &address.to_string(), "-f"])
            .args([vcl.as_os_str(), "-n".as_ref(), home.path().as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start Varnish")?;
        let varnish = Self { child, address, _home: home };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "Varnish does not listen");
            std::thread::yield_now();
        }
        Ok(varnish)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The manager; the cache is a child.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Varnish {
    fn drop(&mut self) {
        // The manager takes its child with it only when it is asked.
        let _ = std::process::Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The built-in rules would keep nothing that is `private`.
fn vcl_for(backend: SocketAddr) -> String {
    format!(
        "vcl 4.1;
backend default {{ .host = \"{}\"; .port = \"{}\"; }}
sub vcl_recv {{ return (hash); }}
sub vcl_backend_response {{ set beresp.ttl = 1h; return (deliver); }}
",
        backend.ip(),
        backend.port()
    )
}
