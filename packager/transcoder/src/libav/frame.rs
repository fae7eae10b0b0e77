use ffmpeg_next::frame::{Audio, Video};
use ffmpeg_next::{ChannelLayout, Error, Frame, ffi, format, picture};

/// Colour as the numbers of ITU-T H.273 that a file gave, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour {
    /// 1 limited, 2 full.
    pub(crate) range: i32,
    /// 16 for PQ, 18 for HLG.
    pub(crate) transfer: i32,
    /// 1 for BT.709.
    pub(crate) matrix: i32,
}

/// Reads a C enum whose value a file decides, without making it a Rust enum.
///
/// # Safety
/// `field` points to a readable C enum, which has the size of an `int`.
pub(super) unsafe fn c_int_of<T>(field: *const T) -> i32 {
    const { assert!(size_of::<T>() == size_of::<libc::c_int>()) };
    // SAFETY: the caller vouches for the place; the size is asserted and enums align as `int`.
    unsafe { field.cast::<libc::c_int>().read() }
}

/// Makes `to`, which is empty, another handle to the data of `from`.
fn refer(to: &mut Frame, from: &Frame) -> Result<(), Error> {
    // SAFETY: both frames are valid and `to` is empty, as `av_frame_ref` asks.
    match unsafe { ffi::av_frame_ref(to.as_mut_ptr(), from.as_ptr()) } {
        status if status < 0 => Err(status.into()),
        _ => Ok(()),
    }
}

/// A decoded or filtered picture.
pub(crate) struct Picture(Video);

impl Picture {
    pub(crate) fn empty() -> Self {
        Self(Video::empty())
    }

    /// The frame for libav to fill.
    pub(crate) fn frame(&mut self) -> &mut Video {
        &mut self.0
    }

    /// Another handle to the same pixels, with properties of its own.
    ///
    /// Nobody writes pixels once a picture is made: encoders copy, filters write to new frames
    /// or make frames writable (copying them) first.
    pub(crate) fn share(&self) -> Result<Self, Error> {
        let mut shared = Self::empty();
        refer(&mut shared.0, &self.0).map(|()| shared)
    }

    pub(crate) fn as_video(&self) -> &Video {
        &self.0
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    /// libav's number of the pixel format.
    pub(crate) fn pixel_format(&self) -> i32 {
        // SAFETY: the frame is valid; the field is an int.
        unsafe { (*self.0.as_ptr()).format }
    }

    /// Shape of a pixel as the frame has it.
    pub(crate) fn pixel_aspect(&self) -> (i32, i32) {
        // SAFETY: the frame is valid; the fields are ints.
        let aspect = unsafe { (*self.0.as_ptr()).sample_aspect_ratio };
        (aspect.num, aspect.den)
    }

    pub(crate) fn colour(&self) -> Colour {
        // SAFETY: the frame is valid, and its colour fields are read as the ints that they are.
        unsafe {
            let frame = self.0.as_ptr();
            Colour {
                range: c_int_of(&raw const (*frame).color_range),
                transfer: c_int_of(&raw const (*frame).color_trc),
                matrix: c_int_of(&raw const (*frame).colorspace),
            }
        }
    }

    /// How long it is shown, in ticks of its stream; 0 when unknown.
    pub(crate) fn duration(&self) -> i64 {
        self.0.packet().duration.max(0)
    }

    /// Whether the decoder had to guess parts of it.
    pub(crate) fn is_damaged(&self) -> bool {
        self.0.has_decode_errors() || self.0.is_corrupt()
    }

    /// When it is shown, in ticks of its stream, as far as the decoder can tell.
    pub(crate) fn timestamp(&self) -> Option<i64> {
        self.0.timestamp()
    }

    pub(crate) fn pts(&self) -> Option<i64> {
        self.0.pts()
    }

    pub(crate) fn set_pts(&mut self, pts: i64) {
        self.0.set_pts(Some(pts));
    }

    /// Asks the encoder for a key frame, or leaves the choice to it: a decoded frame still has
    /// the type that it had in the source.
    pub(crate) fn set_key(&mut self, key: bool) {
        self.0.set_kind(if key { picture::Type::I } else { picture::Type::None });
    }
}

/// Decoded or resampled sound.
pub(crate) struct Sound(Audio);

/// What a resampler must know of sound before it takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SoundFormat {
    pub(crate) sample_format: i32,
    pub(crate) sample_rate: i32,
    pub(crate) channels: i32,
    /// Which loudspeaker each channel is for, 0 when unknown.
    pub(crate) layout: u64,
}

impl Sound {
    pub(crate) fn empty() -> Self {
        Self(Audio::empty())
    }

    /// Planar floats, one slice per channel, all of one length.
    pub(crate) fn of_planes(planes: &[&[f32]], layout: ChannelLayout) -> Self {
        let length = planes.first().map_or(0, |plane| plane.len());
        let mut audio = Audio::new(format::Sample::F32(format::sample::Type::Planar), length, layout);
        for (index, plane) in planes.iter().enumerate() {
            audio.plane_mut::<f32>(index).copy_from_slice(plane);
        }
        Self(audio)
    }

    /// The frame for libav to fill.
    pub(crate) fn frame(&mut self) -> &mut Audio {
        &mut self.0
    }

    /// Another handle to the same samples, with properties of its own; nobody writes samples
    /// once they are decoded.
    pub(crate) fn share(&self) -> Result<Self, Error> {
        let mut shared = Self::empty();
        refer(&mut shared.0, &self.0).map(|()| shared)
    }

    /// One channel of planar floats.
    pub(crate) fn plane(&self, channel: usize) -> &[f32] {
        self.0.plane::<f32>(channel)
    }

    /// Samples per channel.
    pub(crate) fn samples(&self) -> usize {
        self.0.samples()
    }

    /// When it is heard, in ticks of its stream.
    pub(crate) fn timestamp(&self) -> Option<i64> {
        self.0.timestamp()
    }

    pub(crate) fn format(&self) -> SoundFormat {
        // SAFETY: the frame is valid; `u.mask` is read only for native order, where it is set.
        unsafe {
            let frame = self.0.as_ptr();
            let layout = &(*frame).ch_layout;
            let native = layout.order == ffi::AVChannelOrder::AV_CHANNEL_ORDER_NATIVE;
            SoundFormat {
                sample_format: (*frame).format,
                sample_rate: (*frame).sample_rate,
                channels: layout.nb_channels,
                layout: if native { layout.u.mask } else { 0 },
            }
        }
    }

    pub(crate) fn set_pts(&mut self, pts: i64) {
        self.0.set_pts(Some(pts));
    }
}
