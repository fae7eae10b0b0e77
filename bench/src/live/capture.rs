//! What an encoder sent, to be sent again by as many publishers as are wanted.

use anyhow::Context;
use tempfile::TempDir;
use tests::Tape;

use super::encoder::film;

/// Seconds that ffmpeg writes: one more than are repeated.
const WRITTEN_S: u32 = 9;

/// What ffmpeg sends at so many kbit/s.
pub(super) fn capture(size: &str, kbps: u32) -> anyhow::Result<Tape> {
    let home = TempDir::with_prefix("cocuyo-bench-").context("make a folder")?;
    let file = home.path().join("capture.flv");
    film(&file, WRITTEN_S, size, kbps)?;
    Ok(Tape::read(&std::fs::read(&file).context("read the capture")?))
}
