//! Opening a stranger's file: what is allowed, and what is said of a file that is not.

use std::io;

use ffmpeg_next::decoder::Opened;
use ffmpeg_next::format::context::{Input as Container, StreamIo};
use ffmpeg_next::{Error, Packet, Rational, Rescale, Stream, media};
use model::FailureReason;

use crate::boxes::Boxes;
use crate::error::{CellError, Result};
use crate::libav::{self, PictureShape, SoundShape};
use crate::media::{Media, ReadFailure};
use crate::timeline::Timeline;

/// Containers that are opened, by libav's names; never one that names other files (HLS, DASH,
/// concat, SDP…), a picture, a text or a device.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,ogg,asf,wav,mp3,\
                       aac,flac,gif,h264,hevc,m4v,ac3,eac3,amr,aiff,w64,caf";

/// Decoders that may run, by libav's names.
const DECODERS: &str = "h264,hevc,vp8,vp9,libdav1d,av1,mpeg1video,mpeg2video,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4,\
                        h263,h263p,mjpeg,prores,dnxhd,dvvideo,wmv1,wmv2,wmv3,vc1,flv,theora,gif,png,\
                        aac,aac_latm,mp3float,mp3,mp2float,mp2,ac3,eac3,dca,opus,libopus,vorbis,flac,alac,\
                        pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_u8,pcm_s8,pcm_f32le,\
                        pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,adpcm_ms,\
                        adpcm_ima_wav,adpcm_ima_qt,adpcm_swf,amrnb,amrwb,wmav1,wmav2,wmapro,wmalossless";

/// 8K in 16:9.
pub(crate) const MAX_PIXELS: i64 = 8192 * 4608;
const MAX_PIXELS_TEXT: &str = "37748736";

const DEMUXER_OPTIONS: &[(&str, &str)] = &[
    // An empty list matches nothing: no file, no network, whatever the file asks for.
    ("protocol_whitelist", ""),
    ("format_whitelist", FORMATS),
    ("codec_whitelist", DECODERS),
    ("max_streams", "32"),
    ("probesize", "20000000"),
    ("max_probe_packets", "5000"),
];

/// Containers, by libav's names, in which a moment is found without reading all before it.
const SEEKABLE: [&str; 7] = ["mp4", "matroska", "avi", "flv", "mpegts", "mpeg", "asf"];
/// By how many milliseconds the last timestamp of a file with one clock may differ from its length.
const ONE_CLOCK_MS: u64 = 3000;
/// Bytes read at once.
const IO_BUFFER: usize = 64 << 10;
/// Packets in a row that the demuxer may refuse before the file counts as ended.
const MAX_REFUSED: u32 = 1000;

/// An opened file.
pub(crate) struct Input {
    pub(crate) container: Container,
    failure: ReadFailure,
    boxes: Boxes,
    /// Refusals of the demuxer since its last packet.
    refused: u32,
    /// Joins the clocks of a container that may have several.
    timeline: Option<Timeline>,
    /// To open the file once more.
    media: Media,
}

/// Options under which decoders are opened, with this many threads.
fn decoder_options(threads: &str) -> [(&str, &str); 3] {
    [("codec_whitelist", DECODERS), ("max_pixels", MAX_PIXELS_TEXT), ("threads", threads)]
}

/// What comes next from a file.
pub(crate) enum Next {
    Packet(Packet),
    /// A stretch that the demuxer could not make sense of.
    Damaged,
    End,
}

impl Input {
    /// Opens a file and looks at its streams.
    ///
    /// # Errors
    /// `Refused` with the reason when the file is not one that we process; `Read` when its bytes
    /// cannot be had.
    pub(crate) fn open(mut media: Media) -> Result<Self> {
        if media.size() == 0 {
            return Err(CellError::refused(FailureReason::Empty, "no bytes"));
        }
        let boxes = Boxes::look(&mut media).map_err(CellError::Read)?;
        let failure = media.failure();
        let again = media.again().map_err(CellError::Read)?;
        let io = StreamIo::from_read_seek_with_capacity(media, IO_BUFFER)
            .map_err(CellError::libav("allocate a reader"))?;
        let opened = libav::open(io, DEMUXER_OPTIONS);
        // A read that failed explains whatever else did.
        failure.check().map_err(CellError::Read)?;
        let mut container = opened.map_err(|error| refuse_unopened(error, boxes))?;
        // What headers announce; afterwards a size that no decoder takes is no longer known.
        container.streams().try_for_each(|stream| check_size(&stream))?;
        let looked = libav::look(&mut container, &decoder_options("1"));
        failure.check().map_err(CellError::Read)?;
        looked.map_err(|error| refuse_unopened(error, boxes))?;
        let timeline = libav::clock_may_jump(&container).then(Timeline::default);
        Ok(Self { container, failure, boxes, refused: 0, timeline, media: again })
    }

    /// Opens the same file anew, to read it from its beginning.
    pub(crate) fn restart(self) -> Result<Self> {
        let Self { container, media, .. } = self;
        drop(container);
        Self::open(media)
    }

