//! Tokens that are no grants of ours (attacks 16 and 60), in each of the ways in which one travels.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use model::{Grant, VideoId};

use super::Attack;
use crate::origin::{ACCOUNT, NOW, Signer, grant, keeping};
use crate::serving::path;

pub(super) fn lines(signer: &Signer) -> Vec<Attack> {
    let mut lines = Vec::new();
    for (number, what, token) in forged(signer) {
        let segment = path("360p/0.m4s");
        let line = |how: &str, target: String| Attack::new(number, format!("{what}, {how}"), target);
        lines.push(line("header", segment.clone()).with(format!("authorization: Bearer {token}")).is(401));
        lines.push(line("cookie", segment.clone()).with(format!("cookie: cocuyo_grant={token}")).is(401));
        // A cookie may be about something else: what is everybody's stays so. A header is meant.
        let free = |line: Attack| line.free(360);
        let cookie = line("cookie, free", segment.clone()).with(format!("cookie: cocuyo_grant={token}"));
        lines.push(free(cookie).gets("360p/0.m4s"));
        let header = line("header, free", segment.clone()).with(format!("authorization: Bearer {token}"));
        // With nothing in it it is no header at all.
        lines.push(if token.is_empty() { free(header).gets("360p/0.m4s") } else { free(header).is(401) });
        // What has a slash in it is another path.
        let status = if token.contains('/') { 404 } else { 401 };
        lines.push(line("path", format!("/t/{token}{segment}")).is(status));
        let query = line("query", format!("{}?token={token}", path("multivariant.m3u8")));
        // Three parts of the right letters are moved into the path, where they are refused.
        let moves = crate::attacks::is_three_parts(&token);
        lines.push(query.is(if moves { 302 } else { 401 }));
    }
    // No claim of ours, so nothing is made of it, and only we could have signed it.
    let claims = serde_json::to_string(&grant(360)).unwrap().replace(r#""tier":0"#, r#""tier":0,"nbf":"x""#);
    let token = signer.sign(r#"{"alg":"EdDSA","kid":"k1"}"#, &claims);
    let header = format!("authorization: Bearer {token}");
    lines.push(Attack::new(60, "nbf as a text", path("360p/0.m4s")).with(header).gets("360p/0.m4s"));
    // More than a head may hold, wherever it stands.
    let megabyte = "A".repeat(1 << 20);
    lines.push(
        Attack::new(60, "a megabyte, header", path("360p/0.m4s"))
            .with(format!("authorization: Bearer {megabyte}"))
            .is(431),
    );
    lines.push(Attack::new(60, "a megabyte, path", format!("/t/{megabyte}{}", path("360p/0.m4s"))).is(431));
    lines
}

/// Number, name, token.
fn forged(signer: &Signer) -> Vec<(u8, &'static str, String)> {
    let stranger = Signer::new("k1");
    let unknown = Signer::new("k2");
    let good = signer.token(&grant(1080));
    let claims = serde_json::to_string(&grant(1080)).unwrap();
    let head = r#"{"alg":"EdDSA","kid":"k1"}"#;
    let exp = NOW.as_seconds() + 540;
    let parts: Vec<&str> = good.split('.').collect();
    let with = |from: &str, to: &str| {
        let changed = claims.replace(from, to);
        assert_ne!(changed, claims, "{from} is not in {claims}");
        signer.sign(head, &changed)
    };
    let expires = |value: &str| with(&format!(r#""exp":{exp}"#), &format!(r#""exp":{value}"#));
    let headed = |more: &str| signer.sign(&format!(r#"{{"alg":"EdDSA","kid":"k1",{more}}}"#), &claims);
    let keyed = |kid: &str| signer.sign(&format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#), &claims);
    let unsigned =
        |head: &str| format!("{}.{}.", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(&claims));
    // HMAC keyed with what everybody knows: the public key, raw and as the JWK's text.
    let hmac = |key: &[u8], head: &str| {
        use aws_lc_rs::hmac;
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(&claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let hs256 = r#"{"alg":"HS256","kid":"k1"}"#;
    // The claims of another grant under the signature of this one.
    let grafted = |grant: &Grant| {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_string(grant).unwrap());
        format!("{}.{claims}.{}", parts[0], parts[2])
    };
    let mut tampered = good.clone().into_bytes();
    let at = parts[0].len() + 10;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };

    vec![
        (16, "an hour more", grafted(&Grant { exp: exp + 3600, ..grant(1080) })),
        (16, "more height", grafted(&grant(4320))),
        (16, "more uses", grafted(&keeping(1080))),
        (16, "no exp", with(&format!(r#","exp":{exp}"#), "")),
        (16, "exp below zero", expires("-1")),
        (16, "exp as a fraction", expires(&format!("{exp}.5"))),
        (16, "exp with an exponent", expires("1e99")),
        (16, "exp as a text", expires(&format!("\"{exp}\""))),
        (16, "exp null", expires("null")),
        (16, "exp true", expires("true")),
        (16, "exp a list", expires(&format!("[{exp}]"))),
        (16, "exp beyond 64 bits", expires("99999999999999999999")),
        (16, "exp twice", expires(&format!(r#"1,"exp":{exp}"#))),
        (16, "exp of the past", expires(&(NOW.as_seconds() - 30).to_string())),
        (16, "an unknown key id", unknown.token(&grant(1080))),
        (16, "somebody else's key under our id", stranger.token(&grant(1080))),
        (16, "a cut signature", good[..good.len() - 4].to_owned()),
        (16, "half a signature", good[..good.len() - parts[2].len() / 2].to_owned()),
        (16, "a changed byte", String::from_utf8(tampered).unwrap()),
        (16, "trailing bytes", format!("{good}AAAA")),
        (16, "a trailing byte", format!("{good}A")),
        (60, "nothing", String::new()),
        (60, "one part", "x".to_owned()),
        (60, "two parts", format!("{}.{}", parts[0], parts[1])),
        (60, "a session's token", "c".repeat(43)),
        (60, "a fill credential", format!("fill_{}", "c".repeat(43))),
        (60, "none, without a signature", unsigned(r#"{"alg":"none"}"#)),
        (60, "None with our key id", unsigned(r#"{"alg":"None","kid":"k1"}"#)),
        (60, "NONE with a right signature", signer.sign(r#"{"alg":"NONE","kid":"k1"}"#, &claims)),
        (60, "none with a right signature", signer.sign(r#"{"alg":"none","kid":"k1"}"#, &claims)),
        (60, "no algorithm", signer.sign(r#"{"kid":"k1"}"#, &claims)),
        (60, "an empty signature", unsigned(head)),
        (60, "HS256 with the public key", hmac(signer.public(), hs256)),
        (60, "HS256 with the JWK", hmac(signer.jwk().as_bytes(), hs256)),
        (60, "HMAC that says EdDSA", hmac(signer.public(), head)),
        (60, "another algorithm", signer.sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims)),
        (60, "no key id", signer.sign(r#"{"alg":"EdDSA"}"#, &claims)),
        (60, "an empty key id", keyed("")),
        (60, "a key id that is a path", keyed("../../dev/null")),
        (60, "a key id that is SQL", keyed("k1' UNION SELECT 'k1")),
        (60, "a key id that is a URL", keyed("https://evil.example/jwks")),
        (60, "a key id that is a number", signer.sign(r#"{"alg":"EdDSA","kid":1}"#, &claims)),
        (60, "kid twice", signer.sign(r#"{"alg":"EdDSA","kid":"k2","kid":"k1"}"#, &claims)),
        (60, "crit", headed(r#""crit":["exp"]"#)),
        (60, "jku", headed(r#""jku":"http://x/""#)),
        (60, "x5u", headed(r#""x5u":"http://x/""#)),
        (
            60,
            "jwk",
            stranger.sign(&format!(r#"{{"alg":"EdDSA","kid":"k1","jwk":{}}}"#, stranger.jwk()), &claims),
        ),
        (60, "x5c", headed(r#""x5c":["AA"]"#)),
        (60, "another type", headed(r#""typ":"at+jwt""#)),
        (60, "four parts", format!("{good}.x")),
        (60, "five parts, as if encrypted", format!("{good}.x.y")),
        (60, "padding", format!("{good}==")),
        (
            60,
            "standard base64",
            format!("{}.{}.{}", STANDARD.encode(format!("{head}?>")), parts[1], parts[2]),
        ),
        (60, "video twice", with(r#""tier":0"#, &format!(r#""tier":0,"video":"{}""#, VideoId::from_bits(9)))),
        (60, "no sub", with(&format!(r#""sub":"{ACCOUNT}","#), "")),
        (60, "no iss", with(r#""iss":"cocuyo","#, "")),
        (60, "another iss", with(r#""iss":"cocuyo""#, r#""iss":"cocuyo2""#)),
        (60, "no aud", with(r#""aud":"cocuyo-edge","#, "")),
        (60, "another aud", with(r#""aud":"cocuyo-edge""#, r#""aud":"cocuyo-web""#)),
        (60, "a list of aud", with(r#""aud":"cocuyo-edge""#, r#""aud":["cocuyo-edge"]"#)),
        (60, "claims that are a list", signer.sign(head, "[]")),
        (60, "claims that are no JSON", signer.sign(head, "x")),
        (60, "nothing claimed", signer.sign(head, "{}")),
        (60, "too long", signer.sign(head, &format!("{}{}", claims, " ".repeat(2000)))),
    ]
}
