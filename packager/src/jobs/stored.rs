//! What a job reads of the version that plays. That the store lacks any of it is no passing trouble.

use std::ops::Range;

use bytes::Bytes;
use cmaf::VersionIndex;
use model::{ErrorKind, ObjectKey, VersionId};
use storage::StorageError;

use crate::attempt::Attempt;
use crate::halt::Halt;
use crate::{PackagerError, backoff};

/// What the version that plays consists of.
pub(super) async fn read_index(attempt: Attempt<'_>, version: VersionId) -> Result<VersionIndex, Halt> {
    let key = ObjectKey::Index { video: attempt.job.video, version };
    let json = read(attempt, &key).await?;
    Ok(VersionIndex::from_json(&json).map_err(PackagerError::Unfinished)?)
}

/// A small object.
pub(super) async fn read(attempt: Attempt<'_>, key: &ObjectKey) -> Result<Bytes, Halt> {
    present(*key, backoff::insist(backoff::READ, || attempt.store.get(key)).await)
}

/// Some bytes of an object.
pub(super) async fn read_range(
    attempt: Attempt<'_>,
    key: &ObjectKey,
    range: Range<u64>,
) -> Result<Bytes, Halt> {
    present(*key, backoff::insist(backoff::READ, || attempt.store.get_range(key, range.clone())).await)
}

fn present(key: ObjectKey, read: Result<Bytes, StorageError>) -> Result<Bytes, Halt> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(PackagerError::Missing(key).into()),
        Err(error) if error.kind() == ErrorKind::Range => Err(PackagerError::Damaged(key).into()),
        read => Ok(read?),
    }
}
