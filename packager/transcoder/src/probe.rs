//! What a file holds, as far as a plan must know.

use cmaf::AacLc;
use ffmpeg_next::{Error, Stream};
use model::cell::{AudioStream, CodedSound, Copyable, Probe, Ratio, VideoStream};

use crate::coded::Coded;
use crate::error::{CellError, Result};
use crate::grid::{Grid, Seconds};
use crate::input::{Input, Next};
use crate::libav::{self, Picture, PictureShape, SoundShape};
use crate::measure::measure;
use crate::sound_table::SoundTable;
use crate::zero::start_of;

/// Pictures that decide whether a film is interlaced,
const LOOKED_AT: u32 = 48;
/// and whether one that says that it is not can be believed.
const LOOKED_AT_AGAIN: u32 = 4;
/// Packets of any stream read for them.
const MAX_PACKETS: u32 = 2000;

/// The fastest grid that any plan has.
const FASTEST: Ratio = Ratio::new(60, 1);
/// Parts of a second by which sound may begin late and be taken to begin with the film.
const LATE: u32 = 1000;

/// PQ and HLG among the transfer characteristics of ITU-T H.273.
const HDR_TRANSFERS: [i32; 2] = [16, 18];

/// Looks at an opened file.
///
/// # Errors
/// Those of [`Input::refuse_empty`], of [`Input::picture_stream`] and [`Input::sound_streams`].
pub(crate) fn probe(mut input: Input) -> Result<Probe> {
    let video = input.picture_stream()?.as_ref().map(video_stream);
    let audio = input
        .sound_streams()?
        .into_iter()
        .map(|index| audio_stream(&input, index))
        .collect::<Result<Vec<_>>>()?;
    if video.is_none() && audio.is_empty() {
        return Err(input.refuse_empty());
    }
    let container = input.container.format().name().to_owned();
    let interlaced = match &video {
        Some(stream) => is_interlaced(&mut input, stream.stream)?,
        None => false,
    };
    let picture = video.iter().map(|stream| stream.stream);
    let used = picture.clone().chain(audio.first().map(|stream| stream.stream));
    let zero = start_of(&input, used)?;
    let copyable = match &video {
        Some(stream) if !interlaced => copyable(&mut input, stream, zero)?.map(Box::new),
        _ => None,
    };
    let mut coded = match audio.first() {
        Some(stream) => copyable_sound(&mut input, stream.stream, video.as_ref(), zero)?,
        None => None,
    };
    let streams: Vec<u32> = picture.chain(audio.iter().map(|stream| stream.stream)).collect();
    let size = input.size();
    let ends = measure(input, &streams, zero)?;
    let duration_ms = Some(ends.longest_ms(zero)).filter(|ms| *ms > 0);
    let bit_rate_bps = duration_ms.map(|ms| size.saturating_mul(8000) / ms);
    let video = video.map(|stream| VideoStream {
        interlaced,
        copyable,
        end_us: ends.micros(stream.stream, zero),
        ..stream
    });
    // Only the first is packaged.
    let audio = audio.into_iter().map(|stream| AudioStream {
        end_us: ends.micros(stream.stream, zero),
        copyable: coded.take(),
        ..stream
    });
    Ok(Probe { container, duration_ms, bit_rate_bps, video, audio: audio.collect() })
}

fn video_stream(stream: &Stream<'_>) -> VideoStream {
    let shape = PictureShape::of(stream);
    let rotation = stream
        .side_data()
        .find(|data| data.kind() == ffmpeg_next::packet::side_data::Type::DisplayMatrix)
        .map_or(0, |data| 90 * libav::quarter_turns(data.data()));
    let rates = [stream.avg_frame_rate(), stream.rate()].map(|r| ratio(r.numerator(), r.denominator()));
    VideoStream {
        stream: stream.index() as u32,
        codec: codec_name(stream),
        width: shape.width as u32,
        height: shape.height as u32,
        pixel_aspect: ratio(shape.pixel_aspect.0, shape.pixel_aspect.1).unwrap_or(Ratio::new(1, 1)),
        rotation,
        // One picture has no rate; any will do.
        frame_rate: rates.into_iter().flatten().next().unwrap_or(Ratio::new(25, 1)),
        interlaced: false,
        hdr: HDR_TRANSFERS.contains(&shape.colour.transfer),
        end_us: 0,
        copyable: None,
    }
}

