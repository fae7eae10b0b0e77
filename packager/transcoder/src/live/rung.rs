//! One picture rendition of a feed: scale, encode, say, and hand the scaled pictures to the next
//! smaller.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender};

use model::cell::live::{LiveReply, LiveRung, LiveTrack, LiveVideo};

use super::cadence::Cadence;
use crate::error::{CellError, Result};
use crate::filter;
use crate::h264;
use crate::libav::{Encoded, Encoder, Picture};
use crate::reply::Replies;
use crate::scaler::Scaler;
use crate::x264;

/// A picture, and when it is shown.
pub(super) struct Shot {
    pub(super) pts: i64,
    pub(super) idr: bool,
    pub(super) picture: Picture,
}

/// What one packet of the feed gave: no picture, one, or more.
pub(super) struct Step {
    pub(super) shots: Vec<Shot>,
    /// What the last rung says when it has done with it.
    pub(super) passed: Option<LiveReply>,
}

/// One rung at work, on a thread of its own.
pub(super) struct Rung<'a> {
    rung: &'a LiveRung,
    /// Whether its pictures come from the decoder and not from a greater rung.
    is_first: bool,
    cadence: Cadence,
    scaler: Scaler,
    encoder: Encoder,
    has_begun: bool,
    /// What the encoder has and has not given back: when it is shown, and whether it is to be IDR.
    held: VecDeque<(i64, bool)>,
    replies: &'a Replies,
}

impl<'a> Rung<'a> {
    /// Opens the encoder and announces the rendition.
    pub(super) fn open(
        plan: &LiveVideo,
        rung: &'a LiveRung,
        is_first: bool,
        replies: &'a Replies,
    ) -> Result<Self> {
        let off_plan = |fault| CellError::OffPlan { rendition: rung.rendition.to_string(), fault };
        let encoder =
            x264::open_live(plan.frame_rate, rung).map_err(CellError::libav("open the video encoder"))?;
        let avcc = h264::configuration(&encoder.header())
            .ok_or_else(|| off_plan("the encoder's header is not one SPS and one PPS".into()))?;
        let side = |value: u32| u16::try_from(value).map_err(|_| off_plan(format!("a side of {value}")));
        let track = LiveTrack::Video { avcc, width: side(rung.width)?, height: side(rung.height)? };
        replies.send(&LiveReply::Init { rendition: rung.rendition, track }, &[])?;
        Ok(Self {
            rung,
            is_first,
            cadence: Cadence::new(plan.frame_rate, rung.frame_divisor),
            scaler: Scaler::default(),
            encoder,
            has_begun: false,
            held: VecDeque::new(),
            replies,
        })
    }

    /// Takes steps until there are no more.
    pub(super) fn run(mut self, steps: Receiver<Step>, below: Option<SyncSender<Step>>) -> Result<()> {
        for Step { shots, passed } in steps {
            let shots = shots.into_iter().filter_map(|shot| self.show(shot).transpose());
            let shots = shots.collect::<Result<Vec<_>>>()?;
            // Behind its own packets, so that the last rung speaks for all.
            match (&below, passed) {
                (Some(below), passed) => {
                    below.send(Step { shots, passed }).map_err(|_| CellError::Stopped)?;
                }
                (None, Some(passed)) => self.replies.send(&passed, &[])?,
                (None, None) => {}
            }
        }
        self.encoder.put(None).map_err(CellError::libav("finish an encoder"))?;
        self.drain()
    }

    /// Encodes a picture and gives it back in the rung's size, if the rung shows it: no smaller rung
    /// shows one that this does not.
    fn show(&mut self, Shot { pts, idr, picture }: Shot) -> Result<Option<Shot>> {
        if !self.cadence.shows(pts, idr) {
            return Ok(None);
        }
        let picture = self.scale(picture)?;
        let mut frame = picture.share().map_err(CellError::libav("share a picture"))?;
        let is_key = idr || !self.has_begun;
        frame.set_pts(pts);
        frame.set_key(is_key);
        self.held.push_back((pts, is_key));
        self.has_begun = true;
        self.encoder.put(Some(frame.frame())).map_err(CellError::libav("encode a picture"))?;
        self.drain()?;
        Ok(Some(Shot { pts, idr, picture }))
    }

    /// Brings a picture to the rung's size.
    fn scale(&mut self, picture: Picture) -> Result<Picture> {
        let size = (self.rung.width, self.rung.height);
        if !self.is_first && picture.size() == size {
            return Ok(picture);
        }
        let is_first = self.is_first;
        let scaled = self.scaler.scale(picture, |format| match is_first {
            true => filter::to_first_live_rung(format, size),
            false => filter::to_smaller_rung(size),
        })?;
        scaled.ok_or_else(|| self.off_plan("a picture did not come out of the scaler".into()))
    }

    /// Says what the encoder has ready.
    fn drain(&mut self) -> Result<()> {
        while let Some(coded) = self.encoder.take().map_err(CellError::libav("encode a picture"))? {
            self.say(&coded)?;
        }
        Ok(())
    }

    fn say(&mut self, coded: &Encoded) -> Result<()> {
        let bytes = coded.bytes.data().unwrap_or_default();
        let said = (coded.pts, h264::is_idr(bytes));
        // No picture refers to a later one, so they come out as they went in.
        if self.held.pop_front() != Some(said) {
            return Err(self.off_plan(format!("a picture at {}, IDR: {}", said.0, said.1)));
        }
        let (dts, key) = said;
        let reply = LiveReply::Packet {
            rendition: self.rung.rendition,
            dts,
            cts_offset: 0,
            key,
            duration: self.cadence.usual(),
        };
        self.replies.send(&reply, &h264::slices(bytes))
    }

    fn off_plan(&self, fault: String) -> CellError {
        CellError::OffPlan { rendition: self.rung.rendition.to_string(), fault }
    }
}
