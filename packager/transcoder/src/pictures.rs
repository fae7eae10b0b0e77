//! The pictures of a run of segments: exactly its frames, wherever in the film it is.
//!
//! Which frame of the grid a picture becomes depends on the picture's time alone, so runs that are
//! made by themselves fit together: each begins a key frame earlier and drops what is shown before
//! it. Each goes on for a second or two, for its encoders to look at: one that does not know what
//! follows spends too little on its last pictures.
//!
//! The calling thread reads, decodes and brings pictures to the size of the greatest rung; each
//! rung encodes on a thread of its own and hands its pictures to the next smaller one, so that
//! the work of scaling is small. Bounded channels keep a handful of pictures in memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use model::cell::{EncodePlan, Reply, VideoPlan, VideoRung};
use model::{FailureReason, RenditionName};

use crate::damage::Damage;
use crate::error::{CellError, Result};
use crate::filter::{self, PictureFormat};
use crate::grid::{Grid, Holder, Seconds};
use crate::input::Input;
use crate::libav::{Chain, Medium, Picture};
use crate::reel::Reel;
use crate::reply::Replies;
use crate::rung::{Rung, Shot, Stretch};
use crate::x264;
use crate::zero::grid_of;

/// Pictures on their way to an encoder: enough to ride out a key frame.
const SHOTS: usize = 6;
/// Threads of the picture decoder, where somebody waits and where nobody does: what runs beside it
/// fills the machine better.
const DECODER_THREADS: [&str; 2] = ["2", "1"];
/// Pictures that a deinterlacer must have seen before the first that counts.
const FIELDS_BEFORE: i64 = 2;
/// How often an earlier key frame is looked for before the film is read from its beginning.
const MAX_TRIES: u32 = 14;
/// Pictures in a row behind the stretch that end it: one may bear a damaged time.
const BEHIND: usize = 2;

/// What is asked for.
pub(crate) struct Part<'a> {
    pub(crate) renditions: &'a [RenditionName],
    pub(crate) segments: Range<u32>,
    pub(crate) hurry: bool,
}

/// Encodes a part of a film's pictures and says `Done`.
pub(crate) fn pictures(input: Input, plan: &EncodePlan, part: &Part<'_>, replies: &Replies) -> Result<()> {
    let nothing = |what| CellError::refused(FailureReason::Internal, what);
    let video = plan.video.as_ref().ok_or_else(|| nothing("a plan without pictures"))?;
    let rungs: Vec<&VideoRung> =
        video.rungs.iter().filter(|rung| part.renditions.contains(&rung.rendition)).collect();
    let top = *rungs.last().ok_or_else(|| nothing("no rung of the plan"))?;
    let start = |segment| plan.grid.start(segment).min(video.frames);
    let frames = start(part.segments.start)..start(part.segments.end);
    if frames.is_empty() {
        return Err(nothing("no frame of the plan"));
    }
    let damage = Damage::default();
    let grid = grid_of(&input, plan, video)?;
    let film_ms = (plan.grid.seconds(plan.grid.frames) * 1000.0) as u64;
    let stretch = Stretch {
        grid: &plan.grid,
        video,
        segment: part.segments.start,
        frames: frames.clone(),
        hurry: part.hurry,
    };
    let ahead = (x264::ahead_s(part.hurry) * plan.grid.rate.as_f64()).ceil() as u64;
    let reach = (frames.end + ahead).min(video.frames);
    let missing = thread::scope(|scope| -> Result<u64> {
        let mut lanes = Vec::new();
        let shots = spawn_rungs(scope, &mut lanes, &stretch, &rungs, replies)?;
        let [hurried, calm] = DECODER_THREADS;
        let threads = if part.hurry { hurried } else { calm };
        let reel = Reel::open(input, video.stream, threads, &damage)?;
        let mut way = Way {
            grid,
            video,
            size: (top.width, top.height),
            frames: frames.start as i64..frames.end as i64,
            reach: reach as i64,
            chain: None,
            before: VecDeque::new(),
            taken: None,
            holder: Holder::new(frames.start..reach),
            missing: 0,
            shots,
        };
        let shown = way.show(reel, film_ms, &damage).map(|()| way.missing);
        drop(way);
        finish(shown, lanes)
    })?;
    let millis = |frames: u64| (plan.grid.seconds(frames) * 1000.0).round() as u64;
    let missing_ms = millis(missing);
    let duration_ms = millis(frames.end - frames.start) - missing_ms;
    replies.send(&Reply::Done { duration_ms, damaged: damage.total(), missing_ms }, &[])
}

