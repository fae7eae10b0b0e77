//! Where bytes wait until an upload is whole: one file per upload, each byte at its own offset.
//!
//! Beside it, while the object is being closed, lies an empty file that says so: after a crash
//! the bytes may already have been taken over by the store, and the mark is then what is left
//! to find the upload by.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use model::{Timestamp, UploadId};

const CLOSING: &str = "closing";

/// A folder of this machine with the bytes of unfinished uploads.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// Makes the folder if it is not there.
    pub(crate) async fn open(folder: PathBuf) -> io::Result<Self> {
        let path = folder.clone();
        blocking(move || {
            fs::create_dir_all(&path)?;
            sync_folder(&path)
        })
        .await?;
        Ok(Self { folder })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file with an upload's bytes.
    pub(crate) fn path(&self, id: UploadId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn mark(&self, id: UploadId) -> PathBuf {
        self.path(id).with_extension(CLOSING)
    }

    /// Bytes that lie here, 0 if there is no file.
    pub(crate) async fn len(&self, id: UploadId) -> io::Result<u64> {
        let path = self.path(id);
        blocking(move || match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            metadata => Ok(metadata?.len()),
        })
        .await
    }

    /// Opens the file to go on at `offset`; what lies behind it is cut off.
    pub(crate) async fn writer(&self, id: UploadId, offset: u64) -> io::Result<Writer> {
        let (folder, path) = (self.folder.clone(), self.path(id));
        blocking(move || {
            let is_new = !path.try_exists()?;
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            if is_new {
                sync_folder(&folder)?;
            }
            file.set_len(offset)?;
            Ok(Writer { file: Arc::new(file), end: offset, safe: offset })
        })
        .await
    }

    /// Exactly the bytes of `range`.
    pub(crate) async fn read(&self, id: UploadId, range: Range<u64>) -> io::Result<Bytes> {
        let path = self.path(id);
        blocking(move || {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            File::open(path)?.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    /// Notes, lastingly, that the object of `id` is being closed.
    pub(crate) async fn mark_closing(&self, id: UploadId) -> io::Result<()> {
        let (folder, mark) = (self.folder.clone(), self.mark(id));
        blocking(move || {
            File::create(mark)?;
            sync_folder(&folder)
        })
        .await
    }

    /// Removes the bytes, then the mark; either may be gone.
    pub(crate) async fn remove(&self, id: UploadId) -> io::Result<()> {
        let paths = [self.path(id), self.mark(id)];
        blocking(move || {
            paths.iter().try_for_each(|path| match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            })
        })
        .await
    }

    /// When something of the upload was last written here, by the file system's clock; `None`
    /// if nothing is here.
    pub(crate) async fn last_written(&self, id: UploadId) -> io::Result<Option<Timestamp>> {
        let paths = [self.path(id), self.mark(id)];
        blocking(move || {
            let mut last = None;
            for path in paths {
                match fs::metadata(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    metadata => last = last.max(Some(timestamp(metadata?.modified()?))),
                }
            }
            Ok(last)
        })
        .await
    }

    /// Every upload that has a file or a mark here.
    pub(crate) async fn uploads(&self) -> io::Result<Vec<UploadId>> {
        let folder = self.folder.clone();
        blocking(move || {
            let mut ids = Vec::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let name = path.file_stem().and_then(|name| name.to_str());
                ids.extend(name.and_then(|name| name.parse::<UploadId>().ok()));
            }
            ids.sort();
            ids.dedup();
            Ok(ids)
        })
        .await
    }

    /// Bytes that the file system can still take.
    pub(crate) async fn free_bytes(&self) -> io::Result<u64> {
        let folder = self.folder.clone();
        blocking(move || {
            let free = rustix::fs::statvfs(&folder)?;
            Ok(free.f_bavail.saturating_mul(free.f_frsize))
        })
        .await
    }
}

/// Appends to an upload's file.
#[derive(Debug)]
pub(crate) struct Writer {
    file: Arc<File>,
    end: u64,
    safe: u64,
}

impl Writer {
    /// Where the next byte goes.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Writes `bytes` at the end; after an error the end is where it was.
    pub(crate) async fn append(&mut self, bytes: Bytes) -> io::Result<()> {
        let (file, at, length) = (self.file.clone(), self.end, bytes.len() as u64);
        blocking(move || file.write_all_at(&bytes, at)).await?;
        self.end += length;
        Ok(())
    }

    /// Makes everything up to the end safe, and cuts off what a failed write left behind it.
    ///
    /// After an error nothing since the last success counts as written: the kernel may have
    /// dropped those pages and would report success on a second try.
    pub(crate) async fn sync(&mut self) -> io::Result<u64> {
        let (file, end) = (self.file.clone(), self.end);
        let synced = blocking(move || {
            if file.metadata()?.len() > end {
                file.set_len(end)?;
            }
            file.sync_data()
        })
        .await;
        match synced {
            Ok(()) => self.safe = end,
            Err(_) => self.end = self.safe,
        }
        synced.map(|()| end)
    }

    /// Takes back what was written since `offset`.
    pub(crate) async fn take_back(&mut self, offset: u64) -> io::Result<()> {
        let file = self.file.clone();
        self.end = self.end.min(offset);
        self.safe = self.safe.min(offset);
        let end = self.end;
        blocking(move || file.set_len(end)).await
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: UploadId = UploadId::from_bits(1);

    #[tokio::test]
    async fn bytes_go_on_where_they_ended() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().join("spool")).await.unwrap();
        assert_eq!(spool.len(ID).await.unwrap(), 0);
        let mut writer = spool.writer(ID, 0).await.unwrap();
        writer.append(Bytes::from_static(b"hello ")).await.unwrap();
        assert_eq!(writer.sync().await.unwrap(), 6);
        writer.append(Bytes::from_static(b"lost in a crash")).await.unwrap();
        drop(writer);
        let mut writer = spool.writer(ID, 6).await.unwrap();
        assert_eq!(spool.len(ID).await.unwrap(), 6);
        writer.append(Bytes::from_static(b"world!!")).await.unwrap();
        writer.take_back(11).await.unwrap();
        assert_eq!((writer.end(), spool.len(ID).await.unwrap()), (11, 11));
        assert_eq!(spool.read(ID, 4..11).await.unwrap(), "o world");
        spool.read(ID, 4..12).await.unwrap_err();
        assert!(spool.free_bytes().await.unwrap() > 0);
    }

    #[tokio::test]
    async fn an_upload_is_found_by_its_bytes_or_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_owned()).await.unwrap();
        let [second, third] = [2, 3].map(UploadId::from_bits);
        spool.writer(ID, 0).await.unwrap();
        spool.mark_closing(ID).await.unwrap();
        spool.mark_closing(second).await.unwrap();
        spool.writer(third, 0).await.unwrap();
        fs::write(folder.path().join("somebody's"), "x").unwrap();
        assert_eq!(spool.uploads().await.unwrap(), [ID, second, third]);
        assert!(spool.last_written(second).await.unwrap() > Some(Timestamp::from_millis(0)));
        assert_eq!(spool.last_written(UploadId::from_bits(4)).await.unwrap(), None);
        for id in [ID, second, third, third] {
            spool.remove(id).await.unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
