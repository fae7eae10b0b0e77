//! One picture rendition: scale, encode, cut, and hand the scaled pictures to the next smaller.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender};

use model::SegmentGrid;
use model::cell::{VideoPlan, VideoRung};

use crate::error::{CellError, Result};
use crate::filter;
use crate::h264;
use crate::libav::{Encoded, Encoder, Picture};
use crate::reply::{Replies, Track};
use crate::scaler::Scaler;
use crate::segments::Segments;
use crate::x264;

/// A picture and the grid frames during which it is shown.
pub(crate) struct Shot {
    pub(crate) frames: Range<u64>,
    pub(crate) picture: Picture,
}

/// What a run of segments asks of all rungs alike.
#[derive(Debug, Clone)]
pub(crate) struct Stretch<'a> {
    pub(crate) grid: &'a SegmentGrid,
    pub(crate) video: &'a VideoPlan,
    /// The first segment,
    pub(crate) segment: u32,
    /// and the grid frames of all of them.
    pub(crate) frames: Range<u64>,
    pub(crate) hurry: bool,
}

/// One rung at work, on a thread of its own.
pub(crate) struct Rung<'a> {
    stretch: Stretch<'a>,
    rung: &'a VideoRung,
    /// Of the pictures that come, only those on multiples of this are wanted here or below.
    wanted: u64,
    scaler: Scaler,
    encoder: Encoder,
    /// Frames of the rung before the stretch: the encoder counts from it.
    before: u64,
    /// Where the stretch ends: what the encoder is given behind it is only looked at.
    end: u64,
    /// The rung's frame that the encoder is given next.
    fed: u64,
    /// The segment that the next key frame begins.
    next: u32,
    segments: Segments<'a>,
    replies: &'a Replies,
    track: Track,
}

impl<'a> Rung<'a> {
    /// Opens the encoder and announces the rendition; `rungs` are this one and all smaller ones
    /// of the task, smallest first.
    pub(crate) fn open(stretch: Stretch<'a>, rungs: &[&'a VideoRung], replies: &'a Replies) -> Result<Self> {
        let rung = *rungs.last().expect("a rung stands in its own list");
        let encoder = x264::announce(stretch.grid, stretch.video, rung, stretch.hurry, replies)?;
        let wanted = rungs.iter().map(|rung| u64::from(rung.frame_divisor)).fold(0, gcd).max(1);
        let before = stretch.frames.start.div_ceil(divisor(rung));
        let (_, ticks) = x264::timescale(stretch.video, rung);
        Ok(Self {
            rung,
            wanted,
            scaler: Scaler::default(),
            encoder,
            before,
            end: stretch.frames.end.div_ceil(divisor(rung)),
            fed: before,
            next: stretch.segment,
            segments: Segments::new(replies, rung.rendition, ticks, (stretch.segment, before)),
            replies,
            track: replies.track(),
            stretch,
        })
    }

    /// Takes shots until there are no more.
    pub(crate) fn run(mut self, shots: Receiver<Shot>, below: Option<SyncSender<Shot>>) -> Result<()> {
        for Shot { frames, picture } in shots {
            // First grid frame of the shot that anybody wants.
            if frames.start.next_multiple_of(self.wanted) >= frames.end {
                continue;
            }
            let picture = self.scale(picture)?;
            if let Some(below) = &below {
                let picture = picture.share().map_err(CellError::libav("share a picture"))?;
                below.send(Shot { frames: frames.clone(), picture }).map_err(|_| CellError::Stopped)?;
            }
            self.encode(frames, &picture)?;
        }
        // The smaller rungs need not wait for what the encoder still holds.
        drop(below);
        if !self.is_whole() {
            self.encoder.put(None).map_err(CellError::libav("finish an encoder"))?;
            self.drain()?;
        }
        self.segments.cut()?;
        if !self.is_whole() {
            let (total, end) = (self.segments.total(), self.stretch.frames.end);
            return Err(self.segments.off_plan(format!("{total} frames before grid frame {end}")));
        }
        self.replies.end(self.track)
    }

    /// Brings a picture to the rung's size, if it has another.
    fn scale(&mut self, picture: Picture) -> Result<Picture> {
        let size = (self.rung.width, self.rung.height);
        if picture.size() == size {
            return Ok(picture);
        }
        let scaled = self.scaler.scale(picture, |_| filter::to_smaller_rung(size))?;
        scaled.ok_or_else(|| self.segments.off_plan("a picture did not come out of the scaler".into()))
    }

    /// Encodes a picture as each frame of the rung that shows it.
    fn encode(&mut self, frames: Range<u64>, picture: &Picture) -> Result<()> {
        let divisor = divisor(self.rung);
        for n in frames.start.div_ceil(divisor)..frames.end.div_ceil(divisor) {
            if self.is_whole() {
                return Ok(());
            }
            let mut frame = picture.share().map_err(CellError::libav("share a picture"))?;
            // The bytes of a stretch do not depend on where in the film it is.
            frame.set_pts((n - self.before) as i64);
            let is_start = n == self.start_of(self.next);
            self.next += u32::from(is_start);
            frame.set_key(is_start);
            self.encoder.put(Some(frame.frame())).map_err(CellError::libav("encode a picture"))?;
            self.fed = (n + 1).min(self.end);
            self.drain()?;
            self.advance()?;
        }
        Ok(())
    }

    /// Takes what the encoder has ready, up to the stretch's last frame.
    fn drain(&mut self) -> Result<()> {
        while !self.is_whole()
            && let Some(coded) = self.encoder.take().map_err(CellError::libav("encode a picture"))?
        {
            self.take(&coded)?;
        }
        Ok(())
    }

    /// Whether every frame of the stretch is coded: none behind it is coded before it is.
    fn is_whole(&self) -> bool {
        self.segments.total() >= self.end
    }

    fn take(&mut self, coded: &Encoded) -> Result<()> {
        let bytes = coded.bytes.data().unwrap_or_default();
        let shown = u64::try_from(coded.pts).ok().and_then(|pts| pts.checked_add(self.before));
        let shown = shown.ok_or_else(|| self.segments.off_plan("a frame without time".into()))?;
        if coded.key {
            self.segments.cut()?;
        }
        let number = self.segments.number();
        let is_first = shown == self.start_of(number);
        // A segment starts where it should, with a picture before which nothing is needed.
        if coded.key != is_first || (is_first && !h264::is_idr(bytes)) {
            let fault = format!("frame {shown} of segment {number}, key: {}", coded.key);
            return Err(self.segments.off_plan(fault));
        }
        self.segments.push(shown, coded.key, &h264::slices(bytes))?;
        self.advance()
    }

    /// Says how far this rung is: half of the work on a picture that the encoder still holds, to
    /// look ahead from it, is done. A slow preset holds more than ten seconds of a small rung.
    fn advance(&self) -> Result<()> {
        let halves = self.fed.saturating_add(self.segments.total());
        let done = halves.saturating_mul(divisor(self.rung)) / 2;
        self.replies.advance(self.track, (self.stretch.grid.seconds(done) * 1000.0) as u64)
    }

    /// The rung's frame with which a segment starts.
    fn start_of(&self, segment: u32) -> u64 {
        self.stretch.grid.start(segment).div_ceil(divisor(self.rung))
    }
}

fn divisor(rung: &VideoRung) -> u64 {
    rung.frame_divisor.max(1).into()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
