use std::future::ready;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{project_file, until};

/// A real ffmpeg that publishes a moving picture and a tone, in real time, until it is let go.
#[derive(Debug)]
pub struct Broadcaster(Child);

/// What is published.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Pixels, `640x360`; empty for no picture.
    pub size: &'static str,
    /// The source of the sound, in ffmpeg's words; empty for none.
    pub sound: &'static str,
    /// B-frames in a row.
    pub b_frames: u32,
    /// The colour of its upper left corner, in ffmpeg's words; empty for that of the moving picture.
    pub corner: &'static str,
}

impl Default for Signal {
    fn default() -> Self {
        Self { size: "640x360", sound: "sine=440:r=48000", b_frames: 0, corner: "" }
    }
}

impl Broadcaster {
    /// Begins to publish `signal` at `url`, which holds the stream key. What it complains of goes to
    /// `log`.
    pub fn start(url: &str, signal: Signal, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("open the broadcaster's log");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        let corner = match signal.corner {
            "" => String::new(),
            colour => format!(",drawbox=w=iw/4:h=ih/2:color={colour}:t=fill"),
        };
        let picture = format!("testsrc2=size={}:rate=30{corner}", signal.size);
        let sources = [(signal.size, picture.as_str()), (signal.sound, signal.sound)];
        for (_, source) in sources.iter().filter(|(is_there, _)| !is_there.is_empty()) {
            ffmpeg.args(["-re", "-f", "lavfi", "-i", source]);
        }
        let b_frames = signal.b_frames.to_string();
        ffmpeg.args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "60",
            "-sc_threshold",
            "0",
            "-b:v",
            "600k",
        ]);
        ffmpeg
            .args(["-bf", &b_frames, "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-f", "flv", url]);
        ffmpeg.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(ffmpeg.spawn().expect("start ffmpeg"))
    }

    /// Publishes eight seconds in `codecs`, words of ffmpeg's, by enhanced RTMP, and keeps what it sent in
    /// the file `record`. Debian's ffmpeg does not speak it, so it is the one that measures films.
    pub fn enhanced(url: &str, codecs: &[&str], record: &Path, log: &Path) -> Self {
        let program = project_file(".tools/ffmpeg-vmaf");
        assert!(program.exists(), "`scripts/install-vmaf` puts an ffmpeg there; `make test` calls it");
        let log = std::fs::File::create(log).expect("open the broadcaster's log");
        let mut ffmpeg = Command::new(program);
        // SVT-AV1 has a log level of its own: errors.
        ffmpeg.env("SVT_LOG", "1");
        ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i"]);
        ffmpeg.args(["testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=440:r=48000"]);
        ffmpeg.args(["-t", "8", "-pix_fmt", "yuv420p", "-g", "60", "-flags", "+global_header"]).args(codecs);
        ffmpeg.args(["-map", "0:v", "-map", "1:a", "-f", "tee"]);
        ffmpeg.arg(format!("[f=flv]{url}|[f=matroska]{}", record.display()));
        ffmpeg.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(ffmpeg.spawn().expect("start ffmpeg"))
    }

    /// `kill -9`: its connection is cut.
    pub fn kill(mut self) {
        self.0.kill().expect("kill ffmpeg");
        self.0.wait().expect("reap ffmpeg");
    }

    /// Waits until it has ended by itself.
    pub async fn until_ended(&mut self, patience: Duration) {
        until("ffmpeg to end", patience, || ready(if self.has_ended() { Ok(()) } else { Err("it goes on") }))
            .await;
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("look at ffmpeg").is_some()
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
