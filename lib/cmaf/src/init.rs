//! Initialisation segments: `ftyp` + `moov` with `mvex` and empty sample tables.

use bytes::Bytes;
use mp4_atom::{
    AnySampleGroupEntry, Atom, Av1c, Avcc, Dops, Elst, Esds, FixedPoint, FourCC, Ftyp, Hvcc, Mdhd, Moov,
    Mvex, Mvhd, Sgpd, SgpdEntry, Stbl, Trex,
};

use crate::boxes::{Child, MPEG4_AUDIO, Timing, edit, leaf, maybe, only, put, trak, walk};
use crate::{AudioConfig, AudioTrack, CmafError, Colour, Opus, Track, VideoConfig, VideoTrack};

/// Initialisation segments hold one track, and this is its id.
pub(crate) const TRACK_ID: u32 = 1;
/// The longest initialisation segment that is read: a real one has about 800 bytes.
const MAX_INIT: usize = 64 << 10;
/// The longest `esds` that is read, because the library reads descriptors recursively.
const MAX_ESDS: usize = 256;
/// Bytes of a `VisualSampleEntry` before its child boxes (§12.1.3.2).
pub(crate) const VISUAL_ENTRY: usize = 78;
/// Bytes of an `AudioSampleEntry` before its child boxes (§12.2.3.2).
pub(crate) const AUDIO_ENTRY: usize = 28;

/// The initialisation segment of `track`.
///
/// # Errors
/// When the track's configuration record is none, or a value does not fit its box.
pub fn init_segment(track: &Track) -> Result<Bytes, CmafError> {
    let ftyp = Ftyp {
        // `iso6`: `default-base-is-moof` and signed composition offsets; `cmfc`: a CMAF track
        // (23000-19 §7.3.2).
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"cmfc", b"mp41"].into_iter().map(FourCC::new).collect(),
    };
    let (timing, tables) = match track {
        Track::Video(_) => (Timing::default(), Stbl::default()),
        Track::Audio(audio) => {
            let edits = vec![edit(0, Some(audio.priming.into()))];
            (
                Timing { edits, ..Timing::default() },
                Stbl { sgpd: vec![roll(roll_distance(audio))], ..Stbl::default() },
            )
        }
    };
    // A `moov` without samples still has the required offsets table (§8.7.5).
    let tables = Stbl { stco: Some(mp4_atom::Stco::default()), ..tables };
    let moov = Moov {
        mvhd: Mvhd { next_track_id: TRACK_ID + 1, ..movie_header(track.timescale(), 0) },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex { track_id: TRACK_ID, default_sample_description_index: 1, ..Trex::default() }],
        }),
        trak: vec![trak(std::slice::from_ref(track), TRACK_ID, timing, tables)?],
        ..Moov::default()
    };
    let mut bytes = Vec::with_capacity(1024);
    put("ftyp", &ftyp, &mut bytes)?;
    put("moov", &moov, &mut bytes)?;
    Ok(bytes.into())
}

/// Reads an initialisation segment of one track as [`init_segment`] writes it.
///
/// # Errors
/// Whatever else it is, and every length that does not fit.
pub fn read_init(bytes: &[u8]) -> Result<Track, CmafError> {
    if bytes.len() > MAX_INIT {
        return Err(CmafError::malformed("init", "longer than any initialisation segment"));
    }
    only("init", bytes, b"ftyp")?;
    let moov = only("init", bytes, b"moov")?.body;
    only("moov", moov, b"mvex")?;
    let trak = only("moov", moov, b"trak")?.body;
    let Media { timescale, entry, .. } = Media::of(trak)?;
    match &entry.kind {
        b"avc1" => video(timescale, entry.body, |boxes| Ok(VideoConfig::Avc(record::<Avcc>("avcC", boxes)?))),
        b"hvc1" => {
            video(timescale, entry.body, |boxes| Ok(VideoConfig::Hevc(record::<Hvcc>("hvcC", boxes)?)))
        }
        b"av01" => video(timescale, entry.body, |boxes| Ok(VideoConfig::Av1(record::<Av1c>("av1C", boxes)?))),
        b"mp4a" => audio(timescale, entry.body, priming(trak)?, |boxes| {
            Ok(AudioConfig::Aac(asc(only("mp4a", boxes, b"esds")?.body)?))
        }),
        b"Opus" => audio(timescale, entry.body, priming(trak)?, |boxes| {
            Ok(AudioConfig::Opus(opus(only("Opus", boxes, b"dOps")?.body)?))
        }),
        _ => Err(CmafError::malformed("stsd", "a codec that is not packaged")),
    }
}

