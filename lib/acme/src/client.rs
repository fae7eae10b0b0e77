//! HTTPS to the authority: small questions with an end to their time and to their answers.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{AcmeError, BoxError};

/// For a connection to be there.
const CONNECT: Duration = Duration::from_secs(10);
/// For a question and its answer, the connection included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions of one order; authorities close earlier or later, and either is fine.
const IDLE: Duration = Duration::from_secs(20);
/// Bytes of an answer. The greatest is a chain of certificates, a few KB.
const MAX_ANSWER: usize = 1 << 20;

/// Asks one authority.
#[derive(Debug, Clone)]
pub(crate) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Client {
    /// A client that trusts what is in `roots`, or what the machine trusts.
    pub(crate) fn new(roots: Option<&Path>) -> Result<Self, AcmeError> {
        let failed = |source: BoxError| AcmeError::Roots {
            file: roots.unwrap_or(Path::new("/etc/ssl/certs")).to_owned(),
            source,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let trusting = match roots {
            None => builder.with_provider_and_native_roots(provider).map_err(|error| failed(error.into()))?,
            Some(file) => {
                let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
                    .with_safe_default_protocol_versions()
                    .map_err(|error| failed(error.into()))?
                    .with_root_certificates(read(file).map_err(failed)?)
                    .with_no_client_auth();
                builder.with_tls_config(tls)
            }
        };
        let https = trusting.https_only().enable_http1().wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        Ok(Self(http))
    }
}

fn read(file: &Path) -> Result<RootCertStore, BoxError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".into());
    }
    Ok(roots)
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let http = self.0.clone();
        let answer = async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = Request::from_parts(head, Full::new(body));
            let (head, body) = http.request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?;
            Ok::<_, BoxError>(BytesResponse { parts: head, body: Box::new(body.to_bytes()) })
        };
        Box::pin(async move {
            let answered = tokio::time::timeout(PATIENCE, answer).await;
            answered.map_err(|late| Error::Other(late.into()))?.map_err(Error::Other)
        })
    }
}
