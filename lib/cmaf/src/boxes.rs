//! What the writers and readers of boxes share: a walker that trusts no length, and the boxes of
//! one track.

use mp4_atom::{
    Atom, Audio, Av01, Av1c, Avc1, Avcc, Codec, Colr, Dinf, Dops, Dref, DrefEntry, Edts, Elst, ElstEntry,
    Encode, Esds, FixedPoint, FourCC, Hdlr, Hvc1, Mdhd, Mdia, Minf, Mp4a, Opus, Pasp, Smhd, Stbl, Stsd, Tkhd,
    Trak, Url, Visual, Vmhd, esds,
};

use crate::{AudioConfig, AudioTrack, CmafError, Track, VideoConfig, VideoTrack, hevc};

/// `objectTypeIndication` of ISO/IEC 14496-3 audio (14496-1 table 5).
pub(crate) const MPEG4_AUDIO: u8 = 0x40;

/// A box inside other bytes: its kind, where it lies there, and its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child<'a> {
    pub(crate) kind: [u8; 4],
    /// Offset of its header in the bytes that were walked.
    pub(crate) start: usize,
    pub(crate) body: &'a [u8],
    /// Offset of the first byte behind it.
    pub(crate) end: usize,
}

/// Walks the boxes that fill `bytes`; yields one error and stops where they do not (§4.2).
pub(crate) fn walk<'a>(
    place: &'static str,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<Child<'a>, CmafError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == bytes.len() {
            return None;
        }
        let child = child_at(place, bytes, at);
        at = child.as_ref().map_or(bytes.len(), |child| child.end);
        Some(child)
    })
}

fn child_at<'a>(place: &'static str, bytes: &'a [u8], start: usize) -> Result<Child<'a>, CmafError> {
    let broken = |fault| CmafError::malformed(place, fault);
    let rest = &bytes[start..];
    let (size, rest) = rest.split_first_chunk::<4>().ok_or(broken("ends inside a box header"))?;
    let (kind, mut body) = rest.split_first_chunk::<4>().ok_or(broken("ends inside a box header"))?;
    let (size, header) = match u32::from_be_bytes(*size) {
        // A `largesize` follows the kind. Size 0 ("to the end of the file") is never ours.
        1 => {
            let (large, rest) = body.split_first_chunk::<8>().ok_or(broken("ends inside a box header"))?;
            body = rest;
            (u64::from_be_bytes(*large), 16)
        }
        size => (u64::from(size), 8),
    };
    let size = usize::try_from(size).map_err(|_| broken("a box is longer than its parent"))?;
    let body_len = size.checked_sub(header).ok_or(broken("a box is shorter than its header"))?;
    let body = body.get(..body_len).ok_or(broken("a box is longer than its parent"))?;
    Ok(Child { kind: *kind, start, body, end: start + size })
}

/// The one child of `kind`; none and several are errors.
pub(crate) fn only<'a>(place: &'static str, bytes: &'a [u8], kind: &[u8; 4]) -> Result<Child<'a>, CmafError> {
    maybe(place, bytes, kind)?.ok_or(CmafError::malformed(place, "a required box is missing"))
}

/// The one child of `kind`, if there is one; several are an error.
pub(crate) fn maybe<'a>(
    place: &'static str,
    bytes: &'a [u8],
    kind: &[u8; 4],
) -> Result<Option<Child<'a>>, CmafError> {
    let mut found = None;
    for child in walk(place, bytes) {
        let child = child?;
        if child.kind == *kind && found.replace(child).is_some() {
            return Err(CmafError::malformed(place, "a box stands twice"));
        }
    }
    Ok(found)
}

/// Decodes a box without children from exactly `body`.
///
/// Containers are walked here instead: the library decodes them recursively, and a stranger's
/// nesting must not choose the depth of our stack.
pub(crate) fn leaf<T: Atom>(place: &'static str, mut body: &[u8]) -> Result<T, CmafError> {
    let decoded = T::decode_body(&mut body).map_err(CmafError::unreadable(place))?;
    if body.is_empty() { Ok(decoded) } else { Err(CmafError::malformed(place, "bytes left over")) }
}

/// Appends an encoded box.
pub(crate) fn put(place: &'static str, atom: &impl Encode, bytes: &mut Vec<u8>) -> Result<(), CmafError> {
    atom.encode(bytes).map_err(CmafError::unwritable(place))
}

/// How long a track is and where its media lies in the presentation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timing {
    /// In the movie's timescale; 0 in a fragmented file.
    pub(crate) movie_duration: u64,
    /// In the track's timescale; 0 in a fragmented file.
    pub(crate) media_duration: u64,
    /// The edit list; none means the media from its start.
    pub(crate) edits: Vec<ElstEntry>,
}

/// An edit that plays media from `media_time`; `segment_duration` 0 means to the end of a
/// fragmented file (§8.6.6).
pub(crate) fn edit(segment_duration: u64, media_time: Option<u64>) -> ElstEntry {
    ElstEntry { segment_duration, media_time, media_rate: FixedPoint::new(1, 0) }
}

