use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A file that grows by whole pieces: nothing stays of one that the disk did not take.
#[derive(Debug)]
pub(super) struct Grown {
    file: File,
    /// Bytes that stay,
    kept: u64,
    /// and those with what was written behind them.
    end: u64,
    /// There may be more in the file than that.
    is_torn: bool,
}

impl Grown {
    /// Goes on behind what is in the file.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, kept: len, end: len, is_torn: false })
    }

    /// Writes behind what was written. Returns where that is.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if self.is_torn {
            self.file.set_len(self.end)?;
            self.is_torn = false;
        }
        let at = self.end;
        self.file.write_all_at(bytes, at)?;
        self.end += bytes.len() as u64;
        Ok(at)
    }

    /// Waits until the disk has what was written.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// What was written stays.
    pub(super) fn keep(&mut self) {
        self.kept = self.end;
    }

    /// What was written since is as if it had not been: the next piece stands in its place.
    pub(super) fn undo(&mut self) {
        self.end = self.kept;
        self.is_torn = self.file.set_len(self.end).is_err();
    }

    /// Nothing of it stays.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (self.kept, self.end, self.is_torn) = (0, 0, false);
        Ok(())
    }
}
