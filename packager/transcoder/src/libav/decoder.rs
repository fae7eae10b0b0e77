use ffmpeg_next::codec::{self, Context};
use ffmpeg_next::decoder::Opened;
use ffmpeg_next::{Dictionary, Error, Rational, ffi};

/// Opens a decoder by its name, of a stream that no demuxer describes: `configuration` is what its
/// container says before the first packet.
pub(crate) fn decoder_of(
    name: &str,
    configuration: &[u8],
    time_base: Rational,
    options: &[(&str, &str)],
) -> Result<Opened, Error> {
    let codec = codec::decoder::find_by_name(name).ok_or(Error::DecoderNotFound)?;
    let mut context = Context::new_with_codec(codec);
    let padding = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    let size = i32::try_from(configuration.len()).map_err(|_| Error::InvalidData)?;
    // SAFETY: the context is valid and not open; the buffer is libav's, zeroed, longer than what is
    // copied into it by the padding that decoders may read, and freed with the context.
    unsafe {
        let buffer = ffi::av_mallocz(configuration.len() + padding).cast::<u8>();
        if buffer.is_null() {
            return Err(Error::Other { errno: libc::ENOMEM });
        }
        std::ptr::copy_nonoverlapping(configuration.as_ptr(), buffer, configuration.len());
        let context = context.as_mut_ptr();
        ((*context).extradata, (*context).extradata_size) = (buffer, size);
    }
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(time_base);
    decoder.open_as_with(codec, options.iter().collect::<Dictionary<'_>>())
}
