//! Playlists (RFC 8216) as pure functions of a version's index and the greatest height allowed.
//!
//! The media playlists of a version are the same text while it grows and afterwards: its plan
//! says how long each segment will be. Its multivariant is another one, because rates are only
//! measured at the end and pictures come one after the other.
//!
//! Names in them are relative, so a token in the path of a playlist is inherited by everything
//! that it names.

use std::borrow::Cow;

use bytes::Bytes;
use cmaf::{Bandwidth, ChunkIndex, GrowingIndex, RenditionIndex, RenditionKind, VersionIndex, sounds_with};
use m3u8_rs::{
    AlternativeMedia, AlternativeMediaType, ByteRange, ExtTag, Map, MasterPlaylist, MediaPlaylist,
    MediaPlaylistType, MediaSegment, Resolution, VariantStream,
};
use model::{Lane, RenditionName};

/// `EXT-X-MAP` outside of I-frame playlists needs 6; Apple's authoring rules ask for 7 with fMP4.
const PROTOCOL: usize = 7;

/// A rendition as the multivariant describes it.
#[derive(Debug, Clone)]
pub(crate) struct Offered<'a> {
    name: RenditionName,
    /// Of what was published in several formats all of them.
    codecs: Cow<'a, str>,
    kind: RenditionKind,
    bandwidth: Bandwidth,
    /// Whether it has an I-frame playlist: where its first frames end is known once it is whole.
    has_i_frames: bool,
}

/// All that a finished version has.
pub(crate) fn offers(index: &VersionIndex) -> Vec<Offered<'_>> {
    fn of(rendition: &RenditionIndex) -> Offered<'_> {
        let codecs = match rendition.changes[..] {
            [] => Cow::Borrowed(rendition.codecs.as_str()),
            _ => Cow::Owned(rendition.all_codecs()),
        };
        let RenditionIndex { name, bandwidth, .. } = rendition;
        let has_i_frames = name.is_video();
        Offered { name: *name, codecs, kind: rendition.greatest(), bandwidth: *bandwidth, has_i_frames }
    }
    index.renditions.iter().map(of).collect()
}

/// What a growing version has: sound, the pictures of lane A, and of the others those that are
/// whole; or whatever is `planned`, for a player that knows that it may have to wait. Rates are
/// those that will not be exceeded.
pub(crate) fn growing_offers(index: &GrowingIndex, planned: bool) -> Vec<Offered<'_>> {
    let is_offered = |name: &RenditionName| planned || Lane::of(*name) == Lane::A || index.is_whole(*name);
    let offered = |name| {
        let codecs = Cow::Borrowed(index.announced(name)?.codecs.as_str());
        let (kind, bandwidth) = (index.kind(name)?, index.bandwidth(name));
        Some(Offered { name, codecs, kind, bandwidth, has_i_frames: false })
    };
    index.renditions().filter(is_offered).filter_map(offered).collect()
}

/// The multivariant playlist of those renditions whose height is at most `height`.
///
/// Sound is always there: as the group of each picture that it goes with, and as a variant of
/// its own. Pictures come first, the smallest foremost, because players without an estimate of
/// the link begin with the first.
pub(crate) fn multivariant(offers: &[Offered<'_>], height: u16) -> Bytes {
    let mut offers = offers.to_vec();
    offers.sort_by_key(|offered| offered.name);
    let tracks: Vec<_> = offers.iter().map(|offered| (offered.name, offered.codecs.as_ref())).collect();
    let (pictures, sounds): (Vec<_>, Vec<_>) = offers.iter().partition(|offered| offered.name.is_video());
    let with = |picture: &Offered<'_>, sound: &Offered<'_>| VariantStream {
        codecs: Some(Quoted::new(&format!("{},{}", picture.codecs, sound.codecs)).0),
        audio: Some(Quoted::new(&sound.name.to_string()).0),
        ..variant(picture, picture.bandwidth + sound.bandwidth)
    };
    let picture = |picture: &Offered<'_>| -> Vec<VariantStream> {
        let names = sounds_with(picture.name, &tracks);
        if names.is_empty() {
            return vec![variant(picture, picture.bandwidth)];
        }
        let sounds = names.iter().filter_map(|name| sounds.iter().find(|sound| sound.name == *name));
        sounds.map(|sound| with(picture, sound)).collect()
    };
    let allowed = || pictures.iter().copied().filter(|picture| picture.name.height() <= height);
    let alone = sounds.iter().copied().map(|sound| variant(sound, sound.bandwidth));
    let scrubbed = allowed().filter(|picture| picture.has_i_frames).map(i_frame_variant);
    let playlist = MasterPlaylist {
        version: Some(PROTOCOL),
        independent_segments: true,
        variants: allowed().flat_map(picture).chain(alone).chain(scrubbed).collect(),
        alternatives: sounds.iter().copied().map(alternative).collect(),
        ..MasterPlaylist::default()
    };
    written(|text| playlist.write_to(text))
}

/// The media playlist of one rendition of a finished version.
pub(crate) fn media(rendition: &RenditionIndex) -> Bytes {
    vod(rendition.target_duration_s(), segments(rendition))
}

