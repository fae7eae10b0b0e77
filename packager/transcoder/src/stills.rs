//! The poster and the thumbnail: one picture of the film that tells something.

use std::ops::Range;

use ffmpeg_next::color::Range as ColourRange;
use model::cell::{Picture as Still, Ratio, Reply, VideoPlan};

use crate::error::{CellError, Result};
use crate::filter::{self, PictureFormat};
use crate::libav::{Chain, Encoder, Medium, Picture};
use crate::reply::Replies;

/// Points that are looked at per row and column.
const POINTS: usize = 48;
/// Seconds of the window when nobody knows how long the film is.
const UNKNOWN_WINDOW_S: u64 = 20;
/// libav's scale of JPEG quality: 3 of 2…31, times `FF_QP2LAMBDA`.
const JPEG_QUALITY: &str = "354";

/// Looks for the picture while the film goes by.
pub(crate) struct Stills {
    window: Range<u64>,
    best: Option<(Worth, Picture)>,
    settled: bool,
}

/// How much a picture tells; greater is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    lit: bool,
    in_window: bool,
    not_first: bool,
    deviation: u32,
}

impl Stills {
    pub(crate) fn new(plan: &VideoPlan, expected_ms: u64) -> Self {
        let per_second = u64::from(plan.frame_rate.num) / u64::from(plan.frame_rate.den.max(1));
        let frames = match expected_ms {
            0 => UNKNOWN_WINDOW_S * per_second * 5,
            ms => ms * per_second / 1000,
        };
        Self { window: frames / 20..frames / 5 + 1, best: None, settled: false }
    }

    /// Looks at the picture of grid frame `n`. True when the best one is found and more pictures
    /// need not be shown.
    pub(crate) fn look(&mut self, n: u64, picture: &Picture) -> Result<bool> {
        if self.settled {
            return Ok(true);
        }
        if n >= self.window.end && self.best.as_ref().is_some_and(|(worth, _)| worth.lit) {
            self.settled = true;
            return Ok(true);
        }
        let worth = worth(n, &self.window, picture);
        if self.best.as_ref().is_none_or(|(best, _)| worth > *best) {
            self.best = Some((worth, picture.share().map_err(CellError::libav("share a picture"))?));
        }
        Ok(false)
    }

    /// Sends the stills of the best picture, once.
    pub(crate) fn send(&mut self, plan: &VideoPlan, replies: &Replies) -> Result<()> {
        let Some((_, picture)) = self.best.take() else { return Ok(()) };
        self.settled = true;
        for (still, width) in [(Still::Poster, plan.poster_width), (Still::Thumbnail, plan.thumbnail_width)] {
            let jpeg = jpeg(&picture, width)?;
            replies.send(&Reply::Picture { picture: still }, &jpeg)?;
        }
        Ok(())
    }
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