/// What a `trak` says of its media, in an init and in a whole file alike.
pub(crate) struct Media<'a> {
    /// Ticks in a second, not 0.
    pub(crate) timescale: u32,
    /// The inside of the `stbl`.
    pub(crate) stbl: &'a [u8],
    /// Its one sample entry.
    pub(crate) entry: Child<'a>,
}

impl<'a> Media<'a> {
    pub(crate) fn of(trak: &'a [u8]) -> Result<Self, CmafError> {
        let mdia = only("trak", trak, b"mdia")?.body;
        let mdhd: Mdhd = leaf("mdhd", only("mdia", mdia, b"mdhd")?.body)?;
        if mdhd.timescale == 0 {
            return Err(CmafError::malformed("mdhd", "the timescale is 0"));
        }
        let minf = only("mdia", mdia, b"minf")?.body;
        let stbl = only("minf", minf, b"stbl")?.body;
        let entry = sample_entry(only("stbl", stbl, b"stsd")?.body)?;
        Ok(Self { timescale: mdhd.timescale, stbl, entry })
    }
}

/// The `mvhd` of a movie whose times are never "now": the same media makes the same bytes.
pub(crate) fn movie_header(timescale: u32, duration: u64) -> Mvhd {
    Mvhd {
        creation_time: 0,
        modification_time: 0,
        timescale,
        duration,
        rate: FixedPoint::new(1, 0),
        volume: FixedPoint::new(1, 0),
        matrix: Default::default(),
        next_track_id: 0,
    }
}

/// "Decode so many samples more before" (§10.1 `AudioRollRecoveryEntry`): AAC frames overlap, and Opus
/// needs 80 ms, which are four packets of the length that is usual (Opus in ISOBMFF §4.3.6.2).
pub(crate) fn roll_distance(audio: &AudioTrack) -> i16 {
    match audio.config {
        AudioConfig::Aac(_) => -1,
        AudioConfig::Opus(_) => -4,
    }
}

/// The description of a group of samples, all, with that distance.
pub(crate) fn roll(distance: i16) -> Sgpd {
    let kind = FourCC::new(b"roll");
    let distance = distance.to_be_bytes().to_vec();
    let entry = SgpdEntry {
        description_length: Some(2),
        entry: AnySampleGroupEntry::UnknownGroupingType(kind, distance),
    };
    Sgpd {
        grouping_type: kind,
        default_length: Some(2),
        default_group_description_index: None,
        static_group_description: false,
        static_mapping: false,
        essential: false,
        entries: vec![entry],
    }
}

fn sample_entry(stsd: &[u8]) -> Result<Child<'_>, CmafError> {
    let (head, entries) =
        stsd.split_first_chunk::<8>().ok_or(CmafError::malformed("stsd", "shorter than its head"))?;
    let mut entries = walk("stsd", entries);
    match (head, entries.next(), entries.next()) {
        ([0, 0, 0, 0, 0, 0, 0, 1], Some(entry), None) => entry,
        _ => Err(CmafError::malformed("stsd", "not exactly one sample entry")),
    }
}

