//! Whether a file was cut off, as far as its outermost boxes tell, and the tables of its tracks.

use std::io;

use cmaf::{SampleTable, StoredSample};

use crate::media::Media;

/// What the outermost boxes (ISO/IEC 14496-12 §4.2) of a file tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boxes {
    /// Not an MP4 or MOV, or not known to be cut.
    None,
    /// A film, all of whose boxes end within the file.
    Film,
    /// A film that ends within a box.
    CutFilm,
}

impl Boxes {
    /// Bytes of a box's header with the longest form of its size.
    const HEADER: usize = 16;
    /// Boxes that are looked at: a fragmented film has thousands.
    const LOOKED_AT: usize = 64;
    /// Brands of pictures in the same boxes.
    const PICTURES: [&'static [u8]; 6] = [b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"];

    /// Looks at a file's boxes.
    pub(crate) fn look(media: &mut Media) -> io::Result<Self> {
        let first = media.peek(0, Self::HEADER)?;
        if first.starts_with(&EBML) {
            return Self::look_into_matroska(media);
        }
        let is_film = match (first.get(4..8), first.get(8..12)) {
            (Some(b"ftyp"), Some(brand)) => !Self::PICTURES.contains(&brand),
            (Some(b"mdat" | b"moov" | b"wide"), _) => true,
            _ => false,
        };
        if !is_film {
            return Ok(Self::None);
        }
        let mut at = 0u64;
        for _ in 0..Self::LOOKED_AT {
            let header = media.peek(at, Self::HEADER)?;
            let number = |bytes: &[u8]| bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
            at = match header.get(..8).map(|header| number(&header[..4])) {
                None if header.is_empty() => return Ok(Self::Film),
                // A last box of size 0 takes the rest.
                Some(0) => return Ok(Self::Film),
                Some(1) => at.saturating_add(header.get(8..).map_or(u64::MAX, number).max(16)),
                Some(size) => at.saturating_add(size.max(8)),
                None => return Ok(Self::CutFilm),
            };
            if at > media.size() {
                return Ok(Self::CutFilm);
            }
        }
        Ok(Self::Film)
    }

    /// Matroska (RFC 8794 and RFC 9559): a header, then one segment of everything.
    fn look_into_matroska(media: &mut Media) -> io::Result<Self> {
        let header = media.peek(4, 8)?;
        let Some((length, size)) = ebml_size(&header) else { return Ok(Self::None) };
        let segment = size.saturating_add(4 + length);
        let start = media.peek(segment, 12)?;
        let (true, Some((length, size))) =
            (start.starts_with(&SEGMENT), ebml_size(start.get(4..).unwrap_or(&[])))
        else {
            return Ok(Self::None);
        };
        let end = size.saturating_add(segment).saturating_add(4 + length);
        // All ones: whoever wrote it did not know.
        let is_known = size != (1 << (7 * length)) - 1;
        Ok(if is_known && end > media.size() { Self::CutFilm } else { Self::None })
    }
}

/// The greatest `moov` that is read: the tables of a film of twelve hours have half of it.
const MAX_MOOV: u64 = 128 << 20;

/// The tables of a track of an MP4 or MOV, if there are some and all its samples are in the file.
pub(crate) fn sample_table(media: &mut Media, track: u32) -> io::Result<Option<SampleTable>> {
    let Some(moov) = moov(media)? else { return Ok(None) };
    let table = SampleTable::read(&moov, track).ok();
    // The tables of a long film are some tens of MB.
    drop(moov);
    let is_there = |sample: &StoredSample| sample.size > 0 && sample.end() <= media.size();
    Ok(table.filter(|table| table.samples.iter().all(is_there)))
}

/// The inside of the `moov` of an MP4 or MOV, if it has one of a sensible size.
fn moov(media: &mut Media) -> io::Result<Option<Vec<u8>>> {
    let mut at = 0u64;
    for _ in 0..Boxes::LOOKED_AT {
        let header = media.peek(at, Boxes::HEADER)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let Some((short, kind)) = header.get(..8).map(|header| header.split_at(4)) else { break };
        let (size, header) = match number(short) {
            1 => (header.get(8..).map_or(0, number), 16),
            size => (size, 8),
        };
        let Some(length) = size.checked_sub(header) else { break };
        if kind == b"moov" {
            let is_whole = length <= MAX_MOOV && at + size <= media.size();
            return is_whole.then(|| media.peek(at + header, length as usize)).transpose();
        }
        at = at.saturating_add(size);
    }
    Ok(None)
}

/// The first four bytes of a Matroska file, and those of its segment.
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];

/// Length and value of a size (RFC 8794 §4): as many leading zeros as there are further bytes.
fn ebml_size(bytes: &[u8]) -> Option<(u64, u64)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length).filter(|_| length <= 8)?;
    let value = bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Some((length as u64, value & ((1 << (7 * length)) - 1)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use model::cell::Source;

    use super::*;

    fn look(bytes: &[u8]) -> Boxes {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let size = bytes.len() as u64;
        Boxes::look(&mut Media::new(file.into(), Source::File { size })).unwrap()
    }

    #[test]
    fn the_inside_of_the_moov_is_found() {
        let moov = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            super::moov(&mut Media::new(file.into(), Source::File { size: bytes.len() as u64 })).unwrap()
        };
        let large = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12!!";
        let after = [&b"\0\0\0\x0cftypisom"[..], large, b"\0\0\0\x0bmoovabc\0\0\0\x08free"].concat();
        assert_eq!(moov(&after).as_deref(), Some(&b"abc"[..]));
        for none in [&after[..after.len() - 10], &after[..12], b"\0\0\0\0moovabc", b"\0\0\0\x07moov", b""] {
            assert_eq!(moov(none), None);
        }
    }

    #[test]
    fn films_in_boxes_are_told_from_other_files_and_cut_ones_from_whole_ones() {
        assert_eq!(look(b"\0\0\0\x0cftypisom\0\0\0\x09mdat!"), Boxes::Film);
        assert_eq!(look(b"\0\0\0\x0cftypisom\0\0\0\0mdat!!!!"), Boxes::Film);
        assert_eq!(look(b"\0\0\0\x08wide\0\0\0\x01mdat\0\0\0\0\0\0\0\x11!"), Boxes::Film);
        assert_eq!(look(b"\0\0\0\x0cftypisom\0\0\0\x0amdat!"), Boxes::CutFilm);
        assert_eq!(look(b"\0\0\0\x08wide\xff\xff\xff\xffmdat"), Boxes::CutFilm);
        assert_eq!(look(b"\0\0\0\x08wide\0\0\0"), Boxes::CutFilm);
        assert_eq!(look(b"\0\0\0\x20ftypheic"), Boxes::None);
        assert_eq!(look(b"#EXTM3U\n"), Boxes::None);
        assert_eq!(look(b"ab"), Boxes::None);
        let header = b"\x1a\x45\xdf\xa3\x81!\x18\x53\x80\x67";
        for (size, boxes) in [
            (&b"\x82"[..], Boxes::None),
            (b"\x83", Boxes::CutFilm),
            (b"\x40\x03", Boxes::CutFilm),
            (b"\x01\xff\xff\xff\xff\xff\xff\xff", Boxes::None),
        ] {
            assert_eq!(look(&[&header[..], size, b"!!"].concat()), boxes, "{size:?}");
        }
    }
}
