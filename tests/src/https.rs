use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The files of an HTTPS port, with a certificate for `video.example` and 127.0.0.1 that vouches for
/// itself.
#[derive(Debug)]
pub struct Certified {
    folder: TempDir,
}

impl Certified {
    /// A certificate in a folder of its own, and a client that trusts it.
    pub fn make() -> (Self, Https) {
        let certified = Self { folder: TempDir::new().expect("a temporary folder") };
        let client = certified.renew();
        (certified, client)
    }

    /// Writes another certificate into the files; a client of it trusts nothing else.
    pub fn renew(&self) -> Https {
        let names = ["video.example".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(self.file("certificate.pem"), made.cert.pem()).expect("write the certificate");
        std::fs::write(self.file("key.pem"), made.signing_key.serialize_pem()).expect("write the key");
        Https::that_trusts(made.cert.der().clone())
    }

    /// The path of `certificate.pem` or `key.pem`.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration of a port on loopback.
    pub fn configuration(&self) -> String {
        let path = |name: &str| toml_text(&self.file(name));
        format!(
            "[https]\nlisten = \"127.0.0.1:0\"\ncertificate = {}\nprivate_key = {}\n",
            path("certificate.pem"),
            path("key.pem")
        )
    }
}

fn toml_text(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// A client by HTTP/1.1 over TLS, down to the byte.
#[derive(Debug, Clone)]
pub struct Https(Arc<ClientConfig>);

impl Https {
    /// A client that trusts this certificate and what it vouches for, and nothing else.
    pub(crate) fn that_trusts(certificate: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session asks nobody for a certificate.
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    /// A connection, if the server's certificate is the one that is trusted.
    ///
    /// # Errors
    ///
    /// What TCP or TLS say.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("video.example").expect("a name");
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }

    /// The whole answer to these bytes, until the server closes.
    ///
    /// # Errors
    ///
    /// What TCP or TLS say before there is an answer.
    pub async fn exchange(&self, address: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
        let mut stream = self.connect(address).await?;
        stream.write_all(bytes).await?;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
        // Servers do not all say that they close.
        let _end_or_error = read.await.expect("the server closes");
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