type Lane<'scope> = ScopedJoinHandle<'scope, Result<()>>;

/// Starts the rungs and gives the way into the greatest.
fn spawn_rungs<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    lanes: &mut Vec<Lane<'scope>>,
    stretch: &Stretch<'env>,
    rungs: &[&'env VideoRung],
    replies: &'env Replies,
) -> Result<SyncSender<Shot>> {
    let mut below = None;
    for count in 1..=rungs.len() {
        let rung = Rung::open(stretch.clone(), &rungs[..count], replies)?;
        let (sender, shots) = sync_channel(SHOTS);
        let next = below.replace(sender);
        lanes.push(scope.spawn(move || rung.run(shots, next)));
    }
    Ok(below.expect("there is a rung"))
}

/// Waits for all threads and gives what was shown, or the error that came first.
fn finish(shown: Result<u64>, lanes: Vec<Lane<'_>>) -> Result<u64> {
    lanes.into_iter().fold(shown, |shown, lane| {
        let ended = lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (shown, ended) {
            // Those that were stopped by another say nothing.
            (Ok(_) | Err(CellError::Stopped), Err(error)) => Err(error),
            (shown, _) => shown,
        }
    })
}

/// The way of the pictures to the greatest rung.
struct Way<'a> {
    grid: Grid,
    video: &'a VideoPlan,
    /// Size of the greatest rung.
    size: (u32, u32),
    /// The stretch,
    frames: Range<i64>,
    /// and where that ends which the encoders are given.
    reach: i64,
    /// The graph that pictures of this format go through.
    chain: Option<(PictureFormat, Chain)>,
    /// The last pictures before the stretch: what is shown until its first, and what a deinterlacer
    /// must see.
    before: VecDeque<Picture>,
    /// The latest place that was taken on the grid, where its picture ends, and how much damage
    /// there was by then.
    taken: Option<(i64, i64, u64)>,
    holder: Holder<Picture>,
    /// Frames of the stretch for which nothing could be decoded.
    missing: u64,
    shots: SyncSender<Shot>,
}

