//! The lower rungs of an event while it is on.
//!
//! `feed` reads packets from standard input and hands them to two lanes, one for each track, that do
//! not wait for each other while both keep up: `pictures` decodes and has a cascade of `rung`s scale
//! and encode, each on a thread of its own, `sound` does all for the sound on one. Nothing here
//! knows what time it is: whoever sends packets sees by the answers how far behind this is.

mod cadence;
mod decoding;
mod feed;
mod pictures;
mod rung;
mod sound;

use std::thread;

use model::FailureReason;
use model::cell::live::{LivePlan, LiveReply};

use crate::error::{CellError, Result};
use crate::reply::Replies;
use pictures::Pictures;
use sound::SoundWay;

pub(crate) use decoding::MAX_PIXELS;
pub(crate) use feed::{Fed, Feed, channel};

/// Makes what a plan says of what is fed, and says `Done` when the feed is over.
pub(crate) fn live(plan: &LivePlan, feed: Feed, replies: &Replies) -> Result<()> {
    let Feed { video, audio } = feed;
    let pictures = plan.video.as_ref().map(|plan| Pictures::open(plan, replies)).transpose()?;
    let sound = plan.audio.as_ref().map(|plan| SoundWay::open(plan, replies)).transpose()?;
    if pictures.is_none() && sound.is_none() {
        return Err(CellError::refused(FailureReason::Internal, "a plan of nothing"));
    }
    thread::scope(|scope| {
        let pictures = pictures.map(|way| scope.spawn(move || way.run(video)));
        let sound = sound.map(|way| scope.spawn(move || way.run(audio)));
        let mut lanes = [pictures, sound].into_iter().flatten();
        lanes.try_for_each(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    replies.send(&LiveReply::Done, &[])
}
