use std::error::Error;
use std::io;

use catalog::CatalogError;
use listener::{Problem, Text};
use model::{ErrorKind, UploadId};
use storage::StorageError;

use crate::tus::TusError;

/// Why an upload did not go on.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The request is not tus as spoken here.
    #[error("read a tus request")]
    Tus(#[from] TusError),
    /// Nobody is signed in.
    #[error("no session")]
    SignedOut,
    /// The role does not allow uploads.
    #[error("role without uploads")]
    NotUploader,
    /// There is no such upload, or it is another account's.
    #[error("no upload `{0}`")]
    Absent(UploadId),
    /// The body does not begin where the upload ends.
    #[error("offset {sent}, but the upload stands at {offset}")]
    Offset {
        /// Where the client thinks that it is.
        sent: u64,
        /// Where it is.
        offset: u64,
    },
    /// More bytes than were announced.
    #[error("body runs over the length of {size_bytes} bytes")]
    TooLong {
        /// The announced length.
        size_bytes: u64,
    },
    /// Longer than any upload may be.
    #[error("{size_bytes} bytes are over the limit of {limit_bytes}")]
    TooLarge {
        /// The announced length.
        size_bytes: u64,
        /// The greatest length.
        limit_bytes: u64,
    },
    /// The body's hash is another one.
    #[error("checksum mismatch")]
    Checksum,
    /// The body ended early; without a checksum, what came of it is kept.
    #[error("body broke off")]
    Broken(#[source] hyper::Error),
    /// No byte came for a while; what came before is kept.
    #[error("body stalled")]
    Stalled,
    /// The same client came again, and the newest request goes on.
    #[error("overtaken by a newer request")]
    Overtaken,
    /// A request of the same upload does not end; trying again may help.
    #[error("another request holds the upload")]
    Busy,
    /// All bytes are here and the video is made of them: delete the video instead.
    #[error("upload `{0}` is finished")]
    Finished(UploadId),
    /// The server is going down; what came is kept.
    #[error("shutting down")]
    Stopping,
    /// The disk keeps less than it must.
    #[error("{free_bytes} bytes are free, too few for {size_bytes} more")]
    NoRoom {
        /// What is free.
        free_bytes: u64,
        /// What was asked for.
        size_bytes: u64,
    },
    /// The spool's disk failed.
    #[error("{operation} spool of upload `{id}`")]
    Spool {
        /// What was being done.
        operation: &'static str,
        /// To which upload's bytes.
        id: UploadId,
        /// Why it failed.
        source: io::Error,
    },
    /// The spool's folder cannot be used.
    #[error("open spool `{folder}`")]
    OpenSpool {
        /// The folder.
        folder: String,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// The spool has other bytes than the upload should have: somebody touched it.
    #[error("spool of upload `{id}` has {found} of {size_bytes} bytes")]
    Damaged {
        /// The upload.
        id: UploadId,
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        size_bytes: u64,
    },
    /// The catalog refused.
    #[error("record the upload")]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error("store the upload")]
    Storage(#[from] StorageError),
    /// Who is asking could not be found out.
    #[error("find out who is signed in")]
    Accounts {
        /// What kind of failure it was.
        kind: ErrorKind,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl IngestError {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Tus(TusError::Version) => ErrorKind::Precondition,
            Self::Tus(TusError::BodyType) => ErrorKind::Unsupported,
            Self::Tus(TusError::Field(_) | TusError::Extension(_)) => ErrorKind::Invalid,
            Self::SignedOut => ErrorKind::Unauthenticated,
            Self::NotUploader => ErrorKind::Forbidden,
            Self::Absent(_) => ErrorKind::NotFound,
            Self::Offset { .. } | Self::Overtaken | Self::Finished(_) => ErrorKind::Conflict,
            Self::TooLong { .. } | Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Checksum => ErrorKind::Checksum,
            Self::Broken(_) => ErrorKind::Invalid,
            Self::Stalled | Self::Busy | Self::Stopping => ErrorKind::Unavailable,
            Self::NoRoom { .. } => ErrorKind::NoSpace,
            Self::Spool { source, .. } | Self::OpenSpool { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
                _ => ErrorKind::Unavailable,
            },
            Self::Damaged { .. } => ErrorKind::Internal,
            Self::Catalog(source) => source.kind(),
            Self::Storage(source) => source.kind(),
            Self::Accounts { kind, .. } => *kind,
        }
    }

    /// Whether it is a defect or a fault of ours or of the machine, to be seen by an operator.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.kind(), ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::NoSpace)
            && !matches!(self, Self::Stalled | Self::Busy | Self::Stopping)
    }

    /// Whether closing the upload would fail so for ever: bytes are lost, or the store refuses
    /// them. What an operator can mend, as a store that is down or away, is not.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Storage(source) => source.kind() == ErrorKind::Internal,
            _ => false,
        }
    }

    /// What the client is told.
    pub(crate) fn problem(&self) -> Problem {
        let problem = Problem::of(self.kind());
        match self {
            Self::Tus(TusError::Version) => problem
                .named("tus_version", Text::new("Aquí se habla tus 1.0.0", "This server speaks tus 1.0.0")),
            Self::Tus(TusError::BodyType) => problem.named(
                "tus_body_type",
                Text::new(
                    "Los datos se envían como application/offset+octet-stream",
                    "Send bytes as application/offset+octet-stream",
                ),
            ),
            Self::Tus(error @ (TusError::Field(_) | TusError::Extension(_))) => {
                let text = |es: &str, en: &str, name: &str| Text {
                    es: format!("{es} `{name}`").into(),
                    en: format!("{en} `{name}`").into(),
                };
                match error {
                    TusError::Extension(name) => {
                        problem.because(text("No se admite", "No support for", name))
                    }
                    TusError::Field(name) => {
                        problem.because(text("Falta o no se lee", "Missing or unreadable:", name))
                    }
                    TusError::Version | TusError::BodyType => problem,
                }
            }
            Self::NotUploader => problem.named(
                "uploads_not_allowed",
                Text::new("Esta cuenta no puede subir videos", "This account may not upload videos"),
            ),
            Self::Offset { .. } => problem.named(
                "offset_mismatch",
                Text::new("La subida está en otro punto", "The upload stands at another offset"),
            ),
            Self::Overtaken => problem.named(
                "overtaken",
                Text::new("Otra petición continúa esta subida", "Another request goes on with this upload"),
            ),
            Self::Finished(_) => problem.named(
                "upload_finished",
                Text::new("La subida ya terminó", "The upload is finished already"),
            ),
            Self::TooLong { .. } => problem.named(
                "longer_than_announced",
                Text::new("Llegan más datos de los anunciados", "More bytes than were announced"),
            ),
            Self::TooLarge { limit_bytes, .. }
            | Self::Catalog(CatalogError::FileTooLarge { limit_bytes, .. }) => problem
                .named("file_too_large", Text::new("El archivo es demasiado grande", "The file is too large"))
                .because(Text {
                    es: format!("El límite es de {limit_bytes} bytes").into(),
                    en: format!("The limit is {limit_bytes} bytes").into(),
                }),
            Self::Catalog(CatalogError::TooManyUploads { open }) => problem.named(
                "too_many_uploads",
                Text {
                    es: format!("Ya hay {open} subidas sin terminar").into(),
                    en: format!("{open} uploads are already unfinished").into(),
                },
            ),
            Self::Catalog(CatalogError::QuotaExceeded { used_bytes, limit_bytes, .. }) => problem
                .named(
                    "quota_exceeded",
                    Text::new("No queda espacio en la cuenta", "The account has no space left"),
                )
                .because(Text {
                    es: format!("Se usan {used_bytes} de {limit_bytes} bytes").into(),
                    en: format!("{used_bytes} of {limit_bytes} bytes are used").into(),
                }),
            Self::Stalled => {
                problem.named("stalled", Text::new("Los datos dejaron de llegar", "Bytes stopped coming"))
            }
            Self::Broken(_) => {
                problem.named("broken_body", Text::new("Los datos se cortaron", "The body broke off"))
            }
            _ => problem,
        }
    }
}
