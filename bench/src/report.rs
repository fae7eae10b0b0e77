//! What a run says: lines for people first, `name value` lines last.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::process::Command;
use std::time::Instant;

/// A line for whoever waits.
pub(crate) fn say(line: impl Display) {
    // A closed terminal is no reason to stop measuring.
    let _ = writeln!(stderr(), "{line}");
}

/// A result.
pub(crate) fn result(name: &str, value: impl Display) {
    let _ = writeln!(stdout(), "{name} {value}");
}

/// A figure, said now and printed at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its name,
    pub(crate) name: String,
    /// and what was measured.
    pub(crate) value: String,
}

impl Line {
    /// Tells whoever waits, and keeps it.
    pub(crate) fn new(name: impl Into<String>, value: impl Display) -> Self {
        let line = Self { name: name.into(), value: value.to_string() };
        say(format!("  {} {}", line.name, line.value));
        line
    }

    /// The median of `values`; their range is said.
    pub(crate) fn median(name: impl Into<String>, values: &[f64]) -> Self {
        let (name, mut values) = (name.into(), values.to_vec());
        values.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (values.first(), values.last()) {
            say(format!("{name}: {least:.3} to {most:.3} in {} runs", values.len()));
        }
        Self::new(name, format!("{:.3}", median(&values)))
    }
}

/// The value below which the `part` (0 to 1) of `values` lies: of few, the greatest stands for 95 %.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (part * sorted.len() as f64).ceil().max(1.0) as usize - 1;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The middle of sorted values.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// What a program says that it is.
pub(crate) fn version_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    version(&String::from_utf8_lossy(&said)).to_owned()
}

/// The kernel's release.
pub(crate) fn kernel() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    kernel.trim().to_owned()
}

/// Cores of the machine: not `available_parallelism`, for a client that is pinned sees one.
pub(crate) fn cores() -> usize {
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cores.lines().filter(|line| line.starts_with("processor")).count()
}

/// What looks like a version in what a program says: a word's end from its first digit, with a point.
fn version(said: &str) -> &str {
    let words = said.split(|c: char| c.is_whitespace() || c == '/');
    let mut ends = words.map(|word| word.trim_start_matches(|c: char| !c.is_ascii_digit()));
    ends.find(|end| end.contains('.')).unwrap_or("unknown")
}

/// Carries measurements out in turn, each by its name, and prints what they gave, `surroundings` first.
pub(crate) fn measure_all<B, F>(
    bench: &mut B,
    wished: &[(&'static str, F)],
    surroundings: Vec<Line>,
) -> anyhow::Result<()>
where
    F: Fn(&mut B) -> anyhow::Result<Vec<Line>>,
{
    let (mut lines, mut failed) = (surroundings, Vec::new());
    for (name, measure) in wished {
        warn_when_busy();
        say(format!("{name}:"));
        let begin = Instant::now();
        // One that fails must not cost the others' figures.
        match measure(bench) {
            Ok(more) => lines.extend(more),
            Err(error) => {
                say(format!("{name} failed: {error:#}"));
                failed.push(*name);
            }
        }
        say(format!("{name} took {:.0} s", begin.elapsed().as_secs_f64()));
    }
    for Line { name, value } in &lines {
        result(name, value);
    }
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// The measurements of these names; all if there are none.
pub(crate) fn wished<F: Copy>(
    all: &[(&'static str, F)],
    only: &[String],
) -> anyhow::Result<Vec<(&'static str, F)>> {
    for name in only {
        let known = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(all.iter().any(|(known, _)| known == name), "`{name}` is none of {}", known());
    }
    let is_wished = |name: &str| only.is_empty() || only.iter().any(|wish| wish == name);
    Ok(all.iter().filter(|(name, _)| is_wished(name)).copied().collect())
}

/// Says so when the machine has other work: its figures are then worth little.
pub(crate) fn warn_when_busy() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    if minute > 0.5 {
        say(format!("warning: the load of the last minute is {minute}; measure on a quiet machine"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(version("nginx version: nginx/1.22.1\n"), "1.22.1");
        assert_eq!(version("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026"), "5.1.9-0+deb12u1");
        assert_eq!(version("packager version v3.8.0-75b2faf-release"), "3.8.0-75b2faf-release");
        assert_eq!(version("varnishd (varnish-7.1.1 revision 7cee1c58)"), "7.1.1");
        assert_eq!(version(""), "unknown");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.95), 3.0);
    }
}
