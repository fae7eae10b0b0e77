use bytes::Bytes;
use cmaf::{AacLc, AudioTrack, Bandwidth, CmafError, RenditionKind, Track, VideoTrack, init_segment};
use h264_reader::avcc::AvcDecoderConfigurationRecord;
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
    /// It contradicts itself.
    #[error("the configuration of {codec} makes no sense: {fault}")]
    Malformed { codec: &'static str, fault: String },
    /// It is of a kind that is not packaged.
    #[error("{what} is not packaged")]
    Unsupported { what: &'static str },
    /// It fits in no box.
    #[error(transparent)]
    Cmaf(#[from] CmafError),
}

/// The greatest picture: 8K.
const MAX_SIDE: u32 = 8192;

impl Format {
    /// The format of packets behind `config`, at `frame_rate` if they are pictures.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub(crate) fn of(config: &FeedConfig, frame_rate: Ratio) -> Result<Self, FormatError> {
        let (track, kind) = match config {
            FeedConfig::H264 { avcc } => {
                let (width, height) = h264_size(avcc)?;
                let timescale = FEED_TIMESCALE;
                let track = VideoTrack { width, height, timescale, avcc: avcc.clone(), colour: None };
                (Track::Video(track), RenditionKind::Video { width, height, frame_rate })
            }
            FeedConfig::Aac { asc } => {
                let unsupported = FormatError::Unsupported { what: "AAC other than AAC-LC, mono or stereo," };
                let AacLc { sample_rate, channels } = AacLc::read(asc).ok_or(unsupported)?;
                let track = AudioTrack { channels, sample_rate, asc: asc.clone(), priming: 0 };
                (Track::Audio(track), RenditionKind::Audio { channels, sample_rate })
            }
            FeedConfig::Hevc { .. } => return Err(FormatError::Unsupported { what: "HEVC" }),
            FeedConfig::Av1 { .. } => return Err(FormatError::Unsupported { what: "AV1" }),
            FeedConfig::Opus { .. } => return Err(FormatError::Unsupported { what: "Opus" }),
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

fn h264_size(avcc: &[u8]) -> Result<(u16, u16), FormatError> {
    let broken = |fault: String| FormatError::Malformed { codec: "H.264", fault };
    let record =
        AvcDecoderConfigurationRecord::try_from(avcc).map_err(|error| broken(format!("{error:?}")))?;
    let context = record.create_context().map_err(|error| broken(format!("{error:?}")))?;
    let sps = context.sps().next().ok_or_else(|| broken("no parameter set".to_owned()))?;
    let (width, height) = sps.pixel_dimensions().map_err(|error| broken(format!("{error:?}")))?;
    if !(2..=MAX_SIDE).contains(&width) || !(2..=MAX_SIDE).contains(&height) {
        return Err(broken(format!("{width}×{height} pixels")));
    }
    // Both fit: they are at most `MAX_SIDE`.
    Ok((width as u16, height as u16))
}