/// The `trak` of media in these formats, all of them pictures or all sounds, with `tables` holding
/// everything of its `stbl` but the `stsd`.
pub(crate) fn trak(formats: &[Track], id: u32, timing: Timing, tables: Stbl) -> Result<Trak, CmafError> {
    let first = formats.first().ok_or(CmafError::malformed("trak", "no format"))?;
    let is_video = matches!(first, Track::Video(_));
    let sizes = formats.iter().map(|format| match format {
        Track::Video(video) => (video.width, video.height),
        Track::Audio(_) => (0, 0),
    });
    // Each is shown as large as the largest (§8.3.2).
    let largest = sizes.max_by_key(|(width, height)| u32::from(*width) * u32::from(*height));
    let (width, height) = largest.unwrap_or_default();
    let codecs = formats.iter().map(sample_entry).collect::<Result<_, _>>()?;
    let (handler, name) = if is_video { (b"vide", "video") } else { (b"soun", "sound") };
    Ok(Trak {
        tkhd: Tkhd {
            track_id: id,
            duration: timing.movie_duration,
            enabled: true,
            in_movie: true,
            volume: if is_video { 0.into() } else { 1.into() },
            width: width.into(),
            height: height.into(),
            ..Tkhd::default()
        },
        edts: (!timing.edits.is_empty()).then_some(Edts { elst: Some(Elst { entries: timing.edits }) }),
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: first.timescale(),
                duration: timing.media_duration,
                language: "und".to_owned(),
                ..Mdhd::default()
            },
            hdlr: Hdlr { handler: FourCC::new(handler), name: name.to_owned() },
            minf: Minf {
                vmhd: is_video.then(Vmhd::default),
                smhd: (!is_video).then(Smhd::default),
                // One entry with its self-contained flag: the media is in this file (§8.7.2).
                dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
                stbl: Stbl { stsd: Stsd { codecs }, ..tables },
                ..Minf::default()
            },
        },
        ..Trak::default()
    })
}

fn sample_entry(track: &Track) -> Result<Codec, CmafError> {
    match track {
        Track::Video(video) => visual_entry(video),
        Track::Audio(audio) => Ok(audio_entry(audio)),
    }
}

fn visual_entry(video: &VideoTrack) -> Result<Codec, CmafError> {
    let visual =
        Visual { data_reference_index: 1, width: video.width, height: video.height, ..Visual::default() };
    let colr = video.colour.map(|colour| Colr::Nclx {
        colour_primaries: colour.primaries,
        transfer_characteristics: colour.transfer,
        matrix_coefficients: colour.matrix,
        full_range_flag: colour.full_range,
    });
    let pasp = Some(Pasp { h_spacing: 1, v_spacing: 1 });
    Ok(match &video.config {
        VideoConfig::Avc(avcc) => {
            let avcc: Avcc = leaf("avcC", avcc)?;
            Codec::Avc1(Avc1 { visual, avcc, colr, pasp, ..Avc1::default() })
        }
        VideoConfig::Hevc(hvcc) => {
            let hvcc = hevc::record(hvcc)?;
            Codec::Hvc1(Hvc1 { visual, hvcc, colr, pasp, ..Hvc1::default() })
        }
        VideoConfig::Av1(av1c) => {
            let av1c: Av1c = leaf("av1C", av1c)?;
            Codec::Av01(Av01 { visual, av1c, colr, pasp, ..Av01::default() })
        }
    })
}

fn audio_entry(track: &AudioTrack) -> Codec {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: track.channels,
        sample_size: 16,
        // 16.16 cannot say 88.2 kHz and more; readers take the rate from `esds` (§12.2.3).
        sample_rate: u16::try_from(track.sample_rate).unwrap_or(0).into(),
    };
    match &track.config {
        AudioConfig::Aac(asc) => {
            let dec_specific = esds::DecoderSpecific { raw: asc.clone(), ..esds::DecoderSpecific::default() };
            let dec_config = esds::DecoderConfig {
                object_type_indication: MPEG4_AUDIO,
                stream_type: 0x05, // audio
                dec_specific: Some(dec_specific),
                ..esds::DecoderConfig::default()
            };
            let es_desc = esds::EsDescriptor { dec_config, ..esds::EsDescriptor::default() };
            Codec::Mp4a(Mp4a { audio, esds: Esds { es_desc }, btrt: None, taic: None })
        }
        AudioConfig::Opus(opus) => {
            let dops = Dops {
                // One or two.
                output_channel_count: u8::try_from(opus.channels).unwrap_or(2),
                pre_skip: opus.pre_skip,
                input_sample_rate: opus.input_sample_rate,
                output_gain: opus.output_gain,
                channel_mapping: None,
            };
            Codec::Opus(Opus { audio, dops, btrt: None })
        }
    }
}
