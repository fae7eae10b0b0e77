//! Drives the real program as the packager does, and looks at what it wrote with other programs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use model::cell::{
    AudioPlan, AudioRung, EncodePlan, FrameLengths, Picture, Probe, Ratio, Reply, Request, Source, Task,
    VideoPlan, VideoRung, decode_head, encode_head,
};
use model::{FailureReason, RenditionName, SegmentGrid};

/// Everything that one run said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) probe: Option<Probe>,
    pub(crate) renditions: BTreeMap<RenditionName, Rendition>,
    pub(crate) stills: BTreeMap<String, Vec<u8>>,
    pub(crate) progress_ms: Vec<u64>,
    pub(crate) done: Option<(u64, u64)>,
    pub(crate) missing_ms: u64,
    pub(crate) refused: Option<(FailureReason, String)>,
    pub(crate) status: Option<i32>,
    pub(crate) log: String,
}

#[derive(Debug, Default)]
pub(crate) struct Rendition {
    pub(crate) init: Vec<u8>,
    /// The number of the first segment.
    pub(crate) first: u32,
    pub(crate) segments: Vec<Vec<u8>>,
}

impl Rendition {
    /// Init and segments, as one file.
    pub(crate) fn file(&self) -> Vec<u8> {
        [self.init.clone(), self.segments.concat()].concat()
    }
}

