//! A film of ten seconds whose frames are noise: every box is real, no picture is.

use bytes::Bytes;
use cmaf::{
    Announced, AudioConfig, AudioTrack, Bandwidth, ChunkWriter, GrowingIndex, RenditionIndex, RenditionKind,
    Sample, Track, VersionIndex, VideoConfig, VideoTrack, init_segment, media_segment,
};
use model::cell::{AudioPlan, AudioRung, EncodePlan, Ratio, VideoPlan, VideoRung};
use model::{ChunkHash, ObjectKey, RenditionName, SegmentGrid, VersionId, VideoId};
use storage::ObjectStore;

pub(crate) const VIDEO: VideoId = VideoId::from_bits(0xf11a);
pub(crate) const VERSION: VersionId = VersionId::from_bits(0x0001);
pub(crate) const PICTURES: [u16; 3] = [144, 360, 1080];
pub(crate) const SOUNDS: [u16; 2] = [32, 64];

/// Everything that the packager would have put.
pub(crate) struct Film {
    pub(crate) index: VersionIndex,
    pub(crate) objects: Vec<(ObjectKey, Bytes)>,
}

impl Film {
    pub(crate) fn new() -> Self {
        Self::of(VIDEO, VERSION)
    }

    pub(crate) fn of(video: VideoId, version: VersionId) -> Self {
        let mut film = Self {
            index: VersionIndex {
                format: VersionIndex::FORMAT,
                video,
                version,
                duration_ms: 10_000,
                renditions: Vec::new(),
            },
            objects: vec![
                (ObjectKey::Poster { video, version }, noise(1, 5000)),
                (ObjectKey::Thumbnail { video, version }, noise(2, 900)),
            ],
        };
        for kbps in SOUNDS {
            let track = Track::Audio(AudioTrack {
                channels: 2,
                sample_rate: 48_000,
                config: AudioConfig::Aac(vec![0x11, 0x90]),
                priming: 1024,
            });
            let sample = |_| Sample { size: u32::from(kbps) * 3, duration: 1024, cts_offset: 0, sync: true };
            let lengths = [189, 187, 94];
            film.add(RenditionName::Audio { kbps }, &track, &lengths, sample);
        }
        for height in PICTURES {
            let (sps, pps) = ([0x67, 0x4d, 0x40, 0x1f], [0x68, 0xee, 0x3c, 0x80]);
            let mut avcc = vec![1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 4];
            avcc.extend(sps);
            avcc.extend([1, 0, 4]);
            avcc.extend(pps);
            let (width, timescale) = (height * 16 / 9, 12_800);
            let config = VideoConfig::Avc(avcc);
            let track = Track::Video(VideoTrack { width, height, timescale, config, colour: None });
            let sample = |n: u32| Sample {
                size: u32::from(height) * if n == 0 { 20 } else { 2 },
                duration: 512,
                cts_offset: 0,
                sync: n == 0,
            };
            film.add(RenditionName::Video { height }, &track, &[100, 100, 50], sample);
        }
        film.objects.push((ObjectKey::Index { video, version }, film.index.to_json()));
        film
    }

    /// Adds a rendition of three segments with these numbers of samples, the first two in one
    /// chunk, the last in another.
    fn add(&mut self, name: RenditionName, track: &Track, lengths: &[u32], sample: impl Fn(u32) -> Sample) {
        let (video, version) = (self.index.video, self.index.version);
        let init = init_segment(track).unwrap();
        let mut chunks = Vec::new();
        let (mut sequence, mut start) = (0, 0);
        for lengths in lengths.chunks(2) {
            let number = sequence;
            let mut writer = ChunkWriter::new(number, start);
            let mut bytes = Vec::new();
            for length in lengths {
                let samples: Vec<Sample> = (0..*length).map(&sample).collect();
                let size = samples.iter().map(|sample| sample.size as usize).sum();
                sequence += 1;
                let payload = noise(u64::from(name.height()) << 8 | u64::from(sequence), size);
                let segment = media_segment(sequence, writer.end(), &samples, &payload).unwrap();
                writer.push(&segment).unwrap();
                bytes.extend_from_slice(&segment);
            }
            let finished = writer.finish();
            bytes.extend_from_slice(&finished.tail);
            start = finished.end;
            let key = ObjectKey::Chunk { video, version, rendition: name, number, hash: finished.chunk.hash };
            self.objects.push((key, bytes.into()));
            chunks.push(finished.chunk);
        }
        let kind = match track {
            Track::Video(track) => RenditionKind::Video {
                width: track.width,
                height: track.height,
                frame_rate: Ratio::new(25, 1),
            },
            Track::Audio(track) => {
                RenditionKind::Audio { channels: track.channels, sample_rate: track.sample_rate }
            }
        };
        let segments = chunks.iter().flat_map(|chunk| chunk.segments.clone());
        self.index.renditions.push(RenditionIndex {
            name,
            codecs: track.codecs().unwrap(),
            timescale: track.timescale(),
            kind,
            bandwidth: Bandwidth::measure(track.timescale(), segments),
            init_size: init.len() as u32,
            init_hash: ChunkHash::of(&init),
            chunks,
            changes: Vec::new(),
            breaks: Vec::new(),
        });
        self.objects.push((ObjectKey::Init { video, version, rendition: name, number: 0 }, init));
    }

