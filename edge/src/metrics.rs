//! What an edge counts, for Prometheus.
//!
//! Whoever answers a request adds to a counter that is there already: the handles stand in tables,
//! so that no labels are put together and no lock of a family is taken on the way.

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::decision::Right;
use crate::live::LiveRoute;
use crate::route::Resource;

/// Where an answer's bytes were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nowhere: a refusal, or made on the spot.
    None,
    /// In memory.
    Memory,
    /// In the store.
    Store,
    /// With whoever makes them: the request was held until they were there.
    Held,
}

/// To whom something was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// To nobody: it was refused.
    None,
    /// By a public policy.
    Public,
    /// To the bearer of a grant of this tier.
    Tier(u8),
}

/// What became of a token that was not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// It was verified.
    Verified,
    /// It is none of ours.
    Forged,
    /// It was not looked at: too many bad ones came from there.
    Unheard,
}

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, &'static str); N];

const ROUTES: [&str; 15] = {
    let [multivariant, playlist, init, segment, part, joined] = LiveRoute::NAMES;
    [
        "none",
        "multivariant",
        "playlist",
        "iframes",
        "init",
        "segment",
        "mp4",
        "poster",
        "thumbnail",
        multivariant,
        playlist,
        init,
        segment,
        part,
        joined,
    ]
};
const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
const AUDIENCES: [&str; 6] = ["none", "public", "tier0", "tier1", "tier2", "tier3"];
const FOUND: [&str; 4] = ["none", "memory", "store", "held"];
const TOKENS: [&str; 3] = ["verified", "forged", "unheard"];

/// The counters of one edge.
#[derive(Debug)]
pub(crate) struct Metrics {
    answers: Family<Labels<4>, Counter>,
    /// `answers` by place; made when first counted, so that what never happens is not shown.
    by_place: Box<[OnceLock<Counter>]>,
    first_byte: Family<Labels<1>, Histogram, fn() -> Histogram>,
    first_byte_of: [Histogram; FOUND.len()],
    sent: Family<Labels<1>, Counter>,
    sent_to: [Counter; AUDIENCES.len()],
    tokens: Family<Labels<1>, Counter>,
    token: [Counter; TOKENS.len()],
}

impl Metrics {
    pub(crate) fn new() -> Self {
        // From half a millisecond to the eight seconds that a request is held, and beyond.
        let buckets: fn() -> Histogram = || {
            Histogram::new([
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ])
        };
        let first_byte = Family::new_with_constructor(buckets);
        let (sent, tokens) =
            (Family::<Labels<1>, Counter>::default(), Family::<Labels<1>, Counter>::default());
        let places = ROUTES.len() * STATUSES.len() * AUDIENCES.len() * FOUND.len();
        Self {
            answers: Family::default(),
            by_place: (0..places).map(|_| OnceLock::new()).collect(),
            first_byte_of: FOUND.map(|cache| first_byte.get_or_create_owned(&[("cache", cache)])),
            first_byte,
            sent_to: AUDIENCES.map(|audience| sent.get_or_create_owned(&[("audience", audience)])),
            sent,
            token: TOKENS.map(|outcome| tokens.get_or_create_owned(&[("outcome", outcome)])),
            tokens,
        }
    }

    /// Shows them in `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("cocuyo_edge");
        registry.register(
            "requests",
            "Answers of the edge, by route, status, audience and where the bytes came from",
            self.answers.clone(),
        );
        registry.register_with_unit(
            "first_byte",
            "From a request's head to its answer's head",
            Unit::Seconds,
            self.first_byte.clone(),
        );
        registry.register_with_unit(
            "sent",
            "Bytes of bodies given to connections, by audience",
            Unit::Bytes,
            self.sent.clone(),
        );
        registry.register(
            "tokens",
            "Tokens that were not remembered, by what became of them",
            self.tokens.clone(),
        );
    }

    /// Counts an answer whose head was ready after `time`.
    pub(crate) fn answered(
        &self,
        resource: Option<Resource>,
        status: StatusCode,
        audience: Audience,
        cache: Found,
        time: Duration,
    ) {
        let route = resource.map_or(0, number);
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        let (audience, cache) = (audience.number(), cache as usize);
        let place = ((route * STATUSES.len() + class) * AUDIENCES.len() + audience) * FOUND.len() + cache;
        if let Some(counter) = self.by_place.get(place) {
            let labels = || {
                [
                    ("route", ROUTES[route]),
                    ("status", STATUSES[class]),
                    ("audience", AUDIENCES[audience]),
                    ("cache", FOUND[cache]),
                ]
            };
            counter.get_or_init(|| self.answers.get_or_create_owned(&labels())).inc();
        }
        self.first_byte_of[cache].observe(time.as_secs_f64());
    }

    /// Counts the bytes that are sent to `audience`.
    pub(crate) fn sent_to(&self, audience: Audience) -> Counter {
        self.sent_to[audience.number()].clone()
    }

    /// Counts a token that was not remembered.
    pub(crate) fn looked_at(&self, token: Token) {
        self.token[token as usize].inc();
    }
}

