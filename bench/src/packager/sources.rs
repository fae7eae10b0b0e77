//! Films of the wished kind and length, made once and kept outside the repository.
//!
//! A minute is encoded; longer films repeat it without encoding again. The minute is as long as a
//! whole number of pictures and of AAC frames, so that a repeated film is as even as a shot one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A multiple of 8/15 s: 1/30 s pictures and 1024/48000 s of sound fit into it.
const MINUTE_S: u32 = 64;

/// What a film is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 1080p30 H.264 at 6 Mbit/s with AAC, each group of pictures closed: what a camera gives.
    Camera,
    /// The same with open groups, so that its pictures cannot be copied.
    OpenGroups,
    /// 480p30 at 1.5 Mbit/s with AAC.
    Small,
    /// White for a tenth of a second and a tone as long, together, every ten seconds.
    Marks,
}

/// Seconds from one mark to the next; the first is at the first of these.
pub(crate) const MARK_EVERY_S: u32 = 10;

/// Where films are kept.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    folder: PathBuf,
    trailer: PathBuf,
}

impl Sources {
    /// Films in the user's cache folder, made from the trailer that `make tools-test` fetches.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        let folder = cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("cocuyo/bench");
        std::fs::create_dir_all(&folder).with_context(|| format!("make `{}`", folder.display()))?;
        let trailer = super::tool("trailer_bbb.mp4")?;
        Ok(Self { folder, trailer })
    }

    /// The trailer itself: 55 s of 720p24.
    pub(crate) fn trailer(&self) -> &Path {
        &self.trailer
    }

    /// A film of `kind` that lasts `seconds`.
    pub(crate) fn film(&self, kind: Kind, seconds: u32) -> anyhow::Result<PathBuf> {
        let word = format!("{kind:?}").to_lowercase();
        self.kept(&format!("{word}-{seconds}.mp4"), |out| {
            if kind == Kind::Marks {
                return marks(seconds, out);
            }
            let minute = self.kept(&format!("{word}-minute.mp4"), |out| self.minute(kind, out))?;
            let mut repeat = ffmpeg();
            repeat.args(["-stream_loop", "-1", "-i"]).arg(&minute);
            repeat.args(["-stream_loop", "-1", "-i"]).arg(&self.trailer);
            repeat.args(["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-t", &seconds.to_string()]);
            repeat.args(["-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"]);
            run(repeat.arg(out))
        })
    }

    /// A file that is made by `make` unless it is there.
    pub(crate) fn kept(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.exists() {
            crate::report::say(format!("making {name}, once"));
            let partial = self.folder.join(format!("partial-{name}"));
            make(&partial)?;
            std::fs::rename(&partial, &path).context("keep the film")?;
        }
        Ok(path)
    }

    fn minute(&self, kind: Kind, out: &Path) -> anyhow::Result<()> {
        let (filter, rate) = match kind {
            // Grain, because a trailer made larger is smoother than anything shot.
            Kind::Camera | Kind::OpenGroups => {
                ("fps=30,scale=1920:1080:flags=lanczos,noise=alls=7:allf=t:all_seed=7", "6M")
            }
            Kind::Small | Kind::Marks => ("fps=30,scale=854:480", "1500k"),
        };
        let groups = if kind == Kind::OpenGroups { "open-gop=1" } else { "open-gop=0" };
        let mut encode = ffmpeg();
        encode.args(["-stream_loop", "-1", "-i"]).arg(&self.trailer);
        encode.args(["-t", &MINUTE_S.to_string(), "-an", "-vf", filter, "-pix_fmt", "yuv420p"]);
        encode.args(["-c:v", "libx264", "-preset", "veryfast", "-b:v", rate, "-maxrate", rate]);
        encode.args(["-bufsize", "12M", "-g", "60", "-sc_threshold", "0", "-x264-params", groups]);
        run(encode.arg(out))
    }
}

/// Small pictures: what is measured is time.
fn marks(seconds: u32, out: &Path) -> anyhow::Result<()> {
    let on = format!("gte(t\\,1)*lt(mod(t\\,{MARK_EVERY_S})\\,0.1)");
    let picture = format!("color=black:size=426x240:rate=30,drawbox=color=white:t=fill:enable='{on}'");
    let sound = format!("aevalsrc=exprs='0.5*sin(2*PI*1000*t)*{on}':sample_rate=48000");
    let mut draw = ffmpeg();
    draw.args(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound]);
    draw.args(["-t", &seconds.to_string(), "-pix_fmt", "yuv420p", "-c:v", "libx264"]);
    draw.args(["-preset", "ultrafast", "-g", "60", "-c:a", "aac", "-b:a", "96k"]);
    run(draw.arg(out))
}

/// Debian's `ffmpeg`, quiet.
pub(crate) fn ffmpeg() -> Command {
    quiet(Command::new("ffmpeg"))
}

/// Some `ffmpeg`, quiet.
pub(crate) fn quiet(mut command: Command) -> Command {
    command.args(["-nostdin", "-v", "error", "-y"]);
    command
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
