use std::io;

use model::LetGo;
use model::feed::FeedOver;

use super::command::Status;
use super::error::RtmpError;
use crate::live::Denied;

/// Why a publisher's connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// It said that it has finished.
    #[error("it has finished")]
    Finished,
    /// It went away without a word.
    #[error("it went away")]
    Gone,
    /// The network, or TLS.
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    /// Its bytes cannot be followed.
    #[error(transparent)]
    Wrong(#[from] RtmpError),
    /// It wants something that is not here.
    #[error("asked for another {0}")]
    Refused(&'static str),
    /// It took too long to say who it is.
    #[error("it did not say in time what it wants")]
    Slow,
    /// It sends nothing any more.
    #[error("no sound and no picture for a while")]
    Idle,
    /// It may not publish.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Too many wrong keys came from where it is.
    #[error("too many wrong keys from its address")]
    TooManyTries,
    /// It sends more than it may.
    #[error("more than {kbit_per_s} kbit/s")]
    TooFast {
        /// What it may.
        kbit_per_s: u64,
    },
    /// Its picture is greater than it may be.
    #[error("a picture of more than {short_side} pixels")]
    TooLarge {
        /// The short side that it may have.
        short_side: u16,
    },
    /// It has sent for as long as it may.
    #[error("as long as it may")]
    TooLong,
    /// Somebody newer has its key.
    #[error("another publisher has the same key")]
    Overtaken,
    /// Its key was replaced, or its event is over, or another process has somebody newer.
    #[error("its turn is over")]
    PutOff,
    /// The packager says so.
    #[error("the packager says {0:?}")]
    Over(FeedOver),
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}

impl Ended {
    /// Under which it is counted.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Gone => "gone",
            Self::Broken(_) => "broken",
            Self::Wrong(RtmpError::Malformed(_)) | Self::Over(FeedOver::Malformed) => "malformed",
            Self::Wrong(RtmpError::TooMuch(_)) => "too_much",
            Self::Wrong(RtmpError::Unsupported(_)) | Self::Over(FeedOver::Unsupported) => "unsupported",
            Self::Refused(_) => "refused",
            Self::Slow => "slow",
            Self::Idle => "idle",
            Self::Denied(Denied::Key) => "wrong_key",
            Self::Denied(Denied::Ended) | Self::Over(FeedOver::EventEnded) => "event_ended",
            Self::Denied(Denied::TooOften) => "too_many_takeovers",
            Self::Denied(Denied::Unavailable) => "unavailable",
            Self::TooManyTries => "too_many_tries",
            Self::TooFast { .. }
            | Self::TooLarge { .. }
            | Self::TooLong
            | Self::Over(FeedOver::TooMuch | FeedOver::TooLarge) => "over_limit",
            Self::Overtaken | Self::Over(FeedOver::Superseded) => "overtaken",
            Self::PutOff => "put_off",
            Self::Stopping => "stopping",
        }
    }

    /// Whether an operator should hear of it though nobody published.
    pub(crate) const fn is_remarkable(&self) -> bool {
        // Health checks and scanners come and go all day.
        !matches!(self, Self::Gone | Self::Broken(_) | Self::Wrong(_) | Self::Refused(_) | Self::Slow)
    }

    /// What the owner is told in the studio, if the publisher was let go for something that can be mended.
    pub(crate) const fn let_go(&self) -> Option<LetGo> {
        Some(match self {
            Self::TooFast { .. } | Self::Wrong(RtmpError::TooMuch(_)) | Self::Over(FeedOver::TooMuch) => {
                LetGo::TooFast
            }
            Self::TooLarge { .. } | Self::Over(FeedOver::TooLarge) => LetGo::TooLarge,
            Self::TooLong => LetGo::TooLong,
            Self::Wrong(RtmpError::Unsupported(_)) | Self::Over(FeedOver::Unsupported) => LetGo::Unsupported,
            Self::Wrong(RtmpError::Malformed(_)) | Self::Over(FeedOver::Malformed) => LetGo::Malformed,
            Self::Idle => LetGo::Silent,
            Self::Finished
            | Self::Gone
            | Self::Broken(_)
            | Self::Refused(_)
            | Self::Slow
            | Self::Denied(_)
            | Self::TooManyTries
            | Self::Overtaken
            | Self::PutOff
            | Self::Over(FeedOver::Superseded | FeedOver::EventEnded)
            | Self::Stopping => return None,
        })
    }

    /// What the publisher is told, if anything: to hostile bytes nothing is said.
    pub(crate) fn status(&self) -> Option<Status> {
        const DENIED: &str = "NetStream.Publish.Denied";
        const FAILED: &str = "NetStream.Publish.Failed";
        let (code, description) = match self {
            Self::Finished => {
                return Some(Status {
                    level: "status",
                    code: "NetStream.Unpublish.Success",
                    description: "Publishing has ended.".to_owned(),
                });
            }
            Self::Gone | Self::Broken(_) | Self::Refused(_) | Self::Slow | Self::Stopping => return None,
            Self::Wrong(error @ RtmpError::Unsupported(_)) => {
                (FAILED, format!("{error}: send H.264, HEVC or AV1 with AAC or Opus."))
            }
            Self::Wrong(_) => return None,
            Self::Denied(Denied::Key) => {
                ("NetStream.Publish.BadName", "No event has this stream key.".to_owned())
            }
            Self::Denied(Denied::Ended) => (DENIED, "The event of this stream key is over.".to_owned()),
            Self::Denied(Denied::TooOften) => {
                (DENIED, "Several programs publish with this stream key; stop all but one.".to_owned())
            }
            Self::Denied(Denied::Unavailable) => {
                (DENIED, "The stream key cannot be checked now; try again.".to_owned())
            }
            Self::TooManyTries => {
                (DENIED, "Too many wrong stream keys from this network; try again in a minute.".to_owned())
            }
            Self::Idle => (FAILED, "Neither sound nor picture came for ten seconds.".to_owned()),
            Self::TooFast { kbit_per_s } => {
                (FAILED, format!("More than {kbit_per_s} kbit/s: lower the bitrate."))
            }
            Self::TooLarge { short_side } => (
                FAILED,
                format!("The picture's shorter side has more than {short_side} pixels: lower the resolution."),
            ),
            Self::TooLong => (FAILED, "The event is as long as it may be.".to_owned()),
            Self::Overtaken | Self::Over(FeedOver::Superseded) => {
                (FAILED, "Another program publishes with this stream key now.".to_owned())
            }
            Self::PutOff => (
                FAILED,
                "The stream key was replaced, or another program publishes, or the event is over.".to_owned(),
            ),
            Self::Over(FeedOver::EventEnded) => (FAILED, "The event has been ended.".to_owned()),
            Self::Over(FeedOver::Unsupported) => (
                FAILED,
                "What is sent cannot be packaged: send a picture no greater than at the event's beginning, and AAC-LC \
                 or Opus in one or two channels."
                    .to_owned(),
            ),
            Self::Over(FeedOver::TooMuch) => (FAILED, "More is sent than the event may have.".to_owned()),
            Self::Over(FeedOver::TooLarge) => {
                (FAILED, "The picture is greater than it may be: lower the resolution.".to_owned())
            }
            Self::Over(FeedOver::Malformed) => {
                (FAILED, "What is sent contradicts itself; start the program anew.".to_owned())
            }
        };
        Some(Status::error(code, description))
    }
}
