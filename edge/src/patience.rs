//! How long a request may be held for a segment that is still being made.

use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;

/// Less than what players wait for a first byte: 10 s in hls.js and in Apple's, which then ask
/// again, as they do after a 503.
const PATIENCE: Duration = Duration::from_secs(8);

/// For players that wait as long as it takes and are lost by a refusal: after one 503 VLC ends the
/// film, after some ffmpeg leaves the segment out. Less than the minute that proxies wait for an
/// answer by default.
const LONG: Duration = Duration::from_secs(52);

/// How the names of such players begin.
const PATIENT: [&str; 4] = ["VLC/", "LibVLC/", "Lavf/", "libmpv"];

/// How long whoever sent these headers is kept waiting.
pub(crate) fn patience(headers: &HeaderMap) -> Duration {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    if PATIENT.iter().any(|name| agent.starts_with(name)) { LONG } else { PATIENCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_up_at_a_refusal_waits_longer() {
        let cases = [
            (None, PATIENCE),
            (Some("Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0"), PATIENCE),
            (Some("AppleCoreMedia/1.0.0.21A329 (iPhone; U; CPU OS 17_0 like Mac OS X; es_es)"), PATIENCE),
            (Some("VLC/3.0.24 LibVLC/3.0.24"), LONG),
            (Some("Lavf/59.27.100"), LONG),
            (Some("libmpv"), LONG),
        ];
        for (agent, expected) in cases {
            let mut headers = HeaderMap::new();
            agent.map(|agent| headers.insert(USER_AGENT, agent.parse().unwrap()));
            assert_eq!(patience(&headers), expected, "{agent:?}");
        }
    }
}
