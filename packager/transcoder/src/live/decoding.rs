//! The decoders of a feed: which may run, and what they are told.

use ffmpeg_next::codec::packet::Flags;
use ffmpeg_next::decoder::Opened;
use ffmpeg_next::{Packet, Rational};
use model::FailureReason;
use model::feed::{FEED_TIMESCALE, FeedConfig};

use super::Fed;
use crate::error::{CellError, Result};
use crate::libav;

/// 4K, and somewhat more.
pub(crate) const MAX_PIXELS: u64 = 4096 * 2304;
const MAX_PIXELS_TEXT: &str = "9437184";

/// One thread: libav's threads hold a frame each, and a feed has nobody ahead of it to wait for.
const PICTURE: [(&str, &str); 2] = [("max_pixels", MAX_PIXELS_TEXT), ("threads", "1")];
const AV1: [(&str, &str); 3] = [PICTURE[0], PICTURE[1], ("max_frame_delay", "1")];
const SOUND: [(&str, &str); 1] = [("threads", "1")];

/// Opens the decoder of a track.
///
/// # Errors
/// `UnsupportedCodec`: the configuration is not one that it takes.
pub(super) fn open(config: &FeedConfig) -> Result<Opened> {
    let (name, bytes, options) = match config {
        FeedConfig::H264 { avcc } => ("h264", avcc, &PICTURE[..]),
        FeedConfig::Hevc { hvcc } => ("hevc", hvcc, &PICTURE[..]),
        FeedConfig::Av1 { av1c } => ("libdav1d", av1c, &AV1[..]),
        FeedConfig::Aac { asc } => ("aac", asc, &SOUND[..]),
        FeedConfig::Opus { head } => ("opus", head, &SOUND[..]),
    };
    // A decoder that gets none waits for what never comes in the packets.
    if bytes.is_empty() {
        return Err(CellError::refused(FailureReason::UnsupportedCodec, format!("{name} without a header")));
    }
    let base = Rational::new(1, FEED_TIMESCALE as i32);
    libav::decoder_of(name, bytes, base, options).map_err(|error| {
        CellError::refused(FailureReason::UnsupportedCodec, format!("{name} does not open: {error}"))
    })
}

/// A packet as a decoder takes it; none without bytes, which would say that the feed is over.
pub(super) fn packet(fed: &Fed) -> Option<Packet> {
    if fed.data.is_empty() {
        return None;
    }
    let mut packet = Packet::copy(&fed.data);
    packet.set_pts(Some(fed.pts));
    packet.set_dts(Some(fed.dts));
    packet.set_flags(if fed.key { Flags::KEY } else { Flags::empty() });
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_and_its_text_agree() {
        assert_eq!(MAX_PIXELS.to_string(), MAX_PIXELS_TEXT);
    }
}
