use std::collections::BTreeMap;

use serde_json::Value;

use crate::run;

/// What ffmpeg made of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Frames of picture.
    pub frames: u64,
    /// Seconds of media.
    pub seconds: f64,
    /// Whatever ffmpeg complained about: nothing, for a stream of ours.
    pub complaints: String,
}

/// Decodes a playlist, file or URL whole with the ffmpeg program.
pub fn decode(input: &str) -> Decoded {
    let finished = run(
        "ffmpeg",
        // Pictures that came irregularly, as a busy encoder's do, are not rounded to the ticks of a frame rate,
        // where two of them may meet.
        &[
            &["-nostdin", "-v", "warning", "-progress", "pipe:1", "-i", input, "-map", "0"][..],
            &["-enc_time_base", "-1", "-f", "null", "-"],
        ]
        .concat(),
    );
    let progress: BTreeMap<&str, &str> =
        finished.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    let number =
        |key: &str| progress.get(key).and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(0.0);
    Decoded {
        frames: number("frame") as u64,
        seconds: number("out_time_us") / 1e6,
        complaints: finished.stderr,
    }
}

/// A checksum of each packet of a stream (`v` or `a`) of a file or URL, as it is stored.
pub fn stored(input: &str, stream: &str) -> Vec<String> {
    sums(input, &["-map", &format!("0:{stream}"), "-c", "copy"])
}

/// A checksum of each picture of a file or URL, as it is decoded, each in its own size.
pub fn pictures(input: &str) -> Vec<String> {
    sums(input, &["-map", "0:v", "-vsync", "passthrough", "-autoscale", "0"])
}

fn sums(input: &str, how: &[&str]) -> Vec<String> {
    let arguments = [&["-nostdin", "-v", "error", "-i", input][..], how, &["-f", "framemd5", "-"]].concat();
    let said = run("ffmpeg", &arguments).ok();
    let lines = said.lines().filter(|line| !line.starts_with('#'));
    // Stream, times, duration, size, the sum; what is known about a packet besides may follow.
    lines.filter_map(|line| Some(line.split(',').nth(5)?.trim().to_owned())).collect()
}

/// What the ffprobe program says about the only stream of a playlist, file or URL.
pub fn probe(input: &str) -> Value {
    let said = run("ffprobe", &["-v", "error", "-show_streams", "-of", "json", input]).ok();
    let said: Value = serde_json::from_str(&said).expect("ffprobe prints JSON");
    let streams = said["streams"].as_array().expect("a list of streams");
    assert_eq!(streams.len(), 1, "{input}: {said:#}");
    streams[0].clone()
}
