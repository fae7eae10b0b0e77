//! All that stands in the file before the media.

use mp4_atom::{FourCC, Ftyp, Moov, Mvhd};

use super::tables::Tables;
use crate::boxes::{put, trak};
use crate::init::movie_header;
use crate::{AudioConfig, AudioTrack, CmafError, Track, VideoConfig, VideoTrack};

/// `ftyp`, `moov` and the header of `mdat`, with the payloads in this order behind `head_len` bytes; `wide`
/// when 32 bits are too few for their offsets.
pub(super) fn write_head(
    tables: &[Tables],
    order: &[(usize, usize)],
    head_len: u64,
    wide: bool,
    payload_len: u64,
) -> Result<Vec<u8>, CmafError> {
    let mut offsets = vec![Vec::new(); tables.len()];
    let mut at = head_len;
    for &(track, n) in order {
        offsets[track].push(at);
        at += tables[track].payloads[n].len;
    }
    // The sound's rate, so that its edit is exact to the sample.
    let sound = tables.iter().find(|table| table.is_sound());
    let timescale = sound.or(tables.first()).map_or(1, Tables::timescale);
    let mut traks = Vec::with_capacity(tables.len());
    let mut longest = 0;
    for ((table, offsets), id) in tables.iter().zip(offsets).zip(1..) {
        let timing = table.timing(timescale);
        longest = longest.max(timing.movie_duration);
        traks.push(trak(&table.formats, id, timing, table.stbl(offsets, wide))?);
    }
    let next_track_id = traks.len() as u32 + 1;
    let moov = Moov {
        mvhd: Mvhd { next_track_id, ..movie_header(timescale, longest) },
        trak: traks,
        ..Moov::default()
    };
    let brands = brands(tables.iter().flat_map(|table| &table.formats));
    let ftyp = Ftyp {
        major_brand: FourCC::new(brands[0]),
        minor_version: 0,
        compatible_brands: brands.iter().map(|brand| FourCC::new(brand)).collect(),
    };
    let mut bytes = Vec::new();
    put("ftyp", &ftyp, &mut bytes)?;
    put("moov", &moov, &mut bytes)?;
    // Always with a `largesize` (§4.2.2), so that the header's length is the same for all films.
    bytes.extend_from_slice(&1u32.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    bytes.extend_from_slice(&(16 + payload_len).to_be_bytes());
    Ok(bytes)
}

/// What kinds of file it is (§4.3). `iso4`: version 1 of `ctts` (annex E.6).
fn brands<'a>(mut formats: impl Iterator<Item = &'a Track> + Clone) -> &'static [&'static [u8; 4]] {
    let mut pictures = formats.clone().filter_map(|format| match format {
        Track::Video(VideoTrack { config, .. }) => Some(config),
        Track::Audio(_) => None,
    });
    let is_aac = |format| matches!(format, &Track::Audio(AudioTrack { config: AudioConfig::Aac(_), .. }));
    match pictures.next() {
        Some(VideoConfig::Avc(_)) if pictures.all(|config| matches!(config, VideoConfig::Avc(_))) => {
            &[b"isom", b"iso4", b"avc1", b"mp41"]
        }
        Some(VideoConfig::Av1(_)) if pictures.all(|config| matches!(config, VideoConfig::Av1(_))) => {
            &[b"isom", b"iso4", b"av01", b"mp41"]
        }
        Some(_) => &[b"isom", b"iso4", b"mp41"],
        None if formats.all(is_aac) => &[b"M4A ", b"isom", b"mp42"],
        None => &[b"isom", b"mp42"],
    }
}
