use bytes::Bytes;
use cmaf::{
    AacLc, AudioConfig, AudioTrack, Bandwidth, CmafError, Opus, RenditionKind, Track, VideoConfig,
    VideoTrack, init_segment,
};
use model::cell::Ratio;
use model::feed::{FEED_TIMESCALE, FeedConfig};

/// What a rendition's packets are, in the words of its initialisation segment and its playlists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    /// The initialisation segment.
    pub(crate) init: Bytes,
    /// The codec as playlists name it.
    pub(crate) codecs: String,
    /// Ticks per second.
    pub(crate) timescale: u32,
    /// Size and rate.
    pub(crate) kind: RenditionKind,
}

/// Why a publisher's configuration is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    /// It is of pictures that nobody sends.
    #[error("{width}×{height} pixels")]
    Size { width: u32, height: u32 },
    /// It is of a kind that is not packaged.
    #[error("{what} is not packaged")]
    Unsupported { what: &'static str },
    /// It contradicts itself, or fits in no box.
    #[error(transparent)]
    Cmaf(#[from] CmafError),
}

/// The greatest picture: 8K.
const MAX_SIDE: u16 = 8192;

impl Format {
    /// The format of packets behind `config`, at `frame_rate` if they are pictures.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub(crate) fn of(config: &FeedConfig, frame_rate: Ratio) -> Result<Self, FormatError> {
        let (track, kind) = match config {
            FeedConfig::H264 { avcc } => picture(VideoConfig::Avc(avcc.clone()), frame_rate)?,
            FeedConfig::Hevc { hvcc } => picture(VideoConfig::Hevc(hvcc.clone()), frame_rate)?,
            FeedConfig::Av1 { av1c } => picture(VideoConfig::Av1(av1c.clone()), frame_rate)?,
            FeedConfig::Aac { asc } => {
                let unsupported = FormatError::Unsupported { what: "AAC other than AAC-LC, mono or stereo," };
                let AacLc { sample_rate, channels } = AacLc::read(asc).ok_or(unsupported)?;
                sound(AudioConfig::Aac(asc.clone()), sample_rate, channels)
            }
            FeedConfig::Opus { head } => {
                let unsupported = FormatError::Unsupported { what: "Opus other than mono or stereo" };
                let opus = Opus::read(head).ok_or(unsupported)?;
                sound(AudioConfig::Opus(opus), Opus::SAMPLE_RATE, opus.channels)
            }
        };
        Ok(Self { init: init_segment(&track)?, codecs: track.codecs()?, timescale: track.timescale(), kind })
    }

    /// What it is taken to cost before anything was measured, in bit/s.
    pub(crate) fn guess(&self) -> Bandwidth {
        let bps = match self.kind {
            RenditionKind::Video { width, height, .. } => u64::from(width) * u64::from(height) * 4,
            RenditionKind::Audio { .. } => 160_000,
        };
        Bandwidth { peak_bps: bps, average_bps: bps }
    }

    /// Pixels of the shorter side, which names a picture; 0 for sound.
    pub(crate) fn short_side(&self) -> u16 {
        match self.kind {
            RenditionKind::Video { width, height, .. } => width.min(height),
            RenditionKind::Audio { .. } => 0,
        }
    }
}

/// Pixels of the shorter side of a picture; `None` for sound, and where that is not told.
pub(crate) fn short_side(config: &FeedConfig) -> Option<u32> {
    let config = match config {
        FeedConfig::H264 { avcc } => VideoConfig::Avc(avcc.clone()),
        FeedConfig::Hevc { hvcc } => VideoConfig::Hevc(hvcc.clone()),
        FeedConfig::Av1 { av1c } => VideoConfig::Av1(av1c.clone()),
        FeedConfig::Aac { .. } | FeedConfig::Opus { .. } => return None,
    };
    config.size().ok().map(|(width, height)| width.min(height))
}

fn picture(config: VideoConfig, frame_rate: Ratio) -> Result<(Track, RenditionKind), FormatError> {
    let (width, height) = config.size()?;
    let side = |pixels: u32| u16::try_from(pixels).ok().filter(|side| (2..=MAX_SIDE).contains(side));
    let (Some(width), Some(height)) = (side(width), side(height)) else {
        return Err(FormatError::Size { width, height });
    };
    // Where colours are not the usual ones the stream says so itself.
    let track = VideoTrack { width, height, timescale: FEED_TIMESCALE, config, colour: None };
    Ok((Track::Video(track), RenditionKind::Video { width, height, frame_rate }))
}

/// A sound whose times are those of its container: nothing of it is skipped.
fn sound(config: AudioConfig, sample_rate: u32, channels: u16) -> (Track, RenditionKind) {
    let track = AudioTrack { channels, sample_rate, config, priming: 0 };
    (Track::Audio(track), RenditionKind::Audio { channels, sample_rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_codec_has_its_name_its_size_and_its_clock() {
        let opus = |channels: u8, family: u8| {
            let head =
                [b"OpusHead\x01".as_slice(), &[channels, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, family]].concat();
            FeedConfig::Opus { head }
        };
        for (config, codecs, timescale) in [
            (FeedConfig::Aac { asc: vec![0x12, 0x10] }, "mp4a.40.2", 44_100),
            (opus(2, 0), "opus", 48_000),
            (opus(1, 0), "opus", 48_000),
        ] {
            let format = Format::of(&config, Ratio::new(30, 1)).unwrap();
            assert_eq!((format.codecs.as_str(), format.timescale), (codecs, timescale));
        }
        for config in [opus(6, 1), opus(3, 0), FeedConfig::Aac { asc: vec![0x2b, 0x11, 0x88, 0x00] }] {
            let refused = Format::of(&config, Ratio::new(30, 1));
            assert!(matches!(refused, Err(FormatError::Unsupported { .. })), "{refused:?}");
        }
        for config in [
            FeedConfig::H264 { avcc: vec![1, 100, 0, 30, 0xff, 0xe0, 0] },
            FeedConfig::Hevc { hvcc: vec![1; 23] },
            FeedConfig::Av1 { av1c: vec![0x81, 4, 0x0c, 0] },
        ] {
            let refused = Format::of(&config, Ratio::new(30, 1));
            assert!(matches!(refused, Err(FormatError::Cmaf(_))), "{refused:?}");
        }
    }
}
