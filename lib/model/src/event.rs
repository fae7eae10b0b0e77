use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{InvalidTransition, InvalidWord, Timestamp};

/// How far a broadcast is. It outlives the connections of its publisher.
///
/// Each state carries what is only true in it; transitions consume the old state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EventState {
    /// Announced: nothing of it was to be seen yet.
    Scheduled,
    /// It has begun and goes on.
    Live {
        /// When it began.
        since: Timestamp,
        /// Whether pictures come in just now.
        air: Air,
    },
    /// It is over.
    Ended {
        /// When it began, if it ever did.
        began: Option<Timestamp>,
        /// When it was over.
        at: Timestamp,
    },
}

/// Whether pictures of a live event come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "air", rename_all = "snake_case")]
pub enum Air {
    /// They do.
    On {
        /// Since when.
        since: Timestamp,
    },
    /// The publisher is away; the event waits for the next one.
    Away {
        /// Since when.
        since: Timestamp,
    },
}

impl EventState {
    /// The state's word, as rows and the API have it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Live { .. } => "live",
            Self::Ended { .. } => "ended",
        }
    }

    /// Pictures of it can be seen, for the first time or again.
    pub fn on_air(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Scheduled => Ok(Self::Live { since: at, air: Air::On { since: at } }),
            Self::Live { since, air: Air::Away { .. } } => {
                Ok(Self::Live { since, air: Air::On { since: at } })
            }
            Self::Live { air: Air::On { .. }, .. } => Ok(self),
            Self::Ended { .. } => Err(self.refuse("live")),
        }
    }

    /// Its publisher is gone; the event is not. Before anything could be seen it is as it was.
    pub fn publisher_away(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Live { since, air: Air::On { .. } } => {
                Ok(Self::Live { since, air: Air::Away { since: at } })
            }
            Self::Scheduled | Self::Live { .. } => Ok(self),
            Self::Ended { .. } => Err(self.refuse("away")),
        }
    }

    /// It is over, by its owner's will or because nobody came back.
    pub fn ended(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Scheduled => Ok(Self::Ended { began: None, at }),
            Self::Live { since, .. } => Ok(Self::Ended { began: Some(since), at }),
            Self::Ended { .. } => Err(self.refuse("ended")),
        }
    }

    /// When it began, if it did.
    pub const fn began(&self) -> Option<Timestamp> {
        match *self {
            Self::Scheduled => None,
            Self::Live { since, .. } => Some(since),
            Self::Ended { began, .. } => began,
        }
    }

    /// Whether it is over.
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    const fn refuse(&self, to: &'static str) -> InvalidTransition {
        InvalidTransition::of_event(self.as_str(), to)
    }
}

/// What an event lets its viewers do, and what stays of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPolicy {
    /// How far back viewers may go, in seconds; their tier may allow less. 0 is not at all.
    pub dvr_s: u32,
    /// Whether it is on the shelf as a video when it is over.
    pub record: bool,
}

impl EventPolicy {
    /// The furthest that anybody may go back: a day.
    pub const GREATEST_DVR_S: u32 = 24 * 3600;
}

impl Default for EventPolicy {
    fn default() -> Self {
        Self { dvr_s: 12 * 3600, record: true }
    }
}

/// Why a publisher is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PublishRefusal {
    /// No event has this key, any more or at all.
    #[error("no event has this key")]
    UnknownKey,
    /// The event is over.
    #[error("the event is over")]
    EventEnded,
    /// Its owner may not broadcast, any more or at all.
    #[error("its owner may not broadcast")]
    NotAllowed,
    /// Publishers put each other off too often.
    #[error("publishers took over from each other too often")]
    TooOften,
}

impl PublishRefusal {
    /// All of them, for tables that must name each one.
    pub const ALL: [Self; 4] = [Self::UnknownKey, Self::EventEnded, Self::NotAllowed, Self::TooOften];

    /// The refusal's word, as logs and counters have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::EventEnded => "event_ended",
            Self::NotAllowed => "not_allowed",
            Self::TooOften => "too_often",
        }
    }
}

impl FromStr for PublishRefusal {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL
            .into_iter()
            .find(|refusal| refusal.as_str() == text)
            .ok_or(InvalidWord { expected: "a refusal of a publisher" })
    }
}

/// When publishers of an event took over from each other lately: at most [`Takeovers::MOST`] within
/// [`Takeovers::WINDOW`], so that two encoders with the same key do not put each other off for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Takeovers(Vec<Timestamp>);

impl Takeovers {
    /// How many are fine
    pub const MOST: usize = 5;
    /// within this time.
    pub const WINDOW: Duration = Duration::from_secs(60);

