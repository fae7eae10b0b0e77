//! One picture rendition: scale, encode, cut, and hand the scaled pictures to the next smaller.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender};

use cmaf::VideoTrack;
use ffmpeg_next::color::Range as ColourRange;
use model::cell::{Ratio, Reply, VideoPlan, VideoRung};

use crate::error::{CellError, Result};
use crate::filter::{self, PictureFormat};
use crate::h264;
use crate::libav::{Chain, Encoded, Encoder, Medium, Picture};
use crate::reply::{Replies, Track};
use crate::segments::Segments;

/// A picture and the grid frames during which it is shown.
pub(crate) struct Shot {
    pub(crate) frames: Range<u64>,
    pub(crate) picture: Picture,
}

/// One rung at work, on a thread of its own.
pub(crate) struct Rung<'a> {
    plan: &'a VideoPlan,
    rung: &'a VideoRung,
    /// Of the pictures that come, only those on multiples of this are wanted here or below.
    wanted: u64,
    scaler: Option<(PictureFormat, Chain)>,
    encoder: Encoder,
    segments: Segments<'a>,
    replies: &'a Replies,
    track: Track,
}

impl<'a> Rung<'a> {
    /// Opens the encoder and announces the rendition; `rungs` are this one and all smaller ones,
    /// smallest first.
    pub(crate) fn open(plan: &'a VideoPlan, rungs: &'a [VideoRung], replies: &'a Replies) -> Result<Self> {
        let rung = rungs.last().expect("a rung stands in its own list");
        let encoder = open_encoder(plan, rung)?;
        let rate = rung_rate(plan, rung);
        // Ticks fine enough to mix with sound, and a whole number of them per frame.
        let fine = if rate.num < 1000 { 1000 } else { 1 };
        let (timescale, sample_duration) = (plan.frame_rate.num * fine, rate.den * fine);
        let segments = Segments::new(replies, rung.rendition, sample_duration);
        let avcc = h264::configuration(&encoder.header())
            .ok_or_else(|| segments.off_plan("the encoder's header is not one SPS and one PPS".into()))?;
        let dimension =
            |value: u32| u16::try_from(value).map_err(|_| segments.off_plan(format!("a side of {value}")));
        let track = VideoTrack {
            width: dimension(rung.width)?,
            height: dimension(rung.height)?,
            timescale,
            avcc,
            colour: Some(cmaf::Colour { primaries: 1, transfer: 1, matrix: 1, full_range: false }),
        };
        let init = cmaf::init_segment(&cmaf::Track::Video(track))?;
        replies.send(&Reply::Init { rendition: rung.rendition }, &init)?;
        let wanted = rungs.iter().map(|rung| u64::from(rung.frame_divisor)).fold(0, gcd).max(1);
        Ok(Self {
            plan,
            rung,
            wanted,
            scaler: None,
            encoder,
            segments,
            replies,
            track: replies.track(plan.stream),
        })
    }

    /// Takes shots until there are no more.
    pub(crate) fn run(mut self, shots: Receiver<Shot>, below: Option<SyncSender<Shot>>) -> Result<()> {
        for Shot { frames, picture } in shots {
            // First grid frame of the shot that anybody wants.
            if frames.start.next_multiple_of(self.wanted) >= frames.end {
                continue;
            }
            let picture = self.scale(picture)?;
            if let Some(below) = &below {
                let picture = picture.share().map_err(CellError::libav("share a picture"))?;
                below.send(Shot { frames: frames.clone(), picture }).map_err(|_| CellError::Stopped)?;
            }
            self.encode(frames, &picture)?;
        }
        // The smaller rungs need not wait for what the encoder still holds.
        drop(below);
        self.encoder.put(None).map_err(CellError::libav("finish an encoder"))?;
        self.drain()?;
        self.cut()?;
        self.replies.end(self.track)
    }

    /// Brings a picture to the rung's size, if it has another.
    fn scale(&mut self, mut picture: Picture) -> Result<Picture> {
        if picture.size() == (self.rung.width, self.rung.height) {
            return Ok(picture);
        }
        let format = PictureFormat::of(&picture);
        if self.scaler.as_ref().is_none_or(|(of, _)| *of != format) {
            let filters = filter::to_smaller_rung((self.rung.width, self.rung.height));
            let chain = Chain::new(Medium::Picture, &format.source(), &filters, 1)
                .map_err(CellError::libav("build a scaler"))?;
            self.scaler = Some((format, chain));
        }
        let (_, chain) = self.scaler.as_mut().expect("it was just built");
        chain.put(picture.frame()).map_err(CellError::libav("scale a picture"))?;
        let mut scaled = Picture::empty();
        match chain.take(scaled.frame()).map_err(CellError::libav("scale a picture"))? {
            true => Ok(scaled),
            false => Err(self.segments.off_plan("a picture did not come out of the scaler".into())),
        }
    }

