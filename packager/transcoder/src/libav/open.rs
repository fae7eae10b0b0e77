use std::ptr;

use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::{Dictionary, Error, ffi};

/// Opens media for demuxing, without looking into its streams yet.
///
/// The crate's own `input_from_stream` does not notice an option that libav does not know: a
/// limit that is misspelt would be no limit.
pub(crate) fn open(mut io: StreamIo, options: &[(&str, &str)]) -> Result<Input, Error> {
    let options: Dictionary<'_> = options.iter().collect();
    // SAFETY: `context` is owned here until it is wrapped; `avformat_open_input` frees it when it
    // fails and leaves the custom `pb` alone, which `io` owns and which outlives it. The
    // dictionary is handed over and taken back.
    unsafe {
        let mut context = ffi::avformat_alloc_context();
        if context.is_null() {
            return Err(Error::Other { errno: libc::ENOMEM });
        }
        (*context).pb = io.as_mut_ptr();
        (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        let mut leftover = options.disown();
        let opened = ffi::avformat_open_input(&mut context, ptr::null(), ptr::null(), &mut leftover);
        let leftover = Dictionary::own(leftover);
        if opened < 0 {
            return Err(opened.into());
        }
        let input = Input::wrap_with_custom_io(context, io);
        match ffi::av_dict_count(leftover.as_ptr()) {
            0 => Ok(input),
            _ => Err(Error::OptionNotFound),
        }
    }
}

/// Reads and decodes as much as it takes to know the streams; the decoders that are tried on the
/// way get these options, which the crate's own function does not allow.
pub(crate) fn look(input: &mut Input, decoder_options: &[(&str, &str)]) -> Result<(), Error> {
    // One dictionary per stream that is known so far, as the function wants it.
    let options = (0..input.nb_streams()).map(|_| decoder_options.iter().collect::<Dictionary<'_>>());
    // SAFETY: the context is valid; the array has one dictionary per stream, each of which is
    // handed over and taken back, whatever the function left in it.
    unsafe {
        let mut per_stream: Vec<_> = options.map(|dictionary| dictionary.disown()).collect();
        let array = if per_stream.is_empty() { ptr::null_mut() } else { per_stream.as_mut_ptr() };
        let found = ffi::avformat_find_stream_info(input.as_mut_ptr(), array);
        for dictionary in per_stream {
            drop(Dictionary::own(dictionary));
        }
        if found < 0 { Err(found.into()) } else { Ok(()) }
    }
}

/// Goes back to the last place at or before `timestamp`, in ticks of the stream, from which the
/// format can read on; where it keeps an index, that is a key frame.
pub(crate) fn seek(input: &mut Input, stream: u32, timestamp: i64) -> Result<(), Error> {
    let backward = ffi::AVSEEK_FLAG_BACKWARD as libc::c_int;
    // SAFETY: the context is valid; libav checks the stream's number and the timestamp.
    match unsafe { ffi::av_seek_frame(input.as_mut_ptr(), stream as libc::c_int, timestamp, backward) } {
        status if status < 0 => Err(status.into()),
        _ => Ok(()),
    }
}

/// Has the demuxer pass over all streams but one; those with an index then read nothing of them.
pub(crate) fn read_only(input: &mut Input, stream: u32) {
    // SAFETY: the context is valid and states how many streams it points to; the field is ours
    // to set at any time.
    unsafe {
        let context = input.as_mut_ptr();
        for index in 0..(*context).nb_streams {
            let is_wanted = index == stream;
            let discard =
                if is_wanted { ffi::AVDiscard::AVDISCARD_DEFAULT } else { ffi::AVDiscard::AVDISCARD_ALL };
            (**(*context).streams.add(index as usize)).discard = discard;
        }
    }
}
