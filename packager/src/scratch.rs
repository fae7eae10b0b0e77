use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use model::JobId;

/// A folder for one attempt at a job, gone with the value. A worker that is killed leaves its folder; the
/// next one to start removes it, because nobody holds its lock.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// The folder for attempt `attempt` at `job`, under `root`.
    pub(crate) fn create(root: &Path, job: JobId, attempt: i32) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let folder = root.join(format!("{job}-{attempt}"));
        let lock_path = folder.with_extension("lock");
        let lock = File::create(&lock_path)?;
        lock.try_lock()?;
        // Locked first, so that there is no moment in which the folder seems to be nobody's.
        fs::create_dir_all(folder.join(Self::CELL))?;
        Ok(Self { folder, lock_path, _lock: lock })
    }

    const CELL: &'static str = "cell";

    /// Where chunks are put together.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder for a cell to run in.
    pub(crate) fn cell(&self) -> PathBuf {
        self.folder.join(Self::CELL)
    }

    /// Removes what killed workers left under `root`; other files there are not ours.
    pub(crate) fn clear(root: &Path) -> io::Result<()> {
        fs::create_dir_all(root)?;
        for entry in fs::read_dir(root)? {
            let lock_path = entry?.path();
            let name = lock_path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_lock = lock_path.extension().is_some_and(|extension| extension == "lock");
            let job = name.split_once('-').map(|(job, _)| job.parse::<JobId>());
            if !is_lock || !matches!(job, Some(Ok(_))) {
                continue;
            }
            let lock = match File::open(&lock_path) {
                // Its worker, in a process that is leaving, was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock?,
            };
            if lock.try_lock().is_ok() {
                remove(&lock_path.with_extension(""), &lock_path)?;
            }
        }
        Ok(())
    }
}

fn remove(folder: &Path, lock_path: &Path) -> io::Result<()> {
    let unless_absent = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    unless_absent(fs::remove_dir_all(folder))?;
    unless_absent(fs::remove_file(lock_path))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder, &self.lock_path) {
            tracing::warn!(%error, folder = %self.folder.display(), "could not remove scratch folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_killed_workers_left_is_cleared() {
        let root = tempfile::tempdir().unwrap();
        let held = Scratch::create(root.path(), JobId::from_bits(1), 1).unwrap();
        let left = Scratch::create(root.path(), JobId::from_bits(2), 1).unwrap();
        let gone = Scratch::create(root.path(), JobId::from_bits(3), 1).unwrap();
        let (gone_folder, left_folder) = (gone.folder().to_owned(), left.folder().to_owned());
        drop(gone);
        assert!(!gone_folder.exists());
        // A killed process runs no destructor, and the kernel lets its locks go.
        let Scratch { ref _lock, .. } = left;
        _lock.unlock().unwrap();
        std::mem::forget(left);
        fs::write(root.path().join("not ours"), "").unwrap();
        // Listed, and not there when it is opened: as when its process leaves meanwhile.
        let vanished = root.path().join(format!("{}-7.lock", JobId::from_bits(4)));
        std::os::unix::fs::symlink("nowhere", &vanished).unwrap();

        Scratch::clear(root.path()).unwrap();
        assert!(held.cell().is_dir());
        assert!(!left_folder.exists());
        drop(held);
        fs::remove_file(vanished).unwrap();
        let names: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["not ours"]);
    }
}
