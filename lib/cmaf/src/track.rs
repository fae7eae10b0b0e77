use crate::CmafError;

/// One elementary stream as an initialisation segment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Track {
    /// H.264.
    Video(VideoTrack),
    /// AAC-LC.
    Audio(AudioTrack),
}

/// An H.264 track with square pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTrack {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Ticks per second of decode times and durations.
    pub timescale: u32,
    /// The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1.2), without a box header.
    pub avcc: Vec<u8>,
    /// How its numbers mean colours, where that is known.
    pub colour: Option<Colour>,
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

/// An AAC-LC track; its timescale is its sample rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioTrack {
    /// Channels, 1 or 2.
    pub channels: u16,
    /// Samples per second.
    pub sample_rate: u32,
    /// The `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1).
    pub asc: Vec<u8>,
    /// Samples that the encoder puts before the first real one; the player skips them.
    pub priming: u32,
}

impl Track {
    /// Ticks per second of decode times and durations.
    pub const fn timescale(&self) -> u32 {
        match self {
            Self::Video(video) => video.timescale,
            Self::Audio(audio) => audio.sample_rate,
        }
    }

    /// The codec as playlists and browsers name it (RFC 6381): `avc1.PPCCLL` or `mp4a.40.n`.
    pub fn codecs(&self) -> Result<String, CmafError> {
        match self {
            Self::Video(video) => match video.avcc[..] {
                // Profile, compatibility flags and level follow the version byte.
                [1, profile, compatibility, level, ..] => {
                    Ok(format!("avc1.{profile:02x}{compatibility:02x}{level:02x}"))
                }
                _ => Err(CmafError::malformed("avcC", "not a configuration record of version 1")),
            },
            Self::Audio(audio) => match audio.asc[..] {
                // The object type is the first five bits; 31 announces a longer form that AAC-LC
                // never has.
                [first, _, ..] if !matches!(first >> 3, 0 | 31) => Ok(format!("mp4a.40.{}", first >> 3)),
                _ => Err(CmafError::malformed("esds", "not the configuration of an AAC stream")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_come_from_the_configuration() {
        let video = |avcc: &[u8]| {
            Track::Video(VideoTrack { width: 2, height: 2, timescale: 15, avcc: avcc.to_vec(), colour: None })
        };
        let audio = |asc: &[u8]| {
            Track::Audio(AudioTrack { channels: 1, sample_rate: 48_000, asc: asc.to_vec(), priming: 0 })
        };
        assert_eq!(video(&[1, 0x64, 0, 0x1f, 0xff]).codecs().unwrap(), "avc1.64001f");
        assert_eq!(audio(&[0x11, 0x88]).codecs().unwrap(), "mp4a.40.2");
        for track in [video(&[]), video(&[2, 0x64, 0, 0x1f]), audio(&[0x11]), audio(&[0xf8, 0])] {
            assert!(track.codecs().is_err(), "{track:?}");
        }
    }
}