    /// What the packager would have planned.
    pub(crate) fn plan(&self) -> EncodePlan {
        let rung = |height: u16| VideoRung {
            rendition: RenditionName::Video { height },
            width: (height * 16 / 9).into(),
            height: height.into(),
            frame_divisor: 1,
            crf: 28.0,
            hurried_crf: 28.0,
            maxrate_bps: u32::from(height) * 1000,
            bufsize_bits: u32::from(height) * 1500,
            preset: "slow".to_owned(),
            hurried_preset: "veryfast".to_owned(),
            references: 3,
            b_frames: 3,
            profile: "main".to_owned(),
        };
        let sound = |kbps: u16| AudioRung {
            rendition: RenditionName::Audio { kbps },
            channels: 2,
            bit_rate_bps: u32::from(kbps) * 1000,
            copied: None,
        };
        EncodePlan {
            grid: SegmentGrid::even(Ratio::new(25, 1), 100, 250),
            video: Some(VideoPlan {
                stream: 0,
                frame_rate: Ratio::new(25, 1),
                frames: 250,
                segment_frames: 100,
                rotation: 0,
                deinterlace: false,
                tone_map: false,
                rungs: PICTURES.map(rung).into(),
                copied: None,
                poster_width: 1280,
                thumbnail_width: 320,
            }),
            audio: Some(AudioPlan {
                stream: 1,
                sample_rate: 48_000,
                samples: 480_000,
                segment: Ratio::new(4, 1),
                rungs: SOUNDS.map(sound).into(),
            }),
            expected_ms: 10_000,
            max_ms: 60_000,
        }
    }

    /// The film as it grows: with these of its chunks, by rendition and place.
    pub(crate) fn growing(&self, revision: u64, chunks: &[(&str, usize)]) -> GrowingIndex {
        let announced = self.index.renditions.iter().map(|rendition| Announced {
            rendition: rendition.name,
            codecs: rendition.codecs.clone(),
            timescale: rendition.timescale,
            init_size: rendition.init_size,
            init_hash: rendition.init_hash,
        });
        let chunk = |(name, place): &(&str, usize)| {
            let rendition = self.index.rendition(name.parse().unwrap()).unwrap();
            (rendition.name, rendition.chunks[*place].clone())
        };
        GrowingIndex::new(
            revision,
            self.index.video,
            self.index.version,
            self.plan(),
            announced.collect(),
            chunks.iter().map(chunk).collect(),
        )
    }

    pub(crate) async fn store(&self, store: &dyn ObjectStore) {
        for (key, bytes) in &self.objects {
            store.put(key, bytes.clone()).await.unwrap();
        }
    }

    pub(crate) fn object(&self, key: ObjectKey) -> &Bytes {
        &self.objects.iter().find(|(found, _)| *found == key).unwrap().1
    }

    pub(crate) fn chunk_key(&self, name: &str, number: usize) -> ObjectKey {
        let rendition = self.index.rendition(name.parse().unwrap()).unwrap();
        self.index.chunk_key(rendition.name, &rendition.chunks[number])
    }

    /// The bytes of segment `n`, cut out of what was put.
    pub(crate) fn segment(&self, name: &str, n: u32) -> Bytes {
        let rendition = self.index.rendition(name.parse().unwrap()).unwrap();
        let located = rendition.segment(n).unwrap();
        let key = self.index.chunk_key(rendition.name, located.chunk);
        self.object(key).slice(located.range.start as usize..located.range.end as usize)
    }
}

/// Bytes that look like nothing, the same for the same seed.
fn noise(seed: u64, len: usize) -> Bytes {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; len];
    reader.fill(&mut bytes);
    bytes.into()
}
