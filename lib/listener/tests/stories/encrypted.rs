//! TLS, and HTTP/1.1 within it.

use std::path::Path;
use std::sync::Arc;

use listener::{Certificates, Door, HttpsConfig, Listener, ListenerError, Place};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{CLOSE, DEADLINE, Fixture, LARGE, Running, read_to_end, read_until, send, start_on};

/// A certificate of its own making in a folder.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let certificate = write_certificate(folder.path());
        Self { folder, certificate }
    }

    pub(crate) fn config(&self) -> HttpsConfig {
        HttpsConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            certificate: Some(self.folder.path().join("certificate.pem")),
            private_key: Some(self.folder.path().join("key.pem")),
        }
    }

    pub(crate) fn certificates(&self) -> Certificates {
        Certificates::of(&self.config()).unwrap().unwrap()
    }

    pub(crate) fn client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        client_that_trusts(&self.certificate, alpn)
    }
}

fn write_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["video.example".to_owned()]).unwrap();
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn client_that_trusts(certificate: &CertificateDer<'static>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

pub(crate) fn start_encrypted(
    site: &Site,
    change: impl FnOnce(&mut listener::Config),
    wrap: impl FnOnce(Fixture) -> Arc<dyn Door>,
) -> (Running, Certificates) {
    let certificates = site.certificates();
    let more = |listener: Listener| {
        listener.with_https(Place::At(site.config().listen), certificates.clone()).unwrap()
    };
    (start_on(change, wrap, more), certificates)
}

pub(crate) async fn try_connect(
    running: &Running,
    client: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(running.https.unwrap()).await?;
    let name = ServerName::try_from("video.example").unwrap();
    TlsConnector::from(Arc::clone(client)).connect(name, stream).await
}

const HTTP1: &[&[u8]] = &[b"http/1.1"];

#[tokio::test]
async fn both_ports_lead_to_the_same_doors() {
    let site = Site::new();
    let (running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
    let mut plain = running.connect().await;
    send(&mut plain, &format!("GET / HTTP/1.1\r\n{CLOSE}")).await;
    assert!(read_to_end(&mut plain).await.ends_with("hello"));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(site.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Arc::new(client);
        for handshake in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = try_connect(&running, &client).await.unwrap();
            send(&mut stream, "GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").await;
            read_until(&mut stream, "\r\n\r\n127.0.0.1").await;
            assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
            let kind = stream.get_ref().1.handshake_kind().unwrap();
            assert!(
                kind == handshake
                    || (handshake, kind) == (HandshakeKind::Full, HandshakeKind::FullWithHelloRetryRequest),
                "{kind:?} in place of {handshake:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let site = Site::new();
    let (running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
    let mut stream = try_connect(&running, &site.client(HTTP1)).await.unwrap();
    for _ in 0..3 {
        send(&mut stream, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        read_until(&mut stream, "\r\n\r\n").await;
        let mut body = vec![0; LARGE];
        stream.read_exact(&mut body).await.unwrap();
        assert!(body.iter().all(|byte| *byte == 7));
    }
}

#[tokio::test]
async fn a_held_request_is_let_go_when_its_client_hangs_up() {
    let site = Site::new();
    let (mut running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
    // Politely, with an alert, and by a cut line.
    for politely in [true, false] {
        let mut stream = try_connect(&running, &site.client(HTTP1)).await.unwrap();
        send(&mut stream, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n").await;
        running.told("held").await;
        if politely {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        running.told("ended").await;
    }
}

#[tokio::test]
async fn a_drain_finishes_the_answer_under_way() {
    let site = Site::new();
    let (running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
    let mut stream = try_connect(&running, &site.client(HTTP1)).await.unwrap();
    send(&mut stream, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut stream, "half ").await;
    running.stop.cancel();
    running.go_on.add_permits(1);
    assert_eq!(read_to_end(&mut stream).await, "half ");
    assert_eq!(running.run.await.unwrap().unwrap().dropped, 0);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_and_rubbish_too() {
    let site = Site::new();
    let (running, _) = start_encrypted(&site, |_| (), |door| Arc::new(door));
    let mut silent = TcpStream::connect(running.https.unwrap()).await.unwrap();
    let mut plain = TcpStream::connect(running.https.unwrap()).await.unwrap();
    send(&mut plain, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = read_to_end(&mut plain).await;
    assert!(!answer.contains("HTTP"), "{answer}");
    let mut stream = try_connect(&running, &site.client(HTTP1)).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut stream, "hello").await;
    let mut bytes = Vec::new();
    let closed = tokio::time::timeout(DEADLINE * 2, silent.read_to_end(&mut bytes)).await;
    assert!(closed.is_ok(), "a silent client holds its seat");
}

#[tokio::test]
async fn a_proxy_speaks_before_the_handshake() {
    let site = Site::new();
    let trust = |config: &mut listener::Config| {
        config.proxy_protocol_from = vec!["127.0.0.1/32".parse().unwrap()];
    };
    let (running, _) = start_encrypted(&site, trust, |door| Arc::new(door));
    let mut stream = TcpStream::connect(running.https.unwrap()).await.unwrap();
    send(&mut stream, "PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n").await;
    let name = ServerName::try_from("video.example").unwrap();
    let connected = TlsConnector::from(site.client(HTTP1)).connect(name, stream).await;
    let mut stream = connected.unwrap();
    send(&mut stream, "GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut stream, "\r\n\r\n203.0.113.7:12345").await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_bad_one_is_not() {
    let site = Site::new();
    let (running, certificates) = start_encrypted(&site, |_| (), |door| Arc::new(door));
    let old = site.client(HTTP1);
    try_connect(&running, &old).await.unwrap();

    let key = site.folder.path().join("key.pem");
    std::fs::write(&key, "rubbish").unwrap();
    let error = certificates.reload().unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
    try_connect(&running, &old).await.unwrap();

    let new = client_that_trusts(&write_certificate(site.folder.path()), HTTP1);
    assert!(try_connect(&running, &new).await.is_err(), "shown before it was asked for");
    certificates.reload().unwrap();
    let mut stream = try_connect(&running, &new).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut stream, "hello").await;
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let site = Site::new();
    let other = Site::new();
    let good = site.config();
    let empty = site.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let named = |config: HttpsConfig| match Certificates::of(&config).unwrap_err() {
        error @ ListenerError::Certificate { .. } => {
            assert_eq!(error.kind(), model::ErrorKind::Invalid);
            error.to_string()
        }
        error => error.to_string(),
    };
    let missing = Some(site.folder.path().join("nowhere.pem"));
    for (config, part) in [
        (HttpsConfig { certificate: missing.clone(), ..good.clone() }, "nowhere.pem"),
        (HttpsConfig { private_key: missing, ..good.clone() }, "nowhere.pem"),
        (HttpsConfig { certificate: Some(empty.clone()), ..good.clone() }, "empty.pem"),
        (HttpsConfig { private_key: Some(empty), ..good.clone() }, "empty.pem"),
        (HttpsConfig { private_key: other.config().private_key, ..good.clone() }, "key.pem"),
        (HttpsConfig { certificate: good.private_key.clone(), ..good.clone() }, "key.pem"),
        (HttpsConfig { private_key: None, ..good.clone() }, "`https.private_key` is not"),
        (HttpsConfig { certificate: None, ..good.clone() }, "`https.certificate` is not"),
    ] {
        let message = named(config);
        assert!(message.contains(part), "{part} in {message}");
    }
    let neither = HttpsConfig { certificate: None, private_key: None, ..good };
    assert!(Certificates::of(&neither).unwrap().is_none());
}
