//! What the HTTPS port shows, and the terms of its handshakes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::body::BoxError;
use crate::config::HttpsConfig;
use crate::error::ListenerError;

/// A certificate with its key: in two files that can be read anew while the port serves, or shown by
/// whoever gets it.
///
/// A clone is another handle on the same certificate.
#[derive(Clone)]
pub struct Certificates(Arc<Shown>);

struct Shown {
    files: Option<Files>,
    provider: Arc<CryptoProvider>,
    current: ArcSwapOption<CertifiedKey>,
}

struct Files {
    certificate: PathBuf,
    private_key: PathBuf,
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
        let files = Files { certificate: certificate.to_owned(), private_key: private_key.to_owned() };
        let certificates = Self::from(Some(files));
        certificates.reload()?;
        Ok(certificates)
    }

    /// A certificate that is yet to be shown; until then every handshake is refused.
    pub fn to_come() -> Self {
        Self::from(None)
    }

    fn from(files: Option<Files>) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Self(Arc::new(Shown { files, provider, current: ArcSwapOption::empty() }))
    }

    /// Reads the files anew, if it is in files; connections from now on are shown what is in them.
    /// After an error the old certificate is shown as before.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Certificate`], as at the first time.
    pub fn reload(&self) -> Result<(), ListenerError> {
        let Shown { files, provider, current } = &*self.0;
        if let Some(Files { certificate, private_key }) = files {
            current.store(Some(Arc::new(read(certificate, private_key, provider)?)));
        }
        Ok(())
    }

    /// Connections from now on are shown this certificate, with the chain behind it, PEM. After an
    /// error the old certificate is shown as before.
    ///
    /// # Errors
    ///
    /// [`ListenerError::Issued`] if it cannot be read or the key is not its own.
    pub fn show(&self, chain: &str, private_key: &str) -> Result<(), ListenerError> {
        let pair = || {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
            let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes())?;
            Ok::<_, BoxError>(CertifiedKey::from_der(chain, key, &self.0.provider)?)
        };
        self.0.current.store(Some(Arc::new(pair().map_err(ListenerError::Issued)?)));
        Ok(())
    }

    /// The terms of a handshake: TLS 1.2, for telephones of before 2018, and 1.3; HTTP/2 if the
    /// client speaks it.
    pub(crate) fn terms(&self) -> Result<Arc<ServerConfig>, ListenerError> {
        let mut terms = self.any_terms()?;
        terms.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(terms))
    }

    /// The same for what has no name among protocols.
    pub(crate) fn stream_terms(&self) -> Result<Arc<ServerConfig>, ListenerError> {
        Ok(Arc::new(self.any_terms()?))
    }

    fn any_terms(&self) -> Result<ServerConfig, ListenerError> {
        let mut terms = ServerConfig::builder_with_provider(Arc::clone(&self.0.provider))
            .with_safe_default_protocol_versions()
            .map_err(ListenerError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        // Sessions are resumed by tickets: nothing is kept here for who may come back.
        terms.ticketer = aws_lc_rs::Ticketer::new().map_err(ListenerError::Tls)?;
        Ok(terms)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.current.load_full()
    }
}

// No key ever stands in a log.
impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.0.files.as_ref().map(|files| &files.certificate);
        formatter.debug_tuple("Certificates").field(&file).finish()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_leaves_what_was_shown_before() {
        let made = || rcgen::generate_simple_self_signed(["video.example".to_owned()]).unwrap();
        let (good, other) = (made(), made());
        let (chain, key) = (good.cert.pem(), good.signing_key.serialize_pem());
        let certificates = Certificates::to_come();
        assert!(certificates.0.current.load().is_none());
        certificates.show(&chain, &key).unwrap();
        for (chain, key) in [
            ("", key.as_str()),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key),
            (&chain, ""),
            (&chain, &other.signing_key.serialize_pem()),
        ] {
            let refused = certificates.show(chain, key).unwrap_err();
            assert_eq!(refused.kind(), model::ErrorKind::Invalid, "{chain} {key}");
        }
        certificates.reload().unwrap();
        let shown = certificates.0.current.load_full().unwrap();
        assert_eq!(shown.cert, [good.cert.der().clone()]);
    }
}
