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
                let chunk = self.rendition(rendition)?.push(number, &payload).await?;
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

    /// Media time that every rendition has behind it.
    pub(crate) fn position(&self) -> Duration {
        self.renditions.iter().map(RenditionWriter::position).min().unwrap_or_default()
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