    /// Encodes a picture as each frame of the rung that shows it.
    fn encode(&mut self, frames: Range<u64>, picture: &Picture) -> Result<()> {
        let divisor = u64::from(self.rung.frame_divisor.max(1));
        let mut n = frames.start.next_multiple_of(divisor);
        while n < frames.end {
            let mut frame = picture.share().map_err(CellError::libav("share a picture"))?;
            frame.set_pts((n / divisor) as i64);
            frame.set_key(n.is_multiple_of(self.plan.segment_frames.into()));
            self.encoder.put(Some(frame.frame())).map_err(CellError::libav("encode a picture"))?;
            self.drain()?;
            n += divisor;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(coded) = self.encoder.take().map_err(CellError::libav("encode a picture"))? {
            self.take(&coded)?;
        }
        Ok(())
    }

    fn take(&mut self, coded: &Encoded) -> Result<()> {
        let bytes = coded.bytes.data().unwrap_or_default();
        if coded.key {
            self.cut()?;
            let starts = self.segments.total() as i64;
            if coded.pts != starts || !h264::is_idr(bytes) {
                let fault = format!("a segment that should start at frame {starts} starts at {}", coded.pts);
                return Err(self.segments.off_plan(fault));
            }
        }
        let shown =
            u64::try_from(coded.pts).map_err(|_| self.segments.off_plan("a frame without time".into()))?;
        self.segments.push(shown, coded.key, &h264::slices(bytes))?;
        let rate = rung_rate(self.plan, self.rung);
        let done_ms = self.segments.total() * 1000 * u64::from(rate.den) / u64::from(rate.num.max(1));
        self.replies.advance(self.track, done_ms)
    }

    /// Ends a segment, which must be full unless it is the last: then no key frame follows, and
    /// the next one is refused because it is not where it should be.
    fn cut(&mut self) -> Result<()> {
        let full = u64::from(self.plan.segment_frames / self.rung.frame_divisor.max(1));
        let (number, filled) = (self.segments.number(), self.segments.filled());
        if filled > full {
            return Err(self.segments.off_plan(format!("segment {number} has {filled} frames of {full}")));
        }
        self.segments.cut()
    }
}

/// Frames per second of a rung.
fn rung_rate(plan: &VideoPlan, rung: &VideoRung) -> Ratio {
    Ratio::new(plan.frame_rate.num, plan.frame_rate.den * rung.frame_divisor.max(1))
}

fn open_encoder(plan: &VideoPlan, rung: &VideoRung) -> Result<Encoder> {
    let gop = (plan.segment_frames / rung.frame_divisor.max(1)).to_string();
    let crf = rung.crf.to_string();
    let maxrate = rung.maxrate_bps.to_string();
    let bufsize = rung.bufsize_bits.to_string();
    let threads = threads(rung).to_string();
    let options = [
        ("preset", rung.preset.as_str()),
        ("profile", rung.profile.as_str()),
        ("crf", &crf),
        ("maxrate", &maxrate),
        ("bufsize", &bufsize),
        ("g", &gop),
        ("keyint_min", &gop),
        ("sc_threshold", "0"),
        ("forced-idr", "1"),
        ("flags", "+global_header+cgop"),
        // Captions would be copied into the pictures of every rung.
        ("a53cc", "0"),
        ("threads", &threads),
        ("x264-params", "stitchable=1:open-gop=0:scenecut=0"),
    ];
    Encoder::video("libx264", ColourRange::MPEG, (rung.width, rung.height), rung_rate(plan, rung), &options)
        .map_err(CellError::libav("open the video encoder"))
}

/// Threads of an encoder: fixed by its size, because the bytes that x264 makes depend on them.
/// Small rungs run beside each other instead.
pub(crate) fn threads(rung: &VideoRung) -> u32 {
    match rung.width.saturating_mul(rung.height) {
        0..300_000 => 1,
        300_000..700_000 => 2,
        _ => 4,
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
