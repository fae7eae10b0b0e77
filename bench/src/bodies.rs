//! How bytes that are in memory get to a socket cheapest: copied from there (`writev`), or as pages of
//! a file in memory (`sendfile`); with buffers of several sizes. It decided
//! `docs/design/0009-bodies-from-memory.md`.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use rustix::net::{SendFlags, send};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use socket2::SockRef;

use crate::report::{self, Line};

/// What is sent at a time, in bytes.
const SIZES: [usize; 5] = [16 << 10, 64 << 10, 128 << 10, 2_000_000, 6_000_000];
/// `SO_SNDBUF`, in bytes; the kernel's own choice if absent.
const BUFFERS: [Option<usize>; 3] = [None, Some(1 << 20), Some(4 << 20)];
/// A head as long as ours.
const HEAD: [u8; 700] = [b'h'; 700];
/// Different bodies, together more than any cache of a core holds.
const BODIES_BYTES: usize = 200_000_000;

/// How a body gets to its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Copied,
    Pages,
}

struct Bodies {
    memory: Vec<Vec<u8>>,
    files: Vec<File>,
}

impl Bodies {
    fn new(size: usize) -> anyhow::Result<Self> {
        let count = (BODIES_BYTES / size).clamp(1, 4000);
        let (mut memory, mut files) = (Vec::new(), Vec::new());
        for n in 0..count {
            let body = vec![n as u8; size];
            let mut file =
                File::from(memfd_create("body", MemfdFlags::CLOEXEC).context("make a file in memory")?);
            file.write_all(&body)?;
            memory.push(body);
            files.push(file);
        }
        Ok(Self { memory, files })
    }

    fn send(&self, way: Way, n: usize, to: &mut TcpStream) -> anyhow::Result<()> {
        let (memory, file) = (&self.memory[n % self.memory.len()], &self.files[n % self.files.len()]);
        match way {
            Way::Copied => {
                let mut pieces = [IoSlice::new(&HEAD), IoSlice::new(memory)];
                let mut left = &mut pieces[..];
                while !left.is_empty() {
                    let written = to.write_vectored(left)?;
                    IoSlice::advance_slices(&mut left, written);
                }
            }
            Way::Pages => {
                let sent = send(&*to, &HEAD, SendFlags::MORE)?;
                ensure!(sent == HEAD.len(), "a head was cut");
                let mut at = 0;
                while (at as usize) < memory.len() {
                    let left = memory.len() - at as usize;
                    sendfile(&*to, file, Some(&mut at), left)?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn run(rounds: u32, bytes: u64) -> anyhow::Result<()> {
    report::warn_when_busy();
    let mut lines = Vec::new();
    for size in SIZES {
        let bodies = Bodies::new(size)?;
        let count = (bytes / size as u64).max(10);
        for buffer in BUFFERS {
            let mut ratios = Vec::new();
            for round in 0..rounds {
                let ways = if round % 2 == 0 { [Way::Copied, Way::Pages] } else { [Way::Pages, Way::Copied] };
                let mut took = [0.0; 2];
                for way in ways {
                    took[way as usize] = cpu_seconds_of(&bodies, way, count, buffer)?;
                }
                ratios.push(took[Way::Copied as usize] / took[Way::Pages as usize]);
            }
            let buffer = buffer.map_or_else(|| "auto".to_owned(), |bytes| format!("{}m", bytes >> 20));
            lines.push(Line::median(format!("copied_cpu_ratio_pages_{size}_sndbuf_{buffer}"), &ratios));
        }
    }
    for Line { name, value } in &lines {
        report::result(name, value);
    }
    Ok(())
}

/// CPU seconds of the sending thread, on a core of its own.
fn cpu_seconds_of(bodies: &Bodies, way: Way, count: u64, buffer: Option<usize>) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = HEAD.len() + bodies.memory[0].len();
    std::thread::scope(|scope| {
        let client = scope.spawn(move || ask(&TcpStream::connect(address)?, count, answer));
        on_core(0)?;
        let (mut connection, _) = listener.accept()?;
        connection.set_nodelay(true)?;
        if let Some(buffer) = buffer {
            SockRef::from(&connection).set_send_buffer_size(buffer)?;
        }
        let begin = thread_cpu();
        for n in 0..count {
            connection.read_exact(&mut [0])?;
            bodies.send(way, (n as usize).wrapping_mul(7919), &mut connection)?;
        }
        let took = thread_cpu() - begin;
        client.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        Ok(took.as_secs_f64())
    })
}

/// Asks with one byte, and lets the kernel throw the answer away (`MSG_TRUNC`).
fn ask(connection: &TcpStream, count: u64, answer: usize) -> anyhow::Result<()> {
    on_core(1)?;
    let mut nowhere = vec![MaybeUninit::uninit(); answer];
    for _ in 0..count {
        (&*connection).write_all(b"x")?;
        let mut left = answer;
        while left > 0 {
            let flags = libc::MSG_TRUNC | libc::MSG_WAITALL;
            let dropped = SockRef::from(connection).recv_with_flags(&mut nowhere[..left], flags)?;
            ensure!(dropped > 0, "an answer is cut short");
            left -= dropped;
        }
    }
    Ok(())
}

fn on_core(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).context("take a core")
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