impl Found {
    /// For metrics and logs.
    pub(crate) const fn word(self) -> &'static str {
        FOUND[self as usize]
    }
}

impl Audience {
    /// For metrics and logs.
    pub(crate) fn word(self) -> &'static str {
        AUDIENCES[self.number()]
    }

    fn number(self) -> usize {
        match self {
            Self::None => 0,
            Self::Public => 1,
            Self::Tier(tier) => 2 + usize::from(tier.min(3)),
        }
    }
}

impl From<&Right> for Audience {
    fn from(right: &Right) -> Self {
        match right {
            Right::Granted(grant) => Self::Tier(grant.tier.number()),
            Right::Public { .. } => Self::Public,
        }
    }
}

const fn number(resource: Resource) -> usize {
    match resource {
        Resource::Multivariant => 1,
        Resource::Playlist(_) => 2,
        Resource::IFrames(_) => 3,
        Resource::Init(..) => 4,
        Resource::Segment(..) => 5,
        Resource::Mp4(_) => 6,
        Resource::Poster => 7,
        Resource::Thumbnail => 8,
        Resource::Live(live) => 9 + live.number(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_shown_and_nothing_else() {
        let metrics = Metrics::new();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let time = Duration::from_millis(3);
        for _ in 0..2 {
            metrics.answered(
                Some(Resource::Poster),
                StatusCode::NOT_MODIFIED,
                Audience::Tier(3),
                Found::Memory,
                time,
            );
        }
        metrics.answered(None, StatusCode::from_u16(799).unwrap(), Audience::None, Found::None, time);
        metrics.sent_to(Audience::Public).inc_by(70);
        metrics.looked_at(Token::Forged);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let requests: Vec<_> =
            text.lines().filter(|line| line.starts_with("cocuyo_edge_requests_total")).collect();
        assert_eq!(requests.len(), 2, "{text}");
        for line in [
            r#"cocuyo_edge_requests_total{route="poster",status="3xx",audience="tier3",cache="memory"} 2"#,
            r#"cocuyo_edge_requests_total{route="none",status="5xx",audience="none",cache="none"} 1"#,
            r#"cocuyo_edge_first_byte_seconds_bucket{le="0.0025",cache="memory"} 0"#,
            r#"cocuyo_edge_first_byte_seconds_bucket{le="0.005",cache="memory"} 2"#,
            r#"cocuyo_edge_sent_bytes_total{audience="public"} 70"#,
            r#"cocuyo_edge_tokens_total{outcome="forged"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn routes_are_called_as_everywhere() {
        let sound = model::RenditionName::Audio { kbps: 64 };
        for resource in [
            Resource::Multivariant,
            Resource::Playlist(sound),
            Resource::IFrames(sound),
            Resource::Init(sound, 0),
            Resource::Init(sound, 1),
            Resource::Segment(sound, 0),
            Resource::Mp4(sound),
            Resource::Poster,
            Resource::Thumbnail,
            Resource::Live(LiveRoute::Multivariant(live::View::Saver)),
            Resource::Live(LiveRoute::Playlist(live::View::Low, sound)),
            Resource::Live(LiveRoute::Init(sound, 0)),
            Resource::Live(LiveRoute::Segment(sound, 0)),
            Resource::Live(LiveRoute::Part(sound, 0, 0)),
            Resource::Live(LiveRoute::Joined(sound, 0, 0)),
        ] {
            let route = crate::route::Route {
                video: model::VideoId::from_bits(1),
                version: model::VersionId::from_bits(1),
                resource,
            };
            assert_eq!(ROUTES[number(resource)], route.name());
        }
    }
}
