//! The transcoder cells of a server, watched from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::processes;

/// The kernel keeps fifteen bytes of a process's name (proc(5)).
const NAME: &str = "cocuyo-transcod";
/// Between two looks: a cell that lives shorter is not seen.
const GLANCE: Duration = Duration::from_millis(20);

/// One cell, as it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// When it was first seen.
    pub(crate) first: Instant,
    /// When it was last seen.
    pub(crate) last: Instant,
    /// The largest resident set that it has had, in KiB.
    pub(crate) peak_kib: u64,
}

/// A thread that looks at the cells until it is stopped.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Cell>>,
}

/// Looks at the cells of the process `server` from now on.
pub(crate) fn watch(server: u32) -> Watch {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut seen = BTreeMap::<u32, Cell>::new();
        while !stopped.load(Ordering::Relaxed) {
            let now = Instant::now();
            for pid in living(server) {
                let peak_kib = peak_kib(pid).unwrap_or(0);
                let cell = seen.entry(pid).or_insert(Cell { first: now, last: now, peak_kib });
                cell.last = now;
                cell.peak_kib = cell.peak_kib.max(peak_kib);
            }
            std::thread::park_timeout(GLANCE);
        }
        let mut cells: Vec<_> = seen.into_values().collect();
        cells.sort_by_key(|cell| cell.first);
        cells
    });
    Watch { stop, thread }
}

impl Watch {
    /// Stops looking; the cells in the order in which they began.
    pub(crate) fn stop(self) -> Vec<Cell> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// The cells that live now.
pub(crate) fn living(server: u32) -> Vec<u32> {
    let family = processes::family(server);
    family.into_iter().filter(|pid| name(*pid).is_some_and(|name| name == NAME)).collect()
}

fn name(pid: u32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new(&format!("/proc/{pid}/status"))).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
