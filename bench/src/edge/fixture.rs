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
    Bandwidth, ChunkRef, ChunkWriter, RenditionIndex, RenditionKind, Sample, Track, VersionIndex,
    VideoConfig, VideoTrack, init_segment, media_segment,
};
use model::cell::Ratio;
use model::{ChunkHash, ObjectKey, RenditionName};

use crate::door::USERNAME;
use crate::installation::Installation;
use crate::load::Target;

use super::noise::Noise;

/// Bytes of segments, in MiB, as they come: 4 s at 4 to 12 Mbit/s, most of them in the middle.
const SEGMENTS_MIB: [u32; 7] = [4, 4, 2, 4, 4, 6, 4];
/// Bytes of parts, in KiB, as they come: a third of a second at 400 kbit/s to 3 Mbit/s.
const PARTS_KIB: [u32; 8] = [16, 32, 48, 64, 80, 96, 112, 128];
/// Segments that the shortest playlist names, and the longest: 2 and 12 KiB of text.
const NAMED: (u32, u32) = (110, 530);
/// Samples of each segment, as a picture has them.
const SAMPLES: u32 = 10;
/// Segments of a chunk: a minute.
const CHUNK: usize = 15;

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Segments, 28 MiB for every seven; all of them stay in the memory that the shipped
    /// configuration gives to media.
    pub(super) segments: usize,
    /// Parts, 576 KiB for every eight, the same way.
    pub(super) parts: usize,
    /// Playlists among them.
    pub(super) playlists: u32,
}

/// The video, for both servers.
#[derive(Debug)]
pub(super) struct Fixture {
    video: String,
    files: PathBuf,
    segments: Vec<Target>,
    parts: Vec<Target>,
}

/// Where objects and files go.
struct Maker<'a> {
    objects: PathBuf,
    files: &'a Path,
    index: VersionIndex,
    noise: Noise,
}

impl Fixture {
    /// Publishes the video and writes what it consists of as files too.
    pub(super) fn make(installation: &mut Installation, scale: Scale) -> anyhow::Result<Self> {
        let clip = installation.data().join("clip.mp4");
        draw(&clip)?;
        let video = installation.door().upload(&clip)?;
        let seen = installation.door().wait_ready(&video, Duration::from_secs(120))?;
        installation.door().publish(&video)?;
        let version = seen["version"].as_str().context("a video that plays has a version")?;
        let files = installation.data().join("files");
        let index = VersionIndex {
            format: VersionIndex::FORMAT,
            video: video.parse().context("the video's id")?,
            version: version.parse().context("the version's id")?,
            duration_ms: 4000 * scale.segments as u64,
            renditions: Vec::new(),
        };
        let objects = installation.data().join("objects");
        let mut maker = Maker { objects, files: &files, index, noise: Noise::new() };
        let sizes = |units: &[u32], unit, count| -> Vec<u32> {
            units.iter().map(|size| size * unit).cycle().take(count).collect()
        };
        let mut segments = maker.rendition(1080, &sizes(&SEGMENTS_MIB, 1 << 20, scale.segments))?;
        let mut parts = maker.rendition(144, &sizes(&PARTS_KIB, 1 << 10, scale.parts))?;
        let (shortest, longest) = NAMED;
        for n in 0..scale.playlists {
            let named = shortest + (longest - shortest) * n / scale.playlists.max(2).saturating_sub(1);
            // Nobody asks for what they name.
            maker.rendition(playlist_height(n), &vec![SAMPLES; named as usize])?;
        }
        let index = maker.finish()?;
        installation.restart()?;
        parts.extend(playlists(installation, &index, &files, scale.playlists)?);
        // The favourites are of all sizes.
        let mut noise = Noise::new();
        noise.shuffle(&mut segments);
        noise.shuffle(&mut parts);
        Ok(Self { video, files, segments, parts })
    }

    /// The video's id.
    pub(super) fn video(&self) -> &str {
        &self.video
    }

    /// The root of the same paths as files.
    pub(super) fn files(&self) -> &Path {
        &self.files
    }

