//! Playlists (RFC 8216) as pure functions of a version's index and the greatest height allowed.
//!
//! Names in them are relative, so a token in the path of a playlist is inherited by everything
//! that it names.

use bytes::Bytes;
use cmaf::{Bandwidth, RenditionIndex, RenditionKind, VersionIndex};
use m3u8_rs::{
    AlternativeMedia, AlternativeMediaType, Map, MasterPlaylist, MediaPlaylist, MediaPlaylistType,
    MediaSegment, Resolution, VariantStream,
};

/// `EXT-X-MAP` outside of I-frame playlists needs 6; Apple's authoring rules ask for 7 with fMP4.
const PROTOCOL: usize = 7;

/// The multivariant playlist of the renditions whose height is at most `height`.
///
/// Sound is always there: as the group of each picture that it goes with, and as a variant of
/// its own. Pictures come first, the smallest foremost, because players without an estimate of
/// the link begin with the first.
pub(crate) fn multivariant(index: &VersionIndex, height: u16) -> Bytes {
    let pictures = index.videos().filter(|picture| picture.name.height() <= height).map(|picture| {
        let sound = index.audio_for(picture.name);
        let mut variant = variant(picture, index.variant_bandwidth(picture));
        if let Some(sound) = sound {
            variant.codecs = Some(Quoted::new(&format!("{},{}", picture.codecs, sound.codecs)).0);
            variant.audio = Some(Quoted::new(&sound.name.to_string()).0);
        }
        variant
    });
    let sounds = index.audios().map(|sound| variant(sound, sound.bandwidth));
    let playlist = MasterPlaylist {
        version: Some(PROTOCOL),
        independent_segments: true,
        variants: pictures.chain(sounds).collect(),
        alternatives: index.audios().map(alternative).collect(),
        ..MasterPlaylist::default()
    };
    written(|text| playlist.write_to(text))
}

/// The media playlist of one rendition.
pub(crate) fn media(rendition: &RenditionIndex) -> Bytes {
    let mut segments: Vec<_> = rendition
        .segments()
        .zip(0u32..)
        .map(|(located, number)| MediaSegment {
            uri: format!("{number}.m4s"),
            // 24 bits of mantissa: exact to the microsecond for any segment of less than 8 s.
            duration: (f64::from(located.duration) / f64::from(rendition.timescale)) as f32,
            ..MediaSegment::default()
        })
        .collect();
    if let Some(first) = segments.first_mut() {
        first.map = Some(Map { uri: "init.mp4".to_owned(), ..Map::default() });
    }
    let playlist = MediaPlaylist {
        version: Some(PROTOCOL),
        independent_segments: true,
        target_duration: rendition.target_duration_s().into(),
        playlist_type: Some(MediaPlaylistType::Vod),
        end_list: true,
        segments,
        ..MediaPlaylist::default()
    };
    written(|text| playlist.write_to(text))
}

fn variant(rendition: &RenditionIndex, bandwidth: Bandwidth) -> VariantStream {
    let (resolution, frame_rate) = match rendition.kind {
        RenditionKind::Video { width, height, frame_rate } => (
            Some(Resolution { width: width.into(), height: height.into() }),
            // RFC 8216 §4.3.4.2: rounded to three decimal places.
            Some((frame_rate.as_f64() * 1000.0).round() / 1000.0),
        ),
        RenditionKind::Audio { .. } => (None, None),
    };
    VariantStream {
        uri: format!("{}/playlist.m3u8", rendition.name),
        bandwidth: bandwidth.peak_bps,
        average_bandwidth: Some(bandwidth.average_bps),
        codecs: Some(Quoted::new(&rendition.codecs).0),
        resolution,
        frame_rate,
        ..VariantStream::default()
    }
}

fn alternative(sound: &RenditionIndex) -> AlternativeMedia {
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
