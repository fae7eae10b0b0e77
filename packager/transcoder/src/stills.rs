//! The poster and the thumbnail: one picture of the film that tells something.

use std::ops::Range;

use ffmpeg_next::color::Range as ColourRange;
use model::FailureReason;
use model::cell::{EncodePlan, Picture as Still, Ratio, Reply, VideoPlan};

use crate::damage::Damage;
use crate::error::{CellError, Result};
use crate::filter::{self, PictureFormat};
use crate::grid::Grid;
use crate::input::Input;
use crate::libav::{Chain, Encoder, Medium, Picture};
use crate::reel::Reel;
use crate::reply::Replies;
use crate::zero::grid_of;

/// Points that are looked at per row and column.
const POINTS: usize = 48;
/// libav's scale of JPEG quality: 3 of 2…31, times `FF_QP2LAMBDA`.
const JPEG_QUALITY: &str = "354";

/// Places of the film at which a picture is looked at.
const PLACES: u64 = 6;
/// Pictures that are looked at one after the other where none of those will do.
const IN_A_ROW: u32 = 600;

/// Finds a film's picture, sends its stills and says `Done`.
pub(crate) fn stills(input: Input, plan: &EncodePlan, replies: &Replies) -> Result<()> {
    let nothing = |reason, what| CellError::refused(reason, what);
    let Some(video) = &plan.video else {
        return Err(nothing(FailureReason::Internal, "a plan without pictures"));
    };
    let (grid, damage) = (grid_of(&input, plan, video)?, Damage::default());
    let film_ms = (plan.grid.seconds(plan.grid.frames) * 1000.0) as u64;
    let mut search = Search { grid, window: window(video.frames), video, best: None };
    let mut reel = Reel::open(input, video.stream, "1", &damage)?;
    if reel.input().seeks_well(film_ms) {
        for place in 0..PLACES {
            let n = search.window.start + (search.window.end - search.window.start) * place / PLACES;
            if reel.seek(search.grid.moment(n as i64))?.is_some() {
                search.look(&mut reel)?;
            }
        }
    }
    if !search.is_settled() {
        reel = reel.restart()?;
        for _ in 0..IN_A_ROW {
            if !search.look(&mut reel)? || search.is_settled() {
                break;
            }
        }
    }
    let (_, best) =
        search.best.ok_or_else(|| nothing(FailureReason::Truncated, "no picture could be decoded"))?;
    for (still, width) in [(Still::Poster, video.poster_width), (Still::Thumbnail, video.thumbnail_width)] {
        replies.send(&Reply::Picture { picture: still }, &jpeg(&best, width)?)?;
    }
    replies.send(&Reply::Done { duration_ms: 0, damaged: damage.total(), missing_ms: 0 }, &[])
}

/// The grid frames from which the picture should be: behind the titles, before the end is told.
fn window(frames: u64) -> Range<u64> {
    frames / 20..frames / 5 + 1
}

/// The best picture so far.
struct Search<'a> {
    grid: Grid,
    window: Range<u64>,
    video: &'a VideoPlan,
    best: Option<(Worth, Picture)>,
}

impl Search<'_> {
    /// Looks at the next picture, if there is one.
    fn look(&mut self, reel: &mut Reel<'_>) -> Result<bool> {
        let Some(mut picture) = reel.next()? else { return Ok(false) };
        let n = reel.times(&picture).map_or(0, |(at, _)| self.grid.frame_at(at));
        let n = u64::try_from(n).unwrap_or(0);
        picture.set_pts(0);
        // The smallest rung that fills the poster.
        let encoded = self.video.rungs.iter().map(|rung| (rung.width, rung.height));
        let sizes = encoded.chain(self.video.copied.iter().map(|copied| (copied.width, copied.height)));
        let size = sizes.clone().find(|(width, _)| *width >= self.video.poster_width).or(sizes.last());
        let size = size.unwrap_or((2, 2));
        let format = PictureFormat::of(&picture);
        let filters = filter::to_first_rung(&format, self.video, size);
        let doing = |what| CellError::libav(what);
        let mut chain = Chain::new(Medium::Picture, &format.source(), &filters, 2)
            .map_err(doing("build a still's filters"))?;
        chain.put(picture.frame()).map_err(doing("filter a still"))?;
        chain.finish().map_err(doing("filter a still"))?;
        let mut upright = Picture::empty();
        if chain.take(upright.frame()).map_err(doing("filter a still"))? {
            let worth = worth(n, &self.window, &upright);
            if self.best.as_ref().is_none_or(|(best, _)| worth > *best) {
                self.best = Some((worth, upright));
            }
        }
        Ok(true)
    }

    fn is_settled(&self) -> bool {
        self.best.as_ref().is_some_and(|(worth, _)| worth.lit && worth.in_window)
    }
}

