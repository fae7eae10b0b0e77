//! What the configuration of an Opus stream and its packets say.

/// Opus in one stream of one or two channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opus {
    /// Channels: 1 or 2.
    pub channels: u16,
    /// Samples at the beginning of the stream that are not to be heard.
    pub pre_skip: u16,
    /// Samples per second of what was encoded; it is decoded at [`SAMPLE_RATE`](Self::SAMPLE_RATE).
    pub input_sample_rate: u32,
    /// By how much it is to be made louder, in 1/256 dB.
    pub output_gain: i16,
}

/// Samples of a frame by configuration: SILK has four lengths, the hybrid two, CELT four (RFC 6716
/// table 2).
const SILK: [u32; 4] = [480, 960, 1920, 2880];
const HYBRID: [u32; 2] = [480, 960];
const CELT: [u32; 4] = [120, 240, 480, 960];
/// 120 ms, the most that a packet lasts (RFC 6716 §3.2.5).
const LONGEST: u32 = 5760;

impl Opus {
    /// Samples per second of all times (Opus in ISOBMFF §4.3.1), whatever was encoded.
    pub const SAMPLE_RATE: u32 = 48_000;

    /// Reads an identification header (RFC 7845 §5.1); `None` if it is none, or of several streams.
    pub fn read(head: &[u8]) -> Option<Self> {
        let [version, channels, p0, p1, r0, r1, r2, r3, g0, g1, family] = *head.strip_prefix(b"OpusHead")?
        else {
            return None;
        };
        // The upper half of the version is for changes that we would not understand. Family 0 is one
        // stream.
        let is_known = version >> 4 == 0 && matches!(channels, 1 | 2) && family == 0;
        is_known.then_some(Self {
            channels: channels.into(),
            pre_skip: u16::from_le_bytes([p0, p1]),
            input_sample_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            output_gain: i16::from_le_bytes([g0, g1]),
        })
    }

    /// How many samples a packet lasts, by its first bytes (RFC 6716 §3.1); `None` if it is none.
    pub fn samples(packet: &[u8]) -> Option<u32> {
        let (toc, rest) = packet.split_first()?;
        let configuration = usize::from(toc >> 3);
        let frame = match configuration {
            0..12 => SILK[configuration % 4],
            12..16 => HYBRID[configuration % 2],
            _ => CELT[configuration % 4],
        };
        let frames = match toc & 3 {
            0 => 1,
            1 | 2 => 2,
            _ => u32::from(rest.first()? & 0x3f),
        };
        Some(frame * frames).filter(|samples| (1..=LONGEST).contains(samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_of_one_or_two_channels_is_known() {
        let head = |version, channels, family| {
            [b"OpusHead".as_slice(), &[version, channels, 0x38, 1, 0x44, 0xac, 0, 0, 0xff, 0xff, family]]
                .concat()
        };
        let known = Opus { channels: 2, pre_skip: 312, input_sample_rate: 44_100, output_gain: -1 };
        assert_eq!(Opus::read(&head(1, 2, 0)), Some(known));
        assert_eq!(Opus::read(&head(15, 1, 0)), Some(Opus { channels: 1, ..known }));
        for (version, channels, family) in
            [(16, 2, 0), (1, 0, 0), (1, 3, 0), (1, 6, 1), (1, 2, 1), (1, 2, 255)]
        {
            assert_eq!(Opus::read(&head(version, channels, family)), None, "{version} {channels} {family}");
        }
        let whole = head(1, 2, 0);
        for cut in 0..whole.len() {
            assert_eq!(Opus::read(&whole[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn packets_last_from_two_and_a_half_to_a_hundred_and_twenty_milliseconds() {
        let toc = |configuration: u8, count: u8| configuration << 3 | count;
        for (packet, expected) in [
            // SILK of 10 to 60 ms, stereo or not.
            (&[toc(0, 0), 7][..], Some(480)),
            (&[toc(3, 0) | 4, 7], Some(2880)),
            (&[toc(9, 1), 7], Some(1920)),
            // Hybrid.
            (&[toc(12, 0), 7], Some(480)),
            (&[toc(15, 2), 7], Some(1920)),
            // CELT of 2.5 to 20 ms; as ffmpeg sends it.
            (&[toc(16, 0), 7], Some(120)),
            (&[toc(31, 0), 7], Some(960)),
            (&[toc(31, 3), 0x83], Some(2880)),
            // Silence is a byte.
            (&[toc(31, 0)], Some(960)),
            (&[toc(16, 3), 48], Some(5760)),
            (&[toc(16, 3), 49], None),
            (&[toc(31, 3), 7], None),
            (&[toc(31, 3), 0], None),
            (&[toc(31, 3)], None),
            (&[], None),
        ] {
            assert_eq!(Opus::samples(packet), expected, "{packet:02x?}");
        }
    }
}
