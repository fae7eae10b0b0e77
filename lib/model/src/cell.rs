//! What the packager and the transcoder cell say to each other.
//!
//! The packager starts `cocuyo-transcoder` with three descriptors: requests on standard input,
//! replies on standard output, the media file on descriptor [`MEDIA_FD`]. Each message is one
//! frame:
//!
//! ```text
//! u32 LE  length of the head in bytes
//! u32 LE  length of the payload in bytes
//! head    a Request or a Reply as JSON
//! payload boxes or a picture, empty for most messages
//! ```
//!
//! One request per process; the cell answers with replies until `Done` or `Refused` and exits
//! with status 0. Standard input stays open meanwhile: its end tells the cell that its packager
//! is gone. A cell that exits without a last message has no quarrel with the file: with status
//! 74 it could not read the media, with any other it has crashed.
//! Whatever a cell says is input to be checked, not truth: it has read a stranger's file.
//!
//! A cell of an event reads packets instead of a file: see [`live`].

pub mod live;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{FailureReason, Lane, RenditionName, SegmentGrid};

/// The descriptor on which the cell finds the media file.
pub const MEDIA_FD: i32 = 3;
/// The greatest head, in bytes, that either side accepts.
pub const MAX_HEAD: u32 = 1 << 20;
/// The greatest payload, in bytes, that either side accepts: a segment of 8 s at 100 Mbit/s.
pub const MAX_PAYLOAD: u32 = 100 << 20;

/// How the cell reads the media file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// [`MEDIA_FD`] is a regular file: `pread`.
    File {
        /// Its length in bytes.
        size: u64,
    },
    /// [`MEDIA_FD`] is a socket. For each read the cell writes `u64 LE offset, u32 LE length`
    /// and is sent exactly that many bytes, in the order in which it asked, which may be for many
    /// reads before the first is answered; a closed socket is a failed read.
    Ranges {
        /// Length of the whole file in bytes.
        size: u64,
    },
}

/// What the cell is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Say what the file holds; answered by [`Reply::Probed`].
    Probe {
        /// Where the bytes are.
        source: Source,
    },
    /// Carry out one part of a plan; answered as the [`Task`] says.
    Work {
        /// Where the bytes are.
        source: Source,
        /// What is to be made of the whole film,
        plan: EncodePlan,
        /// and which part of it now.
        task: Task,
    },
    /// Make lower rungs of an event while it is on; there is no media but what follows on standard
    /// input. See [`live`].
    Live {
        /// What is to be made of it.
        plan: live::LivePlan,
    },
}

/// One part of a plan: what one process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Open every encoder and close it again: an init for each rendition of the plan. The media
    /// is not read.
    Announce,
    /// The sound, all of it and all its renditions: inits, then segments.
    Sound,
    /// Some picture renditions over a run of segments: inits, then exactly these segments, each
    /// with all its frames. Where the source has no picture the one before it is shown.
    Pictures {
        /// Which, smallest first.
        renditions: Vec<RenditionName>,
        /// Segments of the plan's grid.
        segments: Range<u32>,
        /// Somebody waits for it: the quick presets.
        hurry: bool,
    },
    /// The copied rendition over a run of segments: its init, then exactly these segments.
    Copy {
        /// Segments of the plan's grid.
        segments: Range<u32>,
    },
    /// The poster and the thumbnail.
    Stills,
}

/// What the cell says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// What the file holds.
    Probed {
        /// The findings.
        probe: Probe,
    },
    /// A rendition's initialisation segment, in the payload; before its first segment.
    Init {
        /// Of which rendition.
        rendition: RenditionName,
    },
    /// One media segment (`moof` + `mdat`), in the payload; numbers of a rendition come in order.
    Segment {
        /// Of which rendition.
        rendition: RenditionName,
        /// Its place on the segment grid, from 0.
        number: u32,
    },
    /// A JPEG, in the payload.
    Picture {
        /// Which one.
        picture: Picture,
    },
    /// How far the task is.
    Progress {
        /// Media time behind which every rendition is done, in milliseconds of the film, not of
        /// the task's part of it.
        position_ms: u64,
    },
    /// The request is carried out; the last message.
    Done {
        /// Media time that was decoded, in milliseconds.
        duration_ms: u64,
        /// Frames or packets that the decoders refused.
        damaged: u64,
        /// How much of what was asked for had to be filled up, in milliseconds: the source has
        /// nothing there that can be decoded. A pause that the source means is not counted.
        missing_ms: u64,
    },
    /// The file will not be processed; the last message.
    Refused {
        /// Why, for its owner.
        reason: FailureReason,
        /// Why, for the log; never shown.
        detail: String,
    },
}

