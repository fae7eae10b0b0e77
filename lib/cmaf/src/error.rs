use std::error::Error;

use model::ErrorKind;

/// Why bytes could not be read as boxes, or boxes not be written.
#[derive(Debug, thiserror::Error)]
pub enum CmafError {
    /// Bytes that break a rule of the format, or one of ours.
    #[error("`{place}`: {fault}")]
    Malformed {
        /// The box or structure.
        place: &'static str,
        /// The rule that does not hold.
        fault: &'static str,
    },
    /// A box whose inside cannot be read.
    #[error("read box `{place}`")]
    Unreadable {
        /// The box.
        place: &'static str,
        /// What the reader found.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Values that no box can hold.
    #[error("write box `{place}`")]
    Unwritable {
        /// The box.
        place: &'static str,
        /// What the writer found.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CmafError {
    /// Bytes that cannot be read are the sender's fault; values that cannot be written are ours.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::Unreadable { .. } => ErrorKind::Invalid,
            Self::Unwritable { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) const fn malformed(place: &'static str, fault: &'static str) -> Self {
        Self::Malformed { place, fault }
    }

    pub(crate) fn unreadable(place: &'static str) -> impl FnOnce(mp4_atom::Error) -> Self {
        move |source| Self::Unreadable { place, source: source.into() }
    }

    /// Likewise, of what a reader found that says it only for people.
    pub(crate) fn unclear<E: std::fmt::Debug>(place: &'static str) -> impl FnOnce(E) -> Self {
        move |fault| Self::Unreadable { place, source: format!("{fault:?}").into() }
    }

    pub(crate) fn unwritable(place: &'static str) -> impl FnOnce(mp4_atom::Error) -> Self {
        move |source| Self::Unwritable { place, source: source.into() }
    }
}
