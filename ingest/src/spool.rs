//! Where bytes wait until an upload is whole: one file per upload, each byte at its own offset.
//!
//! Beside it, while the object is being closed, lies an empty file that says so: after a crash
//! the bytes may already have been taken over by the store, and the mark is then what is left
//! to find the upload by.
//!
//! A file may begin, or go on, behind bytes that only the store has: those were sent to another
//! node, or a disk lost them. The gap that they leave in it is noted in a file beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use model::{Timestamp, UploadId};

const CLOSING: &str = "closing";
const GAP: &str = "gap";

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

    fn gap(&self, id: UploadId) -> PathBuf {
        self.path(id).with_extension(GAP)
    }

    /// How far the upload's bytes reach without a gap, given that the store has the first
    /// `shipped` of them; less than that if the file ends before.
    pub(crate) async fn reach(&self, id: UploadId, shipped: u64) -> io::Result<u64> {
        let (path, gap) = (self.path(id), self.gap(id));
        blocking(move || match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            metadata => Ok(reach(metadata?.len(), read_gap(&gap)?.as_ref(), shipped)),
        })
        .await
    }

    /// Opens the file to go on at `offset`; what lies behind it is cut off, and what is missing
    /// before it is noted.
    pub(crate) async fn writer(&self, id: UploadId, offset: u64) -> io::Result<Writer> {
        let (folder, path, mark) = (self.folder.clone(), self.path(id), self.gap(id));
        blocking(move || {
            let is_new = !path.try_exists()?;
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            if is_new {
                sync_folder(&folder)?;
            }
            let known = read_gap(&mark)?;
            let gap = gap_before(file.metadata()?.len(), known.clone(), offset);
            // Before there is a gap it must be known of.
            if let Some(gap) = gap.as_ref().filter(|gap| known.as_ref() != Some(gap)) {
                write_gap(&mark, gap)?;
                sync_folder(&folder)?;
            }
            file.set_len(offset)?;
            if gap.is_none() && known.is_some() {
                file.sync_all()?;
                fs::remove_file(&mark)?;
            }
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

    /// Removes the bytes, then the marks; any may be gone.
    pub(crate) async fn remove(&self, id: UploadId) -> io::Result<()> {
        let paths = [self.path(id), self.gap(id), self.mark(id)];
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
        let paths = [self.path(id), self.gap(id), self.mark(id)];
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

/// How far bytes reach in a file of `len` with a gap, given that the first `shipped` are elsewhere.
fn reach(len: u64, gap: Option<&Range<u64>>, shipped: u64) -> u64 {
    match gap {
        Some(gap) if shipped < gap.end => len.min(gap.start.max(shipped)),
        _ => len,
    }
}

/// The gap of a file that had `len` bytes and the gap `known`, and now goes on at `offset`.
fn gap_before(len: u64, known: Option<Range<u64>>, offset: u64) -> Option<Range<u64>> {
    let start = known.as_ref().map_or(len, |gap| gap.start.min(len));
    let end = if len < offset { offset } else { known.map_or(0, |gap| gap.end.min(offset)) };
    (start < end).then_some(start..end)
}

fn read_gap(mark: &Path) -> io::Result<Option<Range<u64>>> {
    let text = match fs::read_to_string(mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let gap = text.strip_suffix('\n').and_then(|text| {
        let (start, end) = text.split_once(' ')?;
        Some(start.parse().ok()?..end.parse().ok()?)
    });
    // A crash in the middle of writing it: nothing is known to be here.
    Ok(Some(gap.unwrap_or(0..u64::MAX)))
}

fn write_gap(mark: &Path, gap: &Range<u64>) -> io::Result<()> {
    let mut file = File::create(mark)?;
    writeln!(file, "{} {}", gap.start, gap.end)?;
    file.sync_all()
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
        assert_eq!(spool.reach(ID, 0).await.unwrap(), 0);
        let mut writer = spool.writer(ID, 0).await.unwrap();
        writer.append(Bytes::from_static(b"hello ")).await.unwrap();
        assert_eq!(writer.sync().await.unwrap(), 6);
        writer.append(Bytes::from_static(b"lost in a crash")).await.unwrap();
        drop(writer);
        let mut writer = spool.writer(ID, 6).await.unwrap();
        assert_eq!(spool.reach(ID, 0).await.unwrap(), 6);
        writer.append(Bytes::from_static(b"world!!")).await.unwrap();
        writer.take_back(11).await.unwrap();
        assert_eq!((writer.end(), spool.reach(ID, 0).await.unwrap()), (11, 11));
        assert_eq!(spool.read(ID, 4..11).await.unwrap(), "o world");
        spool.read(ID, 4..12).await.unwrap_err();
        assert!(spool.free_bytes().await.unwrap() > 0);
    }

    #[tokio::test]
    async fn a_gap_is_never_taken_for_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_owned()).await.unwrap();
        let reaches = async || {
            let mut reaches = Vec::new();
            for shipped in [0, 2, 5, 10, 20] {
                reaches.push(spool.reach(ID, shipped).await.unwrap());
            }
            reaches
        };
        let go_on = async |offset| {
            let mut writer = spool.writer(ID, offset).await.unwrap();
            writer.append(Bytes::from_static(b"1234")).await.unwrap();
        };
        go_on(0).await;
        assert_eq!(reaches().await, [4; 5]);
        // The bytes between were sent to another node, which has shipped them.
        go_on(10).await;
        assert_eq!(reaches().await, [4, 4, 5, 14, 14]);
        go_on(20).await;
        assert_eq!(reaches().await, [4, 4, 5, 10, 24]);
        go_on(10).await;
        assert_eq!(reaches().await, [4, 4, 5, 14, 14]);
        std::fs::write(spool.gap(ID), "4 1").unwrap();
        assert_eq!(reaches().await, [0, 2, 5, 10, 14], "half a note says nothing");
        go_on(0).await;
        assert_eq!(reaches().await, [4; 5]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        go_on(5).await;
        spool.remove(ID).await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
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
