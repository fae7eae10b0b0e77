//! `cargo +nightly fuzz run chunk_index`: an index that was read fits its segments.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = cmaf::read_chunk_index(bytes) {
        for segment in &index.segments {
            let payload: u64 = segment.samples.iter().map(|sample| u64::from(sample.size)).sum();
            assert_eq!(payload, u64::from(segment.payload_len()));
        }
    }
});
