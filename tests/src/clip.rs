use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::run;

/// A source film for the stories, drawn by ffmpeg once per test run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clip {
    /// 10 s of 640×360 at 25 frames a second, with stereo sound: small and quick.
    Short,
    /// 40 s of 1280×720 at 30 frames a second: long enough to be interrupted.
    Long,
}

impl Clip {
    /// The clip's file.
    pub fn file(self) -> &'static Path {
        static SHORT: OnceLock<PathBuf> = OnceLock::new();
        static LONG: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::Short => SHORT.get_or_init(|| draw("short", 10, "640x360", 25)),
            Self::Long => LONG.get_or_init(|| draw("long", 40, "1280x720", 30)),
        }
    }

    /// The clip's bytes.
    pub fn bytes(self) -> Vec<u8> {
        std::fs::read(self.file()).expect("the clip was drawn")
    }
}

fn draw(name: &str, seconds: u32, size: &str, rate: u32) -> PathBuf {
    // Kept until the process ends and swept by the system's own cleaning of /tmp.
    let folder = std::env::temp_dir().join(format!("cocuyo-clips-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let file = folder.join(format!("{name}.mp4"));
    let picture = format!("testsrc2=size={size}:rate={rate}:duration={seconds}");
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let path = file.to_string_lossy().into_owned();
    let arguments: &[&str] = &[
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        &sound,
        "-ac",
        "2",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "30",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-movflags",
        "+faststart",
        &path,
    ];
    run("ffmpeg", arguments).ok();
    file
}
