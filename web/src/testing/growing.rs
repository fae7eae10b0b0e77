//! Films in the making, their jobs carried out by hand.

use catalog::{Job, NewVersion, Work};
use cmaf::{Announced, ChunkRef, SegmentRef};
use model::cell::{AudioPlan, AudioRung, EncodePlan, Ratio, VideoPlan, VideoRung};
use model::{ChunkHash, Clock, Lane, RenditionName, SegmentGrid, VersionId, VideoId};

use super::{Site, Somebody, rng};

const SECONDS: u32 = 24;
const SEGMENT_FRAMES: u32 = 100;
const SOUND: RenditionName = RenditionName::Audio { kbps: 32 };
const HEIGHTS: [u16; 3] = [144, 360, 720];

impl Site {
    /// An upload of 24 s that is planned, and of which nothing is there yet.
    pub(crate) async fn planned(&self, owner: &Somebody) -> (VideoId, VersionId) {
        let video = self.upload(owner, "A film in the making").await;
        let (job, version, now) = (self.claim().await, VersionId::generate(&mut rng()), self.clock.now());
        let catalog = &self.state.catalog;
        catalog.start_version(job.id, job.attempt, version, &plan(), now).await.unwrap();
        catalog.announce(job.id, job.attempt, version, &inits(), now).await.unwrap();
        catalog.finish_job(job.id, job.attempt, now).await.unwrap();
        (video, version)
    }

    /// An upload whose beginning is there: it plays.
    pub(crate) async fn growing(&self, owner: &Somebody) -> (VideoId, VersionId) {
        let (video, version) = self.planned(owner).await;
        for _ in ["sound", "the first chunk of lane A"] {
            let job = self.claim().await;
            self.carry_out(&job).await;
        }
        (video, version)
    }

    /// Goes on until nothing of lane A is missing.
    pub(crate) async fn whole_lane_a(&self) {
        loop {
            let job = self.claim().await;
            if matches!(job.work, Work::Pictures { lane: Lane::B, .. }) {
                return;
            }
            self.carry_out(&job).await;
        }
    }

    /// An upload that is packaged to its end.
    pub(crate) async fn whole(&self, owner: &Somebody) -> (VideoId, VersionId) {
        let (video, version) = self.planned(owner).await;
        self.finish().await;
        (video, version)
    }

    /// Does all work of the re-encode that was ordered; the version that plays then.
    pub(crate) async fn replaced(&self, video: VideoId) -> VersionId {
        let (job, now) = (self.claim().await, self.clock.now());
        let Work::Carry { version } = job.work else { panic!("{job:?}") };
        self.state.catalog.announce(job.id, job.attempt, version, &inits(), now).await.unwrap();
        self.state.catalog.commit_chunks(job.id, job.attempt, version, &[], 0, true, now).await.unwrap();
        self.finish().await;
        self.state.catalog.video(video).await.unwrap().unwrap().version().unwrap()
    }

    /// Goes on until the version is published.
    async fn finish(&self) {
        loop {
            let job = self.claim().await;
            let Work::Finish { version } = job.work else {
                self.carry_out(&job).await;
                continue;
            };
            let new = NewVersion {
                version,
                duration_ms: u64::from(SECONDS) * 1000,
                renditions: Vec::new(),
                stretches: None,
            };
            return self.state.catalog.publish(job.id, job.attempt, &new, self.clock.now()).await.unwrap();
        }
    }

    /// Does a job as its worker would.
    async fn carry_out(&self, job: &Job) {
        let (now, catalog) = (self.clock.now(), &self.state.catalog);
        let (version, names, segments) = match job.work.clone() {
            Work::Sound { version } => (version, vec![SOUND], 0..SECONDS / 4),
            Work::Pictures { version, lane, segments } => {
                let of_lane = HEIGHTS.map(|height| RenditionName::Video { height }).into_iter();
                (version, of_lane.filter(|name| Lane::of(*name) == lane).collect(), segments)
            }
            Work::Stills { .. } => return catalog.finish_job(job.id, job.attempt, now).await.unwrap(),
            other => panic!("{other:?} is not for here"),
        };
        let chunk = |name: RenditionName| {
            let segment = SegmentRef { size_bytes: 1000, duration: SEGMENT_FRAMES };
            let chunk = ChunkRef {
                number: segments.start,
                hash: ChunkHash::of(name.to_string().as_bytes()),
                size_bytes: 1000 * segments.len() as u64 + 50,
                index_bytes: 50,
                segments: segments.clone().map(|_| segment).collect(),
            };
            (name, chunk)
        };
        let chunks: Vec<_> = names.into_iter().map(chunk).collect();
        catalog.commit_chunks(job.id, job.attempt, version, &chunks, 0, true, now).await.unwrap();
    }
}

fn plan() -> EncodePlan {
    let rung = |height: u16| VideoRung {
        rendition: RenditionName::Video { height },
        width: u32::from(height) * 16 / 9 / 2 * 2,
        height: height.into(),
        frame_divisor: 1,
        crf: 26.5,
        hurried_crf: 26.5,
        maxrate_bps: u32::from(height) * 2000,
        bufsize_bits: u32::from(height) * 3000,
        preset: "slow".to_owned(),
        hurried_preset: "veryfast".to_owned(),
        references: 3,
        b_frames: 3,
        profile: "high".to_owned(),
    };
    let (rate, frames) = (Ratio::new(25, 1), u64::from(SECONDS) * 25);
    EncodePlan {
        grid: SegmentGrid::even(rate, SEGMENT_FRAMES, frames),
        video: Some(VideoPlan {
            stream: 0,
            frame_rate: rate,
            frames,
            segment_frames: SEGMENT_FRAMES,
            rotation: 0,
            deinterlace: false,
            tone_map: false,
            rungs: HEIGHTS.map(rung).to_vec(),
            copied: None,
            poster_width: 1280,
            thumbnail_width: 480,
        }),
        audio: Some(AudioPlan {
            stream: 1,
            sample_rate: 48_000,
            samples: u64::from(SECONDS) * 48_000,
            segment: Ratio::new(4, 1),
            rungs: vec![AudioRung { rendition: SOUND, channels: 1, bit_rate_bps: 32_000, copied: None }],
        }),
        expected_ms: u64::from(SECONDS) * 1000,
        max_ms: u64::MAX,
    }
}

fn inits() -> Vec<Announced> {
    let pictures = HEIGHTS.map(|height| RenditionName::Video { height });
    let init = |rendition: RenditionName| Announced {
        rendition,
        codecs: if rendition.is_video() { "avc1.64001f" } else { "mp4a.40.2" }.to_owned(),
        timescale: if rendition.is_video() { 25 } else { 48_000 },
        init_size: 700,
        init_hash: ChunkHash::of(rendition.to_string().as_bytes()),
    };
    pictures.into_iter().chain([SOUND]).map(init).collect()
}