    /// What is 2 to 6 MiB long.
    pub(super) fn segments(&self) -> &[Target] {
        &self.segments
    }

    /// What is 16 to 128 KiB long, and playlists.
    pub(super) fn parts(&self) -> &[Target] {
        &self.parts
    }
}

/// The rendition of a playlist.
fn playlist_height(n: u32) -> u16 {
    200 + u16::try_from(n).unwrap_or(0)
}

/// Playlists are made by the server; what it makes of the index is written as files.
fn playlists(
    installation: &Installation,
    index: &VersionIndex,
    files: &Path,
    count: u32,
) -> anyhow::Result<Vec<Target>> {
    let door = installation.door();
    let grant = door.grant(&door.sign_in(USERNAME)?, &index.video.to_string())?;
    let mut targets = Vec::new();
    for n in 0..count {
        let path = format!("/v/{}/{}/{}p/playlist.m3u8", index.video, index.version, playlist_height(n));
        let text = door.fetch(&path, Some(&grant))?;
        let kib = text.len() as f64 / 1024.0;
        ensure!(text.starts_with(b"#EXTM3U") && (2.0..=12.0).contains(&kib), "a playlist of {kib} KiB");
        write(&files.join(&path[1..]), &text)?;
        targets.push(Target { path, len: text.len() as u64, hash: blake3::hash(&text) });
    }
    Ok(targets)
}

impl Maker<'_> {
    /// A rendition of segments with so many bytes of noise each.
    fn rendition(&mut self, height: u16, sizes: &[u32]) -> anyhow::Result<Vec<Target>> {
        let version = VersionIndex { renditions: Vec::new(), ..self.index.clone() };
        let (name, width) = (RenditionName::Video { height }, height / 9 * 16);
        // What a decoder would need nobody asks for here; the box only has to be one.
        let avcc = vec![1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x28, 1, 0, 3, 0x68, 0xea, 0xe1];
        let config = VideoConfig::Avc(avcc);
        let track = Track::Video(VideoTrack { width, height, timescale: 10_000, config, colour: None });
        let init = init_segment(&track)?;
        let (mut chunks, mut targets): (Vec<ChunkRef>, Vec<Target>) = Default::default();
        let (mut n, mut end) = (0, 0);
        for sizes in sizes.chunks(CHUNK) {
            let mut writer = ChunkWriter::new(n, end);
            let mut object = Vec::new();
            for size in sizes {
                let sample = |n| Sample { size: size / SAMPLES, duration: 4000, cts_offset: 0, sync: n == 0 };
                let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
                let bytes = self.noise.bytes((size / SAMPLES * SAMPLES) as usize);
                let segment = media_segment(n + 1, writer.end(), &samples, &bytes)?;
                writer.push(&segment)?;
                object.extend_from_slice(&segment);
                let path = format!("/v/{}/{}/{name}/{n}.m4s", version.video, version.version);
                write(&self.files.join(&path[1..]), &segment)?;
                targets.push(Target { path, len: segment.len() as u64, hash: blake3::hash(&segment) });
                n += 1;
            }
            let finished = writer.finish();
            object.extend_from_slice(&finished.tail);
            self.store(&version.chunk_key(name, &finished.chunk), &object)?;
            end = finished.end;
            chunks.push(finished.chunk);
        }
        self.store(&version.init_key(name, 0), &init)?;
        self.index.renditions.push(RenditionIndex {
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
            changes: Vec::new(),
            breaks: Vec::new(),
        });
        Ok(targets)
    }

    /// Stores the index that names it all.
    fn finish(self) -> anyhow::Result<VersionIndex> {
        let key = ObjectKey::Index { video: self.index.video, version: self.index.version };
        self.store(&key, &self.index.to_json())?;
        Ok(self.index)
    }

    fn store(&self, key: &ObjectKey, bytes: &[u8]) -> anyhow::Result<()> {
        write(&self.objects.join(key.to_string()), bytes)
    }
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
