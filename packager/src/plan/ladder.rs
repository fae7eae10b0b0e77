//! The ladder: what each rung may cost, and which rungs a source gets.

use model::cell::{Ratio, VideoRung};
use model::{Lane, RenditionName};

use super::{Size, frame_rate};

/// What a rung of some height is encoded with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Pixels of the short side.
    pub height: u16,
    /// Frames per second at most.
    pub max_fps: u32,
    /// Quality target; the ceiling holds it down where the film is busy.
    pub crf: f32,
    /// The target for a chunk that somebody waits for.
    pub hurried_crf: f32,
    /// Ceiling in bit/s.
    pub maxrate_bps: u32,
    /// Decoder buffer in bits: how far one segment may exceed the ceiling.
    pub bufsize_bits: u32,
    /// x264 preset.
    pub preset: &'static str,
    /// x264 preset of a chunk that somebody waits for.
    pub hurried_preset: &'static str,
    /// Reference frames: fixed, because they are part of the stream parameters, which are the
    /// same in all chunks whatever their preset.
    pub references: u32,
    /// B-frames in a row at most.
    pub b_frames: u32,
    /// x264 profile.
    pub profile: &'static str,
}

/// The rows, smallest first.
///
/// The rungs up to 360p hold a sixth of the pixels of 1080p and are what slow links live on: they
/// get slow presets, and as many references and B-frames as save bytes without a higher level. The
/// buffer is 1.5 × the ceiling, but for 144p 1.1 ×: a segment of 4 s that begins with a full
/// buffer then peaks at 1.28 × 40k, which leaves room in 90k for sound and boxes. 144p keeps to
/// the main profile for the oldest telephones; the high one saves a twelfth from 240p up.
///
/// At the same target `veryfast` makes a quarter fewer bytes than `slow`, and 7 to 10 VMAF less.
/// So where somebody waits, small rungs do not go down so far, and 360p, for which there is no
/// time, has a better target.
pub const ROWS: [Row; 8] = [
    Row { bufsize_bits: 44_000, ..row(144, 15, 29.0, 40_000, "slow", "main").in_a_hurry("medium", 29.0) },
    row(240, 30, 28.0, 220_000, "slow", "high").in_a_hurry("faster", 27.0),
    row(360, 30, 26.0, 500_000, "slow", "high").in_a_hurry("veryfast", 24.0),
    row(480, 30, 25.0, 1_000_000, "fast", "high").in_a_hurry("veryfast", 23.0),
    row(720, 60, 24.0, 2_200_000, "veryfast", "high"),
    row(1080, 60, 23.0, 4_200_000, "veryfast", "high"),
    row(1440, 60, 23.0, 7_000_000, "veryfast", "high"),
    row(2160, 60, 23.0, 12_000_000, "veryfast", "high"),
];

const fn row(
    height: u16,
    max_fps: u32,
    crf: f32,
    maxrate_bps: u32,
    preset: &'static str,
    profile: &'static str,
) -> Row {
    let is_small = height <= Lane::A_HEIGHT;
    Row {
        height,
        max_fps,
        crf,
        hurried_crf: crf,
        maxrate_bps,
        bufsize_bits: maxrate_bps / 2 * 3,
        preset,
        hurried_preset: preset,
        references: if is_small { 5 } else { 3 },
        b_frames: if is_small { 5 } else { 3 },
        profile,
    }
}

/// The rows for a source whose short side has `short` pixels, in a file that is worth `bps` bit/s
/// of H.264 ([`worth_bps`]).
///
/// Up to 1080p the greatest row is kept however low the rate is: a lecture's slides cost next to
/// nothing under a constant rate factor, and each tier's height must be worth its price. It is the
/// small steps below it that are left out.
pub(super) fn rows_for(short: u32, bps: Option<u64>, max_height: u16) -> Vec<Row> {
    let short = u16::try_from(short & !1).unwrap_or(u16::MAX).max(Size::MIN_SIDE as u16);
    let has_pixels = |row: &Row| {
        row.height <= 1080 || bps.is_none_or(|bps| bps.saturating_mul(4) >= u64::from(row.maxrate_bps))
    };
    let fits = |row: &&Row| row.height <= short && row.height <= max_height && has_pixels(row);
    let mut rows: Vec<Row> = ROWS.iter().filter(fits).copied().collect();
    let next = ROWS.iter().find(|row| row.height > short);
    let below = rows.last().map_or(0, |row| row.height);
    // A film of 640 × 352 would otherwise be seen at 240p: a fifth more pixels of height is
    // visible, less is not worth an encode.
    let is_odd = u32::from(short) * 5 >= u32::from(below) * 6;
    if let Some(next) = next.filter(|_| is_odd && (short <= max_height || rows.is_empty())) {
        let own = next.at_height(short);
        rows.extend(has_pixels(&own).then_some(own));
    }
    leave_out_small_steps(rows, bps)
}

