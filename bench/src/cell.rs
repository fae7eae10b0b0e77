//! The shipped transcoder, asked directly, as the packager asks it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use cmaf::ChunkWriter;
use model::RenditionName;
use model::cell::{EncodePlan, FrameLengths, Probe, Reply, Request, Source, Task, decode_head, encode_head};

use crate::installation::program;

/// The shipped plan for `film`.
pub(crate) fn plan(film: &Path) -> anyhow::Result<EncodePlan> {
    let probe = probe(film)?;
    let planned = packager::plan(&probe, &packager::Limits::default());
    planned.map_err(|reason| anyhow::anyhow!("no plan for `{}`: {reason}", film.display()))
}

/// Encodes a run of segments of some picture renditions in one piece, into a file for each: its
/// init, then its segments.
pub(crate) fn pictures(
    film: &Path,
    plan: &EncodePlan,
    renditions: Vec<RenditionName>,
    segments: Range<u32>,
    folder: &Path,
) -> anyhow::Result<BTreeMap<RenditionName, PathBuf>> {
    let task = Task::Pictures { renditions, segments, hurry: false };
    let mut files = BTreeMap::<RenditionName, Vec<u8>>::new();
    let mut cell = Cell::ask(film, |source| Request::Work { source, plan: plan.clone(), task })?;
    loop {
        let (reply, payload) = cell.hear()?;
        match reply {
            Reply::Init { rendition } | Reply::Segment { rendition, .. } => {
                files.entry(rendition).or_default().extend_from_slice(payload);
            }
            Reply::Done { .. } => break,
            Reply::Refused { reason, detail } => bail!("the transcoder refuses: {reason}, {detail}"),
            _ => {}
        }
    }
    let write = |(name, bytes): (RenditionName, Vec<u8>)| {
        let path = folder.join(format!("{name}.mp4"));
        std::fs::write(&path, bytes).context("keep a rendition")?;
        Ok((name, path))
    };
    files.into_iter().map(write).collect()
}

/// Copies the pictures of `plan` into `folder` as the packager stores them: an init, and chunks.
pub(crate) fn copy(film: &Path, plan: &EncodePlan, folder: &Path) -> anyhow::Result<()> {
    let frames = plan.video.as_ref().map_or(0, |video| video.frames);
    let chunks = plan.grid.chunks(0..plan.grid.count(frames));
    // As the catalog cuts the work: the beginning, and all the rest.
    let (first, rest) = chunks.split_at(chunks.len().min(1));
    for part in [first, rest].into_iter().filter(|part| !part.is_empty()) {
        copy_part(film, plan, part, folder)?;
    }
    Ok(())
}

fn copy_part(film: &Path, plan: &EncodePlan, chunks: &[Range<u32>], folder: &Path) -> anyhow::Result<()> {
    let ends = chunks.first().zip(chunks.last());
    let (first, last) = ends.context("there is a chunk")?;
    let task = Task::Copy { segments: first.start..last.end };
    let mut cell = Cell::ask(film, |source| Request::Work { source, plan: plan.clone(), task })?;
    let (mut chunks, mut filling) = (chunks.iter().peekable(), None);
    loop {
        let (reply, payload) = cell.hear()?;
        let number = match reply {
            Reply::Segment { number, .. } => number,
            Reply::Init { .. } => {
                std::fs::write(folder.join("init.mp4"), payload).context("keep the init")?;
                continue;
            }
            Reply::Done { .. } => return Ok(()),
            Reply::Refused { reason, detail } => bail!("the transcoder refuses: {reason}, {detail}"),
            _ => continue,
        };
        let segment = cmaf::read_segment(payload).context("read a segment")?;
        let (chunk, file) = match &mut filling {
            Some(filling) => filling,
            filling => {
                let file = File::create(folder.join(format!("{number}.cmaf"))).context("begin a chunk")?;
                filling.insert((ChunkWriter::new(number, segment.base_decode_time), file))
            }
        };
        chunk.push(payload).context("index a segment")?;
        file.write_all(payload).context("write a chunk")?;
        if chunks.next_if(|chunk| chunk.end == number + 1).is_some()
            && let Some((chunk, mut file)) = filling.take()
        {
            file.write_all(&chunk.finish().tail).context("end a chunk")?;
        }
    }
}

fn probe(film: &Path) -> anyhow::Result<Probe> {
    let mut cell = Cell::ask(film, |source| Request::Probe { source })?;
    match cell.hear()?.0 {
        Reply::Probed { probe } => Ok(probe),
        other => bail!("the transcoder says {other:?}"),
    }
}

/// A running cell.
struct Cell {
    process: Child,
    output: ChildStdout,
    // A closed input tells it to leave.
    _input: ChildStdin,
    /// What came with the last reply; as in the packager, its memory serves the next one, too.
    payload: Vec<u8>,
}

impl Cell {
    fn ask(film: &Path, request: impl FnOnce(Source) -> Request) -> anyhow::Result<Self> {
        let size = film.metadata().with_context(|| format!("look at `{}`", film.display()))?.len();
        // The shell opens the film on descriptor 3, which the standard library cannot pass on.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$1\" 3<\"$2\"", "sh"])
            .arg(program("cocuyo-transcoder")?)
            .arg(film)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the transcoder")?;
        let mut input = process.stdin.take().context("its input is piped")?;
        let output = process.stdout.take().context("its output is piped")?;
        input.write_all(&encode_head(&request(Source::File { size }), 0)?)?;
        Ok(Self { process, output, _input: input, payload: Vec::new() })
    }

    /// The next reply and what comes with it.
    fn hear(&mut self) -> anyhow::Result<(Reply, &[u8])> {
        let mut lengths = [0; FrameLengths::SIZE];
        self.output.read_exact(&mut lengths).context("hear the transcoder")?;
        let lengths = FrameLengths::parse(lengths)?;
        let mut head = vec![0; lengths.head as usize];
        self.output.read_exact(&mut head).context("hear the transcoder")?;
        self.payload.resize(lengths.payload as usize, 0);
        self.output.read_exact(&mut self.payload).context("hear the transcoder")?;
        Ok((decode_head(&head)?, &self.payload))
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // It has said all that was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
