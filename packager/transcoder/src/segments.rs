//! Coded frames become segments on the grid.

use cmaf::{Sample, segment_head};
use model::RenditionName;
use model::cell::Reply;

use crate::error::{CellError, Result};
use crate::reply::Replies;

/// Collects one rendition's samples and sends each segment when it is whole.
pub(crate) struct Segments<'a> {
    replies: &'a Replies,
    rendition: RenditionName,
    /// Ticks of every sample.
    sample_duration: u32,
    number: u32,
    /// Samples before the segment that is being filled.
    before: u64,
    samples: Vec<Sample>,
    payload: Vec<u8>,
}

impl<'a> Segments<'a> {
    /// Begins with segment `number`, before which the rendition has so many samples.
    pub(crate) fn new(
        replies: &'a Replies,
        rendition: RenditionName,
        sample_duration: u32,
        (number, before): (u32, u64),
    ) -> Self {
        Self { replies, rendition, sample_duration, number, before, samples: Vec::new(), payload: Vec::new() }
    }

    /// The number of the segment that is being filled.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Samples of the rendition so far, those before the first segment included.
    pub(crate) fn total(&self) -> u64 {
        self.before + self.samples.len() as u64
    }

    /// Adds a sample that is presented as sample `shown` of the rendition.
    pub(crate) fn push(&mut self, shown: u64, sync: bool, bytes: &[u8]) -> Result<()> {
        // Decode times run evenly from the segment's start, so that the first sample is presented
        // when it is decoded; others are presented later, or, where frames are reordered, earlier.
        let ahead = shown as i64 - self.total() as i64;
        let too_far = || self.off_plan(format!("frame {shown} is coded at place {}", self.total()));
        let cts_offset =
            ahead.checked_mul(i64::from(self.sample_duration)).and_then(|ticks| i32::try_from(ticks).ok());
        let cts_offset = cts_offset.ok_or_else(too_far)?;
        let size = u32::try_from(bytes.len()).map_err(|_| self.off_plan("a frame of 4 GiB".into()))?;
        self.samples.push(Sample { size, duration: self.sample_duration, cts_offset, sync });
        self.payload.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the segment that is being filled and sends it; nothing if there is none.
    pub(crate) fn cut(&mut self) -> Result<()> {
        if self.samples.is_empty() {
            return Ok(());
        }
        let decode_time = self.before * u64::from(self.sample_duration);
        // `mfhd` counts from 1 (ISO/IEC 14496-12 §8.8.5).
        let head = segment_head(self.number + 1, decode_time, &self.samples, self.payload.len())?;
        let reply = Reply::Segment { rendition: self.rendition, number: self.number };
        self.replies.send_in_two(&reply, &head, &self.payload)?;
        self.before = self.total();
        self.number += 1;
        self.samples.clear();
        self.payload.clear();
        Ok(())
    }

    pub(crate) fn off_plan(&self, fault: String) -> CellError {
        CellError::OffPlan { rendition: self.rendition.to_string(), fault }
    }
}
