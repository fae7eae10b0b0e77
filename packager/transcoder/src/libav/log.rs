use std::ffi::CStr;
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

/// Says on standard error when the libav in use is older than the fix of CVE-2026-8461.
pub(crate) fn warn_of_known_holes() {
    // SAFETY: returns a constant text that ends in NUL.
    let version = unsafe { CStr::from_ptr(ffi::av_version_info()) }.to_string_lossy();
    if predates_magicyuv_fix(&version) {
        let _ = writeln!(
            std::io::stderr(),
            "FFmpeg {version} may lack the fix of CVE-2026-8461 (MagicYUV): that decoder is not allowed here, \
             yet update to 5.1.10, 6.1.6, 7.1.5, 8.1.2 or later"
        );
    }
}

/// Whether a release is older than the fix in its branch; of a build that is no release nothing
/// is known and nothing said.
fn predates_magicyuv_fix(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|digits| digits.parse::<u32>().ok());
    let Some(major) = next() else { return false };
    let (minor, patch) = (next().unwrap_or(0), next().unwrap_or(0));
    match (major, minor) {
        (5, 1) => patch < 10,
        (6, 1) => patch < 6,
        (7, 1) => patch < 5,
        (8, 1) => patch < 2,
        branch => branch < (8, 1),
    }
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
    fn releases_before_the_fix_are_named() {
        for (version, holed) in [
            ("5.1.9-0+deb12u1", true),
            ("5.1.10", false),
            ("n7.1.4", true),
            ("7.1.5-1", false),
            ("7.0.9", true),
            ("8.1.2", false),
            ("8.1", true),
            ("9.0.2", false),
            ("N-123456-gabcdef", false),
        ] {
            assert_eq!(predates_magicyuv_fix(version), holed, "{version}");
        }
    }
}
