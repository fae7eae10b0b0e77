//! Objects as files of a folder, one file per object, the name its path.
//!
//! The order of a write is what makes it survive a power cut: the bytes go to a temporary file
//! of the same file system and are synced there; each folder on the way is made and its parent
//! synced; the rename is the commit; the sync of the folder makes it last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use model::{ObjectKey, Timestamp};

use crate::{Listed, ObjectStore, Operation, StorageError};

/// Temporary files stand here, below the root; listings leave it out.
const TEMPORARY: &str = ".temporary";
/// A temporary file of this age has no writer any more: no put takes a day.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a put makes its folder anew when deletions remove it as empty; the root itself may
/// also be gone, so not for ever.
const COMMIT_TRIES: u32 = 100;

/// A store that is a folder.
///
/// Several processes may use one folder at the same time.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder if it is not there, proves that it can be written to, and removes
    /// temporary files that a crash left behind more than a day ago.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root: PathBuf = root.into();
        let path = root.clone();
        blocking(move || prepare(&path))
            .await
            .map_err(|error| StorageError::io(Operation::Open, root.display(), error))?;
        Ok(Self { root })
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    /// Runs `work` on a thread that may block.
    async fn on<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &ObjectKey,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (root, path) = (self.root.clone(), self.path(key));
        blocking(move || work(&root, &path)).await.map_err(|error| StorageError::io(operation, key, error))
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.on(Operation::Put, key, move |root, path| {
            let mut temporary = Temporary::new(root)?;
            temporary.file.write_all(&bytes)?;
            temporary.file.sync_data()?;
            commit(root, &temporary.path, path)
        })
        .await
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        let source = file.to_owned();
        self.on(Operation::Put, key, move |root, path| {
            let mut bytes = File::open(&source)?;
            bytes.sync_data()?;
            match commit(root, &source, path) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
                committed_or_failed => return committed_or_failed,
            }
            let mut temporary = Temporary::new(root)?;
            io::copy(&mut bytes, &mut temporary.file)?;
            temporary.file.sync_data()?;
            commit(root, &temporary.path, path)?;
            fs::remove_file(&source)
        })
        .await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.on(Operation::Get, key, |_, path| fs::read(path).map(Bytes::from)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        let wanted = range.clone();
        let read = self
            .on(Operation::Get, key, move |_, path| {
                let file = File::open(path)?;
                // The length is looked at before memory is taken.
                let size = file.metadata()?.len();
                if wanted.start > wanted.end || wanted.end > size {
                    return Ok(Err(size));
                }
                let mut bytes = vec![0; (wanted.end - wanted.start) as usize];
                file.read_exact_at(&mut bytes, wanted.start)?;
                Ok(Ok(Bytes::from(bytes)))
            })
            .await?;
        read.map_err(|size| StorageError::range(key, &range, size))
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        self.on(Operation::Size, key, |_, path| {
            Ok(ignoring(io::ErrorKind::NotFound, fs::metadata(path))?.map(|metadata| metadata.len()))
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.on(Operation::Delete, key, |root, path| {
            ignoring(io::ErrorKind::NotFound, fs::remove_file(path))?;
            remove_empty_folders(root, path)
        })
        .await
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        let walk = Walk { root: self.root.clone(), prefix: prefix.to_owned(), folders: vec![String::new()] };
        stream::try_unfold(walk, |mut walk| async move {
            let Some(folder) = walk.folders.pop() else { return Ok(None) };
            let subject = walk.prefix.clone();
            let (walk, found) = blocking(move || {
                let found = walk.read(&folder)?;
                Ok((walk, found))
            })
            .await
            .map_err(|error| StorageError::io(Operation::List, subject, error))?;
            Ok(Some((stream::iter(found.into_iter().map(Ok)), walk)))
        })
        .flat_map(|step: Result<_, StorageError>| match step {
            Ok(found) => found.left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        })
        .boxed()
    }

    fn local_file(&self, key: &ObjectKey) -> Option<PathBuf> {
        Some(self.path(key))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn prepare(root: &Path) -> io::Result<()> {
    let temporary = root.join(TEMPORARY);
    fs::create_dir_all(&temporary)?;
    sync_folder(root)?;
    // A file that was just made tells the file system's own time, by which the others are dated.
    let probe = Temporary::new(root)?;
    let now = probe.file.metadata()?.modified()?;
    for entry in fs::read_dir(&temporary)? {
        let entry = entry?;
        let Some(metadata) = ignoring(io::ErrorKind::NotFound, entry.metadata())? else { continue };
        if now.duration_since(metadata.modified()?).is_ok_and(|age| age > ABANDONED) {
            ignoring(io::ErrorKind::NotFound, fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// A temporary file; removed when dropped, unless it was renamed away.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn new(root: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = root.join(TEMPORARY).join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                // Another container's process, or one before a crash, had the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing to be done about a failure here; `prepare` removes what stays.
        let _ = fs::remove_file(&self.path);
    }
}

/// Moves the synced file `from` to `to`, lastingly.
fn commit(root: &Path, from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().expect("every key lies in a folder");
    let mut attempt = 1;
    loop {
        match make_folders(root, folder).and_then(|()| fs::rename(from, to)) {
            Ok(()) => return sync_folder(folder),
            // A delete of the last neighbour took the folder away in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                if attempt == COMMIT_TRIES {
                    return Err(io::Error::other(error));
                }
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes `folder` and what is missing above it, syncing the parent of each one made.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().expect("the folder lies below the root");
    make_folders(root, parent)?;
    match fs::create_dir(folder) {
        // `AlreadyExists`: somebody else made it, and may not have synced it yet.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

/// Removes the folders above `path` as long as they are empty.
fn remove_empty_folders(root: &Path, path: &Path) -> io::Result<()> {
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
        match fs::remove_dir(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn ignoring<T>(kind: io::ErrorKind, result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == kind => Ok(None),
        Err(error) => Err(error),
    }
}

/// A walk over the folders in which names with the prefix can lie.
struct Walk {
    root: PathBuf,
    prefix: String,
    /// Still to be read; relative to the root, empty or with a slash at the end.
    folders: Vec<String>,
}

impl Walk {
    /// The objects of `folder`; notes the folders below it.
    fn read(&mut self, folder: &str) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        let Some(entries) = ignoring(io::ErrorKind::NotFound, fs::read_dir(self.root.join(folder)))? else {
            return Ok(found);
        };
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8 is nobody's object.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = format!("{folder}{name}");
            let Some(metadata) = ignoring(io::ErrorKind::NotFound, entry.metadata())? else { continue };
            if metadata.is_dir() {
                let below = format!("{name}/");
                let can_hold = below.starts_with(&self.prefix) || self.prefix.starts_with(&below);
                if can_hold && name != TEMPORARY {
                    self.folders.push(below);
                }
            } else if name.starts_with(&self.prefix) {
                let modified = timestamp(metadata.modified()?);
                found.push(Listed { name, size_bytes: metadata.len(), modified });
            }
        }
        Ok(found)
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;
    use model::{ErrorKind, VersionId, VideoId};

    use super::*;

    const KEY: ObjectKey = ObjectKey::Original { video: VideoId::from_bits(1) };

    fn temporaries(root: &Path) -> usize {
        fs::read_dir(root.join(TEMPORARY)).unwrap().count()
    }

    #[tokio::test]
    async fn only_abandoned_temporary_files_are_cleared() {
        let root = tempfile::tempdir().unwrap();
        Folder::open(root.path()).await.unwrap();
        let [old, young] = ["old", "young"].map(|name| root.path().join(TEMPORARY).join(name));
        let made = File::create(&old).unwrap();
        let now = File::create(&young).unwrap().metadata().unwrap().modified().unwrap();
        made.set_modified(now - 2 * ABANDONED).unwrap();
        Folder::open(root.path()).await.unwrap();
        assert_eq!((old.exists(), young.exists()), (false, true));
    }

    #[tokio::test]
    async fn a_file_of_another_file_system_is_copied() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let store = Folder::open(root.path()).await.unwrap();
        let file = elsewhere.path().join("spool");
        fs::write(&file, "bytes").unwrap();
        store.put_file(&KEY, &file).await.unwrap();
        assert_eq!((store.get(&KEY).await.unwrap().as_ref(), file.exists()), (&b"bytes"[..], false));
        assert_eq!(temporaries(root.path()), 0);
    }

    #[tokio::test]
    async fn a_put_that_fails_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::open(root.path()).await.unwrap();
        fs::write(root.path().join("videos"), "in the way").unwrap();
        let error = store.put(&KEY, Bytes::from_static(b"bytes")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(temporaries(root.path()), 0);

        fs::remove_dir_all(root.path()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = store.put_file(&KEY, file.path()).await.unwrap_err();
        assert_eq!((error.kind(), file.path().exists()), (ErrorKind::Unavailable, true));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn deleting_neighbours_does_not_take_the_folder_from_a_put() {
        let root = tempfile::tempdir().unwrap();
        let store = Arc::new(Folder::open(root.path()).await.unwrap());
        let rounds = (0..4).map(|i| {
            let store = store.clone();
            let key = ObjectKey::Index { video: VideoId::from_bits(1), version: VersionId::from_bits(i) };
            async move {
                for _ in 0..50 {
                    store.put(&key, Bytes::from_static(b"x")).await.unwrap();
                    store.delete(&key).await.unwrap();
                }
            }
        });
        join_all(rounds).await;
        // Empty folders go with their last object.
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_power_cut_takes_nothing_that_was_acknowledged() {
        let Some(disk) = crate::testing::Disk::new(16) else { return };
        let store = Folder::open(disk.path().join("objects")).await.unwrap();
        // The scratch file and the control are synced by nobody but the store.
        let [file, control] = ["file", "control"].map(|name| disk.path().join(name));
        let taken = ObjectKey::Original { video: VideoId::from_bits(9) };
        fs::write(&file, "taken over").unwrap();
        store.put_file(&taken, &file).await.unwrap();
        let key = |i| ObjectKey::Index { video: VideoId::from_bits(i), version: VersionId::from_bits(1) };
        for i in 0..20 {
            store.put(&key(i), Bytes::from(format!("object {i}"))).await.unwrap();
        }
        fs::write(&control, "never synced").unwrap();

        let disk = disk.cut_power();
        let store = Folder::open(disk.path().join("objects")).await.unwrap();
        assert_eq!(store.get(&taken).await.unwrap(), "taken over");
        for i in 0..20 {
            assert_eq!(store.get(&key(i)).await.unwrap(), format!("object {i}"));
        }
        assert!(!disk.path().join("control").exists(), "the cut was none: {control:?} is still there");
    }

    #[test]
    fn a_full_disk_has_its_own_kind() {
        let error = StorageError::io(Operation::Put, KEY, io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(error.to_string(), format!("put `{KEY}`"));
    }
}
