use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use model::ErrorKind;

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The address is taken, not ours, or not allowed.
    #[error("listen on `{address}`")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The access log cannot be written.
    #[error("open the access log `{}`", path.display())]
    AccessLog {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An accept thread could not be started.
    #[error("start accept thread")]
    Start(#[source] io::Error),
    /// An accept thread ended before it was told to.
    #[error("accept thread {0} died")]
    Died(usize),
}

impl ListenerError {
    /// What kind of failure it is; a taken port is a conflict.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => ErrorKind::Conflict,
                io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
                io::ErrorKind::AddrNotAvailable => ErrorKind::NotFound,
                _ => ErrorKind::Unavailable,
            },
            Self::AccessLog { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Unavailable,
            },
            Self::Start(_) => ErrorKind::Unavailable,
            Self::Died(_) => ErrorKind::Internal,
        }
    }
}