/// The I-frame playlist of a picture (§4.3.3.6): of each segment the bytes up to the end of its first
/// frame, which stands until the next. Nothing if the samples of its chunks are not those of its segments.
pub(crate) fn i_frames(rendition: &RenditionIndex, chunks: &[ChunkIndex]) -> Option<Bytes> {
    let sizes = rendition.segments().map(|located| located.range.end - located.range.start);
    let mut samples = chunks.iter().flat_map(|chunk| &chunk.segments);
    let mut segments = segments(rendition);
    for (segment, size) in segments.iter_mut().zip(sizes) {
        let samples = samples.next().filter(|samples| u64::from(samples.size_bytes) == size)?;
        segment.byte_range = Some(ByteRange { length: samples.first_frame_end()?.into(), offset: Some(0) });
    }
    if samples.next().is_some() {
        return None;
    }
    let playlist = MediaPlaylist { i_frames_only: true, ..whole(rendition.target_duration_s(), segments) };
    Some(written(|text| playlist.write_to(text)))
}

/// The media playlist of one rendition of a growing version.
pub(crate) fn planned(index: &GrowingIndex, name: RenditionName) -> Bytes {
    let durations = (0..index.segment_count(name)).map(|n| index.segment_ticks(name, n));
    vod(index.target_duration_s(name), listed(index.timescale(name), durations))
}

/// The segments of one rendition of a finished version, with the breaks that all renditions have and the
/// formats that this one goes on in.
fn segments(rendition: &RenditionIndex) -> Vec<MediaSegment> {
    let durations = rendition.segments().map(|located| located.duration);
    let mut segments = listed(rendition.timescale, durations);
    for at in &rendition.breaks {
        if let Some(segment) = segments.get_mut(*at as usize) {
            segment.discontinuity = true;
        }
    }
    for format in rendition.formats().filter(|format| format.number > 0) {
        if let Some(segment) = segments.get_mut(format.segment as usize) {
            // m3u8-rs writes a map before the discontinuity, and hls.js counts it to what was before, then.
            let map = format!("URI=\"init-{}.mp4\"", format.number);
            segment.unknown_tags.push(ExtTag { tag: "X-MAP".to_owned(), rest: Some(map) });
        }
    }
    segments
}

/// Segments that last so many ticks of `timescale`, in one format.
fn listed(timescale: u32, durations: impl Iterator<Item = u32>) -> Vec<MediaSegment> {
    let mut segments: Vec<_> = durations
        .zip(0u32..)
        .map(|(duration, number)| MediaSegment {
            uri: format!("{number}.m4s"),
            // 24 bits of mantissa: exact to the microsecond for any segment of less than 8 s.
            duration: (f64::from(duration) / f64::from(timescale)) as f32,
            ..MediaSegment::default()
        })
        .collect();
    if let Some(first) = segments.first_mut() {
        first.map = Some(Map { uri: "init.mp4".to_owned(), ..Map::default() });
    }
    segments
}

/// The text of a whole film's playlist.
fn vod(target_duration_s: u32, segments: Vec<MediaSegment>) -> Bytes {
    written(|text| whole(target_duration_s, segments).write_to(text))
}

fn whole(target_duration_s: u32, segments: Vec<MediaSegment>) -> MediaPlaylist {
    MediaPlaylist {
        version: Some(PROTOCOL),
        independent_segments: true,
        target_duration: target_duration_s.into(),
        playlist_type: Some(MediaPlaylistType::Vod),
        end_list: true,
        segments,
        ..MediaPlaylist::default()
    }
}

fn variant(offered: &Offered<'_>, bandwidth: Bandwidth) -> VariantStream {
    let (resolution, frame_rate) = match offered.kind {
        RenditionKind::Video { width, height, frame_rate } => (
            Some(Resolution { width: width.into(), height: height.into() }),
            // RFC 8216 §4.3.4.2: rounded to three decimal places.
            Some((frame_rate.as_f64() * 1000.0).round() / 1000.0),
        ),
        RenditionKind::Audio { .. } => (None, None),
    };
    VariantStream {
        uri: format!("{}/playlist.m3u8", offered.name),
        bandwidth: bandwidth.peak_bps,
        average_bandwidth: Some(bandwidth.average_bps),
        codecs: Some(Quoted::new(&offered.codecs).0),
        resolution,
        frame_rate,
        ..VariantStream::default()
    }
}

/// The I-frame playlist of a picture in the multivariant (§4.3.4.3). A frame has at most the bytes of its
/// segment, and is listed for as long, so the picture's peak is one that no frame exceeds; how much less
/// they have only the indexes of all chunks would say.
fn i_frame_variant(picture: &Offered<'_>) -> VariantStream {
    VariantStream {
        is_i_frame: true,
        uri: format!("{}/iframes.m3u8", picture.name),
        average_bandwidth: None,
        frame_rate: None,
        ..variant(picture, picture.bandwidth)
    }
}

fn alternative(sound: &Offered<'_>) -> AlternativeMedia {
    let channels = match sound.kind {
        RenditionKind::Audio { channels, .. } => Some(channels.to_string()),
        RenditionKind::Video { .. } => None,
    };
    AlternativeMedia {
        media_type: AlternativeMediaType::Audio,
        uri: Some(format!("{}/playlist.m3u8", sound.name)),
        group_id: Quoted::new(&sound.name.to_string()).0,
        // The same in every group: players match tracks by name when they change the picture.
        name: "Audio".to_owned(),
        default: true,
        autoselect: true,
        channels,
        ..AlternativeMedia::default()
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Bytes {
    let mut text = Vec::new();
    write(&mut text).expect("a vector takes every byte");
    text.into()
}

/// A text that is safe between the quotes of an attribute (§4.2: no line break, no quote).
///
/// m3u8-rs writes attributes as they are, so every text that is not a number of ours goes
/// through here.
struct Quoted(String);

impl Quoted {
    fn new(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control() && *c != '"').collect())
    }
}

#[cfg(test)]
mod tests;
