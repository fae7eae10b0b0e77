use ffmpeg_next::codec::{self, Context};
use ffmpeg_next::encoder::Encoder as Inner;
use ffmpeg_next::{ChannelLayout, Dictionary, Error, Frame, Packet, color, ffi, format};

use model::cell::Ratio;

/// An opened encoder.
pub(crate) struct Encoder(Inner);

/// A coded frame as the encoder gave it.
pub(crate) struct Encoded {
    pub(crate) pts: i64,
    pub(crate) key: bool,
    pub(crate) bytes: Packet,
}

impl Encoder {
    /// An encoder of 4:2:0 pictures in BT.709; `rate` is frames per second.
    pub(crate) fn video(
        name: &str,
        range: color::Range,
        (width, height): (u32, u32),
        rate: Ratio,
        options: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let codec = codec::encoder::find_by_name(name).ok_or(Error::EncoderNotFound)?;
        let mut video = Context::new_with_codec(codec).encoder().video()?;
        video.set_width(width);
        video.set_height(height);
        video.set_format(format::Pixel::YUV420P);
        video.set_time_base((rate.den as i32, rate.num as i32));
        video.set_frame_rate(Some((rate.num as i32, rate.den as i32)));
        video.set_aspect_ratio((1, 1));
        video.set_colorspace(color::Space::BT709);
        video.set_color_primaries(color::Primaries::BT709);
        video.set_color_transfer_characteristic(color::TransferCharacteristic::BT709);
        video.set_color_range(range);
        Self::open(video.0, options)
    }

    /// A sound encoder of planar floats.
    pub(crate) fn audio(
        name: &str,
        sample_rate: u32,
        layout: ChannelLayout,
        options: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let codec = codec::encoder::find_by_name(name).ok_or(Error::EncoderNotFound)?;
        let mut audio = Context::new_with_codec(codec).encoder().audio()?;
        audio.set_rate(sample_rate as i32);
        audio.set_format(format::Sample::F32(format::sample::Type::Planar));
        audio.set_channel_layout(layout);
        audio.set_time_base((1, sample_rate as i32));
        Self::open(audio.0, options)
    }

    /// Opens, and fails when an option is not one: libav keeps silent about those.
    fn open(mut encoder: Inner, options: &[(&str, &str)]) -> Result<Self, Error> {
        let options: Dictionary<'_> = options.iter().collect();
        // SAFETY: the context is valid and not open yet; it was made for its codec, so none is
        // named; the dictionary is handed over and taken back.
        let (status, leftover) = unsafe {
            let mut dictionary = options.disown();
            let status = ffi::avcodec_open2(encoder.as_mut_ptr(), std::ptr::null(), &mut dictionary);
            (status, Dictionary::own(dictionary))
        };
        if status < 0 {
            return Err(status.into());
        }
        // SAFETY: the dictionary is valid, or null, which counts 0.
        if unsafe { ffi::av_dict_count(leftover.as_ptr()) } > 0 {
            return Err(Error::OptionNotFound);
        }
        Ok(Self(encoder))
    }

    /// The global header: parameter sets, or the configuration of an AAC stream.
    pub(crate) fn header(&self) -> Vec<u8> {
        // SAFETY: the context is open; libav states the length of what it points to.
        unsafe {
            let context = self.0.as_ptr();
            let (data, size) = ((*context).extradata, (*context).extradata_size);
            match usize::try_from(size) {
                Ok(size) if size > 0 && !data.is_null() => std::slice::from_raw_parts(data, size).to_vec(),
                _ => Vec::new(),
            }
        }
    }

    /// Samples that the encoder puts in front of the first real one.
    pub(crate) fn priming(&self) -> u32 {
        // SAFETY: the context is open; the field is an int.
        unsafe { (*self.0.as_ptr()).initial_padding }.max(0) as u32
    }

    /// Puts a frame in, or the end.
    pub(crate) fn put(&mut self, frame: Option<&Frame>) -> Result<(), Error> {
        match frame {
            Some(frame) => self.0.send_frame(frame),
            None => self.0.send_eof(),
        }
    }

    /// Takes the next coded frame out, if there is one yet.
    pub(crate) fn take(&mut self) -> Result<Option<Encoded>, Error> {
        let mut packet = Packet::empty();
        match self.0.receive_packet(&mut packet) {
            Ok(()) => Ok(Some(Encoded {
                pts: packet.pts().unwrap_or(i64::MIN),
                key: packet.is_key(),
                bytes: packet,
            })),
            Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
