//! A private SeaweedFS on loopback.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use url::Url;

use crate::testing::free_ports;
use crate::{S3Config, Secret};

/// It takes 3 s on an idle machine; a busy one may take its time.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const ACCESS_KEY: &str = "cocuyo";
/// The secret of the credentials that [`SeaweedFs::config`] gives, for configuration files.
pub const SECRET_KEY: &str = "not a secret";

/// A running SeaweedFS with its data in a temporary folder; it ends with this value.
#[derive(Debug)]
pub struct SeaweedFs {
    process: Child,
    port: u16,
    sockets: Vec<PathBuf>,
    folder: TempDir,
}

impl SeaweedFs {
    /// Installs it if it is missing, and starts it on free ports of the loopback interface.
    ///
    /// # Panics
    ///
    /// When it cannot be installed or does not answer in time; the message holds its log.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let identities = folder.path().join("s3.json");
        let credentials = format!(
            r#"{{"identities": [{{"name": "cocuyo", "actions": ["Admin", "Read", "Write", "List"],
                "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}]}}]}}"#
        );
        std::fs::write(&identities, credentials).expect("write the identities");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("make the data folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("make the log");

        // Ports that were free a moment ago: `weed` cannot be handed a listening socket, and binds some
        // of them seconds later.
        let [master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc] = free_ports();
        let process = Command::new("setpriv")
            // It must not outlive a test that is killed.
            .args(["--pdeathsig", "KILL", "--"])
            .arg(weed())
            .args(["server", "-filer", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .arg(format!("-dir={}", data.display()))
            .args([format!("-master.port={master}"), format!("-master.port.grpc={master_rpc}")])
            .args(["-master.telemetry=false", "-master.volumeSizeLimitMB=64"])
            .args([format!("-volume.port={volume}"), format!("-volume.port.grpc={volume_rpc}")])
            .args(["-volume.max=100", "-volume.preStopSeconds=0"])
            .args([format!("-filer.port={filer}"), format!("-filer.port.grpc={filer_rpc}")])
            .args([format!("-s3.port={s3}"), format!("-s3.port.grpc={s3_rpc}")])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"])
            .arg(format!("-s3.config={}", identities.display()))
            .arg(format!("-filer.localSocket={}", folder.path().join("filer").display()))
            .arg(format!("-s3.localSocket={}", folder.path().join("s3").display()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("start `setpriv` with `weed`");
        let sockets = [("master", master_rpc), ("volume", volume_rpc), ("filer", filer_rpc), ("s3", s3_rpc)]
            .map(|(part, port)| PathBuf::from(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock")))
            .into();
        let mut server = Self { process, port: s3, sockets, folder };
        server.wait_until_it_answers();
        server
    }

    /// How to reach `bucket` on it; opening the store makes the bucket.
    pub fn config(&self, bucket: &str) -> S3Config {
        S3Config {
            endpoint: Url::parse(&format!("http://127.0.0.1:{}", self.port)).expect("a URL of ours"),
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: Secret::new(SECRET_KEY),
            prefix: String::new(),
        }
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let seen = match self.process.try_wait().expect("ask for its state") {
                Some(status) => panic!("seaweedfs ended with {status}:\n{}", self.log()),
                None => is_healthy(self.port),
            };
            match seen {
                Ok(true) => return,
                seen if Instant::now() > deadline => {
                    panic!("seaweedfs does not answer ({seen:?}):\n{}", self.log())
                }
                _ => std::thread::park_timeout(Duration::from_millis(50)),
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        // Killed, not asked: its data goes with it. Nothing to be done about a failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for socket in &self.sockets {
            let _ = std::fs::remove_file(socket);
        }
    }
}

fn weed() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/install-seaweedfs");
    let output =
        Command::new(&script).stderr(Stdio::inherit()).output().expect("run scripts/install-seaweedfs");
    assert!(output.status.success(), "{} failed: {}", script.display(), output.status);
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim_end())
}

fn is_healthy(port: u16) -> io::Result<bool> {
    let timeout = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head.ends_with(b" 200"))
}
