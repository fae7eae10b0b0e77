use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use live::{Line, Record, RecordError, Segment};
use model::RenditionName;

use super::lane::Made;
use super::shown::{Notes, Shown};

/// The folder of one event: its log, and the bytes of its segments until they are in the store.
///
/// ```text
/// log                   live::Line…, each one durable before it is shown
/// 720p-init-0.mp4       an initialisation segment
/// 720p-00000030.reel    the bytes of thirty segments from this one on, back to back
/// 720p.shown            the parts of the segment that grows
/// ```
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    log: File,
    /// The reel that each rendition writes to: its number, the file, and its length.
    reels: BTreeMap<RenditionName, (u32, File, u64)>,
    /// What is shown of each rendition.
    notes: BTreeMap<RenditionName, Notes>,
}

/// Why a spool is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// The disk failed.
    #[error("use `{}`", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
    /// The log was not written by this program.
    #[error("read the log of `{}`", path.display())]
    Record {
        /// The event's folder.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
}

type Result<T> = std::result::Result<T, SpoolError>;

/// Segments of a reel: a minute of two seconds each.
const REEL: u32 = 30;
const LOG: &str = "log";

impl Spool {
    /// Begins the folder of an event with the first line of its log.
    pub(crate) fn create(folder: PathBuf, first: &Line) -> Result<Self> {
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(LOG);
        let mut log = File::create(&path).map_err(at(&path))?;
        log.write_all(&first.to_bytes()).and_then(|()| log.sync_data()).map_err(at(&path))?;
        sync_folder(&folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        Ok(Self { folder, log, reels: BTreeMap::new(), notes: BTreeMap::new() })
    }

    /// Goes on with the folder of an event; what a crash left half written is cut off.
    pub(crate) fn open(folder: PathBuf) -> Result<(Self, Record)> {
        let path = folder.join(LOG);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let (record, whole) =
            Record::read(&bytes).map_err(|source| SpoolError::Record { path: folder.clone(), source })?;
        let log = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        log.set_len(whole as u64).map_err(at(&path))?;
        Ok((Self { folder, log, reels: BTreeMap::new(), notes: BTreeMap::new() }, record))
    }

    /// Stores an initialisation segment, and then the line that says so.
    pub(crate) fn begin(&mut self, line: &Line, init: &[u8]) -> Result<()> {
        if let Line::Track(track) = line {
            let path = self.init_path(track.rendition, track.init);
            let written = File::create(&path).and_then(|mut file| {
                file.write_all(init)?;
                file.sync_data()
            });
            written.map_err(at(&path))?;
            sync_folder(&self.folder)?;
        }
        self.append(std::slice::from_ref(line))
    }

    /// What the process before had shown.
    pub(crate) fn shown(
        &mut self,
        renditions: impl Iterator<Item = RenditionName>,
    ) -> Result<BTreeMap<RenditionName, Shown>> {
        let mut shown = BTreeMap::new();
        for rendition in renditions {
            let path = self.shown_path(rendition);
            let read = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => Shown::read(&read.map_err(at(&path))?),
            };
            let open = read.open.iter().map(|(open, _)| open.clone());
            let before: Vec<_> = read.before.iter().cloned().chain(open).collect();
            self.notes.insert(rendition, Notes::create(&path, &before).map_err(at(&path))?);
            shown.insert(rendition, read);
        }
        Ok(shown)
    }

    /// Notes what is about to be shown, without waiting for the disk.
    pub(crate) fn note(&mut self, made: &[(RenditionName, Made)]) -> Result<()> {
        for (rendition, made) in made {
            let path = self.shown_path(*rendition);
            if !self.notes.contains_key(rendition) {
                self.notes.insert(*rendition, Notes::create(&path, &[]).map_err(at(&path))?);
            }
            let taken = self.notes.get_mut(rendition).map(|notes| notes.take(made));
            taken.transpose().map_err(at(&path))?;
        }
        Ok(())
    }

