//! The pictures of a feed: decoded in the order in which they come, handed on in that in which they
//! are shown.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ffmpeg_next::Error;
use ffmpeg_next::decoder::Opened;
use model::FailureReason;
use model::cell::live::{LiveReply, LiveVideo};
use model::feed::FeedTrack;

use super::rung::{Rung, Shot, Step};
use super::{Fed, decoding};
use crate::error::{CellError, Result};
use crate::libav::Picture;
use crate::reply::Replies;

/// Steps on their way to a rung: enough to ride out a key frame.
const STEPS: usize = 4;
/// IDR pictures that are waited for: behind a decoder that lags by as many pictures as H.264
/// reorders, all of them IDR.
const MOST_DUE: usize = 16;

/// The decoder and the rungs of a feed's pictures.
pub(super) struct Pictures<'a> {
    decoder: Opened,
    /// Smallest first.
    rungs: Vec<Rung<'a>>,
}

impl<'a> Pictures<'a> {
    /// Opens all, and announces the renditions.
    pub(super) fn open(plan: &'a LiveVideo, replies: &'a Replies) -> Result<Self> {
        let top = plan.rungs.len().checked_sub(1);
        let top = top.ok_or_else(|| CellError::refused(FailureReason::Internal, "a plan without rungs"))?;
        let decoder = decoding::open(&plan.config)?;
        let open = |(n, rung)| Rung::open(plan, rung, n == top, replies);
        let rungs = plan.rungs.iter().enumerate().map(open).collect::<Result<_>>()?;
        Ok(Self { decoder, rungs })
    }

    /// Encodes what is fed until it ends.
    pub(super) fn run(self, fed: Receiver<Fed>) -> Result<()> {
        thread::scope(|scope| {
            let (mut lanes, mut below) = (Vec::new(), None);
            for rung in self.rungs {
                let (sender, steps) = sync_channel(STEPS);
                let next = below.replace(sender);
                lanes.push(scope.spawn(move || rung.run(steps, next)));
            }
            let steps = below.expect("there is a rung");
            let way = Way { decoder: self.decoder, steps, due: BTreeSet::new(), last: None, damaged: 0 };
            // Those that were stopped by another say nothing.
            lanes.into_iter().fold(way.run(fed), |shown, lane| {
                let ended = lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                match (shown, ended) {
                    (Ok(()) | Err(CellError::Stopped), Err(error)) => Err(error),
                    (shown, _) => shown,
                }
            })
        })
    }
}

/// The way from packets to the greatest rung.
struct Way {
    decoder: Opened,
    steps: SyncSender<Step>,
    /// When IDR pictures are to be shown that were fed and have not come out yet.
    due: BTreeSet<i64>,
    /// The last picture that came out, and when it is shown.
    last: Option<(i64, Picture)>,
    damaged: u64,
}

impl Way {
    fn run(mut self, fed: Receiver<Fed>) -> Result<()> {
        for fed in fed {
            if fed.idr {
                self.due.insert(fed.pts);
                while self.due.len() > MOST_DUE {
                    self.due.pop_first();
                }
            }
            let sent = decoding::packet(&fed).map(|packet| self.decoder.send_packet(&packet));
            self.damaged += u64::from(!matches!(sent, Some(Ok(()))));
            let shots = self.decode()?;
            self.hand_on(Some(fed.dts), shots)?;
        }
        // What it still holds comes out; a decoder that will not end has nothing more to give.
        let _ = self.decoder.send_eof();
        let shots = self.decode()?;
        self.hand_on(None, shots)
    }

    /// What has come out of the decoder.
    fn decode(&mut self) -> Result<Vec<Shot>> {
        let mut shots = Vec::new();
        loop {
            let mut picture = Picture::empty();
            match self.decoder.receive_frame(picture.frame()) {
                Ok(()) => self.place(picture, &mut shots)?,
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => return Ok(shots),
                // Each call takes a packet's worth of damage out of the decoder, so this ends.
                Err(_) => self.damaged += 1,
            }
        }
    }

    /// Puts a picture behind those before it. Where an IDR picture is lost the one before it is shown
    /// for it, so that all renditions are cut at the same moments whatever can be decoded; at the
    /// beginning, the one behind it.
    fn place(&mut self, picture: Picture, shots: &mut Vec<Shot>) -> Result<()> {
        let share = |picture: &Picture| picture.share().map_err(CellError::libav("share a picture"));
        let last = self.last.as_ref().map(|(pts, _)| *pts);
        self.damaged += u64::from(picture.is_damaged());
        // Time goes forwards; what does not cannot be shown.
        let Some(pts) = picture.pts().filter(|pts| last.is_none_or(|last| *pts > last)) else {
            self.damaged += 1;
            return Ok(());
        };
        while let Some(due) = self.due.first().copied().filter(|due| *due <= pts) {
            self.due.pop_first();
            if due < pts && last.is_none_or(|last| due > last) {
                let instead = self.last.as_ref().map_or(&picture, |(_, last)| last);
                shots.push(Shot { pts: due, idr: true, picture: share(instead)? });
                self.damaged += 1;
            } else if due == pts {
                self.last = Some((pts, share(&picture)?));
                shots.push(Shot { pts, idr: true, picture });
                return Ok(());
            }
        }
        self.last = Some((pts, share(&picture)?));
        shots.push(Shot { pts, idr: false, picture });
        Ok(())
    }

    fn hand_on(&mut self, dts: Option<i64>, shots: Vec<Shot>) -> Result<()> {
        let passed = dts.map(|dts| LiveReply::Passed { track: FeedTrack::Video, dts, damaged: self.damaged });
        self.steps.send(Step { shots, passed }).map_err(|_| CellError::Stopped)
    }
}
