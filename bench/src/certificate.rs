//! A certificate that both sides show, and the one client that trusts it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{CipherSuite, ClientConfig, RootCertStore};

/// The cipher suite of all comparisons, as OpenSSL calls it.
pub(crate) const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// A certificate for 127.0.0.1 with a P-256 key, as files.
#[derive(Debug)]
pub(crate) struct Certificate {
    folder: PathBuf,
    client: Arc<ClientConfig>,
}

impl Certificate {
    /// A new one in `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        // Its keys are P-256 where nothing else is asked for.
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).context("make a certificate")?;
        let certificate = Self { folder: folder.to_owned(), client: client(&made.cert)? };
        std::fs::write(certificate.chain(), made.cert.pem()).context("write the certificate")?;
        std::fs::write(certificate.key(), made.signing_key.serialize_pem()).context("write its key")?;
        Ok(certificate)
    }

    /// The file of the certificate.
    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The file of its key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// A client that trusts it alone and speaks TLS 1.3 with [`SUITE`] alone, and HTTP/1.1.
    pub(crate) fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }
}

fn client(certificate: &rcgen::Certificate) -> anyhow::Result<Arc<ClientConfig>> {
    let mut provider = default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(client))
}
