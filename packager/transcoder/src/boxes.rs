//! Whether a file that does not open is an MP4 that was cut off.

use std::io;

use crate::media::Media;

/// What the outermost boxes (ISO/IEC 14496-12 §4.2) of a file tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boxes {
    /// Not an MP4 or MOV.
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
    }
}
