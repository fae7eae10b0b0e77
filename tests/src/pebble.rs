use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use storage::testing::free_ports;
use tempfile::TempDir;

use crate::{Certified, Https, Server, until};

/// Debian's `pebble`: a certificate authority on loopback that speaks ACME as Let's Encrypt does,
/// and `pebble-challtestsrv`, for which every name is on this machine.
#[derive(Debug)]
pub struct Pebble {
    folder: TempDir,
    /// What its own HTTPS is trusted by.
    certified: Certified,
    client: Https,
    ports: [u16; 4],
    running: Option<[Server; 2]>,
}

impl Pebble {
    /// An authority that is away until it is started.
    pub fn away() -> Self {
        let (certified, client) = Certified::make();
        let folder = TempDir::new().expect("a temporary folder");
        Self { folder, certified, client, ports: free_ports(), running: None }
    }

    /// The configuration of an HTTPS port on loopback that has its certificate from here.
    pub fn configuration(&self) -> String {
        let [acme, ..] = self.ports;
        format!(
            "[https]\nlisten = \"127.0.0.1:0\"\n[acme]\ndomains = [\"video.example\"]\nterms_agreed = true\n\
             contact = \"ana@video.example\"\ndirectory = \"https://127.0.0.1:{acme}/dir\"\n\
             ca_certificate = \"{}\"\n",
            self.certified.file("certificate.pem").display()
        )
    }

    /// Starts it; it looks for proofs at `http_port`, and its certificates are good for so long.
    pub async fn start(&mut self, http_port: u16, validity: Duration) {
        let [acme, management, dns, dns_management] = self.ports;
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{acme}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": self.certified.file("certificate.pem"),
            "privateKey": self.certified.file("key.pem"),
            "httpPort": http_port,
            // Nothing is proved over TLS.
            "tlsPort": 1,
            "certificateValidityPeriod": validity.as_secs(),
        }});
        let file = self.folder.path().join("pebble.json");
        std::fs::write(&file, config.to_string()).expect("write its configuration");
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        names.args(["-dns01", &format!("127.0.0.1:{dns}")]);
        names.args(["-management", &format!("127.0.0.1:{dns_management}")]);
        let mut authority = Command::new("pebble");
        authority.arg("-config").arg(&file).args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        // It waits for nothing, and believes no proof of before.
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        self.running = Some([Server::spawn(&mut names), Server::spawn(&mut authority)]);
        until("pebble to answer", Duration::from_secs(30), || async {
            self.ask("/roots/0").await.map(drop).map_err(|error| (error, self.log()))
        })
        .await;
    }

    /// Ends it; all that it knew is gone.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// A client that trusts the certificates that it has issued since it was started, and no others.
    pub async fn customer(&self) -> Https {
        let root = self.ask("/roots/0").await.expect("its root");
        Https::that_trusts(CertificateDer::from_pem_slice(root.as_bytes()).expect("a certificate"))
    }

    /// How many orders there have been.
    pub fn orders(&self) -> usize {
        self.log().lines().filter(|line| line.contains("Added order")).count()
    }

    /// Everything it has logged since it was started.
    pub fn log(&self) -> String {
        self.running.as_ref().map(|[_, authority]| authority.log()).unwrap_or_default()
    }

    async fn ask(&self, path: &str) -> std::io::Result<String> {
        let [_, management, ..] = self.ports;
        let request = format!("GET {path} HTTP/1.1\r\nhost: pebble\r\nconnection: close\r\n\r\n");
        self.client.exchange(SocketAddr::from(([127, 0, 0, 1], management)), request.as_bytes()).await
    }
}
