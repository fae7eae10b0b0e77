use std::io;

use model::FailureReason;
use model::cell::FrameError;

/// What ends the cell's work before it is done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CellError {
    /// The file is at fault, and its owner can be told why.
    #[error("refuse the file as {reason}: {detail}")]
    Refused { reason: FailureReason, detail: String },
    /// The media could not be read: the store or the descriptor is at fault, not the file.
    #[error("read the media")]
    Read(#[source] io::Error),
    /// The request is not one.
    #[error("read the request")]
    Request(#[source] io::Error),
    /// Nobody reads the replies any more.
    #[error("write a reply")]
    Gone(#[source] io::Error),
    /// A reply is longer than the protocol allows.
    #[error("frame a reply")]
    Frame(#[from] FrameError),
    /// libav would not do what a sound plan asks of it.
    #[error("{doing}")]
    Libav {
        doing: &'static str,
        #[source]
        source: ffmpeg_next::Error,
    },
    /// Boxes could not be written around what the encoder gave.
    #[error("write boxes")]
    Boxes(#[from] cmaf::CmafError),
    /// An encoder gave something that is not on the grid.
    #[error("{rendition}: {fault}")]
    OffPlan { rendition: String, fault: String },
    /// Another thread of the cell stopped first; its error is the one to report.
    #[error("another part of the cell stopped")]
    Stopped,
}

impl CellError {
    pub(crate) fn refused(reason: FailureReason, detail: impl Into<String>) -> Self {
        Self::Refused { reason, detail: detail.into() }
    }

    /// Wraps a libav error with what was being done, as a verb phrase.
    pub(crate) fn libav(doing: &'static str) -> impl FnOnce(ffmpeg_next::Error) -> Self {
        move |source| Self::Libav { doing, source }
    }

    /// What the packager is told, unless the cell has nobody to tell or the file is not at fault.
    pub(crate) fn refusal(&self) -> Option<(FailureReason, String)> {
        match self {
            Self::Refused { reason, detail } => Some((*reason, detail.clone())),
            Self::Read(_) | Self::Request(_) | Self::Gone(_) => None,
            other => Some((FailureReason::Internal, chain(other))),
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(crate) type Result<T, E = CellError> = std::result::Result<T, E>;
