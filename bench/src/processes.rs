//! CPU time of processes, as `/proc` counts it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;

/// Ticks per second of `/proc`: `USER_HZ`, 100 on every Linux that we run on.
const TICKS: f64 = 100.0;

/// What one line of `/proc/<pid>/stat` says.
#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    /// Of its own threads, in ticks.
    own: u64,
    /// Of the children that it has waited for, in ticks.
    reaped: u64,
}

/// CPU seconds of `root`, its living descendants, and all that these have reaped.
pub(crate) fn cpu_seconds(root: u32) -> anyhow::Result<f64> {
    let all = all();
    anyhow::ensure!(all.contains_key(&root), "process {root} is gone");
    let ours = all.iter().filter(|(pid, _)| belongs(&all, root, **pid));
    Ok(ours.map(|(_, stat)| stat.own + stat.reaped).sum::<u64>() as f64 / TICKS)
}

/// MiB of memory that `process` has.
pub(crate) fn rss_mib(process: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read `{path}`"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find `VmRSS`")?;
    let kib: f64 = line.split_whitespace().next().context("a size")?.parse()?;
    Ok(kib / 1024.0)
}

/// `root` and its living descendants.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let all = all();
    all.keys().copied().filter(|pid| belongs(&all, root, *pid)).collect()
}

fn belongs(all: &HashMap<u32, Stat>, root: u32, mut pid: u32) -> bool {
    while pid != root {
        match all.get(&pid) {
            Some(stat) if stat.parent != 0 => pid = stat.parent,
            _ => return false,
        }
    }
    true
}

/// CPU seconds of the children that this process has waited for.
pub(crate) fn reaped_seconds() -> anyhow::Result<f64> {
    let stat = read(Path::new("/proc/self/stat")).context("read `/proc/self/stat`")?;
    Ok(stat.reaped as f64 / TICKS)
}

/// Seconds in which core `core` was not idle, whoever used it, softirqs too.
pub(crate) fn busy_seconds(core: usize) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("read `/proc/stat`")?;
    let name = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name)).context("find the core")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal …; what a hypervisor stole was nobody's work.
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|&n| ticks.get(n)).sum::<u64>();
    Ok(busy as f64 / TICKS)
}

fn all() -> HashMap<u32, Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // A process that ends meanwhile is not there.
    pids.filter_map(|pid| Some((pid, read(Path::new(&format!("/proc/{pid}/stat")))?))).collect()
}

fn read(path: &Path) -> Option<Stat> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// The name in parentheses may hold anything, so fields are counted from its end (proc(5)).
fn parse(line: &str) -> Option<Stat> {
    let (_, fields) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        reaped: ticks(13)? + ticks(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 99 1 1";
        let stat = parse(line).unwrap();
        assert_eq!((stat.parent, stat.own, stat.reaped), (7, 120, 7));
        assert!(parse("42 (cut").is_none());
    }

    #[test]
    fn this_process_has_used_some_time() {
        assert!(cpu_seconds(std::process::id()).is_ok());
        assert!(cpu_seconds(u32::MAX).is_err());
        assert!(busy_seconds(0).unwrap() > 0.0 && reaped_seconds().is_ok());
    }
}
