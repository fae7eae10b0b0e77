//! The picture's way from packets to shots: decode, place on the grid, deinterlace, turn, scale
//! to the greatest rung.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender};

use ffmpeg_next::decoder::Opened;
use ffmpeg_next::{Error, Packet, Rational};
use model::FailureReason;
use model::cell::{EncodePlan, VideoPlan};

use crate::damage::Damage;
use crate::error::{CellError, Result};
use crate::filter::{self, PictureFormat};
use crate::grid::{Belief, Grid, Holder, Seconds};
use crate::libav::{Chain, Medium, Picture};
use crate::reply::Replies;
use crate::rung::Shot;
use crate::stills::Stills;

/// The picture lane, on a thread of its own.
pub(crate) struct PictureLane<'a> {
    decoder: Opened,
    time_base: Rational,
    grid: Grid,
    plan: &'a VideoPlan,
    belief: Belief,
    max_ms: u64,
    damage: &'a Damage,
    replies: &'a Replies,
    /// The graph that pictures of this format go through.
    chain: Option<(PictureFormat, Chain)>,
    holder: Holder<Picture>,
    /// The latest place that was taken on the grid, and where its picture ends.
    taken: i64,
    end: i64,
    stills: Stills,
    shots: SyncSender<Shot>,
}

impl<'a> PictureLane<'a> {
    #[expect(clippy::too_many_arguments, reason = "one caller, and each is a thing of its own")]
    pub(crate) fn new(
        decoder: Opened,
        time_base: Rational,
        grid: Grid,
        belief: Belief,
        plan: &'a VideoPlan,
        whole: &EncodePlan,
        damage: &'a Damage,
        replies: &'a Replies,
        shots: SyncSender<Shot>,
    ) -> Self {
        Self {
            decoder,
            time_base,
            grid,
            plan,
            belief,
            max_ms: whole.max_ms,
            damage,
            replies,
            chain: None,
            holder: Holder::new(0..u64::MAX),
            taken: -1,
            end: 0,
            stills: Stills::new(plan, whole.expected_ms),
            shots,
        }
    }

    /// Takes packets until there are no more, and gives the length of the picture in milliseconds.
    pub(crate) fn run(mut self, packets: Receiver<Packet>) -> Result<u64> {
        for packet in packets {
            self.damage.count(packet.is_corrupt());
            if self.decoder.send_packet(&packet).is_err() {
                self.damage.count(true);
            }
            self.decode()?;
        }
        // The end itself cannot fail in a way that matters: what was decoded is kept.
        let _ = self.decoder.send_eof();
        self.decode()?;
        self.flush_chain()?;
        let Some((frames, last)) = std::mem::replace(&mut self.holder, Holder::new(0..0)).finish() else {
            return Err(CellError::refused(FailureReason::Truncated, "no picture could be decoded"));
        };
        let end = u64::try_from(self.end).unwrap_or(0).max(frames.start + 1);
        self.show(frames.start..end, last)?;
        self.stills.send(self.plan, self.replies)?;
        Ok(self.grid.millis(end))
    }

    fn decode(&mut self) -> Result<()> {
        loop {
            let mut picture = Picture::empty();
            match self.decoder.receive_frame(picture.frame()) {
                Ok(()) => self.place(picture)?,
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => return Ok(()),
                // Each call takes a packet's worth of damage out of the decoder, so this ends.
                Err(_) => self.damage.count(true),
            }
        }
    }

    /// Puts a decoded picture on the grid and through the filters, unless another one is there.
    fn place(&mut self, mut picture: Picture) -> Result<()> {
        self.damage.count(picture.is_damaged());
        let (num, den) = (self.time_base.numerator(), self.time_base.denominator());
        let (n, end) = match picture.timestamp() {
            Some(pts) => (
                self.grid.frame_at(Seconds::of(pts, num, den)),
                self.grid.frame_at(Seconds::of(pts.saturating_add(picture.duration()), num, den)),
            ),
            // A picture that says no time follows the one before it.
            None => (self.taken + 1, self.taken + 2),
        };
        if n <= self.taken && self.taken >= 0 {
            return Ok(());
        }
        let (before_ms, at_ms) =
            (self.grid.millis(self.taken.max(0) as u64), self.grid.millis(n.max(0) as u64));
        if !self.belief.takes(before_ms, at_ms) {
            self.damage.count(true);
            return Ok(());
        }
        if at_ms > self.max_ms {
            let detail = format!("a picture behind {} ms", self.max_ms);
            return Err(CellError::refused(FailureReason::TooLarge, detail));
        }
        // A duration is a timestamp too.
        let end_ms = self.grid.millis(end.max(0) as u64);
        let is_sound = self.belief.takes(at_ms, end_ms) && end_ms <= self.max_ms;
        (self.taken, self.end) = (n.max(0), if is_sound { end } else { n });
        picture.set_pts(self.taken);
        self.filter(picture)
    }

    fn filter(&mut self, mut picture: Picture) -> Result<()> {
        let format = PictureFormat::of(&picture);
        if self.chain.as_ref().is_none_or(|(of, _)| *of != format) {
            self.flush_chain()?;
            let top = self.plan.rungs.last().map_or((2, 2), |rung| (rung.width, rung.height));
            let filters = filter::to_first_rung(&format, self.plan, top);
            let chain = Chain::new(Medium::Picture, &format.source(), &filters, 2)
                .map_err(CellError::libav("build the picture's filters"))?;
            self.chain = Some((format, chain));
        }
        if let Some((_, chain)) = &mut self.chain {
            chain.put(picture.frame()).map_err(CellError::libav("filter a picture"))?;
        }
        self.drain_chain()
    }

    fn flush_chain(&mut self) -> Result<()> {
        if let Some((_, chain)) = &mut self.chain {
            chain.finish().map_err(CellError::libav("finish the picture's filters"))?;
        }
        self.drain_chain()?;
        self.chain = None;
        Ok(())
    }

    fn drain_chain(&mut self) -> Result<()> {
        let Some((format, mut chain)) = self.chain.take() else { return Ok(()) };
        // A deinterlacer counts time in half frames.
        let (num, den) = chain.time_base();
        loop {
            let mut picture = Picture::empty();
            if !chain.take(picture.frame()).map_err(CellError::libav("filter a picture"))? {
                break;
            }
            let n = picture.pts().unwrap_or(self.taken) * i64::from(num) / i64::from(den.max(1));
            if let Some((frames, before)) = self.holder.put(n, picture) {
                self.show(frames, before)?;
            }
        }
        self.chain = Some((format, chain));
        Ok(())
    }

    /// Hands a picture and its stretch of the grid to the rungs.
    fn show(&mut self, frames: Range<u64>, picture: Picture) -> Result<()> {
        if self.stills.look(frames.start, &picture)? {
            self.stills.send(self.plan, self.replies)?;
        }
        self.shots.send(Shot { frames, picture }).map_err(|_| CellError::Stopped)
    }
}
