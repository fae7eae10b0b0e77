//! What the transcoder finds in a film: the packager's own way to a plan, taken by hand.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use model::cell::{EncodePlan, FrameLengths, Probe, Reply, Request, Source, decode_head, encode_head};

use crate::installation::program;

/// The shipped plan for `film`.
pub(crate) fn plan(film: &Path) -> anyhow::Result<EncodePlan> {
    let probe = probe(film)?;
    let planned = packager::plan(&probe, &packager::Limits::default());
    planned.map_err(|reason| anyhow::anyhow!("no plan for `{}`: {reason}", film.display()))
}

fn probe(film: &Path) -> anyhow::Result<Probe> {
    let size = film.metadata().with_context(|| format!("look at `{}`", film.display()))?.len();
    // The shell opens the film on descriptor 3, which the standard library cannot pass on.
    let mut cell = Command::new("sh")
        .args(["-c", "exec \"$1\" 3<\"$2\"", "sh"])
        .arg(program("cocuyo-transcoder")?)
        .arg(film)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the transcoder")?;
    let mut input = cell.stdin.take().context("its input is piped")?;
    let mut output = cell.stdout.take().context("its output is piped")?;
    input.write_all(&encode_head(&Request::Probe { source: Source::File { size } }, 0)?)?;
    let mut lengths = [0; FrameLengths::SIZE];
    output.read_exact(&mut lengths).context("hear the transcoder")?;
    let mut head = vec![0; FrameLengths::parse(lengths)?.head as usize];
    output.read_exact(&mut head).context("hear the transcoder")?;
    // Its input is open until it has answered: a closed one tells it to leave.
    drop(input);
    std::io::copy(&mut output, &mut std::io::sink()).context("hear the transcoder out")?;
    cell.wait().context("wait for the transcoder")?;
    match decode_head(&head)? {
        Reply::Probed { probe } => Ok(probe),
        other => bail!("the transcoder says {other:?}"),
    }
}
