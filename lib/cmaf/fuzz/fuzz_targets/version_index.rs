//! `cargo +nightly fuzz run version_index`: every segment of an index that was read can be found, and its
//! numbers can be added up.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = cmaf::VersionIndex::from_json(bytes) {
        for rendition in &index.renditions {
            let count = rendition.segment_count();
            assert_eq!(rendition.segments().count(), count as usize);
            assert!(rendition.segment(count).is_none());
            rendition.target_duration_s();
            index.variant_bandwidth(rendition);
            let inits = rendition.formats().map(|format| u64::from(format.init_size)).sum::<u64>();
            let (mut bytes, mut ticks) = (inits, 0);
            for segment in rendition.segments() {
                bytes += segment.range.end - segment.range.start;
                ticks += u64::from(segment.duration);
            }
            assert_eq!((rendition.size_bytes(), rendition.duration()), (bytes, ticks));
            assert!(rendition.formats().all(|format| format.segment < count.max(1)));
            assert!(rendition.breaks.iter().all(|at| (1..count).contains(at)));
            for segments in [0..count, count / 2..count].into_iter().filter(|segments| !segments.is_empty()) {
                let formats = rendition.formats_in(&segments);
                assert_eq!(formats[0].segment, 0);
                assert!(formats.iter().all(|format| (format.segment as usize) < segments.len()));
            }
            assert!(rendition.chunks.iter().all(|chunk| chunk.index_range().end == chunk.size_bytes));
        }
    }
});
