//! What the configuration of an H.264 stream says.

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, ByteReader};
use mp4_atom::Avcc;

use crate::CmafError;
use crate::boxes::leaf;

/// The header of a sequence parameter set (ITU-T H.264 §7.3.1), but for the bits that say how much it
/// is referred to.
const SPS: u8 = 7;
const REFERENCE: u8 = 0x60;

/// `avc1.PPCCLL` out of an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1, annex E.3).
pub(crate) fn codecs(avcc: &[u8]) -> Result<String, CmafError> {
    match avcc {
        // Profile, compatibility flags and level follow the version byte.
        [1, profile, compatibility, level, ..] => {
            Ok(format!("avc1.{profile:02x}{compatibility:02x}{level:02x}"))
        }
        _ => Err(CmafError::malformed("avcC", "not a configuration record of version 1")),
    }
}

/// Width and height of its pictures as they are shown.
pub(crate) fn size(avcc: &[u8]) -> Result<(u32, u32), CmafError> {
    // The other library has a reader of records, too, which panics at a parameter set without bytes.
    let record: Avcc = leaf("avcC", avcc)?;
    let sps = record.sequence_parameter_sets.first();
    let sps = sps.filter(|set| set.first().is_some_and(|header| header & !REFERENCE == SPS));
    let sps = sps.ok_or(CmafError::malformed("avcC", "no sequence parameter set"))?;
    let bits = BitReader::new(ByteReader::skipping_h264_header(&sps[..]));
    let sps = SeqParameterSet::from_bits(bits).map_err(CmafError::unclear("avcC"))?;
    sps.pixel_dimensions().map_err(CmafError::unclear("avcC"))
}
