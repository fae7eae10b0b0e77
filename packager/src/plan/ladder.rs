//! The ladder: what each rung may cost, and which rungs a source gets.

use model::RenditionName;
use model::cell::{Ratio, VideoRung};

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
    /// x264 profile.
    pub profile: &'static str,
}

/// The rows, smallest first.
///
/// The rungs up to 360p hold a sixth of the pixels of 1080p and are what slow links live on: they
/// get the slow presets. The buffer is 1.5 × the ceiling, but for 144p 0.75 ×: a segment of 4 s
/// that begins with a full buffer then peaks at 1.17 × 44k, which leaves room in 90k for sound
/// and boxes.
pub const ROWS: [Row; 8] = [
    Row { bufsize_bits: 33_000, ..row(144, 15, 29.0, 44_000, "slow", "main") },
    row(240, 30, 28.0, 220_000, "slow", "main"),
    row(360, 30, 26.0, 500_000, "slow", "high"),
    row(480, 30, 25.0, 1_000_000, "medium", "high"),
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
    Row {
        height,
        max_fps,
        crf,
        maxrate_bps,
        bufsize_bits: maxrate_bps / 2 * 3,
        preset,
        hurried_preset: "veryfast",
        references: 3,
        profile,
    }
}

/// The rows for a source whose short side has `short` pixels, in a file of `file_bps` bit/s.
///
/// Up to 1080p no rung is left out for the source's low rate: a lecture's slides cost next to
/// nothing under a constant rate factor, and each tier's height must be worth its price.
pub(super) fn rows_for(short: u32, file_bps: Option<u64>, max_height: u16) -> Vec<Row> {
    let short = u16::try_from(short & !1).unwrap_or(u16::MAX).max(Size::MIN_SIDE as u16);
    let has_pixels = |row: &Row| {
        row.height <= 1080 || file_bps.is_none_or(|bps| bps.saturating_mul(4) >= u64::from(row.maxrate_bps))
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
    rows
}

impl Row {
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
            maxrate_bps: self.maxrate_bps,
            bufsize_bits: self.bufsize_bits,
            preset: self.preset.to_owned(),
            hurried_preset: self.hurried_preset.to_owned(),
            references: self.references,
            profile: self.profile.to_owned(),
        }
    }
}