/// Leaves out 480p and 1440p, a third above the rung below them, where nobody would choose them:
/// in a file of so low a rate that the rung above costs no more than the rung below may.
fn leave_out_small_steps(rows: Vec<Row>, bps: Option<u64>) -> Vec<Row> {
    let adds_something = |n: usize| {
        let (Some(below), Some(_above)) = (n.checked_sub(1).map(|n| &rows[n]), rows.get(n + 1)) else {
            return true;
        };
        let is_small = 2 * rows[n].height < 3 * below.height;
        // A new encode costs up to a tenth more than its source.
        let costs_no_more =
            bps.is_some_and(|bps| bps.saturating_mul(11) <= u64::from(below.maxrate_bps) * 10);
        !(is_small && costs_no_more)
    };
    (0..rows.len()).filter(|n| adds_something(*n)).map(|n| rows[n]).collect()
}

/// What a file's rate would be in H.264, in bit/s.
pub(super) fn worth_bps(codec: &str, file_bps: u64) -> u64 {
    // Codecs that say the same in half the bits.
    let factor = if matches!(codec, "hevc" | "vp9" | "av1") { 2 } else { 1 };
    file_bps.saturating_mul(factor)
}

impl Row {
    const fn in_a_hurry(self, preset: &'static str, crf: f32) -> Self {
        Self { hurried_preset: preset, hurried_crf: crf, ..self }
    }

    /// The row for a height between two rows: this one's settings, its ceiling in proportion.
    fn at_height(self, height: u16) -> Self {
        if self.height == ROWS[0].height {
            return Self { height, ..self };
        }
        let scale = |n: u32| u64::from(n) * u64::from(height) / u64::from(self.height) / 1000 * 1000;
        let scale = |n: u32| u32::try_from(scale(n)).expect("a part is not greater than its whole");
        Self {
            height,
            maxrate_bps: scale(self.maxrate_bps),
            bufsize_bits: scale(self.bufsize_bits),
            // Below 720p 30 frames are enough, whichever row the rung is next to.
            max_fps: if height < 720 { self.max_fps.min(30) } else { self.max_fps },
            ..self
        }
    }

    pub(super) fn rung(&self, size: Size, grid: Ratio) -> VideoRung {
        VideoRung {
            rendition: RenditionName::Video { height: self.height },
            width: size.width,
            height: size.height,
            frame_divisor: frame_rate::divisor(grid, self.max_fps),
            crf: self.crf,
            hurried_crf: self.hurried_crf,
            maxrate_bps: self.maxrate_bps,
            bufsize_bits: self.bufsize_bits,
            preset: self.preset.to_owned(),
            hurried_preset: self.hurried_preset.to_owned(),
            references: self.references,
            b_frames: self.b_frames,
            profile: self.profile.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(short: u32, kbps: u64) -> Vec<u16> {
        rows_for(short, Some(kbps * 1000), 2160).iter().map(|row| row.height).collect()
    }

    #[test]
    fn small_steps_are_left_out_where_the_file_is_poor() {
        // 500 kbit/s is what 360p may have, 4.2 Mbit/s what 1080p may.
        for (short, kbps, expected) in [
            (1080, 300, &[144, 240, 360, 720, 1080][..]),
            (1080, 454, &[144, 240, 360, 720, 1080]),
            (1080, 455, &[144, 240, 360, 480, 720, 1080]),
            (720, 300, &[144, 240, 360, 720]),
            (600, 300, &[144, 240, 360, 600]),
            // The greatest stays, however small the step is.
            (480, 300, &[144, 240, 360, 480]),
            (360, 10, &[144, 240, 360]),
            (2160, 3_500, &[144, 240, 360, 480, 720, 1080, 2160]),
            (2160, 3_900, &[144, 240, 360, 480, 720, 1080, 1440, 2160]),
            (1440, 3_500, &[144, 240, 360, 480, 720, 1080, 1440]),
            // Above 1080p the greatest goes first.
            (2160, 2_000, &[144, 240, 360, 480, 720, 1080, 1440]),
            (2160, 300, &[144, 240, 360, 720, 1080]),
        ] {
            assert_eq!(heights(short, kbps), expected, "{short}p of {kbps} kbit/s");
        }
        let unknown = rows_for(1080, None, 2160);
        assert_eq!(unknown.len(), 6, "where no rate is known nothing is left out");
    }

    #[test]
    fn newer_codecs_say_more_with_a_bit() {
        for (codec, worth) in [("h264", 300), ("mpeg2video", 300), ("av1", 600), ("hevc", 600), ("vp9", 600)]
        {
            assert_eq!(worth_bps(codec, 300), worth, "{codec}");
        }
    }
}
