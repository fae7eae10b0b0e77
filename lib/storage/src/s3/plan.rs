//! How a file is cut into parts. Pure.

use std::ops::Range;

/// The size of a part in bytes, unless the file is so large that it would have too many; a
/// server refuses parts under 5 MiB, and each one costs a round trip.
pub(super) const LEAST_PART: u64 = 8 << 20;
/// The greatest number of parts that S3 allows.
const MOST_PARTS: u64 = 10_000;
const MIB: u64 = 1 << 20;

/// One part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedPart {
    /// Its place, from 1.
    pub(super) number: u32,
    /// Its bytes in the file.
    pub(super) range: Range<u64>,
}

/// The parts of a file of `size` bytes, in order, all but the last one equally long.
pub(super) fn parts(size: u64) -> impl Iterator<Item = PlannedPart> {
    let length = size.div_ceil(MOST_PARTS).next_multiple_of(MIB).max(LEAST_PART);
    (0..size.div_ceil(length)).map(move |i| {
        let start = i * length;
        PlannedPart { number: i as u32 + 1, range: start..(start + length).min(size) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_cover_the_file_within_the_limits(size in 1..5u64 << 40) {
            let parts: Vec<_> = parts(size).collect();
            prop_assert!(parts.len() as u64 <= MOST_PARTS);
            let mut end = 0;
            for (i, part) in parts.iter().enumerate() {
                prop_assert_eq!((part.number as usize, part.range.start), (i + 1, end));
                end = part.range.end;
                let length = end - part.range.start;
                prop_assert!(length > 0 && (length >= LEAST_PART || i + 1 == parts.len()));
            }
            prop_assert_eq!(end, size);
        }
    }

    #[test]
    fn ordinary_files_have_parts_of_eight_mebibytes() {
        let ranges: Vec<_> = parts((20 << 20) + 1).map(|part| part.range).collect();
        assert_eq!(ranges, [0..8 << 20, 8 << 20..16 << 20, 16 << 20..(20 << 20) + 1]);
    }
}
