//! Whether the source's own pictures are the top rung, and where segments begin then.
//!
//! | question | decision |
//! |---|---|
//! | heights | above 360p: below, a rung of ours costs viewers fewer bytes, and next to no time |
//! | picture | as large as the rung, upright, square pixels, progressive, not HDR |
//! | coding | H.264 up to High and level 4.2, what phones of 2019 decode in hardware |
//! | frames | all of the plan's but the last few, at the plan's rate, none more than [`DRIFT_S`] from its place; the film ends with them |
//! | key frames | no two IDR pictures more than 8 s apart, of twenty distances one more than 5 s |
//! | segments | from one IDR picture to the one nearest to 4 s behind it, 3.3 to 8 s |
//! | bytes | on average 1.5 times the rung's ceiling at most, in its busiest segments 2.5 times |
//!
//! The shortest segment is so long because the smallest rung's rate, before it is measured, is
//! promised to stay below 90 kbit/s: a decoder's buffer counts the more, the shorter a segment is.

use cmaf::{Bandwidth, SegmentRef};
use model::cell::{CopiedRung, Copyable, Ratio, VideoPlan, VideoStream};
use model::{Lane, SegmentStarts};

/// Profiles of H.264: Baseline, Main, High (table A-1).
const PROFILES: [u8; 3] = [66, 77, 100];
/// The highest level, times ten.
const MAX_LEVEL: u8 = 42;
/// The longest and the usual distance of IDR pictures, in seconds.
const LONGEST_S: f64 = 8.0;
const USUAL_S: f64 = 5.0;
/// Segments, in seconds.
const SHORTEST_SEGMENT_S: f64 = 3.3;
const SEGMENT_S: f64 = 4.0;
/// How far from the plan's grid the last picture may be by the source's own rate.
const DRIFT_S: f64 = 0.001;
/// How many times the rung's ceiling the pictures may have, on average and at their peak.
const AVERAGE: f64 = 1.5;
const PEAK: f64 = 2.5;
/// Bytes of a segment's boxes, and of each picture in them, at most.
const BOXES: u64 = 136;
const PICTURE_ENTRY: u64 = 8;

/// The rung that is copied, and the grid that it gives to all.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Copied {
    pub(super) rung: CopiedRung,
    /// How many frames the picture has.
    pub(super) frames: u64,
    pub(super) starts: SegmentStarts,
}

/// The top rung of `video`, whose ceiling is `maxrate_bps`, as a copy.
///
/// # Errors
///
/// Why it is encoded.
pub(super) fn copied(
    stream: &VideoStream,
    video: &VideoPlan,
    maxrate_bps: u32,
) -> Result<Copied, &'static str> {
    let source = stream.copyable.as_deref().ok_or("not in tables, or not even")?;
    let top = video.rungs.last().ok_or("no rung")?;
    if Lane::of(top.rendition) == Lane::A {
        return Err("a small picture");
    }
    let Ratio { num, den } = stream.pixel_aspect;
    if stream.rotation != 0 || num != den || (stream.width, stream.height) != (top.width, top.height) {
        return Err("a picture that is turned, stretched or scaled");
    }
    if stream.interlaced || stream.hdr {
        return Err("interlaced or HDR");
    }
    match source.avcc[..] {
        [1, profile, _, level, ..] if PROFILES.contains(&profile) && level <= MAX_LEVEL => {}
        _ => return Err("a profile or level that not all decode"),
    }
    let length_s = |rate: Ratio| source.frames as f64 / rate.as_f64();
    let drift_s = length_s(source.frame_rate) - length_s(video.frame_rate);
    let lost = video.frames.checked_sub(source.frames);
    if lost.is_none_or(|lost| lost > Copyable::MAX_LOST) || drift_s.abs() > DRIFT_S {
        return Err("other frames than the plan's");
    }
    if !is_in_order(source) {
        return Err("IDR pictures out of order");
    }
    // One that not every rung shows cannot begin its segment.
    let step = video.rungs.iter().map(|rung| u64::from(rung.frame_divisor)).max().unwrap_or(1).max(1);
    check_distances(source, video.frame_rate)?;
    let cuts = cuts(source, video.frame_rate, step).ok_or("no IDR picture where a segment could begin")?;
    let Bandwidth { peak_bps, average_bps } = rates(source, video, &cuts);
    let times = |factor: f64| (f64::from(maxrate_bps) * factor) as u64;
    if average_bps > times(AVERAGE) || peak_bps > times(PEAK) {
        return Err("too many bytes");
    }
    let last = cuts.last().map_or(0, |(frame, _)| *frame);
    // What goes on behind the picture is cut evenly, and the picture's own end is not.
    let rest =
        u32::try_from((source.frames - last).next_multiple_of(step)).map_err(|_| "an endless segment")?;
    let (rendition, width, height) = (top.rendition, top.width, top.height);
    let (track, avcc) = (source.track, source.avcc.clone());
    Ok(Copied {
        rung: CopiedRung { rendition, width, height, track, avcc, peak_bps, average_bps },
        frames: source.frames,
        starts: SegmentStarts::At {
            frames: cuts.into_iter().map(|(frame, _)| frame).collect(),
            then: rest.max(video.segment_frames),
        },
    })
}