/// How much a picture tells; greater is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    lit: bool,
    in_window: bool,
    not_first: bool,
    deviation: u32,
}

fn worth(n: u64, window: &Range<u64>, picture: &Picture) -> Worth {
    let video = picture.as_video();
    let (width, height) = (video.width() as usize, video.height() as usize);
    let (luma, stride) = (video.data(0), video.stride(0));
    let at = |side: usize, point: usize| (2 * point + 1) * side / (2 * POINTS);
    let points = (0..POINTS).flat_map(|y| (0..POINTS).map(move |x| (x, y)));
    let values = points.filter_map(|(x, y)| luma.get(at(height, y) * stride + at(width, x)));
    let (count, sum, squares) = values.fold((0u64, 0u64, 0u64), |(count, sum, squares), value| {
        let value = u64::from(*value);
        (count + 1, sum + value, squares + value * value)
    });
    let count = count.max(1);
    let (mean, variance) = (sum / count, squares / count - (sum / count).pow(2).min(squares / count));
    let deviation = variance.isqrt() as u32;
    // Black is 16; a picture of one colour tells nothing.
    Worth { lit: mean > 28 && deviation > 6, in_window: window.contains(&n), not_first: n > 0, deviation }
}

/// A JPEG of at most this width.
fn jpeg(picture: &Picture, width: u32) -> Result<Vec<u8>> {
    let doing = |what| CellError::libav(what);
    let (from_width, from_height) = picture.size();
    let width = even(width.min(from_width));
    let height = even((u64::from(from_height) * u64::from(width) / u64::from(from_width.max(1))) as u32);
    let mut picture = picture.share().map_err(doing("share a picture"))?;
    picture.set_pts(0);
    let source = PictureFormat::of(&picture).source();
    let mut chain = Chain::new(Medium::Picture, &source, &filter::to_jpeg((width, height)), 1)
        .map_err(doing("build a still's scaler"))?;
    chain.put(picture.frame()).map_err(doing("scale a still"))?;
    let mut scaled = Picture::empty();
    chain.take(scaled.frame()).map_err(doing("scale a still"))?;
    scaled.set_key(true);
    let options = [("flags", "+qscale"), ("global_quality", JPEG_QUALITY), ("threads", "1")];
    let mut encoder =
        Encoder::video("mjpeg", ColourRange::JPEG, (width, height), Ratio::new(25, 1), &options)
            .map_err(doing("open the JPEG encoder"))?;
    encoder.put(Some(scaled.frame())).map_err(doing("encode a still"))?;
    encoder.put(None).map_err(doing("encode a still"))?;
    let coded = encoder.take().map_err(doing("encode a still"))?;
    Ok(coded.and_then(|coded| coded.bytes.data().map(<[u8]>::to_vec)).unwrap_or_default())
}

fn even(side: u32) -> u32 {
    (side & !1).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lit_picture_of_the_window_wins() {
        let black = Worth { lit: false, in_window: true, not_first: true, deviation: 0 };
        let early = Worth { lit: true, in_window: false, not_first: true, deviation: 90 };
        let first = Worth { lit: true, in_window: false, not_first: false, deviation: 99 };
        let fine = Worth { lit: true, in_window: true, not_first: true, deviation: 40 };
        assert!(fine > early && early > first && first > black);
    }
}
