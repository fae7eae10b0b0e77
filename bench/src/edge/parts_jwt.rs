//! Parts and playlists, beside an nginx that checks a token too: njs, HS256.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, encode};
use model::Grant;

use crate::nginx::Service;
use crate::report::Line;

use super::Bench;
use super::contest::{By, Peer, beside_nginx};
use super::series::{Series, Via};

/// What nginx and its signer share.
const SECRET: &str = "a secret of thirty-two characters";

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (stage, options) = bench.stage()?;
    stage.restart("")?;
    let grants: Vec<String> =
        stage.grants.iter().map(|grant| signed(grant)).collect::<anyhow::Result<_>>()?;
    let open = stage.nginx(false);
    let service = Service { secret: Some(SECRET), ..open.service };
    let peer = Peer { name: "nginx_jwt", service, grants: &grants };
    let series = Series::parts("parts", Via::Plain, stage, options);
    beside_nginx(&series, peer, options.pairs(), &[By::Cpu])
}

/// The claims of `grant` as nginx can check them.
fn signed(grant: &str) -> anyhow::Result<String> {
    let claims = grant.split('.').nth(1).context("a grant has three parts")?;
    let claims: Grant = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}