fn video(
    timescale: u32,
    entry: &[u8],
    config: impl FnOnce(&[u8]) -> Result<VideoConfig, CmafError>,
) -> Result<Track, CmafError> {
    let (visual, children) = entry
        .split_first_chunk::<VISUAL_ENTRY>()
        .ok_or(CmafError::malformed("stsd", "shorter than a visual sample entry"))?;
    let number = |at: usize| u16::from_be_bytes([visual[at], visual[at + 1]]);
    let colour = match maybe("stsd", children, b"colr")? {
        None => None,
        Some(colr) => match leaf("colr", colr.body)? {
            mp4_atom::Colr::Nclx {
                colour_primaries,
                transfer_characteristics,
                matrix_coefficients,
                full_range_flag,
            } => Some(Colour {
                primaries: colour_primaries,
                transfer: transfer_characteristics,
                matrix: matrix_coefficients,
                full_range: full_range_flag,
            }),
            _ => None,
        },
    };
    let (width, height) = (number(24), number(26));
    let video = VideoTrack { width, height, timescale, config: config(children)?, colour };
    if width == 0 || height == 0 {
        return Err(CmafError::malformed("stsd", "no width or height"));
    }
    known(Track::Video(video))
}

/// The body of a configuration box, which must be readable as one.
fn record<T: Atom>(place: &'static str, entry: &[u8]) -> Result<Vec<u8>, CmafError> {
    let body = only("stsd", entry, &T::KIND.into())?.body;
    leaf::<T>(place, body)?;
    Ok(body.to_vec())
}

fn audio(
    timescale: u32,
    entry: &[u8],
    priming: u32,
    config: impl FnOnce(&[u8]) -> Result<AudioConfig, CmafError>,
) -> Result<Track, CmafError> {
    let (sound, children) = entry
        .split_first_chunk::<AUDIO_ENTRY>()
        .ok_or(CmafError::malformed("stsd", "shorter than an audio sample entry"))?;
    let channels = u16::from_be_bytes([sound[16], sound[17]]);
    if channels == 0 {
        return Err(CmafError::malformed("stsd", "no channels"));
    }
    known(Track::Audio(AudioTrack { channels, sample_rate: timescale, config: config(children)?, priming }))
}

fn opus(dops: &[u8]) -> Result<Opus, CmafError> {
    let dops: Dops = leaf("dOps", dops)?;
    if dops.channel_mapping.is_some() || !matches!(dops.output_channel_count, 1 | 2) {
        return Err(CmafError::malformed("dOps", "not one stream of one or two channels"));
    }
    Ok(Opus {
        channels: dops.output_channel_count.into(),
        pre_skip: dops.pre_skip,
        input_sample_rate: dops.input_sample_rate,
        output_gain: dops.output_gain,
    })
}

/// The `AudioSpecificConfig` in the body of an `esds`.
pub(crate) fn asc(esds: &[u8]) -> Result<Vec<u8>, CmafError> {
    if esds.len() > MAX_ESDS {
        return Err(CmafError::malformed("esds", "longer than any AAC configuration"));
    }
    let config = leaf::<Esds>("esds", esds)?.es_desc.dec_config;
    if config.object_type_indication != MPEG4_AUDIO {
        return Err(CmafError::malformed("esds", "not MPEG-4 audio"));
    }
    Ok(config.dec_specific.ok_or(CmafError::malformed("esds", "no decoder configuration"))?.raw)
}

/// Only a track whose codec has a name can be offered to a player.
fn known(track: Track) -> Result<Track, CmafError> {
    track.codecs()?;
    Ok(track)
}

fn priming(trak: &[u8]) -> Result<u32, CmafError> {
    let Some(edts) = maybe("trak", trak, b"edts")? else { return Ok(0) };
    let elst: Elst = leaf("elst", only("edts", edts.body, b"elst")?.body)?;
    match elst.entries[..] {
        [ref edit] => edit.media_time.and_then(|time| u32::try_from(time).ok()),
        _ => None,
    }
    .ok_or(CmafError::malformed("elst", "not one edit that skips the priming"))
}
