//! What the HTTPS port shows, and the terms of its handshakes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::body::BoxError;
use crate::config::HttpsConfig;
use crate::error::ListenerError;

/// A certificate with its key, in two files that can be read anew while the port serves.
///
/// A clone is another handle on the same certificate.
#[derive(Clone)]
pub struct Certificates(Arc<Shown>);

struct Shown {
    certificate: PathBuf,
    private_key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// The certificate that `config` names; `None` if it names none.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Certificate`] with the file that is missing, cannot be read, or does not
    /// belong to the other one; [`ListenerError::OneOfTwo`] if only one is named.
    pub fn of(config: &HttpsConfig) -> Result<Option<Self>, ListenerError> {
        match (&config.certificate, &config.private_key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(ListenerError::OneOfTwo { given: "certificate", missing: "private_key" }),
            (None, Some(_)) => Err(ListenerError::OneOfTwo { given: "private_key", missing: "certificate" }),
            (Some(certificate), Some(private_key)) => Self::load(certificate, private_key).map(Some),
        }
    }

    fn load(certificate: &Path, private_key: &Path) -> Result<Self, ListenerError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = ArcSwap::from_pointee(read(certificate, private_key, &provider)?);
        let (certificate, private_key) = (certificate.to_owned(), private_key.to_owned());
        Ok(Self(Arc::new(Shown { certificate, private_key, provider, current })))
    }

    /// Reads the files anew; connections from now on are shown what is in them. After an error the
    /// old certificate is shown as before.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Certificate`], as at the first time.
    pub fn reload(&self) -> Result<(), ListenerError> {
        let Shown { certificate, private_key, provider, current } = &*self.0;
        current.store(Arc::new(read(certificate, private_key, provider)?));
        Ok(())
    }

    /// The terms of a handshake: TLS 1.2, for telephones of before 2018, and 1.3; HTTP/2 if the
    /// client speaks it.
    pub(crate) fn terms(&self) -> Result<Arc<ServerConfig>, ListenerError> {
        let mut terms = ServerConfig::builder_with_provider(Arc::clone(&self.0.provider))
            .with_safe_default_protocol_versions()
            .map_err(ListenerError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        terms.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sessions are resumed by tickets: nothing is kept here for who may come back.
        terms.ticketer = aws_lc_rs::Ticketer::new().map_err(ListenerError::Tls)?;
        Ok(Arc::new(terms))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.load_full())
    }
}

// No key ever stands in a log.
impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Certificates").field(&self.0.certificate).finish()
    }
}

fn read(
    certificate: &Path,
    private_key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ListenerError> {
    let failed = |file: &Path, source: BoxError| ListenerError::Certificate { file: file.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(certificate, error.into()))?;
    if chain.is_empty() {
        return Err(failed(certificate, "no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(|error| failed(private_key, error.into()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => failed(private_key, "not the key of the certificate".into()),
        rustls::Error::InvalidCertificate(_) => failed(certificate, error.into()),
        error => failed(private_key, error.into()),
    })
}