/// A still picture made in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// At player size.
    Poster,
    /// At card size.
    Thumbnail,
}

/// A fraction, for frame rates and pixel shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ratio {
    /// Numerator.
    pub num: u32,
    /// Denominator, never 0.
    pub den: u32,
}

impl Ratio {
    /// `num / den`.
    pub const fn new(num: u32, den: u32) -> Self {
        Self { num, den }
    }

    /// As a float, for display and comparison with floats.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

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
    /// The most IDR pictures that are listed, so that a probe's answer stays below [`MAX_HEAD`]: 8 h
    /// of one a second. A film that has more is not copied.
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

/// Coded sound in the tables of an MP4: AAC-LC in frames of [`AudioPlan::FRAME`] samples without a
/// gap, from the film's zero on. Whether it is worth to be heard as it is is for the plan to say.
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

/// What to make of a file: complete, so that the cell decides nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodePlan {
    /// Where segments begin, and how long the film is.
    pub grid: SegmentGrid,
    /// The picture renditions, absent for sound alone.
    pub video: Option<VideoPlan>,
    /// The sound renditions, absent for silent films.
    pub audio: Option<AudioPlan>,
    /// Length in milliseconds, for progress.
    pub expected_ms: u64,
    /// The encode stops with `TooLarge` behind this much media time, in milliseconds.
    pub max_ms: u64,
}

/// Frames on an absolute grid: source frame at `pts` becomes grid frame
/// `n = round((pts - t0) * frame_rate)`; gaps are filled, doubles dropped, so nothing drifts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// Index of the stream in the container.
    pub stream: u32,
    /// The grid: the greatest rate of any rung.
    pub frame_rate: Ratio,
    /// Length of the picture in grid frames.
    pub frames: u64,
    /// Grid frames per segment, where the grid is even; a multiple of every rung's divisor. Each
    /// segment begins with a closed GOP.
    pub segment_frames: u32,
    /// Clockwise rotation to apply: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Whether to deinterlace first.
    pub deinterlace: bool,
    /// Whether to map HDR to BT.709.
    pub tone_map: bool,
    /// The rungs that are encoded, smallest first.
    pub rungs: Vec<VideoRung>,
    /// The one above them that is not, if there is one: its key frames decide where all segments
    /// begin.
    pub copied: Option<CopiedRung>,
    /// Box into which the poster fits (width), height following the picture.
    pub poster_width: u32,
    /// The same for the thumbnail.
    pub thumbnail_width: u32,
}

/// One H.264 rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRung {
    /// Its name.
    pub rendition: RenditionName,
    /// Encoded width in pixels, even.
    pub width: u32,
    /// Encoded height in pixels, even.
    pub height: u32,
    /// Every how manieth grid frame it shows: 1 for all, 2 for half the rate.
    pub frame_divisor: u32,
    /// Quality target of the capped constant rate factor.
    pub crf: f32,
    /// The target for a chunk that somebody waits for: quick presets need a better one to look
    /// the same.
    pub hurried_crf: f32,
    /// Ceiling in bit/s.
    pub maxrate_bps: u32,
    /// Decoder buffer in bits.
    pub bufsize_bits: u32,
    /// x264 preset.
    pub preset: String,
    /// The preset for a chunk that somebody waits for; its stream parameters are the same.
    pub hurried_preset: String,
    /// Reference frames, whatever the preset says: they are part of the stream parameters.
    pub references: u32,
    /// Frames in a row at most that nothing but their like refers to.
    pub b_frames: u32,
    /// x264 profile: `main` or `high`.
    pub profile: String,
}

/// A rendition that is the source's own coded pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedRung {
    /// Its name.
    pub rendition: RenditionName,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The id of the pictures' track in the file.
    pub track: u32,
    /// The `AVCDecoderConfigurationRecord`.
    pub avcc: Vec<u8>,
    /// The rate of its busiest segments in bit/s, boxes included,
    pub peak_bps: u64,
    /// and of all of it.
    pub average_bps: u64,
}

