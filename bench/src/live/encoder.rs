//! Real encoders: ffmpeg with x264, as people who broadcast run it.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

/// A running encoder; it is killed when dropped.
#[derive(Debug)]
pub(super) struct Encoder(Child);

/// Pictures a second.
const RATE: u32 = 30;
/// Bits of the clock, and lines of each of its two bands: the time, and its inverse.
const BITS: usize = 40;
const BAND: usize = 32;

impl Encoder {
    /// Publishes pictures of this size in which the time stands at which each was drawn, in real time,
    /// with a tone.
    pub(super) fn clock(url: &str, width: usize, height: usize) -> anyhow::Result<Self> {
        let (size, rate) = (format!("{width}x{height}"), RATE.to_string());
        let mut ffmpeg = ffmpeg();
        // The size is known: nothing of the picture is held back to find it out.
        ffmpeg.args(["-probesize", "32", "-analyzeduration", "0", "-f", "rawvideo", "-pix_fmt", "gray"]);
        ffmpeg.args([
            "-s",
            &size,
            "-r",
            &rate,
            "-i",
            "pipe:0",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "sine=440:r=48000",
        ]);
        ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "60"]);
        ffmpeg
            .args(["-maxrate", "2M", "-bufsize", "2M", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k"]);
        ffmpeg.args(["-f", "flv", url]).stdin(Stdio::piped());
        let mut child = ffmpeg.spawn().context("start ffmpeg")?;
        let input = child.stdin.take().context("its input is piped")?;
        std::thread::spawn(move || draw(input, width, height));
        Ok(Self(child))
    }

    /// Publishes what is in a file as it is, in real time, and ends.
    pub(super) fn file(url: &str, file: &Path) -> anyhow::Result<Self> {
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-re", "-i"]).arg(file).args(["-c", "copy", "-f", "flv", url]).stdin(Stdio::null());
        Ok(Self(ffmpeg.spawn().context("start ffmpeg")?))
    }

    /// Publishes, in real time, a picture that is white and a tone that sounds in the first tenth of each
    /// second, but no tone in the seconds of `silence`.
    pub(super) fn beats(url: &str, silence: std::ops::Range<u32>) -> anyhow::Result<Self> {
        let picture = "color=black:size=640x360:rate=30,drawbox=t=fill:color=white:enable='lt(mod(t,1),0.1)'";
        let is_silent = format!("between(t,{},{})", silence.start, silence.end);
        let tone = format!("aevalsrc='if(lt(mod(t,1),0.1)*not({is_silent}),sin(2*PI*1000*t),0)':s=48000");
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-re", "-f", "lavfi", "-i", picture, "-re", "-f", "lavfi", "-i", &tone]);
        ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "60"]);
        ffmpeg.args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-f", "flv", url]);
        Ok(Self(ffmpeg.stdin(Stdio::null()).spawn().context("start ffmpeg")?))
    }

    /// `kill -9`: its connection is cut.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill().context("kill ffmpeg")?;
        self.0.wait().context("reap ffmpeg")?;
        Ok(())
    }

    /// Waits for its end.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        ensure!(self.0.wait().context("wait for ffmpeg")?.success(), "ffmpeg failed");
        Ok(())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a film of moving pictures and a tone, of so many kbit/s in all, in groups of two seconds.
pub(super) fn film(file: &Path, seconds: u32, size: &str, kbps: u32) -> anyhow::Result<()> {
    let picture = format!("testsrc2=size={size}:rate=30,noise=alls=12:allf=t");
    let rate = format!("{}k", kbps - 64);
    let mut ffmpeg = ffmpeg();
    ffmpeg.args(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", "sine=440:r=48000"]);
    ffmpeg.args([
        "-t",
        &seconds.to_string(),
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "0",
        "-g",
        "60",
    ]);
    ffmpeg.args([
        "-sc_threshold",
        "0",
        "-b:v",
        &rate,
        "-minrate",
        &rate,
        "-maxrate",
        &rate,
        "-bufsize",
        &rate,
    ]);
    ffmpeg.args(["-x264-params", "nal-hrd=cbr", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-y"]);
    let made = ffmpeg.arg(file).stdin(Stdio::null()).status().context("run ffmpeg")?;
    ensure!(made.success(), "ffmpeg could not make a film");
    Ok(())
}

fn ffmpeg() -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-loglevel", "fatal"]).stdout(Stdio::null());
    ffmpeg
}

/// Draws until nobody takes pictures any more.
fn draw(mut to: ChildStdin, width: usize, height: usize) {
    let texture: Vec<u8> = (0..width * height * 2).map(|n| shade(n, width)).collect();
    let mut next = None;
    for n in 0_u32.. {
        // What takes the first picture is running: a clock from before would count its start.
        let at = *next.get_or_insert_with(Instant::now);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let picture = picture(&texture, width, height, n as usize, now.as_millis() as u64);
        if to.write_all(&picture).is_err() {
            return;
        }
        next = if n == 0 { Some(Instant::now()) } else { next.map(|at| at + Duration::from_secs(1) / RATE) };
    }
}

/// Something that is not flat, and so costs bits when it moves.
fn shade(n: usize, width: usize) -> u8 {
    let (x, y) = (n % width, n / width);
    let grain = n.wrapping_mul(2_654_435_761) >> 13 & 7;
    ((x / 3 + y / 2) % 160 + 40 + grain) as u8
}

/// The `n`th picture: the texture, moved on, and above it the time and its inverse as blocks.
fn picture(texture: &[u8], width: usize, height: usize, n: usize, ms: u64) -> Vec<u8> {
    let from = (n * 2) % width;
    let mut picture = texture[from..from + width * height].to_vec();
    let (block, band) = (width / BITS, BAND * height / 360);
    for (inverse, rows) in picture.chunks_mut(width * band).take(2).enumerate() {
        let row: Vec<u8> = (0..width)
            .map(|x| if (ms >> (x / block).min(BITS - 1) & 1 == 1) == (inverse == 0) { 255 } else { 0 })
            .collect();
        rows.chunks_mut(width).for_each(|line| line.copy_from_slice(&row));
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_in_the_picture() {
        let (width, height) = (1280, 720);
        let texture = vec![77; width * height * 2];
        let ms = 0x00_a5_12_34_56;
        let picture = picture(&texture, width, height, 5, ms);
        assert_eq!(picture.len(), width * height);
        let bit = |y: usize, bit: usize| picture[y * width + bit * 32 + 16] > 128;
        for n in 0..BITS {
            assert_eq!((bit(32, n), bit(96, n)), (ms >> n & 1 == 1, ms >> n & 1 == 0), "bit {n}");
        }
        assert_eq!(picture[130 * width], 77);
    }
}
