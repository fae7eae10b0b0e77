//! What the gate costs by itself: the shipped code, in this process, without a network.
//!
//! Timed is `Edge::check` on a request as a connection hands it over: the path becomes a route, the
//! token is taken out of its header, its grant is remembered, and expiry, revocation, video, version,
//! use and height are looked at.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cmaf::GrowingIndex;
use edge::{Edge, Origin, SentReport, Want};
use http::Request;
use http::request::Parts;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use model::{
    AUDIENCE, AccountId, Clock, Grant, ISSUER, PublicPolicy, Revocation, SessionId, SystemClock, Tier, Uses,
    VersionId, VideoId,
};
use storage::Memory;

use crate::report::{Line, quantile};

use super::Bench;
use super::noise::Noise;

/// Viewers with a token each.
const TOKENS: u128 = 1000;
const KEY_ID: &str = "bench";

type Error = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (edge, requests) = edge_and_requests()?;
    ensure!(edge.check(&without_token(&requests[0])).is_some(), "the gate stands open");
    // Signatures are verified here, and never again.
    let refused = requests.iter().find_map(|request| edge.check(request));
    ensure!(refused.is_none(), "the gate says {refused:?} to a good grant");
    let rounds = bench.options.size(5000, 500);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        let refused = requests.iter().filter(|request| edge.check(black_box(request)).is_some()).count();
        times.push(begin.elapsed().as_nanos() as f64 / requests.len() as f64);
        ensure!(refused == 0, "{refused} good grants were refused");
    }
    Ok(vec![
        Line::new("gate_check_ns_p95", format!("{:.1}", quantile(&times, 0.95))),
        Line::new("gate_check_ns", format!("{:.1}", quantile(&times, 0.5))),
    ])
}

/// An edge, and a request of each viewer, in no order.
fn edge_and_requests() -> anyhow::Result<(Edge, Vec<Parts>)> {
    let pair = Ed25519KeyPair::generate().context("make a key")?;
    let der: Pkcs8V1Der<'_> = pair.as_der().context("write the key")?;
    let key = EncodingKey::from_ed_der(der.as_ref());
    let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::EdDSA) };
    let mut requests = Vec::new();
    for viewer in 0..TOKENS {
        let grant = grant(viewer);
        let token = encode(&header, &grant, &key).context("sign a grant")?;
        let path = format!("/v/{}/{}/1080p/{viewer}.m4s", grant.video, grant.version);
        // As players send it.
        let request = Request::get(path).header("host", "video.example").header("accept", "*/*");
        let request = request.header("authorization", format!("Bearer {token}")).body(())?;
        requests.push(request.into_parts().0);
    }
    Noise::new().shuffle(&mut requests);
    let origin = Arc::new(Keys(URL_SAFE_NO_PAD.encode(pair.public_key())));
    let store = Arc::new(Memory::default());
    let edge = Edge::new(edge::Config::default(), store, origin, None, Arc::new(SystemClock));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(edge.refresh()).context("tell the edge its key")?;
    Ok((edge, requests))
}

fn grant(viewer: u128) -> Grant {
    let now = SystemClock.now().as_seconds();
    Grant {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: AccountId::from_bits(viewer),
        sid: SessionId::from_bits(viewer),
        tier: Tier::NONE,
        video: VideoId::from_bits(1),
        version: VersionId::from_bits(1),
        height: 1080,
        uses: Uses::PLAY,
        rewind_s: 0,
        rate: None,
        iat: now,
        exp: now + 600,
    }
}

fn without_token(request: &Parts) -> Parts {
    let mut request = request.clone();
    request.headers.remove("authorization");
    request
}

/// An origin that has one key and nothing else to tell.
struct Keys(String);

#[async_trait]
impl Origin for Keys {
    async fn jwks(&self) -> Result<String, Error> {
        let key = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "x": self.0 });
        Ok(serde_json::json!({ "keys": [key] }).to_string())
    }

    async fn policy(&self, _: VideoId) -> Result<Option<PublicPolicy>, Error> {
        Ok(None)
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, Error> {
        Ok(Vec::new())
    }

    async fn growing(
        &self,
        _: VideoId,
        _: VersionId,
        _: Option<u64>,
    ) -> Result<Option<Arc<GrowingIndex>>, Error> {
        Ok(None)
    }

    async fn want(&self, _: Want) -> Result<(), Error> {
        Ok(())
    }

    async fn unwant(&self, _: Want) -> Result<(), Error> {
        Ok(())
    }

    async fn sent(&self, _: SentReport) -> Result<(), Error> {
        Ok(())
    }
}
