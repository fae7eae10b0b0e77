//! The encoder of one picture rendition, and its initialisation segment.

use cmaf::{VideoConfig, VideoTrack};
use ffmpeg_next::color::Range as ColourRange;
use model::cell::live::LiveRung;
use model::cell::{Ratio, Reply, VideoPlan, VideoRung};
use model::{SegmentGrid, SegmentStarts};

use crate::error::{CellError, Result};
use crate::h264;
use crate::libav::Encoder;
use crate::reply::Replies;

/// Presets with motion search of level 6 and more, in which x264 optimises psychovisually.
const PSYCHOVISUAL: [&str; 6] = ["fast", "medium", "slow", "slower", "veryslow", "placebo"];

/// Seconds of film behind a part that its encoders are given to look at: quick presets look less
/// far, and somebody waits for them.
pub(crate) fn ahead_s(hurry: bool) -> f64 {
    if hurry { 1.0 } else { 2.0 }
}

/// Frames that an encoder holds beside those that it looks at: in its threads, and reordered.
const HELD: u32 = 8;
/// Frames that are looked at however slow the film is.
const LEAST_AHEAD: u32 = 10;

/// Opens the encoder of a rendition and announces it. The initialisation segment is the same for
/// every part of the film and whether or not it is in a hurry.
pub(crate) fn announce(
    grid: &SegmentGrid,
    video: &VideoPlan,
    rung: &VideoRung,
    hurry: bool,
    replies: &Replies,
) -> Result<Encoder> {
    let off_plan = |fault| CellError::OffPlan { rendition: rung.rendition.to_string(), fault };
    let encoder = open(grid, video, rung, hurry).map_err(CellError::libav("open the video encoder"))?;
    let avcc = h264::configuration(&encoder.header())
        .ok_or_else(|| off_plan("the encoder's header is not one SPS and one PPS".into()))?;
    let side = |value: u32| u16::try_from(value).map_err(|_| off_plan(format!("a side of {value}")));
    let track = VideoTrack {
        width: side(rung.width)?,
        height: side(rung.height)?,
        timescale: timescale(video, rung).0,
        config: VideoConfig::Avc(avcc),
        colour: Some(cmaf::Colour { primaries: 1, transfer: 1, matrix: 1, full_range: false }),
    };
    let init = cmaf::init_segment(&cmaf::Track::Video(track))?;
    replies.send(&Reply::Init { rendition: rung.rendition }, &init)?;
    Ok(encoder)
}

/// Ticks in a second and ticks of a frame.
pub(crate) fn timescale(video: &VideoPlan, rung: &VideoRung) -> (u32, u32) {
    video.timescale(rung.frame_divisor)
}

/// Frames per second of a rung.
fn rate(video: &VideoPlan, rung: &VideoRung) -> Ratio {
    Ratio::new(video.frame_rate.num, video.frame_rate.den * rung.frame_divisor.max(1))
}

fn open(
    grid: &SegmentGrid,
    video: &VideoPlan,
    rung: &VideoRung,
    hurry: bool,
) -> Result<Encoder, ffmpeg_next::Error> {
    let (preset, crf) =
        if hurry { (&rung.hurried_preset, rung.hurried_crf) } else { (&rung.preset, rung.crf) };
    // Every segment's start is forced; the encoder puts no key frame anywhere else.
    let gop = longest_segment(grid).div_ceil(rung.frame_divisor.max(1).into()).to_string();
    let crf = crf.to_string();
    let maxrate = rung.maxrate_bps.to_string();
    let bufsize = rung.bufsize_bits.to_string();
    let (references, b_frames) = (rung.references.to_string(), rung.b_frames.to_string());
    let threads = threads(rung, hurry).to_string();
    let ahead = look_ahead(preset, ahead_s(hurry) * rate(video, rung).as_f64()).to_string();
    // x264 makes a key frame better by its `ipratio` of 1.4 than the frames before it, but not the
    // first of all. That one begins a chunk, and all of them are to be alike. So is the buffer: in
    // the middle of a film it is full where little happened before, and so it is at a chunk's start;
    // with x264's usual nine tenths 144p lost 3 VMAF in the half second behind a border.
    let parameters = format!(
        "stitchable=1:open-gop=0:scenecut=0:vbv-init=1.0:zones=0,0,b=1.4:chroma-qp-offset={}",
        chroma_offset(preset) - chroma_offset(&rung.preset)
    );
    let options = [
        ("preset", preset.as_str()),
        ("profile", rung.profile.as_str()),
        ("crf", &crf),
        ("maxrate", &maxrate),
        ("bufsize", &bufsize),
        ("refs", &references),
        ("bf", &b_frames),
        ("rc-lookahead", &ahead),
        ("g", &gop),
        ("keyint_min", &gop),
        ("sc_threshold", "0"),
        ("forced-idr", "1"),
        ("flags", "+global_header+cgop"),
        // Captions would be copied into the pictures of every rung.
        ("a53cc", "0"),
        ("threads", &threads),
        ("x264-params", &parameters),
    ];
    Encoder::video("libx264", ColourRange::MPEG, (rung.width, rung.height), rate(video, rung), &options)
}