    /// One more at `now`.
    ///
    /// # Errors
    ///
    /// `TooOften`.
    pub fn one_more(mut self, now: Timestamp) -> Result<Self, PublishRefusal> {
        // What lies ahead came from a clock that was set back, and would count for ever.
        self.0.retain(|at| *at <= now && now.since(*at) < Self::WINDOW);
        if self.0.len() >= Self::MOST {
            return Err(PublishRefusal::TooOften);
        }
        self.0.push(now);
        Ok(self)
    }
}

/// A stretch of an event, to be a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClipStretch {
    /// Between two moments, in milliseconds from the event's beginning.
    Between {
        /// The first,
        from_ms: u64,
        /// and the second.
        to_ms: u64,
    },
    /// What was last.
    Last {
        /// So many milliseconds.
        ms: u64,
    },
}

impl ClipStretch {
    /// A clip lasts a second at least
    pub const SHORTEST_MS: u64 = 1000;
    /// and a quarter of an hour at most.
    pub const LONGEST_MS: u64 = 15 * 60 * 1000;
}

/// Why there is no clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClipRefusal {
    /// The event is not on air, or its packager is another process.
    #[error("the event is not on air here")]
    NotOnAir,
    /// Of the event there is this, in milliseconds from its beginning, and no more.
    #[error("there are only {from_ms} to {to_ms} ms of the event")]
    NotThere {
        /// From here
        from_ms: u64,
        /// to here.
        to_ms: u64,
    },
    /// Nothing was sent in that time.
    #[error("nothing was sent in that time")]
    Nothing,
}

/// What a publisher may send: a right of its owner's tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishLimits {
    /// The greatest rate of a feed in kbit/s, over some seconds.
    pub bitrate_kbps: u32,
    /// The greatest short side of its picture in pixels.
    pub short_side: u16,
    /// How long an event may last, in seconds.
    pub duration_s: u32,
}

impl fmt::Display for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(s: i64) -> Timestamp {
        Timestamp::from_seconds(s)
    }

    #[test]
    fn an_event_outlives_its_publishers() {
        let live = EventState::Scheduled.on_air(t(1)).unwrap();
        assert_eq!(live, EventState::Live { since: t(1), air: Air::On { since: t(1) } });
        assert_eq!(live.on_air(t(2)), Ok(live), "another publisher takes over");
        let away = live.publisher_away(t(3)).unwrap();
        assert_eq!(away, EventState::Live { since: t(1), air: Air::Away { since: t(3) } });
        assert_eq!(away.publisher_away(t(4)), Ok(away), "it is away since it left first");
        let back = away.on_air(t(5)).unwrap();
        assert_eq!(back, EventState::Live { since: t(1), air: Air::On { since: t(5) } });
        assert_eq!(back.ended(t(6)), Ok(EventState::Ended { began: Some(t(1)), at: t(6) }));
    }

    #[test]
    fn an_event_that_nobody_saw_is_scheduled_until_it_ends() {
        assert_eq!(EventState::Scheduled.publisher_away(t(1)), Ok(EventState::Scheduled));
        let ended = EventState::Scheduled.ended(t(2)).unwrap();
        assert_eq!((ended, ended.began()), (EventState::Ended { began: None, at: t(2) }, None));
    }

    #[test]
    fn what_is_over_stays_over() {
        let over = EventState::Ended { began: None, at: t(1) };
        let refusals = [over.on_air(t(2)), over.publisher_away(t(2)), over.ended(t(2))];
        assert!(refusals.iter().all(Result::is_err));
        let text = over.on_air(t(2)).unwrap_err().to_string();
        assert_eq!(text, "an event that is ended cannot become live");
    }

    #[test]
    fn five_takeovers_a_minute_are_fine() {
        let mut takeovers = Takeovers::default();
        for s in 0..5 {
            takeovers = takeovers.one_more(t(100 + s)).unwrap();
        }
        assert_eq!(takeovers.clone().one_more(t(159)), Err(PublishRefusal::TooOften));
        takeovers = takeovers.one_more(t(160)).expect("the first one is a minute ago");
        assert_eq!(takeovers.clone().one_more(t(160)), Err(PublishRefusal::TooOften));
        assert!(takeovers.one_more(t(50)).is_ok(), "a clock that was set back locks nobody out");
    }

    #[test]
    fn every_refusal_reads_back() {
        for refusal in PublishRefusal::ALL {
            assert_eq!(refusal.as_str().parse(), Ok(refusal));
        }
    }
}
