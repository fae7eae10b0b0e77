//! `cocuyo-transcoder`, the cell: the only program that links libav, and so the only one that a
//! stranger's file can hurt.
//!
//! It reads one request from standard input, the media from a descriptor, and writes replies
//! (see `model::cell`): a probe, or one part of a plan that leaves it nothing to decide. It opens
//! no file, no socket, knows no database and no storage.
//!
//! `input` opens; `probe` looks and has `measure` find the film's real length. `work` carries out
//! a task: `pictures` has a `reel` decode a stretch of the film and feeds `rung`s, `sound` feeds
//! `sound_rung`s, both fill `segments`, and so does `copy` with what `coded` finds in a file's
//! tables; `stills` looks for a picture. `zero` says which moment is
//! the film's 0, for all tasks alike. `live` makes the lower rungs of an event out of packets that
//! come on standard input. `grid`, `timeline`, `filter`, `memory` and `h264` are pure;
//! all C is behind `libav` and `process`.
//!
//! Exit status: 0 after `Done` or `Refused`, or when the packager is gone; 64 for a request
//! that is none; 74 when the media could not be read, which is worth another try.

mod boxes;
mod coded;
mod copy;
mod damage;
mod error;
mod filter;
mod grid;
mod h264;
mod input;
mod libav;
mod live;
mod measure;
mod media;
mod memory;
mod pictures;
mod probe;
mod process;
mod reel;
mod reply;
mod rung;
mod scaler;
mod segments;
mod sound;
mod sound_copy;
mod sound_encoder;
mod sound_rung;
mod sound_segments;
mod sound_table;
mod stills;
mod timeline;
mod work;
mod x264;
mod zero;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;

use model::cell::live::{LivePlan, LiveReply};
use model::cell::{EncodePlan, FrameLengths, Reply, Request, Source, Task, decode_head};

use crate::error::{CellError, Result, chain};
use crate::reply::Replies;

/// Processor seconds that any request may take.
const CPU_BASE_S: u64 = 600;
/// Processor seconds per second of film on top: a dozen rungs of 4K with slow presets.
const CPU_PER_SECOND: u64 = 200;

fn main() -> ExitCode {
    let ran = process::output().map_err(CellError::Gone).and_then(|output| run(&Replies::new(output)));
    match ran {
        Ok(()) | Err(CellError::Gone(_)) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "failed to {}", chain(&error));
            match error {
                CellError::Request(_) => ExitCode::from(64),
                CellError::Read(_) => ExitCode::from(74),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(replies: &Replies) -> Result<()> {
    process::confine().map_err(CellError::Request)?;
    // Fills the crate's table of error texts.
    ffmpeg_next::init().map_err(CellError::libav("set libav up"))?;
    libav::to_stderr();
    libav::limit_allocations();
    libav::warn_of_known_holes();
    let request = read_request(&mut io::stdin()).map_err(CellError::Request)?;
    let (answered, is_live) = match &request {
        Request::Probe { source } => (probe(*source, replies), false),
        Request::Work { source, plan, task } => (work(*source, plan, task, replies), false),
        Request::Live { plan } => (live(plan, replies), true),
    };
    answered.or_else(|error| {
        let Some((reason, detail)) = error.refusal() else { return Err(error) };
        let _ = writeln!(io::stderr(), "refused as {reason}: {detail}");
        match is_live {
            true => replies.send(&LiveReply::Refused { reason, detail }, &[]),
            false => replies.send(&Reply::Refused { reason, detail }, &[]),
        }
    })
}

fn probe(source: Source, replies: &Replies) -> Result<()> {
    thread::spawn(leave_with_parent);
    limit(memory::to_probe(), CPU_BASE_S)?;
    let probe = probe::probe(work::open(source)?)?;
    let duration_ms = probe.duration_ms.unwrap_or(0);
    replies.send(&Reply::Probed { probe }, &[])?;
    replies.send(&Reply::Done { duration_ms, damaged: 0, missing_ms: 0 }, &[])
}

fn work(source: Source, plan: &EncodePlan, task: &Task, replies: &Replies) -> Result<()> {
    thread::spawn(leave_with_parent);
    let seconds = CPU_BASE_S + CPU_PER_SECOND * work::length_s(plan, task);
    limit(memory::to_work(plan, task), seconds)?;
    work::work(source, plan, task, replies)
}

/// An event lasts for as long as it does, so its processor time is not limited.
fn live(plan: &LivePlan, replies: &Replies) -> Result<()> {
    process::limit_memory(memory::to_live(plan)).map_err(CellError::Request)?;
    let (feeder, feed) = live::channel(plan);
    thread::spawn(|| {
        // Whoever feeds is gone, or says what is no message: nobody reads what comes of it.
        if let Err(error) = feeder.run(&mut io::stdin().lock()) {
            let is_gone = error.kind() == io::ErrorKind::UnexpectedEof;
            std::process::exit(if is_gone { 0 } else { 64 });
        }
        leave_with_parent();
    });
    live::live(plan, feed, replies)
}

fn limit(memory: u64, cpu_s: u64) -> Result<()> {
    process::limit_memory(memory).map_err(CellError::Request)?;
    process::limit_cpu(cpu_s).map_err(CellError::Request)
}

/// Ends the process when standard input ends: the packager is gone, and an encode that nobody
/// reads must not hold the machine.
fn leave_with_parent() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(0);
}

fn read_request(from: &mut impl Read) -> io::Result<Request> {
    let mut lengths = [0; FrameLengths::SIZE];
    from.read_exact(&mut lengths)?;
    let lengths = FrameLengths::parse(lengths).map_err(io::Error::other)?;
    let mut head = vec![0; lengths.head as usize];
    from.read_exact(&mut head)?;
    decode_head(&head).map_err(io::Error::other)
}
