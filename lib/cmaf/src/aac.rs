//! What the configuration of an AAC stream says.

/// AAC-LC in frames of 1024 samples, with neither of the extensions of HE-AAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AacLc {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels: 1 or 2.
    pub channels: u16,
}

/// `samplingFrequencyIndex` (ISO/IEC 14496-3 table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// `audioObjectType` 2.
const LC: u16 = 2;
/// `syncExtensionType` 0x2b7 and object type 5, as many encoders write them to say that there is
/// no SBR: the bit behind is 0.
const NO_SBR: [u8; 3] = [0x56, 0xe5, 0x00];

impl AacLc {
    /// Reads an `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1); `None` if it is of any other
    /// stream, or says a rate or an order of channels in the long way.
    pub fn read(asc: &[u8]) -> Option<Self> {
        let (head, rest) = asc.split_first_chunk::<2>()?;
        let head = u16::from_be_bytes(*head);
        let (kind, rate, channels, flags) = (head >> 11, head >> 7 & 15, head >> 3 & 15, head & 7);
        let rest = rest.strip_prefix(&NO_SBR).unwrap_or(rest);
        // The flags are for frames of 960 samples, layers, and other object types.
        let is_plain = kind == LC && flags == 0 && rest.iter().all(|byte| *byte == 0);
        let sample_rate = *RATES.get(usize::from(rate))?;
        (is_plain && matches!(channels, 1 | 2)).then_some(Self { sample_rate, channels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_aac_is_known_and_nothing_else_is() {
        let plain = |sample_rate, channels| Some(AacLc { sample_rate, channels });
        for (asc, found) in [
            (&[0x11, 0x90][..], plain(48_000, 2)),
            (&[0x12, 0x10], plain(44_100, 2)),
            (&[0x12, 0x08], plain(44_100, 1)),
            // As ffmpeg writes it: there is no SBR.
            (&[0x11, 0x88, 0x56, 0xe5, 0x00], plain(48_000, 1)),
            (&[0x11, 0x90, 0x00, 0x00], plain(48_000, 2)),
            // There is.
            (&[0x11, 0x90, 0x56, 0xe5, 0x80], None),
            (&[0x13, 0x10, 0x56, 0xe5, 0xa5, 0x48, 0x80], None),
            // HE-AAC and xHE-AAC as object types of their own.
            (&[0x2b, 0x11, 0x88, 0x00], None),
            (&[0xf9, 0x46, 0x40], None),
            // Frames of 960; a layer; six channels; an order of channels in the stream.
            (&[0x11, 0x94], None),
            (&[0x11, 0x92], None),
            (&[0x11, 0xb0], None),
            (&[0x11, 0x80], None),
            // A rate in numbers; none.
            (&[0x17, 0x80, 0x5d, 0xc0, 0x10], None),
            (&[0x16, 0x90], None),
            (&[0x11], None),
            (&[], None),
        ] {
            assert_eq!(AacLc::read(asc), found, "{asc:02x?}");
        }
    }
}
