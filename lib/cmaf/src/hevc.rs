//! What the configuration of an HEVC stream says.

use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};
use mp4_atom::Hvcc;

use crate::CmafError;
use crate::boxes::leaf;

/// NAL units that tell a decoder what all pictures have in common: `VPS`, `SPS`, `PPS` (ITU-T H.265
/// table 7-1).
const SETS: std::ops::RangeInclusive<u8> = 32..=34;
const SPS: u8 = 33;
/// Bytes of a NAL unit's header (§7.3.1.2).
const HEADER: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// Bits of the general profile and of each layer's (§7.3.3), without the level behind it.
const PROFILE: u32 = 88;
const LEVEL: u32 = 8;
/// Of pictures with as much chroma as luma it is said how their planes are coded (§6.2).
const FOUR_FOUR_FOUR: u32 = 3;

/// `hvc1.…` out of an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1, annex E.3).
pub(crate) fn codecs(hvcc: &[u8]) -> Result<String, CmafError> {
    let strange = CmafError::malformed("hvcC", "not a configuration record of version 1");
    let Some(&[1, general, c0, c1, c2, c3, k0, k1, k2, k3, k4, k5, level]) = hvcc.first_chunk() else {
        return Err(strange);
    };
    let space = ["", "A", "B", "C"][usize::from(general >> 6)];
    let tier = if general & 0x20 == 0 { 'L' } else { 'H' };
    // The first flag of the record is the last bit of the number.
    let compatible = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let constraints = [k0, k1, k2, k3, k4, k5];
    let said = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let constraints: String = constraints[..said].iter().map(|byte| format!(".{byte:X}")).collect();
    Ok(format!("hvc1.{space}{}.{compatible:X}.{tier}{level}{constraints}", general & 0x1f))
}

/// The record as `hvc1` has it: no parameter sets but these are needed (§8.4.1.1), whether the one
/// who made it was sure of that or not.
pub(crate) fn record(hvcc: &[u8]) -> Result<Hvcc, CmafError> {
    let mut record: Hvcc = leaf("hvcC", hvcc)?;
    for array in record.arrays.iter_mut().filter(|array| SETS.contains(&array.nal_unit_type)) {
        array.completeness = true;
    }
    Ok(record)
}

/// Width and height of its pictures as they are shown.
pub(crate) fn size(hvcc: &[u8]) -> Result<(u32, u32), CmafError> {
    let record = record(hvcc)?;
    let sets = record.arrays.iter().filter(|array| array.nal_unit_type == SPS);
    let sps = sets.flat_map(|array| &array.nalus).next();
    let sps = sps.ok_or(CmafError::malformed("hvcC", "no sequence parameter set"))?;
    let Picture { width, height, unit, cut } = picture(sps).map_err(CmafError::unclear("hvcC"))?;
    let [left, right, top, bottom] = cut.map(u64::from);
    let shown = |coded: u32, cut: u64| u32::try_from(u64::from(coded).checked_sub(cut)?).ok();
    let size = (shown(width, (left + right) * unit.0), shown(height, (top + bottom) * unit.1));
    let (Some(width), Some(height)) = size else {
        return Err(CmafError::malformed("hvcC", "more is cut off than there is"));
    };
    Ok((width, height))
}

/// What a sequence parameter set says of the size of pictures.
struct Picture {
    width: u32,
    height: u32,
    /// In what the cuts are counted, across and down.
    unit: (u64, u64),
    /// Left, right, top, bottom.
    cut: [u32; 4],
}

/// The beginning of a sequence parameter set (§7.3.2.2.1).
fn picture(sps: &[u8]) -> Result<Picture, BitReaderError> {
    let mut bits = BitReader::new(ByteReader::skipping_bytes(sps, HEADER));
    bits.skip(4, "sps_video_parameter_set_id")?;
    let layers: u32 = bits.read::<3, _>("sps_max_sub_layers_minus1")?;
    bits.skip(1, "sps_temporal_id_nesting_flag")?;
    skip_profiles(&mut bits, layers)?;
    bits.read_ue("sps_seq_parameter_set_id")?;
    let chroma = bits.read_ue("chroma_format_idc")?;
    if chroma == FOUR_FOUR_FOUR {
        bits.skip(1, "separate_colour_plane_flag")?;
    }
    let (width, height) =
        (bits.read_ue("pic_width_in_luma_samples")?, bits.read_ue("pic_height_in_luma_samples")?);
    let mut cut = [0; 4];
    if bits.read_bit("conformance_window_flag")? {
        for side in &mut cut {
            *side = bits.read_ue("conf_win_offset")?;
        }
    }
    let unit = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    Ok(Picture { width, height, unit, cut })
}

/// The profile and the level of all layers, `layers` of them below the whole stream (§7.3.3).
fn skip_profiles(bits: &mut impl BitRead, layers: u32) -> Result<(), BitReaderError> {
    bits.skip(PROFILE + LEVEL, "general_profile_and_level")?;
    let mut said = 0;
    for _ in 0..layers {
        said += if bits.read_bit("sub_layer_profile_present_flag")? { PROFILE } else { 0 };
        said += if bits.read_bit("sub_layer_level_present_flag")? { LEVEL } else { 0 };
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers), "reserved_zero_2bits")?;
    }
    bits.skip(said, "sub_layer_profiles_and_levels")
}
