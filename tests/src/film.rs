//! What is shown and heard in a film whose pictures say their number and whose sound beeps.

use std::path::Path;

use crate::{Person, Stack, Watching, run};

/// Beeps come every so many seconds, the first at 0.
pub const BEEP_EVERY_S: u32 = 5;
/// Blocks in the strip at the bottom of a picture: the bits of its number, the lowest first.
const BITS: usize = 16;

/// One picture as a decoder gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// When it is shown, in seconds.
    pub at_s: f64,
    /// The number that is drawn into it.
    pub number: u32,
}

/// Words for ffmpeg's filter graph that draw the number of each picture at its bottom.
pub(crate) fn strip(width: u32, height: u32, rate: u32, seconds: u32) -> String {
    format!(
        "nullsrc=size={BITS}x2:rate={rate}:duration={seconds},format=gray,\
         geq=lum='255*mod(floor(N/pow(2\\,X))\\,2)',scale={width}:{}:flags=neighbor",
        height / 9 / 2 * 2
    )
}

/// Words for ffmpeg that beep for a tenth of a second at every multiple of [`BEEP_EVERY_S`].
pub(crate) fn beeps(seconds: u32) -> String {
    format!(
        "aevalsrc='0.7*lt(mod(t\\,{BEEP_EVERY_S})\\,0.1)*sin(2*PI*1000*t)':sample_rate=48000:duration={seconds}"
    )
}

/// Every picture of a playlist or file, in order.
pub fn shown(input: &str) -> Vec<Shown> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [strips, moments] = ["strips", "moments"].map(|name| folder.path().join(name));
    let chain = "crop=iw:ih/9:0:ih*8/9,scale=16:1:flags=area,format=gray";
    let mut arguments = vec!["-nostdin", "-v", "error", "-y", "-copyts", "-i", input];
    for (format, file) in [("rawvideo", &strips), ("framehash", &moments)] {
        arguments.extend(["-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000"]);
        arguments.extend(["-vf", chain, "-c:v", "rawvideo", "-f", format]);
        arguments.push(file.to_str().expect("a plain path"));
    }
    run("ffmpeg", &arguments).ok();
    let strips = std::fs::read(&strips).expect("ffmpeg wrote it");
    let moments = std::fs::read_to_string(&moments).expect("ffmpeg wrote it");
    let base = moments.lines().find_map(|line| line.strip_prefix("#tb 0: ")?.split_once('/'));
    let (num, den) = base.expect("a time base");
    let tick = num.parse::<f64>().expect("a number") / den.parse::<f64>().expect("a number");
    let late = late(input);
    let at = moments.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let pts = line.split(',').nth(2).expect("a third column").trim();
        pts.parse::<f64>().expect("a moment") * tick - late
    });
    let numbers = strips.chunks_exact(BITS).map(|strip| {
        strip.iter().enumerate().map(|(bit, light)| u32::from(*light > 128) << bit).sum::<u32>()
    });
    at.zip(numbers).map(|(at_s, number)| Shown { at_s, number }).collect()
}

/// By how many seconds libav shows all pictures later than they say: where some are presented
/// before their decode time it moves the others, so that the first is no longer presented when it
/// is decoded. Those of an edit list it does not move.
fn late(input: &str) -> f64 {
    let entries = ["-show_entries", "packet=pts_time,dts_time", "-read_intervals", "%+#1", "-of", "csv=p=0"];
    let words = ["-v", "error", "-select_streams", "v:0"];
    let said = run("ffprobe", &[&words[..], &entries, &[input]].concat()).ok();
    let line = said.lines().next().expect("a first packet");
    let moments: Vec<f64> = line.split(',').filter_map(|moment| moment.trim().parse().ok()).collect();
    let [pts, dts] = moments[..] else { panic!("{input}: `{line}`") };
    if dts < 0.0 { 0.0 } else { pts - dts }
}

/// When beeps begin in a playlist or file, in seconds.
pub fn heard(input: &str) -> Vec<f64> {
    const RATE: f64 = 48_000.0;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let samples = folder.path().join("samples");
    let path = samples.to_str().expect("a plain path");
    // Silence fills what is missing, so that a sample's place is its moment.
    let words = ["-nostdin", "-v", "error", "-y", "-copyts", "-i", input, "-map", "0:a:0"];
    let rest = ["-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", "48000", "-f", "s16le", path];
    run("ffmpeg", &[&words[..], &rest].concat()).ok();
    onsets(&samples).into_iter().map(|sample| sample as f64 / RATE).collect()
}

/// Samples at which it becomes loud after a silence of half a second.
fn onsets(file: &Path) -> Vec<usize> {
    const QUIET: usize = 24_000;
    let bytes = std::fs::read(file).expect("ffmpeg wrote it");
    let mut onsets = Vec::new();
    let mut last_loud = None;
    for (at, sample) in bytes.chunks_exact(2).enumerate() {
        // A third of the beep's amplitude: what an encoder lets sound before it is far below.
        if i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() < 7_000 {
            continue;
        }
        if last_loud.is_none_or(|last| at - last > QUIET) {
            onsets.push(at);
        }
        last_loud = Some(at);
    }
    onsets
}

/// Every picture and every beep of a numbered clip of so many seconds is there once, in its place,
/// in the smallest renditions.
pub async fn assert_whole(stack: &Stack, person: &Person, video: &str, seconds: u32) {
    let watching = Watching::start(stack, person, video).await;
    let url = |name: &str| watching.url(&format!("{name}/playlist.m3u8"));
    let (picture, sound) = (url("144p"), url("a32"));
    let checked = tokio::task::spawn_blocking(move || {
        assert_every_frame_once(&picture, seconds * 25, 25.0, 2);
        assert_beeps(&sound, seconds.into());
    });
    checked.await.expect("whole and in step");
}

/// Asserts that a rendition shows `frames` pictures at `rate` a second, of which every
/// `divisor`th, each once and when it should.
#[track_caller]
pub fn assert_every_frame_once(input: &str, frames: u32, rate: f64, divisor: u32) {
    let seen = shown(input);
    let numbers: Vec<u32> = seen.iter().map(|picture| picture.number).collect();
    // The strip has room for so many numbers.
    let wanted: Vec<u32> = (0..frames).step_by(divisor as usize).map(|number| number % (1 << BITS)).collect();
    let first = numbers.iter().zip(&wanted).position(|(seen, wanted)| seen != wanted);
    assert!(
        numbers == wanted,
        "{input}: {} pictures instead of {}, other than they should be from place {first:?} on: {:?}",
        numbers.len(),
        wanted.len(),
        numbers.iter().skip(first.unwrap_or(0)).take(8).collect::<Vec<_>>()
    );
    for (place, picture) in (0u32..).zip(seen) {
        let wanted = f64::from(place * divisor) / rate;
        assert!((picture.at_s - wanted).abs() < 0.002, "{input}: {picture:?} instead of {wanted}");
    }
}

/// Asserts that the sound beeps when it should, from the first beep to the last.
#[track_caller]
pub fn assert_beeps(input: &str, seconds: f64) {
    let heard = heard(input);
    let wanted: Vec<f64> =
        (0..).map(|n| f64::from(n * BEEP_EVERY_S)).take_while(|at| *at < seconds).collect();
    assert_eq!(heard.len(), wanted.len(), "{input}: {heard:?}");
    for (heard, wanted) in heard.iter().zip(&wanted) {
        assert!((heard - wanted).abs() <= 0.010, "{input}: a beep at {heard} instead of {wanted}");
    }
}