/// One continuous encode of a sound track per rung, or the track's own coded frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// Index of the stream in the container.
    pub stream: u32,
    /// Output samples per second.
    pub sample_rate: u32,
    /// Length of the sound in output samples: the encode is cut or filled up with silence.
    pub samples: u64,
    /// Length of a segment; sound segments end on the AAC frame nearest to the grid.
    pub segment: Ratio,
    /// The rungs, smallest first.
    pub rungs: Vec<AudioRung>,
}

impl AudioPlan {
    /// Samples of an AAC-LC frame (ISO/IEC 14496-3 §4.5.1.1).
    pub const FRAME: u32 = 1024;

    /// How many coded frames a rendition has: the first is priming, the last is filled up.
    pub fn coded_frames(&self) -> u64 {
        1 + self.samples.div_ceil(Self::FRAME.into()).max(1)
    }

    /// The coded frames of segment `n`: it begins with the one that is heard nearest to the
    /// grid, frame `k` being heard from sample `(k - 1) * 1024`. Empty behind the end.
    pub fn frames_of(&self, grid: &SegmentGrid, n: u32) -> Range<u64> {
        let start = |n: u32| {
            if n == 0 {
                return 0;
            }
            let samples =
                u128::from(grid.start(n)) * u128::from(grid.rate.den) * u128::from(self.sample_rate);
            let frame = u128::from(grid.rate.num.max(1)) * u128::from(Self::FRAME);
            let nearest = (2 * samples + frame) / (2 * frame) + 1;
            u64::try_from(nearest).unwrap_or(u64::MAX).min(self.coded_frames())
        };
        start(n)..start(n + 1)
    }

    /// How many segments a rendition has.
    pub fn segment_count(&self, grid: &SegmentGrid) -> u32 {
        let heard = (self.coded_frames() - 2) * u64::from(Self::FRAME);
        let frame = u128::from(heard) * u128::from(grid.rate.num)
            / (u128::from(self.sample_rate.max(1)) * u128::from(grid.rate.den.max(1)));
        let near = grid.segment_of(u64::try_from(frame).unwrap_or(u64::MAX));
        // Rounding to coded frames moves a border by half a frame at most.
        (near.saturating_sub(1)..near + 2).find(|n| self.frames_of(grid, *n).is_empty()).unwrap_or(near + 2)
    }
}

impl VideoPlan {
    /// The encoded rung called `name`.
    pub fn rung(&self, name: RenditionName) -> Option<&VideoRung> {
        self.rungs.iter().find(|rung| rung.rendition == name)
    }

    /// The copied rung, if it is called `name`.
    pub fn copied(&self, name: RenditionName) -> Option<&CopiedRung> {
        self.copied.as_ref().filter(|copied| copied.rendition == name)
    }

    /// The names of all picture renditions, smallest first.
    pub fn renditions(&self) -> impl Iterator<Item = RenditionName> + '_ {
        let encoded = self.rungs.iter().map(|rung| rung.rendition);
        encoded.chain(self.copied.iter().map(|copied| copied.rendition))
    }

    /// With which others a picture rendition is made.
    pub fn lane(&self, name: RenditionName) -> Lane {
        if self.copied(name).is_some() { Lane::Copied } else { Lane::of(name) }
    }

    /// Ticks in a second and ticks of a frame of a rendition that shows every `divisor`th frame of
    /// the grid: fine enough to mix with sound, and a whole number of them per frame.
    pub fn timescale(&self, divisor: u32) -> (u32, u32) {
        let Ratio { num, den } = self.frame_rate;
        let fine = if num < 1000 { 1000 } else { 1 };
        (num * fine, den * divisor.max(1) * fine)
    }
}

/// One AAC-LC rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRung {
    /// Its name.
    pub rendition: RenditionName,
    /// 1 or 2.
    pub channels: u16,
    /// Target in bit/s.
    pub bit_rate_bps: u32,
    /// What is copied instead of encoded, if it is; plans of earlier releases do not say it.
    #[serde(default)]
    pub copied: Option<CodedSound>,
}

