//! What a cell has sent so far, and the version that it adds up to.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cmaf::{RenditionIndex, VersionIndex};
use model::cell::{EncodePlan, Picture, Reply};
use model::{ObjectKey, RenditionName, VersionId, VideoId};

use crate::rendition::{Fault, RenditionWriter, StoredSoon};
use crate::storing::{Content, Object};
use crate::verify::{self, Breach, Expected};

/// The largest still picture that is taken from a cell.
const MAX_PICTURE: usize = 4 << 20;

/// The renditions and pictures of a version in the making.
#[derive(Debug)]
pub(crate) struct Output {
    video: VideoId,
    version: VersionId,
    renditions: Vec<RenditionWriter>,
    needs_pictures: bool,
    has_poster: bool,
    has_thumbnail: bool,
    max: Duration,
}

impl Output {
    /// Nothing yet of what `plan` promises; chunks are put together in `folder`.
    pub(crate) fn new(video: VideoId, version: VersionId, plan: &EncodePlan, folder: &Path) -> Self {
        let segment = segment_length(plan);
        let expected = Expected::of(plan).into_iter();
        Self {
            video,
            version,
            renditions: expected.map(|expected| RenditionWriter::new(expected, segment, folder)).collect(),
            needs_pictures: plan.video.is_some(),
            has_poster: false,
            has_thumbnail: false,
            max: Duration::from_millis(plan.max_ms),
        }
    }

    /// Takes a message; gives what is to be stored now.
    pub(crate) async fn take(&mut self, reply: Reply, payload: Bytes) -> Result<Option<Object>, Fault> {
        let (video, version) = (self.video, self.version);
        let bytes = |key, bytes| Ok(Some(Object { key, content: Content::Bytes(bytes) }));
        match reply {
            Reply::Init { rendition } => {
                self.rendition(rendition)?.announce(&payload)?;
                bytes(ObjectKey::Init { video, version, rendition }, payload)
            }
            Reply::Segment { rendition, number } => {
                let limit = verify::longest(self.max);
                let writer = self.rendition(rendition)?;
                let chunk = writer.push(number, &payload).await?;
                if writer.position() > limit {
                    return Err(Breach::new(format!("{rendition} goes on behind {limit:?}")).into());
                }
                Ok(chunk.map(|chunk| self.chunk(rendition, chunk)))
            }
            Reply::Picture { picture } => {
                let (key, seen) = match picture {
                    Picture::Poster => (ObjectKey::Poster { video, version }, &mut self.has_poster),
                    Picture::Thumbnail => (ObjectKey::Thumbnail { video, version }, &mut self.has_thumbnail),
                };
                let is_jpeg = payload.starts_with(&[0xff, 0xd8, 0xff]) && payload.ends_with(&[0xff, 0xd9]);
                if !is_jpeg || payload.len() > MAX_PICTURE || std::mem::replace(seen, true) {
                    return Err(
                        Breach::new(format!("{picture:?} is not one JPEG of a picture's size")).into()
                    );
                }
                bytes(key, payload)
            }
            other => Err(Breach::new(format!("said {other:?} while encoding")).into()),
        }
    }

    /// The chunks that were being filled when the film ended.
    pub(crate) async fn finish(&mut self) -> io::Result<Vec<Object>> {
        let mut objects = Vec::new();
        for at in 0..self.renditions.len() {
            let rendition = self.renditions[at].name();
            if let Some(chunk) = self.renditions[at].finish().await? {
                objects.push(self.chunk(rendition, chunk));
            }
        }
        Ok(objects)
    }

    /// Media time that has been encoded: that of the rendition that is furthest, because a short
    /// sound or a single frame stays where it ends while the other track goes on.
    pub(crate) fn furthest(&self) -> Duration {
        self.renditions.iter().map(RenditionWriter::position).max().unwrap_or_default().min(self.max)
    }

    /// The version's index, when all is in and fits together and is as long as what was decoded.
    pub(crate) fn index(&self, decoded: Duration) -> Result<VersionIndex, Breach> {
        let wholes: Vec<_> = self.renditions.iter().map(RenditionWriter::whole).collect();
        let duration = verify::check_whole(&wholes, decoded, self.max)?;
        if self.needs_pictures && !(self.has_poster && self.has_thumbnail) {
            return Err(Breach::new("sent no poster or no thumbnail"));
        }
        let renditions: Option<Vec<RenditionIndex>> =
            self.renditions.iter().map(RenditionWriter::index).collect();
        Ok(VersionIndex {
            format: VersionIndex::FORMAT,
            video: self.video,
            version: self.version,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            renditions: renditions.ok_or_else(|| Breach::new("a rendition without init"))?,
        })
    }

