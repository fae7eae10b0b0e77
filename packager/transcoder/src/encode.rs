//! One decode, many renditions.
//!
//! The calling thread reads packets. A thread decodes pictures and one encodes each picture
//! rendition, the greatest first: it scales from the picture before it, so the work of scaling is
//! small, and bounded channels between them keep a handful of pictures in memory. A last thread
//! decodes and encodes sound.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use ffmpeg_next::{Packet, Rational, Stream};
use model::FailureReason;
use model::cell::{EncodePlan, Reply};

use crate::audio::SoundLane;
use crate::damage::Damage;
use crate::error::{CellError, Result};
use crate::grid::{Belief, Seconds};
use crate::input::{Input, Next};
use crate::libav;
use crate::reply::Replies;
use crate::rung::{Rung, Shot, Stretch};
use crate::video::PictureLane;
use crate::zero::{grid_of, used_streams as used, zero_of};

/// Packets on their way to a decoder.
const PACKETS: usize = 64;
/// Pictures on their way to an encoder: enough to ride out a key frame.
const SHOTS: usize = 6;
/// Threads of the picture decoder.
const DECODER_THREADS: &str = "2";
/// How far behind the others a stream may be before it counts as pausing, in milliseconds.
const PAUSE_MS: u64 = 20_000;
/// Of a hundred parts of the declared duration, how many must decode.
const WHOLE_PERCENT: u64 = 90;

/// Carries out a plan and says `Done`.
pub(crate) fn encode(mut input: Input, plan: &EncodePlan, replies: &Replies) -> Result<()> {
    let damage = Damage::default();
    let declared_ms = declared_ms(&input, plan)?;
    let belief = Belief { declared_ms };

    let duration_ms = thread::scope(|scope| -> Result<u64> {
        let mut lanes = Vec::new();
        let mut routes: Vec<Route> = Vec::new();
        let zero = zero_of(&input, plan)?;
        if let Some(video) = &plan.video {
            let stream = input.stream(video.stream)?;
            let decoder = input.decoder(&stream, DECODER_THREADS)?;
            let grid = grid_of(&input, plan, video)?;
            let (shots, packets) = (spawn_rungs(scope, &mut lanes, plan, replies)?, sync_channel(PACKETS));
            let base = stream.time_base();
            let lane = PictureLane::new(decoder, base, grid, belief, video, plan, &damage, replies, shots);
            lanes.push(scope.spawn(move || lane.run(packets.1)));
            routes.push(Route { stream: video.stream, time_base: base, packets: packets.0, passed_ms: 0 });
        }
        if let Some(audio) = &plan.audio {
            let stream = input.stream(audio.stream)?;
            let decoder = input.decoder(&stream, "1")?;
            let packets = sync_channel(PACKETS);
            let base = stream.time_base();
            let lane = SoundLane::open(decoder, base, zero, belief, audio, plan.max_ms, &damage, replies)?;
            lanes.push(scope.spawn(move || lane.run(packets.1)));
            routes.push(Route { stream: audio.stream, time_base: base, packets: packets.0, passed_ms: 0 });
        }
        let read = demux(&mut input, &mut routes, zero, &damage, replies);
        drop(routes);
        finish(read, lanes)
    })?;

    if declared_ms.is_some_and(|declared| duration_ms < declared * WHOLE_PERCENT / 100) {
        let detail = format!("{duration_ms} ms of {} ms decode", declared_ms.unwrap_or(0));
        return Err(CellError::refused(FailureReason::Truncated, detail));
    }
    replies.send(&Reply::Done { duration_ms, damaged: damage.total(), missing_ms: 0 }, &[])
}

type Lane<'scope> = ScopedJoinHandle<'scope, Result<u64>>;

