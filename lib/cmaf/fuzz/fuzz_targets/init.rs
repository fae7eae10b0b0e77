//! `cargo +nightly fuzz run init`: a track that was read is a track that can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(track) = cmaf::read_init(bytes) {
        assert!(track.codecs().is_ok());
        if let Ok(init) = cmaf::init_segment(&track) {
            assert_eq!(cmaf::read_init(&init).unwrap(), track);
        }
    }
});