impl Way<'_> {
    /// Fills the stretch, and what the encoders look ahead at.
    fn show(&mut self, reel: Reel<'_>, film_ms: u64, damage: &Damage) -> Result<()> {
        let (mut reel, mut next) = self.find(reel, film_ms)?;
        let mut behind = Vec::new();
        while let Some(mut picture) = next {
            let places =
                reel.times(&picture).map(|(at, end)| (self.grid.frame_at(at), self.grid.frame_at(end)));
            // A picture that says no time follows the one before it.
            let (n, end) = places.unwrap_or_else(|| self.taken.map_or((0, 1), |(n, ..)| (n + 1, n + 2)));
            picture.set_pts(n);
            if n >= self.reach {
                behind.push(picture);
                if behind.len() == BEHIND {
                    break;
                }
            } else {
                behind.clear();
                self.place(picture, n, end.max(n + 1), damage.total())?;
            }
            next = reel.next()?;
        }
        if behind.is_empty() {
            self.miss(self.taken.map_or(self.frames.start, |(_, end, _)| end), self.frames.end);
        }
        // Nothing before the reach: what comes first is shown until then.
        if self.taken.is_none()
            && let Some(first) = behind.first()
        {
            let mut first = first.share().map_err(CellError::libav("share a picture"))?;
            first.set_pts(self.frames.start);
            if damage.total() > 0 {
                self.miss(self.frames.start, self.frames.end);
            }
            self.place(first, self.frames.start, self.reach, damage.total())?;
        }
        self.filter_before()?;
        // The last picture is not deinterlaced before the next one is seen.
        if let Some(after) = behind.into_iter().next().filter(|_| self.video.deinterlace) {
            self.filter(after)?;
        }
        self.flush_chain()?;
        let holder = std::mem::replace(&mut self.holder, Holder::new(0..0));
        let nothing = || CellError::refused(FailureReason::Truncated, "no picture could be decoded");
        let (frames, last) = holder.finish().ok_or_else(nothing)?;
        self.send(frames, last)
    }

    /// Finds a place from which the stretch can be decoded, and gives the first picture from there.
    fn find<'r>(&self, mut reel: Reel<'r>, film_ms: u64) -> Result<(Reel<'r>, Option<Picture>)> {
        let first = self.frames.start - if self.video.deinterlace { FIELDS_BEFORE } else { 0 };
        if first <= 0 {
            let next = reel.next()?;
            return Ok((reel, next));
        }
        // Containers round times.
        let wanted = self.grid.moment(first).plus(self.grid.frames(1).over(10));
        if reel.input().seeks_well(film_ms) {
            let (mut aim, mut back_s) = (wanted, 0);
            for _ in 0..MAX_TRIES {
                let key = reel.seek(aim)?;
                aim = wanted.minus(Seconds::of(back_s, 1, 1));
                if let Some(key) = key.filter(|key| !wanted.is_before(key.at)) {
                    if let Some(next) = self.first_if_before(&mut reel, first)? {
                        return Ok((reel, Some(next)));
                    }
                    // Its first pictures lean on those before it, or nothing behind it can be decoded.
                    aim = if key.before.is_before(aim) { key.before } else { aim };
                }
                back_s = (2 * back_s).max(1);
                if aim.is_before(self.grid.zero()) {
                    break;
                }
            }
        } else {
            reel = reel.restart_before(wanted)?;
            if let Some(next) = self.first_if_before(&mut reel, first)? {
                return Ok((reel, Some(next)));
            }
        }
        let mut reel = reel.restart()?;
        let next = reel.next()?;
        Ok((reel, next))
    }

    /// The first picture that says its time, if that is not behind grid frame `n`.
    fn first_if_before(&self, reel: &mut Reel<'_>, n: i64) -> Result<Option<Picture>> {
        while let Some(picture) = reel.next()? {
            if let Some((at, _)) = reel.times(&picture) {
                return Ok(Some(picture).filter(|_| self.grid.frame_at(at) <= n));
            }
        }
        Ok(None)
    }

    /// Puts a picture at place `n` of the grid, unless that is taken; it lasts until `end`.
    fn place(&mut self, picture: Picture, n: i64, end: i64, damage: u64) -> Result<()> {
        if self.taken.is_some_and(|(taken, ..)| n <= taken) {
            return Ok(());
        }
        let (ended, damage_before) =
            self.taken.map_or((self.frames.start, 0), |(_, end, damage)| (end, damage));
        if damage > damage_before {
            self.miss(ended, n);
        }
        self.taken = Some((n, end, damage));
        if n < self.frames.start {
            self.before.push_back(picture);
            let kept = if self.video.deinterlace { FIELDS_BEFORE as usize + 1 } else { 1 };
            if self.before.len() > kept {
                self.before.pop_front();
            }
            return Ok(());
        }
        self.filter_before()?;
        self.filter(picture)
    }

    /// Counts what could not be decoded.
    fn miss(&mut self, from: i64, to: i64) {
        let (from, to) = (from.max(self.frames.start), to.min(self.frames.end));
        self.missing += u64::try_from(to - from).unwrap_or(0);
    }

    fn filter_before(&mut self) -> Result<()> {
        while let Some(picture) = self.before.pop_front() {
            self.filter(picture)?;
        }
        Ok(())
    }

    fn filter(&mut self, mut picture: Picture) -> Result<()> {
        let format = PictureFormat::of(&picture);
        if self.chain.as_ref().is_none_or(|(of, _)| *of != format) {
            self.flush_chain()?;
            let filters = filter::to_first_rung(&format, self.video, self.size);
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
            let n = picture.pts().map_or(self.reach, |pts| pts * i64::from(num) / i64::from(den.max(1)));
            if n >= self.reach {
                continue;
            }
            if let Some((frames, before)) = self.holder.put(n, picture) {
                self.send(frames, before)?;
            }
        }
        self.chain = Some((format, chain));
        Ok(())
    }

    /// Hands a picture and its part of the grid to the rungs.
    fn send(&mut self, frames: Range<u64>, picture: Picture) -> Result<()> {
        self.shots.send(Shot { frames, picture }).map_err(|_| CellError::Stopped)
    }
}
