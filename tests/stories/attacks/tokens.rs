//! Tokens that are no grants (attacks 16 and 60), made of a real one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Attack, EDGES, HOME, Scene};

/// Every forged token on what the real one opens, in each of the ways in which a grant travels, and
/// as a session.
pub(super) fn lines(scene: &Scene) -> Vec<Attack> {
    let segment = format!("{}/144p/0.m4s", scene.paid.base);
    let mut lines = Vec::new();
    for (number, what, token) in forged(scene) {
        lines.push(Attack::new(number, what, EDGES, segment.clone()).bearing(&token).is(401));
        let cookie = format!("cookie: cocuyo_grant={token}");
        lines.push(Attack::new(number, what, EDGES, segment.clone()).with(cookie).is(401));
        lines.push(Attack::new(number, what, EDGES, format!("/t/{token}{segment}")).is(401));
        lines.push(Attack::new(number, what, HOME, "/api/v1/session").bearing(&token).is(401));
    }
    // More than a head may hold: refused before anybody reads it.
    let megabyte = "A".repeat(1 << 20);
    lines.push(Attack::new(60, "a megabyte", EDGES, segment).bearing(&megabyte).is(431));
    lines.push(Attack::new(60, "a megabyte", HOME, "/api/v1/session").bearing(&megabyte).is(431));
    lines
}

fn forged(scene: &Scene) -> Vec<(u8, &'static str, String)> {
    let grant = &scene.grant;
    let [header, claims, signature] = grant.split('.').collect::<Vec<_>>()[..] else { panic!("not a JWT") };
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let write = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let kid = read(header)["kid"].clone();
    let claiming = |key: &str, value: Value| {
        let mut changed = read(claims);
        changed[key] = value;
        format!("{header}.{}.{signature}", write(&changed))
    };
    let without = |key: &str| {
        let mut changed = read(claims);
        changed.as_object_mut().expect("an object").remove(key).expect("it is claimed");
        format!("{header}.{}.{signature}", write(&changed))
    };
    let headed = |head: Value, signature: &str| format!("{}.{claims}.{signature}", write(&head));
    let exp = read(claims)["exp"].as_i64().expect("a number");
    // What is signed for one film, and what for another, put together.
    let capped: Vec<_> = scene.capped.split('.').collect();
    vec![
        (16, "an hour more", claiming("exp", json!(exp + 3600))),
        (16, "no exp", without("exp")),
        (16, "a negative exp", claiming("exp", json!(-1))),
        (16, "a fraction as exp", claiming("exp", json!(9_999_999_999.5))),
        (16, "a text as exp", claiming("exp", json!("9999999999"))),
        (16, "more height", claiming("height", json!(4320))),
        (16, "another video", claiming("video", json!(scene.secret.video))),
        (16, "another's signature", format!("{header}.{claims}.{}", capped[2])),
        (16, "another's claims", format!("{header}.{}.{signature}", capped[1])),
        (16, "another key id", headed(json!({"alg": "EdDSA", "kid": "k9", "typ": "JWT"}), signature)),
        (16, "half a signature", grant[..grant.len() - signature.len() / 2].to_owned()),
        (16, "a trailing byte", format!("{grant}A")),
        (60, "no signature", format!("{header}.{claims}.")),
        (60, "two parts", format!("{header}.{claims}")),
        (60, "none", headed(json!({"alg": "none", "kid": kid}), "")),
        (60, "None", headed(json!({"alg": "None", "kid": kid}), signature)),
        (60, "HS256", headed(json!({"alg": "HS256", "kid": kid, "typ": "JWT"}), signature)),
        (60, "a path as kid", headed(json!({"alg": "EdDSA", "kid": "../../dev/null"}), signature)),
        (60, "SQL as kid", headed(json!({"alg": "EdDSA", "kid": "' OR 1=1 --"}), signature)),
        (60, "a URL as kid", headed(json!({"alg": "EdDSA", "kid": "http://x/jwks"}), signature)),
        (60, "jku", headed(json!({"alg": "EdDSA", "kid": kid, "jku": "http://x/"}), signature)),
        (60, "x5u", headed(json!({"alg": "EdDSA", "kid": kid, "x5u": "http://x/"}), signature)),
        (60, "jwk", headed(json!({"alg": "EdDSA", "kid": kid, "jwk": {"kty": "OKP"}}), signature)),
        (60, "another typ", headed(json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}), signature)),
        (60, "no aud", without("aud")),
        (60, "another aud", claiming("aud", json!("cocuyo-web"))),
        (60, "a text as nbf", claiming("nbf", json!("0"))),
        (60, "a fourth part", format!("{grant}.{signature}")),
        (60, "padding", format!("{grant}=")),
    ]
}
