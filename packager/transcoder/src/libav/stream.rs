use ffmpeg_next::codec::{self, Parameters};
use ffmpeg_next::decoder::Opened;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Dictionary, Error, Stream, ffi};

use super::frame::{Colour, c_int_of};

/// What the container says of a picture stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PictureShape {
    pub(crate) width: i32,
    pub(crate) height: i32,
    /// Shape of a pixel, `(0, 1)` when unknown.
    pub(crate) pixel_aspect: (i32, i32),
    pub(crate) colour: Colour,
}

impl PictureShape {
    pub(crate) fn of(stream: &Stream<'_>) -> Self {
        let parameters = stream.parameters();
        // SAFETY: `parameters` keeps its `AVCodecParameters` alive; only integers are read, the
        // colour fields through `c_int_of` because their values are the file's.
        unsafe {
            let p = parameters.as_ptr();
            let own = (*stream.as_ptr()).sample_aspect_ratio;
            let aspect = if own.num > 0 { own } else { (*p).sample_aspect_ratio };
            Self {
                width: (*p).width,
                height: (*p).height,
                pixel_aspect: (aspect.num, aspect.den),
                colour: Colour {
                    range: c_int_of(&raw const (*p).color_range),
                    transfer: c_int_of(&raw const (*p).color_trc),
                    matrix: c_int_of(&raw const (*p).color_space),
                },
            }
        }
    }
}

/// What the container says of a sound stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoundShape {
    pub(crate) channels: i32,
    pub(crate) sample_rate: i32,
}

impl SoundShape {
    pub(crate) fn of(parameters: &Parameters) -> Self {
        // SAFETY: `parameters` keeps its `AVCodecParameters` alive; only integers are read.
        unsafe {
            let p = parameters.as_ptr();
            Self { channels: (*p).ch_layout.nb_channels, sample_rate: (*p).sample_rate }
        }
    }
}

/// Opens the decoder that libav prefers for a stream.
///
/// # Errors
/// `DecoderNotFound` when there is none; whatever the decoder says, for instance that it is not
/// on the `codec_whitelist` among the options.
pub(crate) fn decoder(stream: &Stream<'_>, options: &[(&str, &str)]) -> Result<Opened, Error> {
    let parameters = stream.parameters();
    let found = codec::decoder::find(parameters.id()).ok_or(Error::DecoderNotFound)?;
    let mut decoder = codec::Context::from_parameters(parameters)?.decoder();
    // Without it the samples that an encoder put in front are not skipped.
    decoder.set_packet_time_base(stream.time_base());
    decoder.open_as_with(found, options.iter().collect::<Dictionary<'_>>())
}

/// By how many pictures the order of showing lags behind that of decoding.
pub(crate) fn picture_delay(parameters: &Parameters) -> i32 {
    // SAFETY: `parameters` keeps its `AVCodecParameters` alive; the field is an int.
    unsafe { (*parameters.as_ptr()).video_delay }.clamp(0, 16)
}

/// Whether all that was read of a picture stream so far says that it is not interlaced.
pub(crate) fn says_progressive(parameters: &Parameters) -> bool {
    // SAFETY: `parameters` keeps its `AVCodecParameters` alive; the enum is read as an int.
    let order = unsafe { c_int_of(&raw const (*parameters.as_ptr()).field_order) };
    order == ffi::AVFieldOrder::AV_FIELD_PROGRESSIVE as libc::c_int
}

/// Whether its pictures are in 4:2:0 with 8 bits and the range of television.
pub(crate) fn is_yuv420p(parameters: &Parameters) -> bool {
    // SAFETY: `parameters` keeps its `AVCodecParameters` alive; the field is an int.
    let format = unsafe { (*parameters.as_ptr()).format };
    format == ffi::AVPixelFormat::AV_PIX_FMT_YUV420P as libc::c_int
}

/// The greatest timestamp in the index of a stream, if it has one.
pub(crate) fn last_indexed(stream: &Stream<'_>) -> Option<i64> {
    // SAFETY: the stream belongs to an open context; libav checks the place, and the entry is
    // read before anything else is done with the stream.
    unsafe {
        let stream = stream.as_ptr().cast_mut();
        let last = ffi::avformat_index_get_entries_count(stream).checked_sub(1)?;
        ffi::avformat_index_get_entry(stream, last).as_ref().map(|entry| entry.timestamp)
    }
}

/// Where the first packet in the index of a stream lies in the file, and its timestamp.
pub(crate) fn first_indexed(stream: &Stream<'_>) -> Option<(u64, i64)> {
    // SAFETY: the stream belongs to an open context; libav checks the place, and the entry is
    // read before anything else is done with the stream.
    unsafe {
        let first = ffi::avformat_index_get_entry(stream.as_ptr().cast_mut(), 0).as_ref()?;
        Some((u64::try_from(first.pos).ok()?, first.timestamp))
    }
}

/// Whether the declared duration was only computed from a bit rate.
pub(crate) fn duration_is_guessed(input: &Input) -> bool {
    // SAFETY: the context is alive as long as `input`; the field is set by libav, never by a file.
    let method = unsafe { (*input.as_ptr()).duration_estimation_method };
    method == ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE
}

/// Whether the clock of such a container may start anew within a file.
pub(crate) fn clock_may_jump(input: &Input) -> bool {
    // SAFETY: the context is alive as long as `input`, and an opened one has its format set.
    let flags = unsafe { (*(*input.as_ptr()).iformat).flags };
    flags & ffi::AVFMT_TS_DISCONT as libc::c_int != 0
}

/// The clockwise rotation, in quarter turns, that a display matrix (ISO/IEC 14496-12 §8.2.2, nine
/// numbers in the machine's byte order) asks for.
pub(crate) fn quarter_turns(matrix: &[u8]) -> u16 {
    let number = |index: usize| {
        let bytes = matrix.get(index * 4..index * 4 + 4)?;
        Some(f64::from(i32::from_ne_bytes(bytes.try_into().ok()?)))
    };
    let (Some(a), Some(b)) = (number(0), number(1)) else { return 0 };
    if a == 0.0 && b == 0.0 {
        return 0;
    }
    (b.atan2(a) / std::f64::consts::FRAC_PI_2).round().rem_euclid(4.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_matrices_become_quarter_turns() {
        let matrix = |a: i32, b: i32, c: i32, d: i32| {
            [a, b, 0, c, d, 0, 0, 0, 1 << 30].iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<_>>()
        };
        const ONE: i32 = 1 << 16;
        assert_eq!(quarter_turns(&matrix(ONE, 0, 0, ONE)), 0);
        assert_eq!(quarter_turns(&matrix(0, ONE, -ONE, 0)), 1);
        assert_eq!(quarter_turns(&matrix(-ONE, 0, 0, -ONE)), 2);
        assert_eq!(quarter_turns(&matrix(0, -ONE, ONE, 0)), 3);
        assert_eq!(quarter_turns(&matrix(0, 0, 0, 0)), 0);
        assert_eq!(quarter_turns(&[1, 2, 3]), 0);
    }
}
