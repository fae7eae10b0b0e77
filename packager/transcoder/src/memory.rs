//! How much memory a request may take: what its pictures and threads need, with room, and no
//! more, so that a file that makes a decoder greedy ends the cell and not the machine.

use model::cell::live::LivePlan;
use model::cell::{EncodePlan, Task, VideoRung};

use crate::input::MAX_PIXELS;
use crate::{live, x264};

const MIB: u64 = 1 << 20;
/// The program, its libraries, a demuxer's index, packets on their way, sound.
const BASE: u64 = 2048 * MIB;
/// Bytes per pixel of the greatest film: 24 pictures (16 that later ones may refer to, and those
/// on their way) in 4:2:0 and 10 bits.
const FILM: u64 = 24 * 3;
/// Bytes per pixel of a rung: the encoder's lookahead and references with their half-size
/// copies, the pictures between two rungs, a filter's floats.
const RUNG: u64 = 192;
/// A thread's stack and what the C library sets aside for its allocations.
const THREAD: u64 = 72 * MIB;
/// Threads of a rung beside its encoder's workers: its own, and the lookahead's.
const RUNG_THREADS: u64 = 2;
/// Threads of an event's cell beside its rungs: the reader, the two lanes, a decoder's.
const LIVE_THREADS: u32 = 4;

/// Bytes of address space in which a file can be looked at.
pub(crate) fn to_probe() -> u64 {
    BASE + FILM * MAX_PIXELS as u64
}

/// Bytes of address space in which a task can be carried out, whatever the film is.
pub(crate) fn to_work(plan: &EncodePlan, task: &Task) -> u64 {
    let is_wanted = |rung: &&VideoRung| match task {
        Task::Announce => true,
        Task::Pictures { renditions, .. } => renditions.contains(&rung.rendition),
        Task::Sound | Task::Copy { .. } | Task::Stills => false,
    };
    let rungs = plan.video.iter().flat_map(|video| &video.rungs).filter(is_wanted);
    rungs.map(of_rung).fold(to_probe(), u64::saturating_add)
}

/// Bytes of address space in which the rungs of an event can be made.
pub(crate) fn to_live(plan: &LivePlan) -> u64 {
    let rungs = plan.video.iter().flat_map(|video| &video.rungs);
    let lanes = THREAD * u64::from(LIVE_THREADS);
    rungs
        .map(|rung| of_size((rung.width, rung.height), 1))
        .fold(BASE + FILM * live::MAX_PIXELS + lanes, u64::saturating_add)
}

fn of_rung(rung: &VideoRung) -> u64 {
    of_size((rung.width, rung.height), x264::threads(rung, true))
}

fn of_size((width, height): (u32, u32), workers: u32) -> u64 {
    let pixels = u64::from(width).saturating_mul(height.into());
    let threads = u64::from(workers) + RUNG_THREADS;
    RUNG.saturating_mul(pixels).saturating_add(THREAD * threads)
}

#[cfg(test)]
mod tests {
    use model::RenditionName;
    use model::cell::{Ratio, VideoPlan};

    use super::*;

    fn plan(heights: &[u16]) -> EncodePlan {
        let rung = |&height: &u16| VideoRung {
            rendition: RenditionName::Video { height },
            width: u32::from(height) * 16 / 9,
            height: height.into(),
            frame_divisor: 1,
            crf: 25.0,
            hurried_crf: 25.0,
            maxrate_bps: 1_000_000,
            bufsize_bits: 1_000_000,
            preset: "slow".into(),
            hurried_preset: "faster".into(),
            references: 3,
            b_frames: 3,
            profile: "high".into(),
        };
        let video = VideoPlan {
            stream: 0,
            frame_rate: Ratio::new(60, 1),
            segment_frames: 240,
            frames: 1000,
            rotation: 0,
            deinterlace: false,
            tone_map: true,
            rungs: heights.iter().map(rung).collect(),
            copied: None,
            poster_width: 1280,
            thumbnail_width: 480,
        };
        EncodePlan {
            grid: model::SegmentGrid::even(Ratio::new(60, 1), 240, 1000),
            video: Some(video),
            audio: None,
            expected_ms: 0,
            max_ms: 0,
        }
    }

    #[test]
    fn memory_grows_with_the_plan_and_ends() {
        let sound = EncodePlan { video: None, ..plan(&[]) };
        let mib = |plan: &EncodePlan| to_work(plan, &Task::Announce) / MIB;
        for (plan, expected) in [
            (sound, 4640),
            (plan(&[144]), 4862),
            (plan(&[144, 240, 360]), 5355),
            (plan(&[144, 240, 360, 480, 720, 1080]), 7131),
            (plan(&[144, 240, 360, 480, 720, 1080, 1440, 2160]), 10_188),
        ] {
            assert_eq!(mib(&plan), expected);
        }
        let film = plan(&[144, 240, 360, 2160]);
        let lane = Task::Pictures {
            renditions: plan(&[144]).video.unwrap().rungs.iter().map(|rung| rung.rendition).collect(),
            segments: 0..1,
            hurry: false,
        };
        assert_eq!(to_work(&film, &lane) / MIB, 4862);
        assert_eq!(to_work(&film, &Task::Sound), to_probe());
        let mut mad = plan(&[144]);
        mad.video.as_mut().unwrap().rungs[0].width = u32::MAX;
        mad.video.as_mut().unwrap().rungs[0].height = u32::MAX;
        assert_eq!(to_work(&mad, &Task::Announce), u64::MAX);
    }
}
