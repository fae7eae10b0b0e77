//! Common Media Client Data (CTA-5004): what a player says of itself with a request.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// The headers it may come in.
const HEADERS: [&str; 4] = ["cmcd-object", "cmcd-request", "cmcd-session", "cmcd-status"];
/// The keys of version 1 that are kept, in their order. `nor`, the next request, may be a path with
/// somebody's token in it.
const KEYS: [&str; 17] =
    ["bl", "br", "bs", "cid", "d", "dl", "mtp", "nrr", "ot", "pr", "rtp", "sf", "sid", "st", "su", "tb", "v"];
/// Longest value of a text, as the specification has it.
const MAX_TEXT: usize = 64;

/// What a request's query (`CMCD=…`) or headers say, by key; nothing where it is malformed.
pub(super) fn read(query: Option<&str>, headers: &HeaderMap) -> Map<String, Value> {
    let mut found = Map::new();
    let values = query.into_iter().flat_map(|query| query.split('&'));
    for value in values.filter_map(|pair| pair.strip_prefix("CMCD=")) {
        if let Ok(value) = percent_decode_str(value).decode_utf8() {
            add(&value, &mut found);
        }
    }
    for value in HEADERS.iter().flat_map(|name| headers.get_all(*name)) {
        if let Ok(value) = value.to_str() {
            add(value, &mut found);
        }
    }
    found
}

fn add(list: &str, found: &mut Map<String, Value>) {
    for item in list.split(',') {
        let (key, value) = item.trim().split_once('=').unwrap_or((item.trim(), "true"));
        if let (true, Some(value)) = (KEYS.contains(&key), value_of(value)) {
            found.insert(key.to_owned(), value);
        }
    }
}

/// A number, a text in quotes, a word, or true for a key that stands alone.
fn value_of(value: &str) -> Option<Value> {
    if let Some(text) = value.strip_prefix('"') {
        let text = text.strip_suffix('"')?;
        let fits = text.len() <= MAX_TEXT && !text.chars().any(|c| c.is_control() || c == '"' || c == '\\');
        return fits.then(|| text.into());
    }
    match value {
        "true" | "false" => Some((value == "true").into()),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            number.parse::<u64>().ok().map(Value::from)
        }
        number if number.parse::<f64>().is_ok_and(f64::is_finite) => {
            number.parse::<f64>().ok().map(Value::from)
        }
        word => {
            let fits = word.len() <= 8 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
            fits.then(|| word.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_players_say_is_read_and_nothing_else() {
        let check = |query: &str, expected: &str| {
            let found = read(Some(query), &HeaderMap::new());
            assert_eq!(Value::Object(found).to_string(), expected, "{query}");
        };
        check("", "{}");
        check("a=b&planned=1", "{}");
        check("CMCD=br%3D3200%2Cbs%2Cd%3D4004%2Cot%3Dv", r#"{"br":3200,"bs":true,"d":4004,"ot":"v"}"#);
        check("CMCD=sid%3D%22a-b%22%2Cpr%3D1.5", r#"{"pr":1.5,"sid":"a-b"}"#);
        check("CMCD=nor%3D%22..%2Ft%2Ftoken%22%2Cxyz%3D1", "{}");
        check("CMCD=sid%3D%22open%2Cst%3Dv", r#"{"st":"v"}"#);
        check("CMCD=%ff%fe", "{}");
        check("CMCD=br%3D-1e999%2Cot%3Dway_too_long", "{}");
        check(&format!("CMCD=sid%3D%22{}%22", "x".repeat(65)), "{}");
        let mut headers = HeaderMap::new();
        headers.insert("cmcd-object", "br=3200,d=4004".parse().unwrap());
        headers.insert("cmcd-session", "sid=\"s\",v=1".parse().unwrap());
        assert_eq!(
            Value::Object(read(None, &headers)).to_string(),
            r#"{"br":3200,"d":4004,"sid":"s","v":1}"#
        );
    }
}
