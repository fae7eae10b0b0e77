//! HTTP to the origin: small questions with an end to their time and to their answers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use listener::BoxError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::link::config::Credential;
use crate::link::remote::LinkError;

/// For a connection to be there.
const CONNECT: Duration = Duration::from_secs(5);
/// For a question that is answered at once, the connection included.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(8);
/// For one that waits for news: longer than the door waits.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(30);
/// Shorter than the door keeps one open that nobody uses.
const IDLE: Duration = Duration::from_secs(20);
/// Bytes of an answer. The greatest are the plan and the chunks of a long film, a few MB, and a segment
/// of a live event.
const MAX_ANSWER: usize = 64 << 20;

/// Asks one origin, showing one credential. Redirects are not followed: the credential is for it
/// alone.
#[derive(Clone)]
pub(crate) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    address: Url,
    credential: Credential,
}

/// A document and its tag.
pub(crate) struct Tagged {
    pub(crate) text: String,
    pub(crate) etag: Option<HeaderValue>,
}

impl Client {
    pub(crate) fn new(address: Url, credential: Credential) -> Result<Self, LinkError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(IDLE));
        let builder = HttpsConnectorBuilder::new();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let https = match address.scheme() {
            "https" => {
                let roots = builder.with_provider_and_native_roots(provider).map_err(LinkError::Roots)?;
                roots.https_only().enable_http1().wrap_connector(tcp)
            }
            // Nothing is trusted, since nothing is asked over TLS.
            "http" => {
                let tls = rustls::ClientConfig::builder_with_provider(provider.into())
                    .with_safe_default_protocol_versions()
                    .map_err(|error| LinkError::Roots(std::io::Error::other(error)))?
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth();
                builder.with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp)
            }
            _ => return Err(LinkError::Address),
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        Ok(Self { http, address, credential })
    }

    /// Asks for a document.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        patience: Duration,
    ) -> Result<T, BoxError> {
        let (_, body) = self.ask(Method::GET, path, None, Bytes::new(), patience).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks for bytes.
    pub(crate) async fn get_bytes(&self, path: &str, patience: Duration) -> Result<Bytes, BoxError> {
        Ok(self.ask(Method::GET, path, None, Bytes::new(), patience).await?.1)
    }

    /// Asks for a document unless it is still the one tagged `known`.
    pub(crate) async fn get_if_other(
        &self,
        path: &str,
        known: Option<HeaderValue>,
    ) -> Result<Option<Tagged>, BoxError> {
        let condition = known.map(|etag| (IF_NONE_MATCH, etag));
        let (head, body) = self.ask(Method::GET, path, condition, Bytes::new(), AT_ONCE).await?;
        if head.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let text = String::from_utf8(body.into())?;
        Ok(Some(Tagged { text, etag: head.headers.get(ETAG).cloned() }))
    }

    /// Reports something.
    pub(crate) async fn post(
        &self,
        path: &str,
        report: &impl Serialize,
        patience: Duration,
    ) -> Result<(), BoxError> {
        let body = serde_json::to_vec(report)?.into();
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.ask(Method::POST, path, Some(json), body, patience).await.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, HeaderValue)>,
        body: Bytes,
        patience: Duration,
    ) -> Result<(http::response::Parts, Bytes), BoxError> {
        let uri = self.address.join(path)?;
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut()) = (method, uri.as_str().parse()?);
        request.headers_mut().insert(AUTHORIZATION, self.credential.header());
        request.headers_mut().extend(header);
        let answer = async {
            let (head, body) = self.http.request(request).await?.into_parts();
            match head.status {
                StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {}
                StatusCode::UNAUTHORIZED => return Err(LinkError::Unauthenticated.into()),
                status => return Err(LinkError::Status(status).into()),
            }
            let body = Limited::new(body, MAX_ANSWER).collect().await?;
            Ok((head, body.to_bytes()))
        };
        tokio::time::timeout(patience, answer).await?
    }
}
