use crate::{CmafError, Opus, av1, avc, hevc};

/// One elementary stream as an initialisation segment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Track {
    /// A picture.
    Video(VideoTrack),
    /// A sound.
    Audio(AudioTrack),
}

/// A picture with square pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTrack {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Ticks per second of decode times and durations.
    pub timescale: u32,
    /// What its decoder is told.
    pub config: VideoConfig,
    /// How its numbers mean colours, where that is known.
    pub colour: Option<Colour>,
}

/// What the decoder of a picture is told before the first: a record as its sample entry has it,
/// without a box header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoConfig {
    /// H.264: the `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1.2).
    Avc(Vec<u8>),
    /// HEVC: the `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1.2).
    Hevc(Vec<u8>),
    /// AV1: the `AV1CodecConfigurationRecord` (AV1 in ISOBMFF §2.3.3).
    Av1(Vec<u8>),
}

/// Colour as code points of ITU-T H.273; written as `colr` of type `nclx` (14496-12 §12.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// `ColourPrimaries`, 1 for BT.709.
    pub primaries: u16,
    /// `TransferCharacteristics`, 1 for BT.709.
    pub transfer: u16,
    /// `MatrixCoefficients`, 1 for BT.709.
    pub matrix: u16,
    /// Whether samples use the whole range of their bits.
    pub full_range: bool,
}

/// A sound; its timescale is its sample rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioTrack {
    /// Channels, 1 or 2.
    pub channels: u16,
    /// Samples per second.
    pub sample_rate: u32,
    /// What its decoder is told.
    pub config: AudioConfig,
    /// Samples that the encoder puts before the first real one; the player skips them.
    pub priming: u32,
}

/// What the decoder of a sound is told before the first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioConfig {
    /// AAC: the `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1).
    Aac(Vec<u8>),
    /// Opus.
    Opus(Opus),
}

impl Track {
    /// Ticks per second of decode times and durations.
    pub const fn timescale(&self) -> u32 {
        match self {
            Self::Video(video) => video.timescale,
            Self::Audio(audio) => audio.sample_rate,
        }
    }

    /// The codec as playlists and browsers name it (RFC 6381): `avc1.…`, `hvc1.…`, `av01.…`,
    /// `mp4a.40.n` or `opus`.
    ///
    /// # Errors
    /// When its configuration is none.
    pub fn codecs(&self) -> Result<String, CmafError> {
        match self {
            Self::Video(video) => video.config.codecs(),
            Self::Audio(audio) => audio.config.codecs(),
        }
    }
}

impl VideoConfig {
    fn codecs(&self) -> Result<String, CmafError> {
        match self {
            Self::Avc(avcc) => avc::codecs(avcc),
            Self::Hevc(hvcc) => hevc::codecs(hvcc),
            Self::Av1(av1c) => av1::codecs(av1c),
        }
    }

    /// Width and height of its pictures, in pixels.
    ///
    /// # Errors
    /// When it is no configuration, or does not say.
    pub fn size(&self) -> Result<(u32, u32), CmafError> {
        match self {
            Self::Avc(avcc) => avc::size(avcc),
            Self::Hevc(hvcc) => hevc::size(hvcc),
            Self::Av1(av1c) => av1::size(av1c),
        }
    }
}

impl AudioConfig {
    fn codecs(&self) -> Result<String, CmafError> {
        match self {
            Self::Aac(asc) => match asc[..] {
                // The object type is the first five bits; 31 announces a longer form that AAC-LC
                // never has.
                [first, _, ..] if !matches!(first >> 3, 0 | 31) => Ok(format!("mp4a.40.{}", first >> 3)),
                _ => Err(CmafError::malformed("esds", "not the configuration of an AAC stream")),
            },
            Self::Opus(_) => Ok("opus".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