/// Opens the encoder of an event's rung. Where nothing is to be looked at ahead it gives each picture back
/// before it takes the next.
///
/// Rates are kept as if pictures came evenly (`force-cfr`): x264 would otherwise hold each back until it
/// knows when the next one is shown. Times go through it as plain numbers then. Key frames are where
/// they are asked for and nowhere else.
pub(crate) fn open_live(frame_rate: Ratio, rung: &LiveRung) -> Result<Encoder, ffmpeg_next::Error> {
    let rate = Ratio::new(frame_rate.num, frame_rate.den.saturating_mul(rung.frame_divisor.max(1)));
    let crf = rung.crf.to_string();
    let maxrate = rung.maxrate_bps.to_string();
    let bufsize = rung.bufsize_bits.to_string();
    let ahead = rung.look_ahead.to_string();
    // Without anything to look at, x264 has nothing to spread bits by.
    let tree = u8::from(rung.look_ahead > 0);
    let parameters = format!("open-gop=0:scenecut=0:force-cfr=1:sync-lookahead=0:mbtree={tree}");
    let options = [
        ("preset", rung.preset.as_str()),
        ("profile", rung.profile.as_str()),
        ("crf", &crf),
        ("maxrate", &maxrate),
        ("bufsize", &bufsize),
        ("bf", "0"),
        ("rc-lookahead", &ahead),
        ("g", LIVE_GOP),
        ("keyint_min", "1"),
        ("sc_threshold", "0"),
        ("forced-idr", "1"),
        ("flags", "+global_header+cgop"),
        ("a53cc", "0"),
        ("threads", "1"),
        ("x264-params", &parameters),
    ];
    Encoder::video("libx264", ColourRange::MPEG, (rung.width, rung.height), rate, &options)
}

/// x264's `keyint=infinite`.
const LIVE_GOP: &str = "1073741824";

/// By how much x264 raises the quality of colour of its own accord: what it writes into the
/// picture parameter set is its own choice plus ours, and must be the same for all presets.
fn chroma_offset(preset: &str) -> i32 {
    if PSYCHOVISUAL.contains(&preset) { 2 } else { 0 }
}

/// How many frames a preset looks ahead, of those that a part's encoder is given to look at.
fn look_ahead(preset: &str, given: f64) -> u32 {
    let usual = match preset {
        "slower" | "veryslow" => 60,
        "slow" => 50,
        "medium" => 40,
        "fast" => 30,
        "faster" => 20,
        "veryfast" => 10,
        _ => 0,
    };
    usual.min((given as u32).saturating_sub(HELD).max(LEAST_AHEAD))
}

fn longest_segment(grid: &SegmentGrid) -> u64 {
    match &grid.starts {
        SegmentStarts::Every(frames) => u64::from(*frames),
        SegmentStarts::At { frames, then } => {
            let gaps = frames.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
            gaps.chain([u64::from(*then)]).max().unwrap_or(1)
        }
    }
}

/// Threads of an encoder: fixed by its size and its hurry, because the bytes that x264 makes depend
/// on them. The rungs run beside each other, and jobs do, one for each core; threads within a rung
/// would cost 3 % more time of processors, and are for who waits.
pub(crate) fn threads(rung: &VideoRung, hurry: bool) -> u32 {
    match rung.width.saturating_mul(rung.height) {
        0..300_000 => 1,
        300_000..700_000 if hurry => 2,
        700_000.. if hurry => 4,
        // 1440p and more would hold up the others of its part.
        2_500_000.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use model::RenditionName;

    use super::*;

    fn header(preset: &str, hurried_preset: &str, profile: &str, hurry: bool) -> Vec<u8> {
        let rung = VideoRung {
            rendition: RenditionName::Video { height: 240 },
            width: 426,
            height: 240,
            frame_divisor: 1,
            crf: 26.0,
            hurried_crf: 26.0,
            maxrate_bps: 400_000,
            bufsize_bits: 600_000,
            preset: preset.into(),
            hurried_preset: hurried_preset.into(),
            references: 5,
            b_frames: 5,
            profile: profile.into(),
        };
        let video = VideoPlan {
            stream: 0,
            frame_rate: Ratio::new(30, 1),
            frames: 1000,
            segment_frames: 120,
            rotation: 0,
            deinterlace: false,
            tone_map: false,
            rungs: Vec::new(),
            copied: None,
            poster_width: 1280,
            thumbnail_width: 480,
        };
        let grid = SegmentGrid::even(video.frame_rate, 120, 1000);
        open(&grid, &video, &rung, hurry).unwrap().header()
    }

    #[test]
    fn a_hurried_part_has_the_same_parameter_sets() {
        // All presets of the ladder, and those beside them.
        for preset in ["slow", "medium", "fast", "faster", "veryfast"] {
            for profile in ["main", "high"] {
                for hurried in ["medium", "fast", "faster", "veryfast"] {
                    let calm = header(preset, hurried, profile, false);
                    assert!(!calm.is_empty());
                    let quick = header(preset, hurried, profile, true);
                    assert_eq!(calm, quick, "{profile}: {preset} and {hurried}");
                }
            }
        }
    }
}