/// Whether a cell's list is one: it has read a stranger's file.
fn is_in_order(source: &Copyable) -> bool {
    let ordered = |pair: &[(u64, u64)]| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1;
    let ends = (source.idrs.first(), source.idrs.last());
    let (Some((0, 0)), Some((frame, before))) = ends else { return false };
    *frame < source.frames && *before < source.bytes && source.idrs.windows(2).all(ordered)
}

fn check_distances(source: &Copyable, rate: Ratio) -> Result<(), &'static str> {
    let starts = source.idrs.iter().map(|(frame, _)| *frame);
    let ends = starts.clone().skip(1).chain([source.frames]);
    let mut distances: Vec<u64> = starts.zip(ends).map(|(start, end)| end - start).collect();
    distances.sort_unstable();
    let usual = distances[(distances.len() * 95).div_ceil(100).saturating_sub(1)];
    let longest = distances.last().copied().unwrap_or(0);
    let is_over = |frames: u64, limit_s: f64| frames as f64 > limit_s * rate.as_f64();
    if is_over(longest, LONGEST_S) || is_over(usual, USUAL_S) {
        return Err("key frames too far apart");
    }
    Ok(())
}

/// The IDR pictures with which segments begin.
fn cuts(source: &Copyable, rate: Ratio, step: u64) -> Option<Vec<(u64, u64)>> {
    let seconds = |frames: u64| frames as f64 / rate.as_f64();
    let (mut cuts, mut rest) = (vec![*source.idrs.first()?], &source.idrs[1..]);
    loop {
        let from = cuts.last()?.0;
        let behind = |idr: &(u64, u64)| seconds(idr.0 - from);
        let is_near = |idr: &&(u64, u64)| behind(idr) <= LONGEST_S;
        let is_fit = |idr: &&(u64, u64)| behind(idr) >= SHORTEST_SEGMENT_S && idr.0.is_multiple_of(step);
        let off = |idr: &&(u64, u64)| (behind(idr) - SEGMENT_S).abs();
        let fit = rest.iter().take_while(is_near).filter(is_fit);
        match fit.min_by(|a, b| off(a).total_cmp(&off(b))) {
            Some(next) => cuts.push(*next),
            None if seconds(source.frames - from) <= LONGEST_S => return Some(cuts),
            None => return None,
        }
        let from = cuts.last()?.0;
        rest = &rest[rest.partition_point(|idr| idr.0 <= from)..];
    }
}

/// What the finished version will measure, or a little more.
fn rates(source: &Copyable, video: &VideoPlan, cuts: &[(u64, u64)]) -> Bandwidth {
    let (timescale, tick) = video.timescale(1);
    let ends = cuts.iter().skip(1).copied().chain([(source.frames, source.bytes)]);
    let segments = cuts.iter().zip(ends).map(|(start, end)| {
        let (frames, bytes) = (end.0 - start.0, end.1 - start.1);
        let size_bytes = bytes.saturating_add(BOXES).saturating_add(frames.saturating_mul(PICTURE_ENTRY));
        SegmentRef {
            size_bytes: u32::try_from(size_bytes).unwrap_or(u32::MAX),
            duration: u32::try_from(frames.saturating_mul(tick.into())).unwrap_or(u32::MAX),
        }
    });
    Bandwidth::measure(timescale, segments)
}

#[cfg(test)]
mod tests;
