//! Coded frames of a sound become segments near the grid.

use model::SegmentGrid;
use model::cell::{AudioPlan, AudioRung};

use crate::error::Result;
use crate::reply::Replies;
use crate::segments::Segments;

/// One sound rendition on its way, from its first frame on.
pub(crate) struct SoundSegments<'a> {
    grid: &'a SegmentGrid,
    plan: &'a AudioPlan,
    segments: Segments<'a>,
    /// The coded frame with which the next segment starts.
    next_start: u64,
}

impl<'a> SoundSegments<'a> {
    pub(crate) fn new(
        grid: &'a SegmentGrid,
        plan: &'a AudioPlan,
        rung: &AudioRung,
        replies: &'a Replies,
    ) -> Self {
        Self {
            grid,
            plan,
            segments: Segments::new(replies, rung.rendition, AudioPlan::FRAME, (0, 0)),
            next_start: plan.frames_of(grid, 0).end,
        }
    }

    /// Coded frames so far.
    pub(crate) fn total(&self) -> u64 {
        self.segments.total()
    }

    /// Adds the next coded frame.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let place = self.segments.total();
        if place == self.next_start {
            self.segments.cut()?;
            self.next_start = self.plan.frames_of(self.grid, self.segments.number()).end;
        }
        self.segments.push(place, true, bytes)
    }

    /// Ends the last segment, when all planned frames are there.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.segments.cut()?;
        let (total, planned) = (self.segments.total(), self.plan.coded_frames());
        if total != planned {
            return Err(self.segments.off_plan(format!("{total} frames of {planned}")));
        }
        Ok(())
    }
}