/// Starts the picture rungs and gives the way into the greatest.
fn spawn_rungs<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    lanes: &mut Vec<Lane<'scope>>,
    plan: &'env EncodePlan,
    replies: &'env Replies,
) -> Result<SyncSender<Shot>> {
    let nothing = || CellError::refused(FailureReason::Internal, "a picture plan without rungs");
    let video = plan.video.as_ref().ok_or_else(nothing)?;
    let mut below = None;
    let rungs: Vec<_> = video.rungs.iter().collect();
    for count in 1..=rungs.len() {
        let stretch = Stretch { grid: &plan.grid, video, segment: 0, frames: 0..u64::MAX, hurry: false };
        let rung = Rung::open(stretch, &rungs[..count], replies)?;
        let (sender, shots) = sync_channel(SHOTS);
        let next = below.replace(sender);
        lanes.push(scope.spawn(move || rung.run(shots, next).map(|()| 0)));
    }
    below.ok_or_else(nothing)
}

/// The way of one stream's packets to its lane.
struct Route {
    stream: u32,
    time_base: Rational,
    packets: SyncSender<Packet>,
    /// Up to where packets came, or were no longer expected, in milliseconds.
    passed_ms: u64,
}

/// Reads the file to its end and hands each packet to its lane.
fn demux(
    input: &mut Input,
    routes: &mut [Route],
    zero: Seconds,
    damage: &Damage,
    replies: &Replies,
) -> Result<()> {
    loop {
        let packet = match input.next()? {
            Next::Packet(packet) => packet,
            Next::Damaged => {
                damage.count(true);
                continue;
            }
            Next::End => return Ok(()),
        };
        let Some(route) = routes.iter_mut().find(|route| route.stream as usize == packet.stream()) else {
            continue;
        };
        let time = packet.dts().or(packet.pts());
        let at =
            time.map(|time| Seconds::of(time, route.time_base.numerator(), route.time_base.denominator()));
        let at_ms = at.map_or(0, |at| u64::try_from(at.minus(zero).as_millis()).unwrap_or(0));
        route.passed_ms = route.passed_ms.max(at_ms);
        route.packets.send(packet).map_err(|_| CellError::Stopped)?;
        // A stream that ended early, or pauses, must not hold up the progress of the others.
        for route in routes.iter_mut().filter(|route| route.passed_ms + PAUSE_MS < at_ms) {
            route.passed_ms = at_ms - PAUSE_MS / 2;
            replies.pass(route.stream, route.passed_ms)?;
        }
    }
}

/// Waits for all threads and gives the longest lane's length, or the error that came first.
fn finish(read: Result<()>, lanes: Vec<Lane<'_>>) -> Result<u64> {
    let mut longest = 0;
    let mut failed = read.err();
    for lane in lanes {
        match lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(length) => longest = longest.max(length),
            // Those that were stopped by another say nothing.
            Err(error) if matches!(failed, None | Some(CellError::Stopped)) => failed = Some(error),
            Err(_) => {}
        }
    }
    failed.map_or(Ok(longest), Err)
}

fn used_streams<'a>(input: &'a Input, plan: &EncodePlan) -> Result<Vec<Stream<'a>>> {
    used(plan).map(|index| input.stream(index)).collect()
}

/// How long the file says that it is, if it says so and not only guesses: by its streams, or by
/// the whole, whichever is less.
fn declared_ms(input: &Input, plan: &EncodePlan) -> Result<Option<u64>> {
    if libav::duration_is_guessed(&input.container) {
        return Ok(None);
    }
    let whole = u64::try_from(input.container.duration() / 1000).ok().filter(|ms| *ms > 0);
    let streams = used_streams(input, plan)?;
    let lengths = streams.iter().map(|stream| {
        let base = stream.time_base();
        let length = Some(stream.duration()).filter(|duration| *duration > 0)?;
        u64::try_from(Seconds::of(length, base.numerator(), base.denominator()).as_millis()).ok()
    });
    // One stream of unknown length leaves only the whole.
    let longest: Option<u64> =
        lengths.collect::<Option<Vec<_>>>().and_then(|lengths| lengths.into_iter().max());
    Ok(match (whole, longest) {
        (Some(whole), Some(longest)) => Some(whole.min(longest)),
        (whole, _) => whole,
    })
}
