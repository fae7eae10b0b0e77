use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use live::{Line, Record, RecordError, Segment};
use model::RenditionName;

use super::grown::Grown;
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
    log: Grown,
    /// The reels that are written to, by their numbers.
    reels: BTreeMap<(RenditionName, u32), Grown>,
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
        // What may be there is another event's, and worth more than this one.
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(at(&path))?;
        let mut log = Grown::new(file).map_err(at(&path))?;
        if let Err(error) = append(&mut log, &first.to_bytes()) {
            // Nothing has begun: whoever tries again finds nothing. If that fails, too, `open` does it.
            let _ = fs::remove_file(&path);
            return Err(at(&path)(error));
        }
        sync_folder(&folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        Ok(Self { folder, log, reels: BTreeMap::new(), notes: BTreeMap::new() })
    }

    /// Goes on with the folder of an event; what a crash left half written is cut off. `None` if the
    /// event has not begun: there is no first line.
    pub(crate) fn open(folder: PathBuf) -> Result<Option<(Self, Record)>> {
        let path = folder.join(LOG);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at(&path))?,
        };
        let (record, whole) = match Record::read(&bytes) {
            Err(RecordError::Empty) => {
                fs::remove_file(&path).map_err(at(&path))?;
                return Ok(None);
            }
            read => read.map_err(|source| SpoolError::Record { path: folder.clone(), source })?,
        };
        let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
        let log = file.set_len(whole as u64).and_then(|()| Grown::new(file)).map_err(at(&path))?;
        Ok(Some((Self { folder, log, reels: BTreeMap::new(), notes: BTreeMap::new() }, record)))
    }

    /// Stores an initialisation segment, and then the line that says so.
    pub(crate) fn begin(&mut self, line: &Line, init: &[u8]) -> Result<()> {
        if let Line::Track(track) = line {
            let path = self.init_path(track.rendition, track.init);
            // One that is there is of a try before: no line names it.
            let written = File::create(&path).and_then(|file| {
                file.write_all_at(init, 0)?;
                file.sync_data()
            });
            written.map_err(at(&path))?;
            sync_folder(&self.folder)?;
        }
        self.append(std::slice::from_ref(line))
    }

    /// What the process before had shown. Of a rendition of which that cannot be read there is only what
    /// the log says: the segment that grew is lost.
    pub(crate) fn shown(
        &mut self,
        renditions: impl Iterator<Item = RenditionName>,
    ) -> BTreeMap<RenditionName, Shown> {
        let mut shown = BTreeMap::new();
        for rendition in renditions {
            let path = self.shown_path(rendition);
            let read = match fs::read(&path) {
                Ok(bytes) => Shown::read(&bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let error = at(&path)(error);
                    tracing::warn!(error = &error as &dyn std::error::Error, "what was shown is not known");
                    continue;
                }
            };
            let open = read.open.iter().map(|(open, _)| open.clone());
            let before: Vec<_> = read.before.iter().cloned().chain(open).collect();
            // What cannot be gone on with now is begun when something is to be noted.
            if let Ok(notes) = Notes::create(&path, &before) {
                self.notes.insert(rendition, notes);
            }
            shown.insert(rendition, read);
        }
        shown
    }

    /// Notes what is about to be shown, without waiting for the disk. `is_written` says whether all that
    /// was closed before is written down.
    ///
    /// # Errors
    /// The last of those that the disk made; what is noted of a rendition has no holes all the same.
    pub(crate) fn note(&mut self, made: &[(RenditionName, Made)], is_written: bool) -> Result<()> {
        let mut noted = Ok(());
        for (rendition, made) in made {
            let path = self.shown_path(*rendition);
            if !self.notes.contains_key(rendition) {
                match Notes::create(&path, &[]) {
                    Ok(notes) => drop(self.notes.insert(*rendition, notes)),
                    Err(error) => noted = Err(at(&path)(error)),
                }
            }
            if let Some(Err(error)) = self.notes.get_mut(rendition).map(|notes| notes.take(made, is_written))
            {
                noted = Err(at(&path)(error));
            }
        }
        noted
    }

    /// Stores closed segments: first all bytes, then the lines that say so, which it returns. After an
    /// error nothing of them is there.
    pub(crate) fn close(&mut self, segments: &[(RenditionName, Segment, Bytes)]) -> Result<Vec<Line>> {
        let closed = self.write_closed(segments);
        match &closed {
            Ok(_) => {
                self.reels.values_mut().for_each(Grown::keep);
                // Only the last of each rendition grows.
                let last: BTreeMap<_, _> = self.reels.keys().copied().collect();
                self.reels.retain(|(rendition, number), _| last.get(rendition) == Some(number));
            }
            Err(_) => self.reels.values_mut().for_each(Grown::undo),
        }
        closed
    }

    fn write_closed(&mut self, segments: &[(RenditionName, Segment, Bytes)]) -> Result<Vec<Line>> {
        let mut lines = Vec::with_capacity(segments.len());
        for (rendition, segment, bytes) in segments {
            let offset = match bytes.is_empty() {
                true => 0,
                false => self.write(*rendition, segment.begun.msn, bytes)?,
            };
            let segment = Segment { parts: Vec::new(), ..segment.clone() };
            lines.push(Line::Segment { rendition: *rendition, offset, segment });
        }
        for ((rendition, number), reel) in &self.reels {
            reel.sync().map_err(|source| at(&self.reel_path(*rendition, *number))(source))?;
        }
        self.append(&lines)?;
        Ok(lines)
    }

    /// Writes lines down, all or none.
    pub(crate) fn append(&mut self, lines: &[Line]) -> Result<()> {
        let bytes: Vec<u8> = lines.iter().flat_map(Line::to_bytes).collect();
        append(&mut self.log, &bytes).map_err(at(&self.folder.join(LOG)))
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
        if !self.reels.contains_key(&(rendition, number)) {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let reel = file.and_then(Grown::new).map_err(at(&path))?;
            sync_folder(&self.folder)?;
            self.reels.insert((rendition, number), reel);
        }
        let Some(reel) = self.reels.get_mut(&(rendition, number)) else { return Ok(0) };
        reel.write(bytes).map_err(at(&path))
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

/// Writes whole lines behind the others, or none.
fn append(log: &mut Grown, lines: &[u8]) -> io::Result<()> {
    let written = log.write(lines).and_then(|_| log.sync());
    match written {
        Ok(()) => log.keep(),
        Err(_) => log.undo(),
    }
    written
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

#[cfg(test)]
mod tests {
    use live::Begun;
    use storage::testing::SmallDisk;

    use super::*;
    use crate::live::testing::{OWN, record};

    fn began() -> Line {
        let Record { video, version, timing, .. } = record([]);
        Line::Began { video, version, timing }
    }

    fn track() -> Line {
        let (_, recorded) = crate::live::testing::rendition(OWN, 0..0, &[]);
        Line::Track(recorded.tracks[0].clone())
    }

    fn segment(msn: u32, bytes: &[u8]) -> (RenditionName, Segment, Bytes) {
        let begun = Begun { msn, start: u64::from(msn) * 2000, init: 0, discontinuity: false, gap: false };
        let size_bytes = bytes.len() as u32;
        let segment = Segment { begun, duration: 2000, size_bytes, parts: Vec::new() };
        (OWN, segment, Bytes::copy_from_slice(bytes))
    }

    /// What a log says, and the bytes that it names.
    fn read(folder: &Path) -> Vec<(u32, Bytes)> {
        let (spool, record) = Spool::open(folder.to_owned()).unwrap().unwrap();
        let segments = &record.renditions[&OWN].segments;
        let bytes = |(segment, offset): &(Segment, u64)| {
            let bytes = spool.reader().segment(OWN, segment, *offset).unwrap().unwrap();
            (segment.begun.msn, bytes)
        };
        segments.iter().map(bytes).collect()
    }

    #[test]
    fn a_disk_that_is_full_in_the_middle_spoils_nothing_that_follows() {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(folder.path(), "64k") else { return };
        let event = folder.path().join("event");
        let mut spool = Spool::create(event.clone(), &began()).unwrap();
        spool.begin(&track(), b"init").unwrap();
        spool.close(&[segment(0, &[b'a'; 10_000])]).unwrap();
        let (next, last) = (segment(1, &[b'b'; 90_000]), segment(2, &[b'c'; 500]));
        // The disk takes some of it.
        for _ in 0..2 {
            spool.close(std::slice::from_ref(&next)).unwrap_err();
        }
        disk.resize("1m");
        let lines = spool.close(&[next, last]).unwrap();
        assert!(matches!(lines[0], Line::Segment { offset: 10_000, .. }), "{lines:?}");
        spool.close(&[segment(3, b"d")]).unwrap();
        let expected: Vec<(u32, Bytes)> = [(b'a', 10_000), (b'b', 90_000), (b'c', 500), (b'd', 1)]
            .into_iter()
            .zip(0..)
            .map(|((byte, len), msn)| (msn, vec![byte; len].into()))
            .collect();
        assert!(read(&event) == expected, "what is read is not what was written");
    }

    #[test]
    fn a_line_that_was_torn_is_not_glued_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(folder.path(), "16k") else { return };
        let event = folder.path().join("event");
        let mut spool = Spool::create(event.clone(), &began()).unwrap();
        spool.begin(&track(), b"init").unwrap();
        let gaps: Vec<_> = (0..200).map(|msn| segment(msn, b"")).collect();
        spool.close(&gaps).unwrap_err();
        spool.close(&gaps[..3]).unwrap();
        spool.close(&gaps[3..]).unwrap_err();
        disk.resize("1m");
        spool.close(&gaps[3..]).unwrap();
        let (_, record) = Spool::open(event).unwrap().unwrap();
        assert_eq!(record.renditions[&OWN].segments.len(), 200);
    }

    #[test]
    fn segments_of_two_reels_are_closed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let event = folder.path().join("event");
        let mut spool = Spool::create(event.clone(), &began()).unwrap();
        spool.begin(&track(), b"init").unwrap();
        let segments: Vec<_> = (0..35u32).map(|msn| segment(msn, &msn.to_be_bytes())).collect();
        spool.close(&segments).unwrap();
        assert_eq!(spool.reels.len(), 1, "nobody writes to the first any more");
        spool.close(&[segment(35, b"last")]).unwrap();
        let read = read(&event);
        assert_eq!(
            (read.len(), &read[31].1[..], &read[35].1[..]),
            (36, &31u32.to_be_bytes()[..], &b"last"[..])
        );
    }

    #[test]
    fn an_event_that_is_there_is_not_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let event = folder.path().join("event");
        assert!(Spool::open(event.clone()).unwrap().is_none());
        Spool::create(event.clone(), &began()).unwrap().begin(&track(), b"init").unwrap();
        Spool::create(event.clone(), &began()).unwrap_err();
        let (_, record) = Spool::open(event.clone()).unwrap().unwrap();
        assert_eq!(record.renditions.len(), 1);
        // A crash before its first line was whole.
        fs::write(event.join(LOG), b"{\"began\"").unwrap();
        assert!(Spool::open(event.clone()).unwrap().is_none());
        Spool::create(event, &began()).unwrap();
    }

    #[test]
    fn what_was_shown_and_cannot_be_read_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let event = folder.path().join("event");
        let mut spool = Spool::create(event.clone(), &began()).unwrap();
        spool.begin(&track(), b"init").unwrap();
        fs::create_dir(spool.shown_path(OWN)).unwrap();
        assert_eq!(spool.shown([OWN].into_iter()), BTreeMap::new());
    }
}
