use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use model::Timestamp;

use crate::address::may_be_called;
use crate::{Config, Destination, SIGNATURE_HEADER, Secret};

/// For a connection to be there.
const CONNECT: Duration = Duration::from_secs(5);
/// For a call and the head of its answer, the connection included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls webhooks; clones share everything.
#[derive(Debug, Clone)]
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector<PublicOnly>>, Full<Bytes>>,
    allowed: Arc<[IpNet]>,
}

/// One call.
#[derive(Debug)]
pub struct Call<'a> {
    /// Where to.
    pub destination: &'a Destination,
    /// What it is signed with.
    pub secret: &'a Secret,
    /// By what a receiver knows that it has had it already.
    pub id: &'a str,
    /// JSON.
    pub body: Bytes,
}

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Its address is not public, and not allowed.
    #[error("the address is not public")]
    NotPublic,
    /// The address cannot be called.
    #[error("the address cannot be called")]
    Address,
    /// Nobody is there, or who is there cannot be spoken to.
    #[error("no connection")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// Another answer than success.
    #[error("the answer was {0}")]
    Refused(StatusCode),
    /// The certificates that this machine trusts cannot be read.
    #[error("read the trusted certificates")]
    Roots(#[source] io::Error),
}

impl Client {
    /// A client that trusts whom the machine trusts.
    ///
    /// # Errors
    ///
    /// [`DeliveryError::Roots`].
    pub fn new(config: &Config) -> Result<Self, DeliveryError> {
        let allowed: Arc<[IpNet]> = config.allowed_networks.clone().into();
        let mut tcp = HttpConnector::new_with_resolver(PublicOnly(Arc::clone(&allowed)));
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(DeliveryError::Roots)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            // A connection is not kept: what its name resolves to is asked each time.
            .pool_max_idle_per_host(0)
            .build(https);
        Ok(Self { http, allowed })
    }

    /// Makes a call, signed as of `now`; a status of 2xx is success. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// Why it was not taken; another try may help in all cases but [`DeliveryError::NotPublic`].
    pub async fn call(&self, call: Call<'_>, now: Timestamp) -> Result<(), DeliveryError> {
        // An address needs no resolver, so it is looked at here.
        if call.destination.literal().is_some_and(|address| !may_be_called(address, &self.allowed)) {
            return Err(DeliveryError::NotPublic);
        }
        let uri = call.destination.uri().map_err(|_| DeliveryError::Address)?;
        let request = Request::post(uri)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "Cocuyo")
            .header("cocuyo-delivery", call.id)
            .header(SIGNATURE_HEADER, call.secret.sign(now, &call.body))
            .body(Full::new(call.body))
            .map_err(|_| DeliveryError::Address)?;
        let answer = tokio::time::timeout(PATIENCE, self.http.request(request)).await;
        let answer = answer.map_err(|_| DeliveryError::TimedOut)?.map_err(failure)?;
        if answer.status().is_success() { Ok(()) } else { Err(DeliveryError::Refused(answer.status())) }
    }
}

fn failure(error: legacy::Error) -> DeliveryError {
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return DeliveryError::NotPublic;
        }
        // An `io::Error` keeps what it was made of beside its causes.
        let carried = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if carried.is_some_and(|carried| carried.is::<NotPublic>()) {
            return DeliveryError::NotPublic;
        }
        cause = inner.source();
    }
    DeliveryError::Connection(error.into())
}

/// None of the addresses of a name may be called.
#[derive(Debug, thiserror::Error)]
#[error("no public address")]
struct NotPublic;

/// Resolves names, and leaves out every address that may not be called: whoever changes what a name
/// means between a check and a connection gains nothing.
#[derive(Debug, Clone)]
struct PublicOnly(Arc<[IpNet]>);

impl tower::Service<Name> for PublicOnly {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = found.filter(|address| may_be_called(address.ip(), &allowed)).collect();
            if public.is_empty() { Err(io::Error::other(NotPublic)) } else { Ok(public.into_iter()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    /// Answers the first connection with `answer`, and gives back what came.
    async fn receiver(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        #[expect(clippy::disallowed_methods, reason = "a test's own other side")]
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"{}") {
                let mut some = [0; 1024];
                let n = stream.read(&mut some).await.unwrap();
                heard.extend_from_slice(&some[..n]);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(heard).unwrap()
        });
        (port, heard)
    }

    async fn call(config: &Config, url: &str) -> Result<(), DeliveryError> {
        let (destination, secret) = (url.parse().unwrap(), "0123456789abcdef".parse().unwrap());
        let call =
            Call { destination: &destination, secret: &secret, id: "d1", body: Bytes::from_static(b"{}") };
        Client::new(config).unwrap().call(call, NOW).await
    }

    fn here() -> Config {
        Config { allowed_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()] }
    }

    #[tokio::test]
    async fn a_call_is_signed_and_says_which_it_is() {
        let (port, heard) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
        call(&here(), &format!("http://localhost:{port}/hook?a=b")).await.unwrap();
        let heard = heard.await.unwrap().to_lowercase();
        let secret: Secret = "0123456789abcdef".parse().unwrap();
        for line in [
            "post /hook?a=b http/1.1",
            "content-type: application/json",
            "cocuyo-delivery: d1",
            &format!("cocuyo-signature: {}", secret.sign(NOW, b"{}")),
        ] {
            assert!(heard.contains(line), "{line} in {heard}");
        }
    }

    #[tokio::test]
    async fn no_redirect_is_followed_and_failures_are_told() {
        let (port, heard) =
            receiver("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
        let refused = call(&here(), &format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(refused, Err(DeliveryError::Refused(StatusCode::FOUND))), "{refused:?}");
        heard.await.unwrap();
        let nobody = call(&here(), &format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(nobody, Err(DeliveryError::Connection(_))), "{nobody:?}");
    }

    #[tokio::test]
    async fn what_is_not_public_is_not_connected_to_by_name_or_by_number() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0"] {
            let refused = call(&Config::default(), &format!("http://{host}:{port}/")).await;
            assert!(matches!(refused, Err(DeliveryError::NotPublic)), "{host}: {refused:?}");
        }
        let tried = futures_now(listener.accept());
        assert!(tried.is_none(), "somebody connected");
    }

    /// What a future is at once, if it is anything.
    fn futures_now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}