    /// Leaves out the packets of all streams but this one, as far as it can do without them:
    /// clocks that may start anew are joined by all streams.
    pub(crate) fn read_only(&mut self, stream: u32) {
        if self.timeline.is_none() {
            libav::read_only(&mut self.container, stream);
        }
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.media.size()
    }

    /// The file itself.
    pub(crate) fn file(&mut self) -> &mut Media {
        &mut self.media
    }

    /// The file once more, to be read in between by the same thread.
    pub(crate) fn again(&self) -> io::Result<Media> {
        self.media.again()
    }

    /// Whether the file ends before it says that it does.
    pub(crate) fn is_cut(&self) -> bool {
        self.boxes == Boxes::CutFilm
    }

    /// Whether [`Input::seek`] leads to where it should, in a file that lasts `length_ms` when it
    /// is read from its beginning to its end.
    pub(crate) fn seeks_well(&self, length_ms: u64) -> bool {
        let format = self.container.format();
        let is_one_clock = || {
            let said = u64::try_from(self.container.duration() / 1000).unwrap_or(0);
            said.abs_diff(length_ms) < ONE_CLOCK_MS
        };
        format.name().split(',').any(|name| SEEKABLE.contains(&name))
            && (self.timeline.is_none() || is_one_clock())
    }

    /// Goes to where packets of a stream can be read from at or before a moment, in its ticks; what
    /// comes first need not be a key frame. False if the format cannot.
    pub(crate) fn seek(&mut self, stream: u32, timestamp: i64) -> Result<bool> {
        let sought = libav::seek(&mut self.container, stream, timestamp);
        self.failure.check().map_err(CellError::Read)?;
        self.refused = 0;
        if let Some(timeline) = &mut self.timeline {
            *timeline = Timeline::default();
        }
        Ok(sought.is_ok())
    }

    /// Reads the next packet.
    pub(crate) fn next(&mut self) -> Result<Next> {
        let mut packet = Packet::empty();
        let read = packet.read(&mut self.container);
        // libav reports a failed read as the end of the file, or as damage.
        self.failure.check().map_err(CellError::Read)?;
        match read {
            Ok(()) => {
                self.refused = 0;
                self.join_clocks(&mut packet);
                Ok(Next::Packet(packet))
            }
            Err(Error::Eof) => Ok(Next::End),
            // Some demuxers say the same at the same place for ever.
            Err(_) if self.refused == MAX_REFUSED => Ok(Next::End),
            Err(_) => {
                self.refused += 1;
                Ok(Next::Damaged)
            }
        }
    }

    fn join_clocks(&mut self, packet: &mut Packet) {
        let Some(timeline) = &mut self.timeline else { return };
        let Some(stream) = self.container.stream(packet.stream()) else { return };
        // Words come when they come; their pauses say nothing about the clock.
        if !matches!(stream.parameters().medium(), media::Type::Video | media::Type::Audio) {
            return;
        }
        let base = stream.time_base();
        let Some(dts) = packet.dts().or(packet.pts()) else { return };
        let micros = Rational::new(1, 1_000_000);
        let (at, length) = (dts.rescale(base, micros), packet.duration().rescale(base, micros));
        let offset = timeline.offset_of(packet.stream(), at, length).rescale(micros, base);
        if offset != 0 {
            packet.set_pts(packet.pts().map(|pts| pts.saturating_add(offset)));
            packet.set_dts(packet.dts().map(|dts| dts.saturating_add(offset)));
        }
    }

    /// Opens the decoder of a stream.
    ///
    /// # Errors
    /// `UnsupportedCodec`: what the stream says of itself is more than its decoder takes.
    pub(crate) fn decoder(&self, stream: &Stream<'_>, threads: &str) -> Result<Opened> {
        libav::decoder(stream, &decoder_options(threads)).map_err(|error| {
            let detail = format!("the decoder of stream {} does not open: {error}", stream.index());
            CellError::refused(FailureReason::UnsupportedCodec, detail)
        })
    }