/// The stream's coded pictures, if they could be shown as they are and that can be found out in the
/// time in which a film should play.
fn copyable(input: &mut Input, video: &VideoStream, zero: Seconds) -> Result<Option<Copyable>> {
    let stream = input.stream(video.stream)?;
    let is_h264 = stream.parameters().id() == ffmpeg_next::codec::Id::H264;
    if !is_h264 || !libav::is_yuv420p(&stream.parameters()) {
        return Ok(None);
    }
    let Ok(track) = u32::try_from(stream.id()) else { return Ok(None) };
    let first = start_of(input, [video.stream])?;
    let media = input.file();
    let Some(coded) = Coded::read(media, track).map_err(CellError::Read)? else { return Ok(None) };
    let found = coded.copyable(media, track).map_err(CellError::Read)?;
    // What begins later than the sound would have to be filled up.
    Ok(found.filter(|found| Grid::new(found.frame_rate, first, zero).frame_at(first) == 0))
}

/// The stream's coded sound, if it could be heard as it is: where tables are read as those of
/// pictures are, and it is known what the film's zero will be.
fn copyable_sound(
    input: &mut Input,
    index: u32,
    video: Option<&VideoStream>,
    start: Seconds,
) -> Result<Option<CodedSound>> {
    let stream = input.stream(index)?;
    if stream.parameters().id() != ffmpeg_next::codec::Id::AAC {
        return Ok(None);
    }
    let (Ok(track), Some((offset, ticks))) = (u32::try_from(stream.id()), libav::first_indexed(&stream))
    else {
        return Ok(None);
    };
    let (base, shape) = (stream.time_base(), SoundShape::of(&stream.parameters()));
    let listed = Seconds::of(ticks, base.numerator(), base.denominator());
    let zero = match video {
        Some(video) => start_of(input, [video.stream])?,
        None => start,
    };
    // If the picture begins later, the film's zero depends on its rate: see `Grid::new`.
    if zero.minus(start).in_frames(FASTEST) > 0 {
        return Ok(None);
    }
    let heard = start_of(input, [index])?;
    let media = input.file();
    let Some(table) = SoundTable::read(media, track).map_err(CellError::Read)? else { return Ok(None) };
    // Of SBR and PS that a configuration does not mention only a decoder knows.
    let AacLc { sample_rate: rate, channels } = table.form();
    if (shape.sample_rate, shape.channels) != (rate as i32, channels.into()) {
        return Ok(None);
    }
    // Where libav takes the first frame to be, all others follow.
    let Some(first) = table.sample_at(offset) else { return Ok(None) };
    let sample_at = |moment: Seconds| first + moment.minus(listed).in_frames(Ratio::new(rate, 1));
    let (zero, heard) = (sample_at(zero), sample_at(heard));
    // What an edit list leaves out before late sound would be heard.
    if heard > 0 && zero + i64::from(rate / LATE) < heard {
        return Ok(None);
    }
    table.copyable(media, track, zero).map_err(CellError::Read)
}

fn audio_stream(input: &Input, index: usize) -> Result<AudioStream> {
    let stream = input.stream(index as u32)?;
    let shape = SoundShape::of(&stream.parameters());
    Ok(AudioStream {
        stream: index as u32,
        codec: codec_name(&stream),
        channels: shape.channels.clamp(0, u16::MAX.into()) as u16,
        sample_rate: shape.sample_rate.max(0) as u32,
        end_us: 0,
        copyable: None,
    })
}

fn codec_name(stream: &Stream<'_>) -> String {
    stream.parameters().id().name().to_owned()
}

/// A fraction of a file, if it is one.
fn ratio(num: i32, den: i32) -> Option<Ratio> {
    (num > 0 && den > 0).then(|| Ratio::new(num as u32, den as u32))
}

/// Whether most of the first pictures are interlaced: containers often say nothing, or lie.
fn is_interlaced(input: &mut Input, index: u32) -> Result<bool> {
    let stream = input.stream(index)?;
    let mut decoder = input.decoder(&stream, "2")?;
    let looked_at = if libav::says_progressive(&stream.parameters()) { LOOKED_AT_AGAIN } else { LOOKED_AT };
    let (mut seen, mut interlaced) = (0, 0);
    let mut look = |decoder: &mut ffmpeg_next::decoder::Opened| -> bool {
        let mut picture = Picture::empty();
        while decoder.receive_frame(picture.frame()).is_ok() {
            seen += 1;
            interlaced += u32::from(picture.as_video().is_interlaced());
        }
        seen >= looked_at
    };
    for _ in 0..MAX_PACKETS {
        match input.next()? {
            Next::Packet(packet) if packet.stream() == index as usize => {
                // A refused packet says nothing about fields.
                match decoder.send_packet(&packet) {
                    Ok(()) | Err(Error::InvalidData) => {}
                    Err(_) => continue,
                }
                if look(&mut decoder) {
                    break;
                }
            }
            Next::Packet(_) | Next::Damaged => {}
            Next::End => {
                let _ = decoder.send_eof();
                look(&mut decoder);
                break;
            }
        }
    }
    Ok(2 * interlaced > seen)
}
