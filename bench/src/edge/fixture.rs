//! A gated video with segments of exactly the sizes that are measured, for both servers.
//!
//! A real clip goes through the real doors; then its version's objects are replaced by larger
//! ones of noise, with an index that names them, before any edge has seen them. What is served is
//! laid out, named, hashed and gated like any video, and no encoder has to make 2 MB on the spot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use cmaf::{
    Bandwidth, ChunkRef, ChunkWriter, RenditionIndex, RenditionKind, Sample, Track, VersionIndex, VideoTrack,
    init_segment, media_segment,
};
use model::cell::Ratio;
use model::{ChunkHash, ObjectKey, RenditionName};

use crate::installation::Installation;
use crate::load::Target;

/// Bytes of samples in a segment: 4 s at 4 Mbit/s.
const SEGMENT: u32 = 2_000_000;
/// How many; all of them stay in the memory that the shipped configuration gives to media.
const SEGMENTS: u32 = 64;
/// Bytes of samples in a part: a third of a second at 480 kbit/s.
const PART: u32 = 20_000;
const PARTS: u32 = 2000;
/// Samples of each, as a picture has them.
const SAMPLES: u32 = 10;

pub(crate) struct Fixture {
    video: String,
    files: PathBuf,
    segments: Vec<Target>,
    parts: Vec<Target>,
}

impl Fixture {
    /// Publishes the video and writes its segments as files too.
    pub(crate) fn make(installation: &mut Installation) -> anyhow::Result<Self> {
        let clip = installation.data().join("clip.mp4");
        draw(&clip)?;
        let video = installation.door().upload(&clip)?;
        let seen = installation.door().wait_ready(&video, Duration::from_secs(120))?;
        installation.door().publish(&video)?;
        let version = seen["version"].as_str().context("a video that plays has a version")?;
        let mut index = VersionIndex {
            format: VersionIndex::FORMAT,
            video: video.parse().context("the video's id")?,
            version: version.parse().context("the version's id")?,
            duration_ms: 4000 * u64::from(SEGMENTS),
            renditions: Vec::new(),
        };
        let files = installation.data().join("files");
        let mut noise = Noise(0x2545_f491_4f6c_dd1d);
        let mut store = |height, count, len| {
            let objects = installation.data().join("objects");
            rendition(
                &index_keys(&index),
                &objects,
                &files,
                RenditionName::Video { height },
                (count, len),
                &mut noise,
            )
        };
        let (large, segments) = store(1080, SEGMENTS, SEGMENT)?;
        let (small, parts) = store(144, PARTS, PART)?;
        index.renditions = vec![small, large];
        let key = ObjectKey::Index { video: index.video, version: index.version };
        write(&installation.data().join("objects").join(key.to_string()), &index.to_json())?;
        installation.restart()?;
        Ok(Self { video, files, segments, parts })
    }

    /// The root of the same paths as files.
    pub(crate) fn files(&self) -> &Path {
        &self.files
    }

    /// What is 2 MB long.
    pub(crate) fn segments(&self) -> &[Target] {
        &self.segments
    }

    /// What is 20 KB long.
    pub(crate) fn parts(&self) -> &[Target] {
        &self.parts
    }

    /// A grant for each of `count` logins.
    pub(crate) fn grants(&self, installation: &Installation, count: usize) -> anyhow::Result<Vec<String>> {
        (0..count).map(|_| installation.door().grant(&installation.door().sign_in()?, &self.video)).collect()
    }
}

/// The ids that keys are made of.
fn index_keys(index: &VersionIndex) -> VersionIndex {
    VersionIndex { renditions: Vec::new(), ..index.clone() }
}

/// Writes a rendition of `count` segments with `len` bytes of noise each, in chunks of 15.
fn rendition(
    version: &VersionIndex,
    objects: &Path,
    files: &Path,
    name: RenditionName,
    (count, len): (u32, u32),
    noise: &mut Noise,
) -> anyhow::Result<(RenditionIndex, Vec<Target>)> {
    let (width, height) = (name.height() / 9 * 16, name.height());
    // What a decoder would need nobody asks for here; the box only has to be one.
    let avcc = vec![1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x28, 1, 0, 3, 0x68, 0xea, 0xe1];
    let track = Track::Video(VideoTrack { width, height, timescale: 10_000, avcc, colour: None });
    let init = init_segment(&track)?;
    let sample = |n| Sample { size: len / SAMPLES, duration: 4000, cts_offset: 0, sync: n == 0 };
    let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
    let (mut chunks, mut targets): (Vec<ChunkRef>, Vec<Target>) = Default::default();
    let mut end = 0;
    let numbers: Vec<u32> = (0..count).collect();
    for (number, numbers) in (0..).zip(numbers.chunks(15)) {
        let mut writer = ChunkWriter::new(number, end);
        let mut object = Vec::new();
        for n in numbers {
            let segment =
                media_segment(n + 1, writer.end(), &samples, &noise.bytes(len / SAMPLES * SAMPLES))?;
            writer.push(&segment)?;
            object.extend_from_slice(&segment);
            let path = format!("/v/{}/{}/{name}/{n}.m4s", version.video, version.version);
            write(&files.join(&path[1..]), &segment)?;
            targets.push(Target { path, len: segment.len() as u64, hash: blake3::hash(&segment) });
        }
        let finished = writer.finish();
        object.extend_from_slice(&finished.tail);
        write(&objects.join(version.chunk_key(name, &finished.chunk).to_string()), &object)?;
        end = finished.end;
        chunks.push(finished.chunk);
    }
    let key = ObjectKey::Init { video: version.video, version: version.version, rendition: name };
    write(&objects.join(key.to_string()), &init)?;
    let rendition = RenditionIndex {
        name,
        codecs: track.codecs()?,
        timescale: track.timescale(),
        kind: RenditionKind::Video { width, height, frame_rate: Ratio::new(5, 2) },
        bandwidth: Bandwidth::measure(
            track.timescale(),
            chunks.iter().flat_map(|chunk| chunk.segments.clone()),
        ),
        init_size: u32::try_from(init.len())?,
        init_hash: ChunkHash::of(&init),
        chunks,
    };
    Ok((rendition, targets))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("every file has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("make `{}`", folder.display()))?;
    std::fs::write(path, bytes).with_context(|| format!("write `{}`", path.display()))
}

/// A small clip that the packager takes.
fn draw(clip: &Path) -> anyhow::Result<()> {
    let status = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=256x144:rate=15:duration=2",
        ])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .arg(clip)
        .status();
    ensure!(status.context("run ffmpeg")?.success(), "ffmpeg drew no clip");
    Ok(())
}

/// Bytes that nothing compresses, the same every time (xorshift64).
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len as usize + 8);
        while bytes.len() < len as usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend_from_slice(&self.0.to_le_bytes());
        }
        bytes.truncate(len as usize);
        bytes
    }
}