    /// The picture stream to show, if there is one: the default one, else the largest.
    ///
    /// # Errors
    /// `UnsupportedCodec` when there are some and none can be decoded, `TooLarge`.
    pub(crate) fn picture_stream(&self) -> Result<Option<Stream<'_>>> {
        let streams: Vec<_> = self.streams_of(media::Type::Video).collect();
        let Some(best) = best(&streams, "picture", |stream| {
            let shape = PictureShape::of(stream);
            i64::from(shape.width) * i64::from(shape.height)
        })?
        .first()
        .map(|best| best.index()) else {
            return Ok(None);
        };
        let stream = self.stream(best as u32)?;
        check_size(&stream)?;
        let shape = PictureShape::of(&stream);
        if shape.width <= 0 || shape.height <= 0 {
            let reason = match self.boxes {
                Boxes::CutFilm => FailureReason::Truncated,
                Boxes::Film | Boxes::None => FailureReason::UnsupportedCodec,
            };
            return Err(CellError::refused(reason, "no decoder says how large the picture is"));
        }
        Ok(Some(stream))
    }

    /// Indices of the sound streams that can be decoded, best first: the default one, then by
    /// channels.
    ///
    /// # Errors
    /// `UnsupportedCodec` when there are some and none can be decoded.
    pub(crate) fn sound_streams(&self) -> Result<Vec<usize>> {
        let streams: Vec<_> = self.streams_of(media::Type::Audio).collect();
        let best = best(&streams, "sound", |stream| SoundShape::of(&stream.parameters()).channels.into())?;
        Ok(best.iter().map(|stream| stream.index()).collect())
    }

    /// Why there is neither picture nor sound.
    pub(crate) fn refuse_empty(&self) -> CellError {
        match self.boxes {
            // What says which streams there are is cut itself.
            Boxes::CutFilm => CellError::refused(FailureReason::Truncated, "no streams before the cut"),
            Boxes::Film | Boxes::None => {
                CellError::refused(FailureReason::NothingToPlay, "no picture and no sound")
            }
        }
    }

    /// The stream with this index in a plan.
    pub(crate) fn stream(&self, index: u32) -> Result<Stream<'_>> {
        let missing = || CellError::refused(FailureReason::Internal, format!("no stream {index}"));
        self.container.stream(index as usize).ok_or_else(missing)
    }

    fn streams_of(&self, medium: media::Type) -> impl Iterator<Item = Stream<'_>> {
        self.container.streams().filter(move |stream| {
            // A cover is a stream of one picture, not a film.
            stream.parameters().medium() == medium && !is_cover(stream)
        })
    }
}

/// The streams that can be decoded, best first.
fn best<'a, 's>(
    streams: &'a [Stream<'s>],
    what: &str,
    score: impl Fn(&Stream<'s>) -> i64,
) -> Result<Vec<&'a Stream<'s>>> {
    let mut usable: Vec<_> = streams.iter().filter(|stream| is_decodable(stream)).collect();
    if let ([first, ..], []) = (streams, &usable[..]) {
        let codec = format!("{:?}", first.parameters().id());
        let detail = format!("{what} in {codec} only");
        return Err(CellError::refused(FailureReason::UnsupportedCodec, detail));
    }
    usable.sort_by_key(|stream| {
        let default = stream.disposition().contains(ffmpeg_next::format::stream::Disposition::DEFAULT);
        std::cmp::Reverse((default, score(stream)))
    });
    Ok(usable)
}

/// Refuses pictures with more pixels than are decoded.
fn check_size(stream: &Stream<'_>) -> Result<()> {
    let PictureShape { width, height, .. } = PictureShape::of(stream);
    if i64::from(width) * i64::from(height) > MAX_PIXELS {
        return Err(CellError::refused(FailureReason::TooLarge, format!("pictures of {width}x{height}")));
    }
    Ok(())
}

fn is_cover(stream: &Stream<'_>) -> bool {
    use ffmpeg_next::format::stream::Disposition;
    stream.disposition().intersects(Disposition::ATTACHED_PIC)
}

/// Whether the decoder is allowed, and sound says enough of itself for it.
fn is_decodable(stream: &Stream<'_>) -> bool {
    let shape = SoundShape::of(&stream.parameters());
    let is_sane = (1..=64).contains(&shape.channels) && (1000..=768_000).contains(&shape.sample_rate);
    if stream.parameters().medium() == media::Type::Audio && !is_sane {
        return false;
    }
    ffmpeg_next::codec::decoder::find(stream.parameters().id())
        .is_some_and(|decoder| DECODERS.split(',').any(|allowed| allowed == decoder.name()))
}

/// Why a file could not be opened.
fn refuse_unopened(error: Error, boxes: Boxes) -> CellError {
    let detail = format!("not opened: {error}");
    let reason = match error {
        // libav's demuxers run out of streams, or of memory for them.
        Error::Other { errno: libc::ENOMEM } => FailureReason::TooLarge,
        // A limit of ours that this libav does not know.
        Error::OptionNotFound => FailureReason::Internal,
        // A film in boxes that does not open lacks its index.
        _ if boxes != Boxes::None => FailureReason::Truncated,
        _ => FailureReason::NotMedia,
    };
    CellError::refused(reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_and_their_texts_agree() {
        assert_eq!(MAX_PIXELS.to_string(), MAX_PIXELS_TEXT);
    }

    #[test]
    fn names_that_must_never_be_allowed_are_not() {
        for name in ["hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi", "tty", "imf", "mpjpeg"] {
            assert!(FORMATS.split(',').all(|format| format != name), "{name}");
        }
        for name in ["magicyuv", "ansi", "xbin", "rawvideo", "tiff", "exr", "jpeg2000"] {
            assert!(DECODERS.split(',').all(|decoder| decoder != name), "{name}");
        }
    }
}
