use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::cell::Ratio;

/// Lengths of chunks in seconds, the last one again and again: the first plays soon, the later
/// ones cost no more than a restart of the encoders a minute.
const CHUNKS_S: [f64; 4] = [8.0, 16.0, 32.0, 60.0];

/// Where the segments of a film begin: at the same moments in all its renditions.
///
/// Time is counted in frames of a grid, so that every border is exact. A film of sound alone has
/// a grid too, of milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentGrid {
    /// Frames per second.
    pub rate: Ratio,
    /// Length of the film, that of its longest track, in frames.
    pub frames: u64,
    /// First frames of the segments.
    pub starts: SegmentStarts,
}

/// First frames of segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentStarts {
    /// A segment every so many frames.
    Every(u32),
    /// Where a copied rendition has its key frames: the first is 0, each is greater than the one
    /// before it. Behind the last one the film goes on in segments of `then` frames.
    At {
        /// First frames, in order.
        frames: Vec<u64>,
        /// Frames of each segment behind those listed.
        then: u32,
    },
}

impl SegmentGrid {
    /// A film of `frames` frames with a segment every `segment_frames`.
    pub const fn even(rate: Ratio, segment_frames: u32, frames: u64) -> Self {
        Self { rate, frames, starts: SegmentStarts::Every(segment_frames) }
    }

    /// The frame with which segment `n` begins; defined behind the film's end too.
    pub fn start(&self, n: u32) -> u64 {
        match &self.starts {
            SegmentStarts::Every(frames) => u64::from(n) * u64::from(*frames),
            SegmentStarts::At { frames, then } => frames.get(n as usize).copied().unwrap_or_else(|| {
                let listed = frames.len() as u64;
                let last = frames.last().copied().unwrap_or(0);
                last + (u64::from(n) + 1 - listed.max(1)) * u64::from(*then)
            }),
        }
    }

    /// The segment in which a frame is.
    pub fn segment_of(&self, frame: u64) -> u32 {
        let number = match &self.starts {
            SegmentStarts::Every(frames) => frame / u64::from((*frames).max(1)),
            SegmentStarts::At { frames, then } => {
                let listed = frames.partition_point(|start| *start <= frame).max(1);
                let behind = if listed < frames.len() {
                    0
                } else {
                    let last = frames.last().copied().unwrap_or(0);
                    frame.saturating_sub(last) / u64::from((*then).max(1))
                };
                listed as u64 - 1 + behind
            }
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// The frames of segment `n` in a track of `length` frames; empty behind its end.
    pub fn frames_of(&self, n: u32, length: u64) -> Range<u64> {
        self.start(n).min(length)..self.start(n + 1).min(length)
    }

    /// How many segments a track of `length` frames has.
    pub fn count(&self, length: u64) -> u32 {
        length.checked_sub(1).map_or(0, |last| self.segment_of(last) + 1)
    }

    /// When a frame is shown, in seconds.
    pub fn seconds(&self, frame: u64) -> f64 {
        frame as f64 * f64::from(self.rate.den) / f64::from(self.rate.num.max(1))
    }

    /// Cuts a run of segments into the chunks that are encoded and stored as one: 8 s, 16 s,
    /// 32 s, then 60 s each, rounded to whole segments. Whoever starts to watch at the run's
    /// beginning waits for a short one.
    pub fn chunks(&self, segments: Range<u32>) -> Vec<Range<u32>> {
        let mut chunks = Vec::new();
        let mut at = segments.start;
        while at < segments.end {
            let wished = CHUNKS_S[chunks.len().min(CHUNKS_S.len() - 1)];
            let start = self.seconds(self.start(at));
            let distance = |end: u32| (self.seconds(self.start(end)) - start - wished).abs();
            let mut end = at + 1;
            while end < segments.end && distance(end + 1) < distance(end) {
                end += 1;
            }
            chunks.push(at..end);
            at = end;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(frames: u64) -> SegmentGrid {
        SegmentGrid::even(Ratio::new(25, 1), 100, frames)
    }

    fn uneven(frames: u64) -> SegmentGrid {
        let starts = SegmentStarts::At { frames: vec![0, 70, 250, 300], then: 100 };
        SegmentGrid { rate: Ratio::new(25, 1), frames, starts }
    }

    #[test]
    fn every_frame_is_in_one_segment() {
        for grid in [even(1234), uneven(1234), uneven(40)] {
            let segments = grid.count(grid.frames);
            let mut next = 0;
            for n in 0..segments {
                let frames = grid.frames_of(n, grid.frames);
                assert_eq!(frames.start, next, "segment {n} of {grid:?}");
                assert!(!frames.is_empty(), "segment {n} of {grid:?}");
                assert!(frames.clone().all(|frame| grid.segment_of(frame) == n), "segment {n} of {grid:?}");
                next = frames.end;
            }
            assert_eq!(next, grid.frames, "{grid:?}");
            assert!(grid.frames_of(segments, grid.frames).is_empty());
        }
        assert_eq!(even(0).count(0), 0);
    }

    #[test]
    fn chunks_grow_to_a_minute_from_wherever_one_begins() {
        let lengths = |from| {
            even(100_000).chunks(from..from + 50).into_iter().map(|chunk| chunk.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(0), [2, 4, 8, 15, 15, 6]);
        assert_eq!(lengths(7), lengths(0));
        let all: Vec<u32> = uneven(4000).chunks(0..30).into_iter().flatten().collect();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }
}
