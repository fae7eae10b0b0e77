//! `cargo +nightly fuzz run segment`: what was read is written and read as the same samples.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = cmaf::read_segment(bytes) {
        let payload = &bytes[read.payload.clone()];
        let segment =
            cmaf::media_segment(read.sequence, read.base_decode_time, &read.samples, payload).unwrap();
        let again = cmaf::read_segment(&segment).unwrap();
        assert_eq!((again.samples, again.base_decode_time), (read.samples, read.base_decode_time));
    }
});
