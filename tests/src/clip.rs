use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use crate::{film, run};

/// A source film for the stories, drawn by ffmpeg once per test run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clip {
    /// 10 s of 640×360 at 25 frames a second, with stereo sound: small and quick.
    Short,
    /// 40 s of 1280×720 at 30 frames a second: long enough to be interrupted.
    Long,
    /// Numbered pictures at 25 a second, and beeps: see [`film`].
    Numbered {
        /// Its length.
        seconds: u32,
        /// Its width in pixels, at 16:9.
        width: u32,
    },
    /// The same, coded so well that it is copied: a group of pictures every 2.4 s, and sound that
    /// begins in the middle of a frame.
    Good {
        /// Its length.
        seconds: u32,
        /// Its width in pixels, at 16:9. Below 480p only the sound is copied.
        width: u32,
    },
}

/// The files, each drawn by the first who asks; others wait for theirs only.
type Drawn = HashMap<Clip, Arc<OnceLock<&'static Path>>>;

/// A chunk of lane A and half of the next one, of one rung: the quickest film that has a seam.
pub const TINY: Clip = Clip::Numbered { seconds: 20, width: 256 };

impl Clip {
    /// The clip's file.
    pub fn file(self) -> &'static Path {
        static DRAWN: OnceLock<Mutex<Drawn>> = OnceLock::new();
        let cell = {
            let mut drawn = DRAWN.get_or_init(Mutex::default).lock().expect("no holder panics");
            Arc::clone(drawn.entry(self).or_default())
        };
        cell.get_or_init(|| Box::leak(self.draw().into_boxed_path()))
    }

    /// The clip's bytes.
    pub fn bytes(self) -> Vec<u8> {
        std::fs::read(self.file()).expect("the clip was drawn")
    }

    fn draw(self) -> PathBuf {
        // Kept until the process ends and swept by the system's own cleaning of /tmp.
        let folder = std::env::temp_dir().join(format!("cocuyo-clips-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        match self {
            Self::Short => plain(&folder.join("short.mp4"), 10, "640x360", 25),
            Self::Long => plain(&folder.join("long.mp4"), 40, "1280x720", 30),
            Self::Numbered { seconds, width } => {
                numbered(&folder.join(format!("numbered-{seconds}-{width}.mp4")), seconds, width, &[])
            }
            Self::Good { seconds, width } => {
                let groups = ["-preset", "veryfast", "-g", "60", "-bf", "2", "-sc_threshold", "0"];
                let picture = folder.join(format!("picture-{seconds}-{width}.mp4"));
                let picture = numbered(&picture, seconds, width, &groups);
                good(&folder.join(format!("good-{seconds}-{width}.mp4")), &picture, seconds)
            }
        }
    }
}

const FRONT: [&str; 6] = ["-nostdin", "-v", "error", "-y", "-f", "lavfi"];
const CODED: [&str; 14] = [
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
];

fn plain(file: &Path, seconds: u32, size: &str, rate: u32) -> PathBuf {
    let picture = format!("testsrc2=size={size}:rate={rate}:duration={seconds}");
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let inputs = ["-i", &picture, "-f", "lavfi", "-i", &sound];
    run("ffmpeg", &[&FRONT[..], &inputs, &CODED, &[&file.to_string_lossy()]].concat()).ok();
    file.to_owned()
}

fn numbered(file: &Path, seconds: u32, width: u32, more: &[&str]) -> PathBuf {
    const RATE: u32 = 25;
    let height = width * 9 / 16 / 2 * 2;
    let picture = format!("testsrc2=size={width}x{height}:rate={RATE}:duration={seconds}");
    let strip = film::strip(width, height, RATE, seconds);
    let sound = film::beeps(seconds);
    let inputs = ["-i", &picture, "-f", "lavfi", "-i", &strip, "-f", "lavfi", "-i", &sound];
    let graph = "[0][1]overlay=0:main_h-overlay_h,format=yuv420p[picture]";
    let mapped = ["-filter_complex", graph, "-map", "[picture]", "-map", "2"];
    let name = file.to_string_lossy();
    run("ffmpeg", &[&FRONT[..], &inputs, &mapped, &CODED, more, &[&name]].concat()).ok();
    file.to_owned()
}

/// A film with the sound of a longer one that was cut: from one beep on, and there are 234.375
/// coded frames between two.
fn good(file: &Path, picture: &Path, seconds: u32) -> PathBuf {
    let cut = film::BEEP_EVERY_S.to_string();
    let sound = file.with_extension("m4a");
    let [picture, sound, name] = [picture, &sound, file].map(|path| path.to_string_lossy());
    let beeps = film::beeps(seconds + film::BEEP_EVERY_S);
    run("ffmpeg", &[&FRONT[..], &["-i", &beeps, "-ac", "2", "-c:a", "aac", &sound]].concat()).ok();
    let inputs = ["-nostdin", "-v", "error", "-y", "-i", &picture, "-ss", &cut, "-i", &sound];
    let mapped = ["-map", "0:v", "-map", "1:a", "-c", "copy", "-movflags", "+faststart", &name];
    run("ffmpeg", &[&inputs[..], &mapped].concat()).ok();
    file.to_owned()
}
