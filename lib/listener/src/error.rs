use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use model::ErrorKind;

use crate::body::BoxError;

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
    /// A socket that was inherited cannot be used.
    #[error("listen on the inherited socket")]
    Inherit(#[source] io::Error),
    /// A certificate or its key cannot be used.
    #[error("use the certificate file `{}`", file.display())]
    Certificate {
        /// The file with the fault.
        file: PathBuf,
        /// What is wrong with it.
        source: BoxError,
    },
    /// A certificate that somebody got for us, or its key, cannot be used.
    #[error("use the certificate that was issued")]
    Issued(#[source] BoxError),
    /// A certificate without its key, or the other way round.
    #[error("`https.{given}` is given and `https.{missing}` is not")]
    OneOfTwo {
        /// The key that is there.
        given: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// The machine cannot do cryptography.
    #[error("prepare TLS")]
    Tls(#[source] rustls::Error),
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
            Self::Inherit(_) | Self::Certificate { .. } | Self::Issued(_) | Self::OneOfTwo { .. } => {
                ErrorKind::Invalid
            }
            Self::Tls(_) | Self::Start(_) => ErrorKind::Unavailable,
            Self::Died(_) => ErrorKind::Internal,
        }
    }
}
