use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use model::ObjectKey;
use model::cell::Source;
use storage::{ObjectStore, StorageError};

use super::ranges::RangeServer;
use crate::backoff;

/// The media file that a cell is given.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) key: ObjectKey,
    pub(crate) size: u64,
}

impl Media {
    /// The object `key`; `None` if it is not there.
    pub(crate) async fn find(
        store: &Arc<dyn ObjectStore>,
        key: ObjectKey,
    ) -> Result<Option<Self>, StorageError> {
        let size = backoff::insist(backoff::READ, || store.size(&key)).await?;
        Ok(size.map(|size| Self { store: store.clone(), key, size }))
    }

    /// Length in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size
    }

    /// A descriptor to read it by, what to tell the cell about it, and who serves the other end.
    pub(super) fn into_descriptor(self) -> io::Result<(Source, OwnedFd, Option<RangeServer>)> {
        let Self { store, key, size } = self;
        if let Some(path) = store.local_file(&key) {
            return Ok((Source::File { size }, File::open(path)?.into(), None));
        }
        let (ours, theirs) = UnixStream::pair()?;
        let server = RangeServer::new(ours, store, key, size)?;
        Ok((Source::Ranges { size }, theirs.into(), Some(server)))
    }
}
