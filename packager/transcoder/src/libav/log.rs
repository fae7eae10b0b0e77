use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use ffmpeg_next::ffi;

/// Lines that libav may write in one run: a damaged file can complain about every packet.
const MAX_LINES: usize = 100;
/// Bytes of one line.
const LINE: usize = 400;
/// The largest single allocation that libav may make: one plane of an 8K picture in 16 bits.
const MAX_ALLOCATION: usize = 320 << 20;

static LINES: AtomicUsize = AtomicUsize::new(0);

/// Sends libav's warnings and errors to standard error, a bounded number of them.
pub(crate) fn to_stderr() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `log` has the signature that libav calls, is thread-safe and lives for ever.
    unsafe {
        ffi::av_log_set_callback(Some(log));
    }
    // Elsewhere the binding of `va_list` differs; libav's own callback writes errors.
    #[cfg(not(target_arch = "x86_64"))]
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Error);
}

/// Bounds each allocation that libav makes.
pub(crate) fn limit_allocations() {
    // SAFETY: sets one number inside libavutil, before any other thread runs.
    unsafe { ffi::av_max_alloc(MAX_ALLOCATION) }
}

/// Says on standard error when the libavcodec in use is older than the fix of CVE-2026-8461.
pub(crate) fn warn_of_known_holes() {
    // SAFETY: returns a constant.
    let version = unsafe { ffi::avcodec_version() };
    let (major, minor, micro) = (version >> 16, version >> 8 & 0xff, version & 0xff);
    if predates_magicyuv_fix((major, minor, micro)) {
        let _ = writeln!(
            std::io::stderr(),
            "libavcodec {major}.{minor}.{micro} may lack the fix of CVE-2026-8461 (MagicYUV); the decoder is \
             not allowed here, yet please update FFmpeg to 5.1.10, 6.1.6, 7.1.5, 8.1.2 or later"
        );
    }
}

/// libavcodec of FFmpeg 5.1 is 59.37, of 6.1 60.31, of 7.1 61.19, of 8.1 62.28. Point releases
/// of a branch do not change these numbers, so only a newer branch is known to be sound.
fn predates_magicyuv_fix(version: (u32, u32, u32)) -> bool {
    version <= (62, 28, 100)
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" fn log(
    context: *mut libc::c_void,
    level: libc::c_int,
    format: *const libc::c_char,
    arguments: *mut ffi::__va_list_tag,
) {
    if level > ffi::AV_LOG_WARNING {
        return;
    }
    let count = LINES.fetch_add(1, Ordering::Relaxed);
    if count >= MAX_LINES {
        if count == MAX_LINES {
            let _ = writeln!(std::io::stderr(), "libav: further messages are left out");
        }
        return;
    }
    let mut line = [0u8; LINE];
    let mut prefix: libc::c_int = 1;
    // SAFETY: libav gives a valid context, format and arguments; the buffer's length is stated.
    let length = unsafe {
        let buffer = line.as_mut_ptr().cast();
        ffi::av_log_format_line2(context, level, format, arguments, buffer, LINE as libc::c_int, &mut prefix)
    };
    let length = usize::try_from(length).unwrap_or(0).min(LINE - 1);
    let text = String::from_utf8_lossy(&line[..length]);
    // What a file says about itself may hold control characters.
    let text: String = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(std::io::stderr(), "libav: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branches_with_the_hole_are_named() {
        for (version, holed) in
            [((59, 37, 100), true), ((62, 28, 100), true), ((62, 29, 100), false), ((63, 1, 100), false)]
        {
            assert_eq!(predates_magicyuv_fix(version), holed, "{version:?}");
        }
    }
}
