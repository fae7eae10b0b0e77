use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, VersionId};

/// A text that is not one of a closed list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidWord {
    /// The words that would have done.
    pub expected: &'static str,
}

/// Who may find and see a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Only its owner, who is still working on it.
    #[default]
    Draft,
    /// Only its owner.
    Private,
    /// Whoever has the link and the tier.
    Unlisted,
    /// Listed on the site, for whoever has the tier.
    Public,
}

impl Visibility {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Private => "private",
            Self::Unlisted => "unlisted",
            Self::Public => "public",
        }
    }

    /// Whether people other than the owner may see the video at all.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Unlisted | Self::Public)
    }
}

impl FromStr for Visibility {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        [Self::Draft, Self::Private, Self::Unlisted, Self::Public]
            .into_iter()
            .find(|visibility| visibility.as_str() == text)
            .ok_or(InvalidWord { expected: "draft, private, unlisted or public" })
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a video is on its way from upload, or from the air, to the player.
///
/// Each state carries what is only true in it; transitions consume the old state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum VideoState {
    /// Its bytes are still coming in.
    Uploading,
    /// All bytes are here; a job waits for a worker.
    Queued {
        /// When the upload was complete.
        since: Timestamp,
    },
    /// Workers are packaging it.
    Packaging {
        /// When the first of them began.
        since: Timestamp,
        /// The version in the making, once its beginning plays.
        plays: Option<VersionId>,
    },
    /// All of it plays.
    Ready {
        /// The version that plays.
        version: VersionId,
        /// When it was published.
        at: Timestamp,
    },
    /// It is an event: what there is of it is live, and nothing is on the shelf yet.
    Event {
        /// When it was created.
        since: Timestamp,
        /// The version that grows, once some of it can be seen.
        plays: Option<VersionId>,
    },
    /// It was an event of which nothing was kept.
    Ended {
        /// When it was over.
        at: Timestamp,
    },
    /// It will not play, for a reason that its owner can read.
    Failed {
        /// Why.
        reason: FailureReason,
        /// When that was clear.
        at: Timestamp,
    },
}

/// A state change that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} that is {from} cannot become {to}")]
pub struct InvalidTransition {
    what: &'static str,
    from: &'static str,
    to: &'static str,
}

impl InvalidTransition {
    pub(crate) const fn of_event(from: &'static str, to: &'static str) -> Self {
        Self { what: "an event", from, to }
    }
}

impl VideoState {
    /// The state's word, as the API shows it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Queued { .. } => "queued",
            Self::Packaging { .. } => "packaging",
            Self::Ready { .. } => "ready",
            Self::Event { .. } => "event",
            Self::Ended { .. } => "ended",
            Self::Failed { .. } => "failed",
        }
    }

    /// The last byte is here.
    pub fn uploaded(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Uploading => Ok(Self::Queued { since: at }),
            other => Err(other.refuse("queued")),
        }
    }

    /// A worker takes a part of the work, the first or a further one.
    pub fn packaging(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Queued { .. } => Ok(Self::Packaging { since: at, plays: None }),
            Self::Packaging { .. } => Ok(self),
            other => Err(other.refuse("packaging")),
        }
    }

    /// The only worker gives it back before anything was made of it.
    pub fn given_back(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Packaging { plays: None, .. } => Ok(Self::Queued { since: at }),
            other => Err(other.refuse("queued")),
        }
    }

    /// The beginning of `version` is there: it plays while the rest is made.
    pub fn playable(self, version: VersionId) -> Result<Self, InvalidTransition> {
        match self {
            Self::Packaging { since, .. } => Ok(Self::Packaging { since, plays: Some(version) }),
            other => Err(other.refuse("playable")),
        }
    }

    /// What there was of a version is given up for another one.
    pub fn restarted(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Packaging { since, .. } => Ok(Self::Packaging { since, plays: None }),
            other => Err(other.refuse("packaging")),
        }
    }

    /// Some of the `version` that the event grows can be seen.
    pub fn live(self, version: VersionId) -> Result<Self, InvalidTransition> {
        match self {
            Self::Event { since, .. } => Ok(Self::Event { since, plays: Some(version) }),
            other => Err(other.refuse("live")),
        }
    }

    /// The event is over, and nothing of it is kept.
    pub fn ended(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Event { .. } => Ok(Self::Ended { at }),
            other => Err(other.refuse("ended")),
        }
    }

    /// `version` is whole and published.
    pub fn ready(self, at: Timestamp, version: VersionId) -> Result<Self, InvalidTransition> {
        match self {
            Self::Packaging { .. } | Self::Event { .. } => Ok(Self::Ready { version, at }),
            other => Err(other.refuse("ready")),
        }
    }

    /// `version` takes the place of the one that plays.
    pub fn replaced(self, at: Timestamp, version: VersionId) -> Result<Self, InvalidTransition> {
        match self {
            Self::Ready { .. } => Ok(Self::Ready { version, at }),
            other => Err(other.refuse("ready")),
        }
    }

    /// It cannot be packaged.
    pub fn failed(self, at: Timestamp, reason: FailureReason) -> Result<Self, InvalidTransition> {
        match self {
            Self::Uploading | Self::Queued { .. } | Self::Packaging { .. } => Ok(Self::Failed { reason, at }),
            other => Err(other.refuse("failed")),
        }
    }

    /// Its owner asks for another try.
    pub fn retried(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self {
            Self::Failed { .. } => Ok(Self::Queued { since: at }),
            other => Err(other.refuse("queued")),
        }
    }

    /// The version that plays: whole, in the making, or live.
    pub const fn plays(&self) -> Option<VersionId> {
        match *self {
            Self::Packaging { plays, .. } | Self::Event { plays, .. } => plays,
            Self::Ready { version, .. } => Some(version),
            Self::Uploading | Self::Queued { .. } | Self::Ended { .. } | Self::Failed { .. } => None,
        }
    }

    const fn refuse(&self, to: &'static str) -> InvalidTransition {
        InvalidTransition { what: "a video", from: self.as_str(), to }
    }
}