    fn rendition(&mut self, name: RenditionName) -> Result<&mut RenditionWriter, Breach> {
        let found = self.renditions.iter_mut().find(|rendition| rendition.name() == name);
        found.ok_or_else(|| Breach::new(format!("{name} was not asked for")))
    }

    fn chunk(&self, rendition: RenditionName, StoredSoon { chunk, file: path }: StoredSoon) -> Object {
        let (video, version) = (self.video, self.version);
        let key = ObjectKey::Chunk { video, version, rendition, number: chunk.number, hash: chunk.hash };
        Object { key, content: Content::File { path, size_bytes: chunk.size_bytes } }
    }
}

fn segment_length(plan: &EncodePlan) -> Duration {
    let video = plan.video.as_ref().map(|video| f64::from(video.segment_frames) / video.frame_rate.as_f64());
    let audio = plan.audio.as_ref().map(|audio| audio.segment.as_f64());
    Duration::from_secs_f64(video.or(audio).unwrap_or(4.0))
}

#[cfg(test)]
mod tests {
    use cmaf::{AudioTrack, Sample, Track, init_segment, media_segment};
    use model::cell::{AudioPlan, AudioRung, Ratio};

    use super::*;

    /// Segments of 150 frames of sound, of which a second has 46.875.
    const SEGMENT: Duration = Duration::from_millis(3200);

    struct Sound {
        output: Output,
        _folder: tempfile::TempDir,
    }

    impl Sound {
        async fn new(max: Duration, renditions: &[&str]) -> Self {
            let rung = |name: &&str| AudioRung {
                rendition: name.parse().unwrap(),
                channels: 1,
                bit_rate_bps: 32_000,
            };
            let audio = AudioPlan {
                stream: 0,
                sample_rate: 48_000,
                samples: 0,
                segment: Ratio::new(16, 5),
                rungs: renditions.iter().map(rung).collect(),
            };
            let max_ms = max.as_millis() as u64;
            let plan = EncodePlan {
                grid: model::SegmentGrid::even(Ratio::new(1000, 1), 3200, 0),
                video: None,
                audio: Some(audio),
                expected_ms: 0,
                max_ms,
            };
            let folder = tempfile::tempdir().unwrap();
            let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(1));
            let mut output = Output::new(video, version, &plan, folder.path());
            let track = AudioTrack { channels: 1, sample_rate: 48_000, asc: vec![0x11, 0x88], priming: 1024 };
            let init = init_segment(&Track::Audio(track)).unwrap();
            for name in renditions {
                output.take(Reply::Init { rendition: name.parse().unwrap() }, init.clone()).await.unwrap();
            }
            Self { output, _folder: folder }
        }

        async fn push(&mut self, name: &str, number: u32) -> Result<Option<Object>, Fault> {
            let samples = vec![Sample { size: 1, duration: 1024, cts_offset: 0, sync: true }; 150];
            let start = u64::from(number) * 150 * 1024;
            let segment = media_segment(number + 1, start, &samples, &[0; 150]).unwrap();
            self.output.take(Reply::Segment { rendition: name.parse().unwrap(), number }, segment).await
        }
    }

    #[tokio::test]
    async fn the_furthest_rendition_is_what_has_been_encoded() {
        let mut film = Sound::new(3 * SEGMENT, &["a32", "a64"]).await;
        film.push("a32", 0).await.unwrap();
        assert_eq!(film.output.furthest(), SEGMENT);
        film.push("a64", 0).await.unwrap();
        film.push("a64", 1).await.unwrap();
        assert_eq!(film.output.furthest(), 2 * SEGMENT, "the other one may have ended");
        film.push("a64", 2).await.unwrap();
        film.push("a64", 3).await.unwrap();
        assert_eq!(film.output.furthest(), 3 * SEGMENT, "no further than any film is encoded");
    }

    #[tokio::test]
    async fn segments_behind_the_longest_film_are_refused() {
        let mut film = Sound::new(2 * SEGMENT, &["a32"]).await;
        // Rounding is worth six seconds, less than two segments.
        for number in 0..3 {
            film.push("a32", number).await.unwrap();
        }
        let Err(Fault::Breach(breach)) = film.push("a32", 3).await else { panic!("taken") };
        assert!(breach.to_string().starts_with("a32 goes on behind 12."), "{breach}");
    }
}
