//! PeerTube's way, by its own sources (8.x): one `ffmpeg` for each resolution, the top one first,
//! then a copy into HLS. Bit rates are its average bits per pixel.
//!
//! Nothing of PeerTube itself runs here: its queue, its database and its moves of files are left
//! out, and `ffmpeg` may use all cores, while PeerTube's own default gives it one thread.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::sources::{ffmpeg, run};

/// Height and average bits per pixel of what its default ladder has, top first.
const RUNGS: [(u32, f64); 5] = [(1080, 0.10), (720, 0.11), (480, 0.12), (360, 0.15), (240, 0.17)];
/// What it gives to 144p, which its default ladder leaves out.
const SMALLEST: (u32, f64) = (144, 0.19);
/// No target is below this many bits per pixel.
const LEAST: f64 = 0.02;

/// A film as its rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Film {
    /// Height in pixels; landscape.
    pub(super) height: u32,
    /// Width ÷ height.
    pub(super) ratio: f64,
    /// Frames per second.
    pub(super) fps: u32,
    /// Of its picture, in bit/s.
    pub(super) bit_rate_bps: f64,
    /// Whether its sound may be copied.
    pub(super) has_aac: bool,
}

/// The target for a rung of `height`, in bit/s.
pub(super) fn target_bps(film: &Film, height: u32) -> u32 {
    let of = |(rung, bits): &(u32, f64)| (*rung <= height).then_some(*bits);
    let bits = RUNGS.iter().chain([&SMALLEST]).find_map(of).unwrap_or(SMALLEST.1);
    let pixels = f64::from(height) * f64::from(height) * film.ratio * f64::from(film.fps);
    let average = (pixels * bits).floor().min(film.bit_rate_bps * 1.3);
    average.max((pixels * LEAST).floor()) as u32
}

/// The options with which it encodes a picture at `target_bps`.
pub(super) fn picture(film: &Film, target_bps: u32) -> Vec<String> {
    let options = [
        ("pix_fmt", "yuv420p".to_owned()),
        ("c:v", "libx264".to_owned()),
        ("preset", "veryfast".to_owned()),
        ("maxrate:v", target_bps.to_string()),
        ("bufsize:v", (target_bps * 2).to_string()),
        ("b_strategy", "1".to_owned()),
        ("bf", "16".to_owned()),
        ("r", film.fps.to_string()),
        ("g:v", (film.fps * 2).to_string()),
    ];
    options.into_iter().flat_map(|(name, value)| [format!("-{name}"), value]).collect()
}

/// Makes its whole ladder of `path` in `folder`.
pub(super) fn ladder(film: &Film, path: &Path, folder: &Path) -> anyhow::Result<()> {
    for (height, _) in RUNGS.iter().filter(|(height, _)| *height <= film.height) {
        let rung = folder.join(format!("{height}.mp4"));
        let mut encode = ffmpeg();
        encode.arg("-i").arg(path).args(["-map_metadata", "-1", "-max_muxing_queue_size", "1024"]);
        encode.args(["-movflags", "faststart", "-vf", &format!("scale=w=-2:h={height}")]);
        encode.args(picture(film, target_bps(film, *height)));
        let sound: &[&str] =
            if film.has_aac { &["-c:a", "copy"] } else { &["-c:a", "aac", "-ac", "2", "-b:a", "128k"] };
        run(encode.args(sound).arg(&rung))?;
        hls(&rung)?;
    }
    Ok(())
}

/// Copies an MP4 into its form of HLS, one fragmented file; tells which.
pub(super) fn hls(rung: &Path) -> anyhow::Result<PathBuf> {
    let file = rung.with_extension("fragmented.mp4");
    let mut copy = ffmpeg();
    copy.arg("-i").arg(rung).args(["-c", "copy", "-hls_time", "4", "-hls_list_size", "0"]);
    copy.args(["-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-f", "hls"]);
    copy.args(["-hls_flags", "single_file", "-hls_segment_filename"]).arg(&file);
    run(copy.arg(rung.with_extension("m3u8")))?;
    Ok(file)
}

/// What ffprobe says of a film that its rules ask for.
pub(super) fn look(path: &Path) -> anyhow::Result<Film> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_streams", "-of", "json"])
        .arg(path)
        .output()
        .context("run ffprobe")?;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).context("ffprobe prints JSON")?;
    let streams = said["streams"].as_array().context("a list of streams")?;
    let of = |kind: &str| streams.iter().find(|stream| stream["codec_type"] == kind);
    let video = of("video").context("a film has a picture")?;
    let number = |key: &str| video[key].as_f64().or_else(|| video[key].as_str()?.parse().ok());
    let (width, height) = (number("width").context("a width")?, number("height").context("a height")?);
    let rate = video["avg_frame_rate"].as_str().and_then(|rate| rate.split_once('/'));
    let (num, den) = rate.context("a frame rate")?;
    Ok(Film {
        height: height as u32,
        ratio: width / height,
        fps: (num.parse::<f64>()? / den.parse::<f64>()?).round() as u32,
        bit_rate_bps: number("bit_rate").context("a bit rate")?,
        has_aac: of("audio").is_some_and(|audio| audio["codec_name"] == "aac"),
    })
}

/// The encoder's own number, which it writes into what it encodes.
pub(super) fn x264_version() -> Option<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=size=64x64:duration=0.1"])
        .args(["-c:v", "libx264", "-f", "h264", "-"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = text.split_once("x264 - core ")?;
    Some(rest.split(" - H.264").next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_its_sources() {
        let film =
            Film { height: 1080, ratio: 16.0 / 9.0, fps: 30, bit_rate_bps: 6_000_000.0, has_aac: true };
        assert_eq!(target_bps(&film, 1080), 6_220_800);
        assert_eq!(target_bps(&film, 240), 522_240);
        assert_eq!(target_bps(&film, 144), 210_124);
        let slides = Film { bit_rate_bps: 100_000.0, ..film };
        assert_eq!(target_bps(&slides, 720), 552_960, "never below the least");
        assert_eq!(target_bps(&slides, 240), 130_000, "never above the film's own");
    }
}