/// Why a video cannot be packaged: a closed list, told to its owner in their language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The file has no bytes.
    Empty,
    /// Not a container that we open (text, HTML, a playlist, a picture…).
    NotMedia,
    /// A container that we open, with a codec that we do not.
    UnsupportedCodec,
    /// The file ends before its media does, or has no index.
    Truncated,
    /// Neither picture nor sound in it.
    NothingToPlay,
    /// Too many pixels, streams or hours.
    TooLarge,
    /// It stopped the transcoder three times.
    Crashed,
    /// It took longer than any film of its length may.
    TimedOut,
    /// Its owner has stopped it.
    Cancelled,
    /// A defect of ours.
    Internal,
}

impl FailureReason {
    /// All reasons, for tables that must name each one.
    pub const ALL: [Self; 10] = [
        Self::Empty,
        Self::NotMedia,
        Self::UnsupportedCodec,
        Self::Truncated,
        Self::NothingToPlay,
        Self::TooLarge,
        Self::Crashed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The reason's word, as rows and the API have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotMedia => "not_media",
            Self::UnsupportedCodec => "unsupported_codec",
            Self::Truncated => "truncated",
            Self::NothingToPlay => "nothing_to_play",
            Self::TooLarge => "too_large",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl FromStr for FailureReason {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(InvalidWord { expected: "a reason of failure" })
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1);
    const VERSION: VersionId = VersionId::from_bits(7);

    #[test]
    fn a_video_travels_from_upload_to_ready() {
        let state = VideoState::Uploading.uploaded(T).unwrap().packaging(T).unwrap();
        assert_eq!(state.plays(), None);
        let state = state.packaging(Timestamp::from_millis(2)).unwrap().playable(VERSION).unwrap();
        assert_eq!(state, VideoState::Packaging { since: T, plays: Some(VERSION) });
        assert_eq!(state.plays(), Some(VERSION));
        assert_eq!(state.ready(T, VERSION), Ok(VideoState::Ready { version: VERSION, at: T }));
    }

    #[test]
    fn a_video_that_is_not_being_packaged_becomes_neither_playable_nor_ready() {
        for state in [VideoState::Uploading, VideoState::Queued { since: T }] {
            assert!(state.playable(VERSION).is_err() && state.ready(T, VERSION).is_err(), "{state:?}");
        }
        let ready = VideoState::Ready { version: VERSION, at: T };
        let again = ready.ready(T, VERSION).unwrap_err();
        assert_eq!(again.to_string(), "a video that is ready cannot become ready");
    }

    #[test]
    fn only_a_whole_version_is_replaced() {
        let at = Timestamp::from_millis(9);
        let next = VersionId::from_bits(8);
        let ready = VideoState::Ready { version: VERSION, at: T };
        assert_eq!(ready.replaced(at, next), Ok(VideoState::Ready { version: next, at }));
        assert!(VideoState::Packaging { since: T, plays: Some(VERSION) }.replaced(at, next).is_err());
    }

    #[test]
    fn what_plays_is_not_given_back() {
        let state = VideoState::Queued { since: T }.packaging(T).unwrap();
        assert_eq!(state.given_back(T), Ok(VideoState::Queued { since: T }));
        assert!(state.playable(VERSION).unwrap().given_back(T).is_err());
    }

    #[test]
    fn an_event_is_live_and_then_on_the_shelf_or_gone() {
        let event = VideoState::Event { since: T, plays: None };
        assert_eq!((event.plays(), event.ended(T)), (None, Ok(VideoState::Ended { at: T })));
        let live = event.live(VERSION).unwrap();
        assert_eq!((live.plays(), live.live(VERSION)), (Some(VERSION), Ok(live)));
        let ready = live.ready(T, VERSION).unwrap();
        assert_eq!(ready, VideoState::Ready { version: VERSION, at: T });
        assert!(ready.live(VERSION).is_err() && ready.ended(T).is_err());
        let ended = live.ended(T).unwrap();
        assert_eq!(ended.plays(), None);
        assert!(
            ended.ready(T, VERSION).is_err() && ended.live(VERSION).is_err() && ended.retried(T).is_err()
        );
        assert!(live.failed(T, FailureReason::Cancelled).is_err() && live.packaging(T).is_err());
    }

    #[test]
    fn only_a_failed_video_is_retried() {
        let failed = VideoState::Queued { since: T }.failed(T, FailureReason::NotMedia).unwrap();
        assert_eq!(failed.retried(T), Ok(VideoState::Queued { since: T }));
        assert!(VideoState::Uploading.retried(T).is_err());
    }

    #[test]
    fn every_reason_reads_back() {
        for reason in FailureReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
