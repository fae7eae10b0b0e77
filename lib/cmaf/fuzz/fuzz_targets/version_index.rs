//! `cargo +nightly fuzz run version_index`: every segment of an index that was read can be found.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = cmaf::VersionIndex::from_json(bytes) {
        for rendition in &index.renditions {
            let count = rendition.segment_count();
            assert_eq!(rendition.segments().count(), count as usize);
            assert!(rendition.segment(count).is_none());
            rendition.target_duration_s();
        }
    }
});
