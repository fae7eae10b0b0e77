use catalog::CatalogError;
use model::{ErrorKind, FailureReason};
use storage::StorageError;

use crate::PackagerError;
use crate::cell::Ending;
use crate::rendition::Fault;
use crate::verify::Breach;

/// Why an attempt at a job ended before its effect was committed.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The file is at fault; its owner reads the reason.
    Failed {
        /// Why, for the owner.
        reason: FailureReason,
        /// Why, for the log.
        detail: String,
    },
    /// The cell crashed of it, which may happen to a good file.
    Crashed {
        /// How, for the log.
        how: String,
    },
    /// The cell was too slow, which may be the machine's fault.
    TimedOut,
    /// Something around it failed; the file is worth another try.
    Later(PackagerError),
    /// The process stops, or the lease is lost.
    Stopped,
    /// The rows have moved on without this attempt: nothing of it is wanted.
    Lost,
}

impl From<PackagerError> for Halt {
    fn from(error: PackagerError) -> Self {
        Self::Later(error)
    }
}

impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Later(error.into())
    }
}

impl From<CatalogError> for Halt {
    fn from(error: CatalogError) -> Self {
        match error.kind() {
            ErrorKind::Conflict | ErrorKind::NotFound => Self::Lost,
            _ => Self::Later(error.into()),
        }
    }
}

impl From<Breach> for Halt {
    fn from(breach: Breach) -> Self {
        Self::Crashed { how: breach.to_string() }
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Breach(breach) => breach.into(),
            Fault::Scratch(error) => PackagerError::Scratch(error).into(),
        }
    }
}

impl From<Ending> for Halt {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Refused { reason, detail } => Self::Failed { reason, detail },
            Ending::Crashed { how } => Self::Crashed { how },
            Ending::TimedOut => Self::TimedOut,
            Ending::Stopped => Self::Stopped,
            Ending::Starved(error) => error.into(),
            Ending::Unread => Self::Later(PackagerError::Unread),
            Ending::Finished { .. } => Self::Crashed { how: "ended before its answer".to_owned() },
        }
    }
}
