//! nginx at its best: one worker, descriptors cached, no log; in several configurations, for which
//! of them is the best one depends on what is fetched.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::certificate::{Certificate, SUITE};
use crate::installation::on_core;

/// Where Debian has it; not on the path of ordinary users.
pub(crate) const NGINX: &str = "/usr/sbin/nginx";
/// Where Debian has njs.
const NJS: &str = "/usr/lib/nginx/modules/ngx_http_js_module.so";
/// The check of a token as a script.
const SCRIPT: &str = include_str!("nginx/gate.js");

/// One way to configure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// The word for it in names of figures.
    pub(crate) name: &'static str,
    /// Directives of its server.
    directives: &'static str,
    /// What else is said of its port.
    listen: &'static str,
}

/// How bodies get out of the file system without TLS.
pub(crate) const PLAIN: [Configuration; 5] = [
    SENDFILE,
    Configuration { name: "threads", directives: "sendfile on; aio threads;", listen: "" },
    Configuration { name: "sndbuf", directives: "sendfile on;", listen: "sndbuf=4m" },
    Configuration { name: "read", directives: "sendfile off;", listen: "" },
    Configuration { name: "read_1m", directives: "sendfile off; output_buffers 2 1m;", listen: "" },
];
/// With TLS everything is read, unless the kernel enciphers.
pub(crate) const TLS: [Configuration; 4] = [
    SENDFILE,
    Configuration { name: "threads", directives: "sendfile on; aio threads;", listen: "" },
    Configuration { name: "read_1m", directives: "sendfile off; output_buffers 2 1m;", listen: "" },
    Configuration { name: "ktls", directives: "sendfile on; ssl_conf_command Options KTLS;", listen: "" },
];
/// With HTTP/2 frames too have a size.
pub(crate) const HTTP2: [Configuration; 4] = [
    SENDFILE,
    Configuration { name: "threads", directives: "sendfile on; aio threads;", listen: "" },
    Configuration { name: "chunk", directives: "sendfile on; http2_chunk_size 64k;", listen: "" },
    Configuration {
        name: "read_chunk",
        directives: "sendfile off; output_buffers 2 128k; http2_chunk_size 64k;",
        listen: "",
    },
];
/// What everybody begins with.
pub(crate) const SENDFILE: Configuration =
    Configuration { name: "sendfile", directives: "sendfile on;", listen: "" };

/// What it serves, and to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service<'a> {
    /// The files under this folder,
    pub(crate) root: &'a Path,
    /// by TLS with this certificate, HTTP/2 for who asks for it,
    pub(crate) certificate: Option<&'a Certificate>,
    /// to whoever has a token signed with this secret (HS256), or else to everybody.
    pub(crate) secret: Option<&'a str>,
}

/// A running nginx; its end when dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Nginx {
    /// Serves from one core.
    pub(crate) fn start(
        core: usize,
        configuration: Configuration,
        service: Service<'_>,
    ) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("cocuyo-nginx-").context("make a folder")?;
        // Free now, and nobody else here takes ports.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = home.path().join("nginx.conf");
        let text = text(address, configuration, service, home.path());
        std::fs::write(&config, text).context("configure nginx")?;
        if let Some(secret) = service.secret {
            let script = SCRIPT.replace("SECRET", secret);
            std::fs::write(home.path().join("gate.js"), script).context("write nginx's script")?;
        }
        let errors = home.path().join("error.log");
        let child = on_core(core, Path::new(NGINX))
            .args(["-e".as_ref(), errors.as_os_str(), "-c".as_ref(), config.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .context("start nginx")?;
        let nginx = Self { child, address, _home: home };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "nginx ({}) does not listen", configuration.name);
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
fn text(
    address: SocketAddr,
    Configuration { directives, listen, .. }: Configuration,
    Service { root, certificate, secret }: Service<'_>,
    home: &Path,
) -> String {
    let mut main = String::new();
    // As root, workers would become `nobody`, who may not look into a temporary folder.
    if !std::env::var("USER").is_ok_and(|user| user != "root") {
        main += "user root;\n";
    }
    let (mut http, mut server, mut protocols) = (String::new(), String::new(), String::new());
    if secret.is_some() {
        let _ = writeln!(main, "load_module {NJS};");
        let _ = writeln!(http, "js_path {}; js_import gate.js; js_set $may gate.may;", home.display());
        server += "if ($may = \"\") { return 401; }\n";
    }
    if let Some(certificate) = certificate {
        let _ = writeln!(
            server,
            "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;
ssl_conf_command Ciphersuites {SUITE};",
            certificate.chain().display(),
            certificate.key().display()
        );
        protocols += "ssl http2";
    }
    let (root, home) = (root.display(), home.display());
    format!(
        "{main}worker_processes 1;
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 4096; use epoll; }}
http {{
  access_log off;
  tcp_nopush on; tcp_nodelay on;
  open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
  keepalive_requests 100000000; keepalive_timeout 75s;
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  types {{ video/mp4 m4s; application/vnd.apple.mpegurl m3u8; }}
  {http}
  server {{
    listen {address} reuseport {protocols} {listen};
    root {root};
    {directives}
    {server}
    add_header Cache-Control \"private, max-age=31536000, immutable\";
    add_header Access-Control-Allow-Origin \"*\";
    add_header X-Content-Type-Options nosniff;
    add_header Vary \"Authorization, Cookie\";
  }}
}}
"
    )
}