/// A frame that breaks the protocol.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length above the limit.
    #[error("frame of {head} + {payload} bytes is over the limit")]
    TooLong {
        /// Announced head.
        head: u32,
        /// Announced payload.
        payload: u32,
    },
    /// A head that is not the message it should be.
    #[error("frame head is not a message")]
    Head(#[from] serde_json::Error),
}

/// Lengths of a frame's two parts, read from its first eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLengths {
    /// Bytes of JSON.
    pub head: u32,
    /// Bytes of payload.
    pub payload: u32,
}

impl FrameLengths {
    /// Bytes before the head.
    pub const SIZE: usize = 8;

    /// Reads and checks the lengths.
    pub fn parse(bytes: [u8; Self::SIZE]) -> Result<Self, FrameError> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let (head, payload) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if head > MAX_HEAD || payload > MAX_PAYLOAD {
            return Err(FrameError::TooLong { head, payload });
        }
        Ok(Self { head, payload })
    }
}

/// The lengths and head of a frame whose payload, of `payload_len` bytes, follows it.
pub fn encode_head(message: &impl Serialize, payload_len: usize) -> Result<Vec<u8>, FrameError> {
    let head = serde_json::to_vec(message)?;
    let too_long = || FrameError::TooLong { head: head.len() as u32, payload: payload_len as u32 };
    let lengths = [u32::try_from(head.len()), u32::try_from(payload_len)];
    let [Ok(head_len), Ok(payload_len)] = lengths else { return Err(too_long()) };
    let mut frame = Vec::with_capacity(FrameLengths::SIZE + head.len());
    frame.extend_from_slice(&head_len.to_le_bytes());
    frame.extend_from_slice(&payload_len.to_le_bytes());
    FrameLengths::parse(frame[..FrameLengths::SIZE].try_into().expect("eight bytes were written"))?;
    frame.extend_from_slice(&head);
    Ok(frame)
}

/// Reads a frame's head.
pub fn decode_head<'a, T: Deserialize<'a>>(head: &'a [u8]) -> Result<T, FrameError> {
    Ok(serde_json::from_slice(head)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back() {
        let said = Reply::Segment { rendition: RenditionName::Video { height: 360 }, number: 7 };
        let frame = encode_head(&said, 5).unwrap();
        let lengths = FrameLengths::parse(frame[..8].try_into().unwrap()).unwrap();
        assert_eq!((lengths.head as usize, lengths.payload), (frame.len() - 8, 5));
        assert_eq!(decode_head::<Reply>(&frame[8..]).unwrap(), said);
    }

    #[test]
    fn sound_segments_hold_every_coded_frame_once() {
        for samples in [0, 1, 1024, 48_000, 192_000, 192_001, 1_000_000, 12_345_678] {
            for rate in [Ratio::new(25, 1), Ratio::new(30_000, 1001), Ratio::new(1000, 1)] {
                let every = 4 * rate.num / rate.den;
                let grid = SegmentGrid::even(rate, every, 100);
                let plan = AudioPlan {
                    stream: 1,
                    sample_rate: 48_000,
                    samples,
                    segment: Ratio::new(4, 1),
                    rungs: Vec::new(),
                };
                let segments: Vec<_> =
                    (0..plan.segment_count(&grid)).map(|n| plan.frames_of(&grid, n)).collect();
                assert!(segments.iter().all(|frames| !frames.is_empty()), "{samples} at {rate:?}");
                let all: Vec<_> = segments.into_iter().flatten().collect();
                assert_eq!(all, (0..plan.coded_frames()).collect::<Vec<_>>(), "{samples} at {rate:?}");
            }
        }
    }

    #[test]
    fn a_plan_of_an_earlier_release_encodes_its_sound() {
        let rung = r#"{"rendition":"a32","channels":1,"bit_rate_bps":32000}"#;
        assert_eq!(serde_json::from_str::<AudioRung>(rung).unwrap().copied, None);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_memory_is_taken() {
        let mut bytes = [0xff; 8];
        assert!(matches!(FrameLengths::parse(bytes), Err(FrameError::TooLong { .. })));
        bytes[..4].copy_from_slice(&10u32.to_le_bytes());
        assert!(matches!(FrameLengths::parse(bytes), Err(FrameError::TooLong { .. })));
    }
}
