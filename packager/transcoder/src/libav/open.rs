use std::ptr;

use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::{Dictionary, Error, ffi};

/// Opens media for demuxing and looks at its streams, with options for the demuxer and for the
/// decoders that are tried on the way.
///
/// The crate's own `input_from_stream` hands no options to those decoders, and does not notice
/// an option that libav does not know: a limit that is misspelt would be no limit.
pub(crate) fn open(
    mut io: StreamIo,
    options: &[(&str, &str)],
    decoder_options: &[(&str, &str)],
) -> Result<Input, Error> {
    let mut options: Dictionary<'_> = options.iter().collect();
    // SAFETY: `context` is owned here until it is wrapped; `avformat_open_input` frees it when it
    // fails and leaves the custom `pb` alone, which `io` owns and which outlives it.
    unsafe {
        let mut context = ffi::avformat_alloc_context();
        if context.is_null() {
            return Err(Error::Other { errno: libc::ENOMEM });
        }
        (*context).pb = io.as_mut_ptr();
        (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        let mut leftover = options.disown();
        let opened = ffi::avformat_open_input(&mut context, ptr::null(), ptr::null(), &mut leftover);
        options = Dictionary::own(leftover);
        if opened < 0 {
            return Err(opened.into());
        }
        let input = Input::wrap_with_custom_io(context, io);
        if ffi::av_dict_count(options.as_ptr()) > 0 {
            return Err(Error::OptionNotFound);
        }
        // One dictionary per stream that is known so far, as the function wants it.
        let mut per_stream: Vec<_> = (0..input.nb_streams())
            .map(|_| decoder_options.iter().collect::<Dictionary<'_>>().disown())
            .collect();
        let array = if per_stream.is_empty() { ptr::null_mut() } else { per_stream.as_mut_ptr() };
        let found = ffi::avformat_find_stream_info(context, array);
        for dictionary in per_stream {
            drop(Dictionary::own(dictionary));
        }
        if found < 0 { Err(found.into()) } else { Ok(input) }
    }
}
