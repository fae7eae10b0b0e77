//! The moment of a file that is shown and heard as 0: the same for every task of a plan, because
//! it depends on nothing but what the opened file says.

use ffmpeg_next::Stream;
use model::cell::{EncodePlan, VideoPlan};

use crate::error::Result;
use crate::grid::{Grid, Seconds};
use crate::input::Input;

/// The earliest start of the streams with these indices.
pub(crate) fn start_of(input: &Input, streams: impl IntoIterator<Item = u32>) -> Result<Seconds> {
    let streams: Vec<_> = streams.into_iter().map(|index| input.stream(index)).collect::<Result<_>>()?;
    let starts = streams.iter().filter_map(start_time);
    Ok(starts.reduce(|a, b| if b.is_before(a) { b } else { a }).unwrap_or(Seconds::ZERO))
}

/// The streams that a plan uses.
pub(crate) fn used_streams(plan: &EncodePlan) -> impl Iterator<Item = u32> {
    let video = plan.video.iter().map(|video| video.stream);
    video.chain(plan.audio.iter().map(|audio| audio.stream))
}

/// Where a plan's pictures stand.
pub(crate) fn grid_of(input: &Input, plan: &EncodePlan, video: &VideoPlan) -> Result<Grid> {
    let start = start_of(input, used_streams(plan))?;
    let first = start_time(&input.stream(video.stream)?).unwrap_or(start);
    Ok(Grid::new(video.frame_rate, first, start))
}

/// The moment that a plan's sound counts from.
pub(crate) fn zero_of(input: &Input, plan: &EncodePlan) -> Result<Seconds> {
    match &plan.video {
        Some(video) => Ok(grid_of(input, plan, video)?.zero()),
        None => start_of(input, used_streams(plan)),
    }
}

fn start_time(stream: &Stream<'_>) -> Option<Seconds> {
    let base = stream.time_base();
    let start = stream.start_time();
    (start != ffmpeg_next::ffi::AV_NOPTS_VALUE)
        .then(|| Seconds::of(start, base.numerator(), base.denominator()))
}