/// Runs the cell on a file.
pub(crate) fn ask(media: &Path, request: impl FnOnce(Source) -> Request) -> Said {
    let size = std::fs::metadata(media).unwrap().len();
    let mut command = shell(r#"exec "$0" 3<"$1""#);
    run(command.arg(media).stderr(Stdio::piped()), &request(Source::File { size }))
}

/// Runs the cell on bytes that it must ask for, of which `served` can be had.
pub(crate) fn ask_for_ranges(bytes: Vec<u8>, served: usize, request: impl FnOnce(Source) -> Request) -> Said {
    let (theirs, mut ours) = UnixStream::pair().unwrap();
    let size = bytes.len() as u64;
    let server = std::thread::spawn(move || {
        let mut asked = [0; 12];
        while ours.read_exact(&mut asked).is_ok() {
            let offset = u64::from_le_bytes(asked[..8].try_into().unwrap()) as usize;
            let length = u32::from_le_bytes(asked[8..].try_into().unwrap()) as usize;
            if offset + length > served || ours.write_all(&bytes[offset..offset + length]).is_err() {
                return;
            }
        }
    });
    let mut command = shell(r#"exec "$0" 3<&2 2>/dev/null"#);
    let said = run(command.stderr(Stdio::from(OwnedFd::from(theirs))), &request(Source::Ranges { size }));
    drop(command);
    server.join().unwrap();
    said
}

/// Starts the cell on a file and leaves it to the caller.
pub(crate) fn start(media: &Path, request: impl FnOnce(Source) -> Request) -> Child {
    let size = std::fs::metadata(media).unwrap().len();
    let mut command = shell(r#"exec "$0" 3<"$1""#);
    let mut child = command
        .arg(media)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(&encode_head(&request(Source::File { size }), 0).unwrap()).unwrap();
    child
}

/// The shell opens the media's descriptor: doing so in a child is beyond safe Rust.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_cocuyo-transcoder")]);
    command
}

fn run(command: &mut Command, request: &Request) -> Said {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Held open until the end: the cell leaves when it closes.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&encode_head(request, 0).unwrap()).unwrap();
    let Output { stdout, stderr, status } = child.wait_with_output().unwrap();
    let mut said =
        Said { status: status.code(), log: String::from_utf8_lossy(&stderr).into_owned(), ..Said::default() };
    let mut rest = &stdout[..];
    while let Some((lengths, after)) = rest.split_at_checked(FrameLengths::SIZE) {
        let lengths = FrameLengths::parse(lengths.try_into().unwrap()).unwrap();
        let (head, after) = after.split_at(lengths.head as usize);
        let (payload, after) = after.split_at(lengths.payload as usize);
        assert!(said.done.is_none() && said.refused.is_none(), "something was said after the last word");
        said.hear(decode_head(head).unwrap(), payload.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "half a frame was left");
    said
}

impl Said {
    fn hear(&mut self, reply: Reply, payload: Vec<u8>) {
        match reply {
            Reply::Probed { probe } => self.probe = Some(probe),
            Reply::Init { rendition } => {
                let before =
                    self.renditions.insert(rendition, Rendition { init: payload, ..Rendition::default() });
                assert!(before.is_none(), "two inits of {rendition}");
            }
            Reply::Segment { rendition, number } => {
                let said = self.renditions.get_mut(&rendition).expect("an init first");
                if said.segments.is_empty() {
                    said.first = number;
                }
                assert_eq!(
                    number as usize,
                    said.first as usize + said.segments.len(),
                    "{rendition} in order"
                );
                said.segments.push(payload);
            }
            Reply::Picture { picture } => {
                let name = if picture == Picture::Poster { "poster" } else { "thumbnail" };
                assert!(self.stills.insert(name.into(), payload).is_none(), "two of {name}");
            }
            Reply::Progress { position_ms } => self.progress_ms.push(position_ms),
            Reply::Done { duration_ms, damaged, missing_ms } => {
                (self.done, self.missing_ms) = (Some((duration_ms, damaged)), missing_ms);
            }
            Reply::Refused { reason, detail } => self.refused = Some((reason, detail)),
        }
    }

    pub(crate) fn rendition(&self, name: &str) -> &Rendition {
        let name: RenditionName = name.parse().unwrap();
        self.renditions.get(&name).unwrap_or_else(|| panic!("no {name}: {:?}\n{}", self.refused, self.log))
    }
}

/// What the cell finds in a file.
pub(crate) fn probe(media: &Path) -> Said {
    ask(media, |source| Request::Probe { source })
}

/// Carries out all tasks of a plan, each in a process of its own, up to the first that fails.
pub(crate) fn encode(media: &Path, plan: EncodePlan) -> Said {
    let mut all = Said { progress_ms: vec![0], ..Said::default() };
    for task in tasks(&plan) {
        let said = ask(media, |source| Request::Work { source, plan: plan.clone(), task });
        let Some(done) = said.done else { return said };
        let (duration, damaged) = all.done.unwrap_or_default();
        all.done = Some((done.0.max(duration), done.1 + damaged));
        all.status = said.status;
        all.missing_ms += said.missing_ms;
        all.renditions.extend(said.renditions);
        all.stills.extend(said.stills);
        assert!(said.progress_ms.is_sorted());
        all.progress_ms.extend(said.progress_ms);
        all.log.push_str(&said.log);
    }
    all
}

/// What is to be done for a whole film.
pub(crate) fn tasks(plan: &EncodePlan) -> Vec<Task> {
    let video =
        plan.video.iter().flat_map(|video| [pictures(plan, 0..plan.grid.count(video.frames)), Task::Stills]);
    video.chain(plan.audio.iter().map(|_| Task::Sound)).collect()
}

/// Carries out a part of a plan.
pub(crate) fn work(media: &Path, plan: &EncodePlan, task: Task) -> Said {
    let said = ask(media, |source| Request::Work { source, plan: plan.clone(), task });
    assert!(said.done.is_some(), "{:?} {:?}\n{}", said.refused, said.status, said.log);
    said
}

/// All picture renditions over a run of segments.
pub(crate) fn pictures(plan: &EncodePlan, segments: Range<u32>) -> Task {
    let rungs = plan.video.iter().flat_map(|video| &video.rungs);
    Task::Pictures { renditions: rungs.map(|rung| rung.rendition).collect(), segments, hurry: false }
}

/// A small ladder over what a probe found: half and whole frame rate, 2 s segments.
pub(crate) fn small_plan(probe: &Probe) -> EncodePlan {
    let rung = |height: u16, (width, tall): (u32, u32), frame_divisor| VideoRung {
        rendition: RenditionName::Video { height },
        width,
        height: tall,
        frame_divisor,
        crf: 26.0,
        hurried_crf: 26.0,
        maxrate_bps: 400_000,
        bufsize_bits: 600_000,
        preset: "ultrafast".into(),
        hurried_preset: "ultrafast".into(),
        references: 1,
        // As its preset: libav shows all of a film later that has some.
        b_frames: 0,
        profile: if height < 240 { "main".into() } else { "high".into() },
    };
    let video = probe.video.as_ref().map(|video| {
        let upright =
            if video.rotation % 180 == 0 { (video.width, video.height) } else { (video.height, video.width) };
        let scaled = |short: u32| {
            let side = |side: u32| (side * short / upright.0.min(upright.1)).max(2) & !1;
            (side(upright.0), side(upright.1))
        };
        let own = upright.0.min(upright.1);
        let mut rungs = vec![rung(144, scaled(own.min(144)), 2)];
        if own >= 240 {
            rungs.push(rung(240, scaled(240), 1));
        }
        let rate = video.frame_rate;
        VideoPlan {
            stream: video.stream,
            frame_rate: rate,
            segment_frames: (2.0 * rate.as_f64()).round() as u32 & !1,
            frames: ((video.end_us as f64 * rate.as_f64() / 1e6).round() as u64).max(1),
            rotation: video.rotation,
            deinterlace: video.interlaced,
            tone_map: video.hdr,
            rungs,
            copied: None,
            poster_width: 1280,
            thumbnail_width: 160,
        }
    });
    let audio = probe.audio.first().map(|audio| AudioPlan {
        stream: audio.stream,
        sample_rate: 48_000,
        samples: audio.end_us * 48 / 1000,
        segment: Ratio::new(2, 1),
        rungs: [(32, 1), (96, 2)]
            .map(|(kbps, channels)| AudioRung {
                rendition: RenditionName::Audio { kbps },
                channels,
                bit_rate_bps: u32::from(kbps) * 1000,
                copied: None,
            })
            .to_vec(),
    });
    let grid = match &video {
        Some(video) => SegmentGrid::even(video.frame_rate, video.segment_frames, video.frames),
        None => SegmentGrid::even(Ratio::new(1000, 1), 2000, probe.duration_ms.unwrap_or(0)),
    };
    EncodePlan { grid, video, audio, expected_ms: probe.duration_ms.unwrap_or(0), max_ms: 3_600_000 }
}

/// Probes a file and encodes it with the small ladder.
pub(crate) fn transcode(media: &Path) -> (Probe, EncodePlan, Said) {
    let probed = probe(media);
    let probe = probed.probe.unwrap_or_else(|| panic!("{:?}\n{}", probed.refused, probed.log));
    let plan = small_plan(&probe);
    let said = encode(media, plan.clone());
    assert!(said.done.is_some(), "{:?} {:?}\n{}", said.refused, said.status, said.log);
    (probe, plan, said)
}

/// A folder for the files of one test.
pub(crate) struct Clips(tempfile::TempDir);

impl Clips {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Has the `ffmpeg` program make a clip.
    pub(crate) fn make(&self, name: &str, arguments: &str) -> PathBuf {
        let path = self.path(name);
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-v", "error", "-nostdin", "-y"])
            .args(arguments.split_whitespace())
            .arg(&path);
        let output = command.current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// Decodes bytes with the `ffmpeg` program; fails on any warning.
    pub(crate) fn decode(&self, bytes: &[u8]) {
        let path = self.file("decode.mp4", bytes);
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "warning", "-xerror", "-nostdin", "-i"]).arg(&path).args(["-f", "null", "-"]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }

    /// Decodes bytes with the `ffmpeg` program into raw samples or pixels.
    pub(crate) fn raw(&self, bytes: &[u8], arguments: &str) -> Vec<u8> {
        let path = self.file("raw.mp4", bytes);
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(&path)
            .args(arguments.split_whitespace())
            .arg("-");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What `ffprobe` prints for one entry per frame or packet, or per stream.
    pub(crate) fn ffprobe(&self, bytes: &[u8], entries: &str) -> Vec<String> {
        let path = self.file("ffprobe.mp4", bytes);
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-of", "csv=p=0", "-show_entries", entries]).arg(&path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines
            .lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }
}
