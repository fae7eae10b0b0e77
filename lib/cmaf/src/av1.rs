//! What the configuration of an AV1 stream says.

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError};

use crate::CmafError;

/// Bytes of an `AV1CodecConfigurationRecord` before its OBUs (AV1 in ISOBMFF §2.3.3), and the first
/// of them: a marker and version 1.
const HEAD: usize = 4;
const VERSION: u8 = 0x81;
/// The OBU that tells a decoder what all pictures have in common (AV1 §6.2.2).
const SEQUENCE_HEADER: u8 = 1;

/// `av01.P.LLT.DD` out of an `AV1CodecConfigurationRecord` (AV1 in ISOBMFF §5).
pub(crate) fn codecs(av1c: &[u8]) -> Result<String, CmafError> {
    let [VERSION, kind, depth, ..] = *av1c else {
        return Err(CmafError::malformed("av1C", "not a configuration record of version 1"));
    };
    let (profile, level) = (kind >> 5, kind & 0x1f);
    let tier = if depth & 0x80 == 0 { 'M' } else { 'H' };
    let bits = match (depth & 0x40 != 0, depth & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Ok(format!("av01.{profile}.{level:02}{tier}.{bits:02}"))
}

/// Width and height of its pictures.
pub(crate) fn size(av1c: &[u8]) -> Result<(u32, u32), CmafError> {
    let mut obus = av1c.get(HEAD..).unwrap_or_default();
    while let Some((kind, payload)) = next(&mut obus) {
        if kind == SEQUENCE_HEADER {
            return greatest(payload).map_err(CmafError::unclear("av1C"));
        }
    }
    Err(CmafError::malformed("av1C", "no sequence header"))
}

/// Takes the next OBU, which must say its length (§5.3.2): its type and what is in it.
fn next<'a>(obus: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (header, mut rest) = obus.split_first()?;
    if header & 0x04 != 0 {
        rest = rest.get(1..)?;
    }
    let (length, rest) = if header & 0x02 == 0 { return None } else { leb128(rest)? };
    let (payload, rest) = rest.split_at_checked(length)?;
    *obus = rest;
    Some((header >> 3 & 0x0f, payload))
}

/// A number in up to eight bytes of seven bits each (§4.10.5), and what is behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().take(8).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at(last + 1);
    let value = number.iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(value).ok()?, rest))
}

/// The size of the greatest picture, by a sequence header (§5.5.1).
fn greatest(header: &[u8]) -> Result<(u32, u32), BitReaderError> {
    let mut bits = BitReader::new(header);
    bits.skip(3 + 1, "seq_profile, still_picture")?;
    if bits.read_bit("reduced_still_picture_header")? {
        bits.skip(5, "seq_level_idx")?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let width_bits: u32 = bits.read::<4, _>("frame_width_bits_minus_1")?;
    let height_bits: u32 = bits.read::<4, _>("frame_height_bits_minus_1")?;
    let width: u32 = bits.read_var(width_bits + 1, "max_frame_width_minus_1")?;
    let height: u32 = bits.read_var(height_bits + 1, "max_frame_height_minus_1")?;
    Ok((width + 1, height + 1))
}

/// Timing, the model of the decoder, and the operating points.
fn skip_operating_points(bits: &mut impl BitRead) -> Result<(), BitReaderError> {
    // How many bits a delay of the decoder's buffer has, if the stream says any.
    let mut delay_bits = None;
    if bits.read_bit("timing_info_present_flag")? {
        bits.skip(32 + 32, "num_units_in_display_tick, time_scale")?;
        if bits.read_bit("equal_picture_interval")? {
            bits.read_ue("num_ticks_per_picture_minus_1")?;
        }
        if bits.read_bit("decoder_model_info_present_flag")? {
            delay_bits = Some(bits.read::<5, u32>("buffer_delay_length_minus_1")? + 1);
            bits.skip(32 + 5 + 5, "num_units_in_decoding_tick, lengths")?;
        }
    }
    let has_delay = bits.read_bit("initial_display_delay_present_flag")?;
    for _ in 0..=bits.read::<5, u32>("operating_points_cnt_minus_1")? {
        bits.skip(12, "operating_point_idc")?;
        // From level 4.0 on there are two tiers.
        if bits.read::<5, u32>("seq_level_idx")? > 7 {
            bits.skip(1, "seq_tier")?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.read_bit("decoder_model_present_for_this_op")?
        {
            bits.skip(2 * delay_bits + 1, "decoder_buffer_delay, encoder_buffer_delay, low_delay_mode_flag")?;
        }
        if has_delay && bits.read_bit("initial_display_delay_present_for_this_op")? {
            bits.skip(4, "initial_display_delay_minus_1")?;
        }
    }
    Ok(())
}
