//! `cargo +nightly fuzz run init`: a track that was read is a track that can be written.
#![no_main]

use cmaf::{Track, VideoTrack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(track) = cmaf::read_init(bytes) {
        assert!(track.codecs().is_ok());
        if let Ok(init) = cmaf::init_segment(&track) {
            let again = cmaf::read_init(&init).unwrap();
            assert_eq!(cmaf::init_segment(&again).unwrap(), init);
            assert_eq!(again.codecs().unwrap(), track.codecs().unwrap());
            assert_eq!(like(track, &again), again);
        }
    }
});

/// `track` with the record of `again`: reserved bits of a record are written as they have to be.
fn like(track: Track, again: &Track) -> Track {
    match (track, again) {
        (Track::Video(track), Track::Video(VideoTrack { config, .. })) => {
            Track::Video(VideoTrack { config: config.clone(), ..track })
        }
        (track, _) => track,
    }
}
