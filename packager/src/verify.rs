//! Whether what a cell sends is what the plan asked for.
//!
//! A cell that was taken over by its file can still only say segments, and only segments that
//! have exactly the planned frames at exactly the planned moments, within their size and of the
//! track that was announced, get any further than this module.

use std::fmt;

use cmaf::{Announced, AudioConfig, GrowingIndex, ReadSegment, Sample, Track, VideoConfig, read_init};
use model::cell::{AudioPlan, AudioRung, CodedSound, EncodePlan, Ratio};
use model::{ChunkHash, RenditionName};

/// How output breaks its plan; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach(String);

impl Breach {
    pub(crate) fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn breach<T>(how: impl Into<String>) -> Result<T, Breach> {
    Err(Breach::new(how))
}

/// Bytes of boxes that any segment may have on top of its samples.
const BOXES: u64 = 64 << 10;
/// The largest still picture that is taken from a cell.
const MAX_PICTURE: usize = 4 << 20;

/// Reads the initialisation segment of a rendition and checks that its track is the planned one.
pub(crate) fn announce(plan: &EncodePlan, name: RenditionName, init: &[u8]) -> Result<Announced, Breach> {
    let track = read_init(init).map_err(|error| Breach::new(format!("init of {name}: {error}")))?;
    check_track(plan, name, &track)?;
    Ok(Announced {
        rendition: name,
        codecs: track.codecs().map_err(|error| Breach::new(error.to_string()))?,
        timescale: track.timescale(),
        init_size: u32::try_from(init.len()).map_err(|_| Breach::new("an endless init"))?,
        init_hash: ChunkHash::of(init),
    })
}

fn check_track(plan: &EncodePlan, name: RenditionName, track: &Track) -> Result<(), Breach> {
    let is_planned = match track {
        Track::Video(track) => matches!(track.config, VideoConfig::Avc(_)),
        Track::Audio(track) => matches!(track.config, AudioConfig::Aac(_)),
    };
    if !is_planned {
        return breach(format!("{name} is neither H.264 nor AAC"));
    }
    match (track, &plan.video, &plan.audio) {
        (Track::Video(track), Some(video), _) if let Some(rung) = video.rung(name) => {
            if (u32::from(track.width), u32::from(track.height)) != (rung.width, rung.height) {
                return breach(format!("{name} is {}x{}", track.width, track.height));
            }
            match ticks(track.timescale, video.frame_rate, rung.frame_divisor) {
                Some(_) => Ok(()),
                None => breach(format!("a frame of {name} is no whole number of ticks")),
            }
        }
        (Track::Video(track), Some(video), _) if let Some(copied) = video.copied(name) => {
            let is_planned = (u32::from(track.width), u32::from(track.height))
                == (copied.width, copied.height)
                && matches!(&track.config, VideoConfig::Avc(avcc) if *avcc == copied.avcc)
                && ticks(track.timescale, video.frame_rate, 1).is_some();
            if is_planned { Ok(()) } else { breach(format!("{name} is not the track to copy")) }
        }
        (Track::Audio(track), _, Some(audio)) if let Some(rung) = sound(audio, name) => {
            if (track.channels, track.sample_rate) != (rung.channels, audio.sample_rate) {
                return breach(format!("{name} has {} channels at {}", track.channels, track.sample_rate));
            }
            let is_the_one = |coded: &CodedSound| {
                matches!(&track.config, AudioConfig::Aac(asc) if *asc == coded.asc)
                    && track.priming == coded.priming
            };
            if rung.copied.as_ref().is_none_or(is_the_one) {
                Ok(())
            } else {
                breach(format!("{name} is not the track to copy"))
            }
        }
        _ => breach(format!("{name} was not asked for, or is the wrong kind of track")),
    }
}

/// Checks segment `number`, of `size` bytes, and that it is as long as playlists say already.
pub(crate) fn check_segment(
    growing: &GrowingIndex,
    name: RenditionName,
    number: u32,
    segment: &ReadSegment,
    size: usize,
) -> Result<(), Breach> {
    let at = format!("segment {number} of {name}");
    let Some(planned) = Planned::of(growing, name, number) else {
        return breach(format!("{at} was not asked for"));
    };
    if size as u64 > planned.max_bytes {
        return breach(format!("{at} has {size} bytes, more than {}", planned.max_bytes));
    }
    let start = planned.first * u64::from(planned.ticks);
    if segment.base_decode_time != start {
        return breach(format!("{at} starts at {}, not {start}", segment.base_decode_time));
    }
    if segment.samples.len() as u64 != planned.count {
        return breach(format!("{at} has {} frames, not {}", segment.samples.len(), planned.count));
    }
    if segment.samples.iter().any(|sample| sample.duration != planned.ticks) {
        return breach(format!("{at} has a frame of another length"));
    }
    if !shows_each_frame_once(&segment.samples, planned.ticks) {
        return breach(format!("{at} does not show each of its frames once"));
    }
    let promised = growing.segment_ticks(name, number);
    if segment.duration() != u64::from(promised) {
        return breach(format!("{at} lasts {}, and playlists say {promised}", segment.duration()));
    }
    Ok(())
}

/// Checks that a still is one JPEG of a picture's size.
pub(crate) fn check_picture(bytes: &[u8]) -> Result<(), Breach> {
    let is_jpeg = bytes.starts_with(&[0xff, 0xd8, 0xff]) && bytes.ends_with(&[0xff, 0xd9]);
    if is_jpeg && bytes.len() <= MAX_PICTURE { Ok(()) } else { breach("a still is no JPEG of its size") }
}

/// The frames that a segment must have.
struct Planned {
    /// The number of the first one in its rendition.
    first: u64,
    count: u64,
    /// Of each frame.
    ticks: u32,
    max_bytes: u64,
}

impl Planned {
    fn of(growing: &GrowingIndex, name: RenditionName, number: u32) -> Option<Self> {
        let plan = &growing.plan;
        let timescale = growing.timescale(name);
        let copied = plan.video.as_ref().and_then(|video| Some((video, video.copied(name)?)));
        let (frames, ticks, burst_bits, bps) = if let Some((video, copied)) = copied {
            let frames = plan.grid.frames_of(number, video.frames);
            let ticks = ticks(timescale, video.frame_rate, 1)?;
            // A film's end, which is all key frame, may exceed the peak, which is of whole segments.
            (frames, ticks, (8 * copied.peak_bps) as f64, copied.peak_bps as f64)
        } else if name.is_video() {
            let video = plan.video.as_ref()?;
            let rung = video.rung(name)?;
            let divisor = u64::from(rung.frame_divisor.max(1));
            let grid = plan.grid.frames_of(number, video.frames);
            // The grid's frame `n` is in the rung if the divisor divides it.
            let frames = grid.start.div_ceil(divisor)..grid.end.div_ceil(divisor);
            let ticks = ticks(timescale, video.frame_rate, rung.frame_divisor)?;
            (frames, ticks, rung.bufsize_bits.into(), rung.maxrate_bps.into())
        } else {
            let audio = plan.audio.as_ref()?;
            let rung = sound(audio, name)?;
            let bps = rung.copied.as_ref().map_or(rung.bit_rate_bps.into(), |coded| coded.peak_bps as f64);
            (audio.frames_of(&plan.grid, number), AudioPlan::FRAME, 0.0, bps)
        };
        let count = frames.end - frames.start;
        let seconds = count as f64 * f64::from(ticks) / f64::from(timescale.max(1));
        // Twice what a well-behaved encoder spends: the ceiling is its aim, not its law.
        let bits = 2.0 * (bps * seconds + burst_bits);
        Some(Self { first: frames.start, count, ticks, max_bytes: (bits / 8.0) as u64 + BOXES })
    }
}

fn sound(audio: &AudioPlan, name: RenditionName) -> Option<&AudioRung> {
    audio.rungs.iter().find(|rung| rung.rendition == name)
}

/// Ticks of one frame of a rung that shows each `divisor`th of the grid's, if that is a whole
/// number.
fn ticks(timescale: u32, grid: Ratio, divisor: u32) -> Option<u32> {
    let whole = u64::from(timescale) * u64::from(grid.den) * u64::from(divisor.max(1));
    let num = u64::from(grid.num);
    (num > 0 && whole.is_multiple_of(num)).then(|| u32::try_from(whole / num).ok())?
}

/// Whether the presentation times of a closed group are its decode times in some other order, so
/// that it neither lacks a frame nor shows one twice nor reaches into its neighbours.
fn shows_each_frame_once(samples: &[Sample], tick: u32) -> bool {
    let mut shown = vec![false; samples.len()];
    samples.iter().enumerate().all(|(n, sample)| {
        let time = n as i64 * i64::from(tick) + i64::from(sample.cts_offset);
        let is_on_grid = time >= 0 && time % i64::from(tick) == 0;
        let place = usize::try_from(time / i64::from(tick)).ok().filter(|_| is_on_grid);
        place.and_then(|place| shown.get_mut(place)).is_some_and(|slot| !std::mem::replace(slot, true))
    })
}

#[cfg(test)]
mod tests;
