//! H.264 as an encoder gives it (ITU-T H.264 Annex B) and as boxes want it (ISO/IEC 14496-15).

/// Kinds of NAL units (H.264 table 7-1).
pub(crate) const IDR_SLICE: u8 = 5;
pub(crate) const SPS: u8 = 7;
pub(crate) const PPS: u8 = 8;

/// The NAL units of a byte stream, without start codes and trailing zeros.
pub(crate) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Inside a unit, emulation prevention keeps 00 00 01 from occurring.
    let starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    let ends: Vec<usize> = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]).collect();
    starts.into_iter().zip(ends).filter_map(move |(start, end)| {
        let unit = &stream[start..end];
        let length = unit.iter().rposition(|byte| *byte != 0)? + 1;
        Some(&unit[..length])
    })
}

/// The slices of a picture, each behind its length in four bytes; parameter sets and messages
/// are left out, since the first stand in `avcC` and nobody reads the second.
pub(crate) fn slices(stream: &[u8]) -> Vec<u8> {
    let mut sample = Vec::with_capacity(stream.len() + 8);
    for unit in nal_units(stream).filter(|unit| matches!(kind(unit), 1..=IDR_SLICE)) {
        sample.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        sample.extend_from_slice(unit);
    }
    sample
}

/// Whether a picture is an IDR picture, at which decoding can start.
pub(crate) fn is_idr(stream: &[u8]) -> bool {
    nal_units(stream).any(|unit| kind(unit) == IDR_SLICE)
}

/// The `AVCDecoderConfigurationRecord` (14496-15 §5.3.3.1.2) of the parameter sets in `header`;
/// none unless there is exactly one of each, in 4:2:0 with 8 bits.
pub(crate) fn configuration(header: &[u8]) -> Option<Vec<u8>> {
    let only = |wanted| {
        let mut found = nal_units(header).filter(|unit| kind(unit) == wanted);
        found.next().filter(|_| found.next().is_none())
    };
    let (sps, pps) = (only(SPS)?, only(PPS)?);
    let [_, profile, compatibility, level, ..] = *sps else { return None };
    let mut record = vec![1, profile, compatibility, level];
    // Lengths of four bytes, one SPS.
    record.extend_from_slice(&[0xfc | 3, 0xe0 | 1]);
    record.extend_from_slice(&u16::try_from(sps.len()).ok()?.to_be_bytes());
    record.extend_from_slice(sps);
    record.push(1);
    record.extend_from_slice(&u16::try_from(pps.len()).ok()?.to_be_bytes());
    record.extend_from_slice(pps);
    if matches!(profile, 100 | 110 | 122 | 144) {
        // chroma_format 4:2:0, 8 bits of luma and chroma, no SPS extension.
        record.extend_from_slice(&[0xfc | 1, 0xf8, 0xf8, 0]);
    }
    Some(record)
}

fn kind(unit: &[u8]) -> u8 {
    unit[0] & 0x1f
}

/// What a configuration record with one SPS and one PPS says about samples.
pub(crate) struct ParameterSets<'a> {
    /// Bytes of the length before each NAL unit.
    pub(crate) length_size: usize,
    sets: [&'a [u8]; 2],
}

impl<'a> ParameterSets<'a> {
    /// Reads a record; `None` unless it has exactly one set of each kind.
    pub(crate) fn of(avcc: &'a [u8]) -> Option<Self> {
        let [1, _, _, _, lengths, rest @ ..] = avcc else { return None };
        let (sps, rest) = only_set(rest, 0x1f)?;
        let (pps, _) = only_set(rest, 0xff)?;
        Some(Self { length_size: usize::from(lengths & 3) + 1, sets: [sps, pps] })
    }

    /// Kind and length of the NAL unit that begins with these bytes: its length and its first byte.
    pub(crate) fn unit(&self, head: &[u8]) -> Option<(u8, u64)> {
        let (length, unit) = head.split_at_checked(self.length_size)?;
        let length = length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some((kind(unit.get(..1)?), length))
    }

    /// Whether this is one of them.
    pub(crate) fn holds(&self, unit: &[u8]) -> bool {
        self.sets.contains(&unit)
    }
}

/// The only set of a list, behind its length, and what follows; the number of sets stands in the
/// bits of `mask`.
fn only_set(list: &[u8], mask: u8) -> Option<(&[u8], &[u8])> {
    let [count, high, low, rest @ ..] = list else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    rest.split_at_checked(length).filter(|_| count & mask == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = &[
        0, 0, 0, 1, 0x67, 100, 0, 31, 9, 0, 0, 0, 1, 0x68, 7, 7, 0, 0, 1, 0x06, 5, 0, 0, 0, 0, 1, 0x65, 1, 2,
        3,
    ];

    #[test]
    fn units_are_found_behind_short_and_long_start_codes() {
        let units: Vec<_> = nal_units(STREAM).collect();
        assert_eq!(units, [&[0x67, 100, 0, 31, 9][..], &[0x68, 7, 7], &[0x06, 5], &[0x65, 1, 2, 3]]);
        assert_eq!(nal_units(&[]).count() + nal_units(&[0, 0, 1]).count() + nal_units(&[1, 2]).count(), 0);
    }

    #[test]
    fn a_sample_holds_slices_only() {
        assert_eq!(slices(STREAM), [0, 0, 0, 4, 0x65, 1, 2, 3]);
        assert!(is_idr(STREAM) && !is_idr(&STREAM[..20]));
    }

    #[test]
    fn the_sets_of_a_record_are_known_again() {
        let record = configuration(STREAM).unwrap();
        let sets = ParameterSets::of(&record).unwrap();
        assert!(sets.holds(&[0x67, 100, 0, 31, 9]) && sets.holds(&[0x68, 7, 7]) && !sets.holds(&[0x68, 7]));
        assert_eq!(sets.unit(&[0, 0, 1, 2, 0x65]), Some((IDR_SLICE, 258)));
        assert_eq!(sets.unit(&[0, 0, 1, 2]), None);
        let mut two = record.clone();
        two[5] = 0xe2;
        assert!(ParameterSets::of(&two).is_none());
        assert!((0..18).all(|length| ParameterSets::of(&record[..length]).is_none()));
    }

    #[test]
    fn the_record_holds_both_parameter_sets() {
        let record = configuration(STREAM).unwrap();
        assert_eq!(record[..8], [1, 100, 0, 31, 0xff, 0xe1, 0, 5]);
        assert_eq!(record[13..], [1, 0, 3, 0x68, 7, 7, 0xfd, 0xf8, 0xf8, 0]);
        assert_eq!(configuration(&STREAM[9..]), None);
        assert_eq!(configuration(&[STREAM, STREAM].concat()), None);
    }
}
