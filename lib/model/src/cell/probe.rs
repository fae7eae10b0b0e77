use serde::{Deserialize, Serialize};

use super::Ratio;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// libav's name of the container, for example `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Length in milliseconds, as measured: that of its longest stream.
    pub duration_ms: Option<u64>,
    /// Bit rate of the whole file in bit/s.
    pub bit_rate_bps: Option<u64>,
    /// The picture, if there is one that is not a cover.
    pub video: Option<VideoStream>,
    /// The sound tracks, best first.
    pub audio: Vec<AudioStream>,
}

/// A picture track as the file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoStream {
    /// Index in the container.
    pub stream: u32,
    /// libav's name of the codec.
    pub codec: String,
    /// Stored width in pixels, before rotation and pixel shape.
    pub width: u32,
    /// Stored height in pixels.
    pub height: u32,
    /// Shape of a pixel; 1:1 when unknown.
    pub pixel_aspect: Ratio,
    /// Clockwise rotation to show it upright: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Average frames per second.
    pub frame_rate: Ratio,
    /// Whether the picture is interlaced, by its first frames.
    pub interlaced: bool,
    /// Whether it is HDR (PQ or HLG transfer) and must be tone-mapped.
    pub hdr: bool,
    /// Where its last picture ends, in microseconds from the film's zero, as measured.
    pub end_us: u64,
    /// Its coded pictures, if they could be shown as they are.
    pub copyable: Option<Box<Copyable>>,
}

/// Coded pictures in the tables of an MP4, each alone on its place of an even grid, the first on
/// the film's zero: H.264 in 4:2:0 with 8 bits and one set of parameters. Whether they are worth
/// to be shown as they are is for the plan to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copyable {
    /// The id of their track.
    pub track: u32,
    /// The `AVCDecoderConfigurationRecord`.
    pub avcc: Vec<u8>,
    /// Frames per second.
    pub frame_rate: Ratio,
    /// How many pictures there are,
    pub frames: u64,
    /// and how many bytes they have.
    pub bytes: u64,
    /// The IDR pictures behind which nothing refers to what is before them, in order, beginning
    /// with frame 0: which frame each is, and how many bytes are before it.
    pub idrs: Vec<(u64, u64)>,
}

impl Copyable {
    /// The most IDR pictures that are listed, so that a probe's answer stays below
    /// [`MAX_HEAD`](super::MAX_HEAD): 8 h of one a second. A film that has more is not copied.
    pub const MAX_IDRS: usize = 30_000;
    /// By how many pictures they may be fewer than the film is long: a careless cut leaves holes
    /// before the last ones, no more than H.264 reorders.
    pub const MAX_LOST: u64 = 16;
}

/// A sound track as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioStream {
    /// Index in the container.
    pub stream: u32,
    /// libav's name of the codec.
    pub codec: String,
    /// Channels.
    pub channels: u16,
    /// Samples per second.
    pub sample_rate: u32,
    /// Where its last sound ends, in microseconds from the film's zero, as measured.
    pub end_us: u64,
    /// Its coded frames, if they could be heard as they are.
    pub copyable: Option<CodedSound>,
}

/// Coded sound in the tables of an MP4: AAC-LC in frames of [`AudioPlan::FRAME`](super::AudioPlan::FRAME)
/// samples without a gap, from the film's zero on. Whether it is worth to be heard as it is is for the
/// plan to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodedSound {
    /// The id of its track.
    pub track: u32,
    /// The `AudioSpecificConfig`.
    pub asc: Vec<u8>,
    /// Which frame of the track comes first: the one before that in which the film begins, because
    /// frames overlap. Those before frame 0 are silence.
    pub first: i64,
    /// Samples of these two before the film's zero, at least those of one frame.
    pub priming: u32,
    /// How many frames there are from the first on.
    pub frames: u64,
    /// The rate of its busiest seconds in bit/s, without boxes,
    pub peak_bps: u64,
    /// and of all of it.
    pub average_bps: u64,
}
