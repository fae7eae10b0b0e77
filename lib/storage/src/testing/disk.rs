//! A disk whose power can be cut, and one that is soon full. They need root.
//!
//! The first is an ext4 in a file, mounted through a loop device. `FS_IOC_SHUTDOWN` makes it forget, as
//! a machine that loses its power does, whatever was written and not synced.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The kernel's `FS_IOC_SHUTDOWN`, with `FS_SHUTDOWN_FLAGS_NOLOGFLUSH`: not even the journal is
/// written out.
const CUT: &str = "import fcntl, os, struct, sys\n\
                   fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// A mounted disk; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// An empty disk of `mebibytes`; `None`, and a line that says so, where mounting is not
    /// allowed or a program for it is missing.
    pub fn new(mebibytes: u32) -> Option<Self> {
        match Self::made(mebibytes) {
            Ok(disk) => Some(disk),
            Err(reason) => {
                eprintln!("skipped: no disk can be mounted here: {reason}");
                None
            }
        }
    }

    fn made(mebibytes: u32) -> Result<Self, String> {
        // Asked for now, for a test without it could not go on after its first half.
        run(program("python3").arg("--version"))?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = folder.path().join("image");
        let file = std::fs::File::create(&image).expect("make the image");
        file.set_len(u64::from(mebibytes) << 20).expect("stretch the image");
        run(program("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        Self::mount(folder)
    }

    fn mount(folder: TempDir) -> Result<Self, String> {
        let disk = Self { folder };
        std::fs::create_dir(disk.path()).expect("make the mount point");
        run(program("mount").args(["-o", "loop"]).arg(disk.image()).arg(disk.path()))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Cuts the power: from now on every write fails. Gives the disk as the machine finds it when
    /// it comes up again; whoever still has files open on this one may keep them.
    pub fn cut_power(&self) -> Self {
        run(program("python3").args(["-c", CUT]).arg(self.path())).expect("cut the power");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::copy(self.image(), folder.path().join("image")).expect("copy the image");
        Self::mount(folder).expect("what was mounted once can be mounted")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.path());
    }
}

/// A disk in memory that has so little room that it is soon full; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `size`, for example `16k`, at a folder; `None`, and a line that says so, where
    /// mounting is not allowed.
    pub fn mount(path: &Path, size: &str) -> Option<Self> {
        let mut mount = program("mount");
        match run(mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path)) {
            Ok(()) => Some(Self { path: path.to_owned() }),
            Err(reason) => {
                eprintln!("skipped: no disk can be mounted here: {reason}");
                None
            }
        }
    }

    /// Gives it another size.
    pub fn resize(&self, size: &str) {
        let mut mount = program("mount");
        run(mount.args(["-o", &format!("remount,size={size}")]).arg(&self.path)).expect("resize the disk");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

fn unmount(path: &Path) {
    // Lazily: a test that failed may still have files open. Nothing to be done about a failure.
    let _ = program("umount").arg("--lazy").arg(path).output();
}

/// A program that may be where only root's search path leads.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    match command.output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { status, stderr, .. }) => {
            Err(format!("{program}: {status}: {}", String::from_utf8_lossy(&stderr).trim_end()))
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}
