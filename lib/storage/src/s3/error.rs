//! The one place that reads errors of the SDK.

use std::fmt::Display;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use model::ErrorKind;

use crate::{Operation, StorageError};

/// What an SDK error means to us.
pub(super) fn sdk<E>(operation: Operation, subject: impl Display, error: SdkError<E>) -> StorageError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let kind = kind(status, error.code());
    // The SDK's own texts say "service error" and nothing else; the context has code, status
    // and the cause beneath.
    StorageError::new(operation, subject, kind, DisplayErrorContext(error).to_string())
}

/// A body that broke off.
pub(super) fn body(operation: Operation, subject: impl Display, error: ByteStreamError) -> StorageError {
    StorageError::new(operation, subject, ErrorKind::Unavailable, error)
}

fn kind(status: Option<u16>, code: Option<&str>) -> ErrorKind {
    match (code, status) {
        (Some("NoSuchKey" | "NoSuchBucket" | "NoSuchUpload" | "NotFound"), _) | (_, Some(404)) => {
            ErrorKind::NotFound
        }
        (Some("InvalidRange"), _) | (_, Some(416)) => ErrorKind::Range,
        (Some("QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage"), _) | (_, Some(507)) => {
            ErrorKind::NoSpace
        }
        // Wrong or expired credentials: an operator can mend it, so what waited for it is worth
        // another try, and it must not look like a refusal of the person who asked.
        (_, Some(401 | 403 | 408 | 429)) => ErrorKind::Unavailable,
        (_, Some(400..=499)) => ErrorKind::Internal,
        // Server errors, and no answer at all.
        _ => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_kinds() {
        for (status, code, expected) in [
            (Some(404), None, ErrorKind::NotFound),
            (Some(200), Some("NoSuchUpload"), ErrorKind::NotFound),
            (Some(416), Some("InvalidRange"), ErrorKind::Range),
            (Some(507), None, ErrorKind::NoSpace),
            (Some(403), Some("XMinioStorageFull"), ErrorKind::NoSpace),
            (Some(403), Some("AccessDenied"), ErrorKind::Unavailable),
            (Some(503), Some("SlowDown"), ErrorKind::Unavailable),
            (Some(500), Some("InternalError"), ErrorKind::Unavailable),
            (Some(400), Some("EntityTooSmall"), ErrorKind::Internal),
            (None, None, ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(status, code), expected, "{status:?} {code:?}");
        }
    }
}
