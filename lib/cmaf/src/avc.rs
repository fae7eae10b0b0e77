//! What the configuration of an H.264 stream says.

use h264_reader::avcc::AvcDecoderConfigurationRecord;

use crate::CmafError;

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
    let record = AvcDecoderConfigurationRecord::try_from(avcc).map_err(CmafError::unclear("avcC"))?;
    let context = record.create_context().map_err(CmafError::unclear("avcC"))?;
    let sps = context.sps().next().ok_or(CmafError::malformed("avcC", "no sequence parameter set"))?;
    sps.pixel_dimensions().map_err(CmafError::unclear("avcC"))
}