    /// Stores closed segments: first all bytes, then the lines that say so, which it returns.
    pub(crate) fn close(&mut self, segments: &[(RenditionName, Segment, Bytes)]) -> Result<Vec<Line>> {
        let mut lines = Vec::with_capacity(segments.len());
        for (rendition, segment, bytes) in segments {
            let offset = match bytes.is_empty() {
                true => 0,
                false => self.write(*rendition, segment.begun.msn, bytes)?,
            };
            let segment = Segment { parts: Vec::new(), ..segment.clone() };
            lines.push(Line::Segment { rendition: *rendition, offset, segment });
        }
        for (rendition, (number, file, _)) in &self.reels {
            file.sync_data().map_err(|source| at(&self.reel_path(*rendition, *number))(source))?;
        }
        self.append(&lines)?;
        Ok(lines)
    }

    /// Writes lines down.
    pub(crate) fn append(&mut self, lines: &[Line]) -> Result<()> {
        let bytes: Vec<u8> = lines.iter().flat_map(Line::to_bytes).collect();
        let written = self.log.write_all(&bytes).and_then(|()| self.log.sync_data());
        written.map_err(at(&self.folder.join(LOG)))
    }

    /// Where to read from, apart from whoever writes.
    pub(crate) fn reader(&self) -> Reader {
        Reader { folder: self.folder.clone() }
    }

    /// The event is in the store, or nothing of it is kept.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(at(&self.folder))
    }

    fn write(&mut self, rendition: RenditionName, msn: u32, bytes: &[u8]) -> Result<u64> {
        let number = reel(msn);
        let path = self.reel_path(rendition, number);
        if self.reels.get(&rendition).is_none_or(|(open, ..)| *open != number) {
            let file = OpenOptions::new().create(true).append(true).open(&path).map_err(at(&path))?;
            let len = file.metadata().map_err(at(&path))?.len();
            sync_folder(&self.folder)?;
            self.reels.insert(rendition, (number, file, len));
        }
        let Some((_, file, len)) = self.reels.get_mut(&rendition) else { return Ok(0) };
        let offset = *len;
        file.write_all(bytes).map_err(at(&path))?;
        *len += bytes.len() as u64;
        Ok(offset)
    }

    fn reel_path(&self, rendition: RenditionName, number: u32) -> PathBuf {
        self.folder.join(format!("{rendition}-{number:08}.reel"))
    }

    fn shown_path(&self, rendition: RenditionName) -> PathBuf {
        self.folder.join(format!("{rendition}.shown"))
    }

    fn init_path(&self, rendition: RenditionName, number: u32) -> PathBuf {
        self.folder.join(format!("{rendition}-init-{number}.mp4"))
    }
}

/// Reads what an event's spool holds.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    folder: PathBuf,
}

impl Reader {
    /// The bytes of a segment that begins at `offset` of its reel; `None` when the reel is gone.
    pub(crate) fn segment(
        &self,
        rendition: RenditionName,
        segment: &Segment,
        offset: u64,
    ) -> Result<Option<Bytes>> {
        let path = self.folder.join(format!("{rendition}-{:08}.reel", reel(segment.begun.msn)));
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(at(&path))?,
        };
        let mut bytes = vec![0; segment.size_bytes as usize];
        file.read_exact_at(&mut bytes, offset).map_err(at(&path))?;
        Ok(Some(bytes.into()))
    }

    /// An initialisation segment.
    pub(crate) fn init(&self, rendition: RenditionName, number: u32) -> Result<Bytes> {
        let path = self.folder.join(format!("{rendition}-init-{number}.mp4"));
        fs::read(&path).map(Bytes::from).map_err(at(&path))
    }

    /// Lets go of the reel of `msn`, all of whose segments are in the store.
    pub(crate) fn discard(&self, rendition: RenditionName, msn: u32) -> Result<()> {
        let path = self.folder.join(format!("{rendition}-{:08}.reel", reel(msn)));
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(at(&path)),
        }
    }
}

/// The first segment of the reel that holds `msn`.
pub(crate) const fn reel(msn: u32) -> u32 {
    msn - msn % REEL
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

fn at(path: &Path) -> impl Fn(io::Error) -> SpoolError + '_ {
    move |source| SpoolError::Io { path: path.to_owned(), source }
}
