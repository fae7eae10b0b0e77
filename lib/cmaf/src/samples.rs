//! What the tests of several files make their cases from.

use proptest::prelude::*;

use crate::{AudioTrack, Colour, Sample, Track, VideoTrack};

/// A configuration record as x264 makes them: High profile, level 1.1.
pub(crate) const AVCC: &[u8] = &[
    1, 0x64, 0, 0x0b, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x0b, 1, 0, 3, 0x68, 0xea, 0xe1, 0xfd, 0xf8, 0xf8, 0,
];

pub(crate) fn video_track() -> Track {
    let colour = Some(Colour { primaries: 1, transfer: 1, matrix: 1, full_range: false });
    Track::Video(VideoTrack { width: 256, height: 144, timescale: 15_000, avcc: AVCC.to_vec(), colour })
}

pub(crate) fn audio_track() -> Track {
    Track::Audio(AudioTrack { channels: 1, sample_rate: 48_000, asc: vec![0x11, 0x88], priming: 1024 })
}

/// Samples as an encoder may make them, and stranger ones; the first is a sync sample.
pub(crate) fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (1u32..500, prop_oneof![Just(1024u32), 1..5000u32], -3000i32..3000, any::<bool>());
    let shape = (any::<bool>(), any::<bool>(), 0u8..3);
    (proptest::collection::vec(sample, 1..80), shape).prop_map(|(samples, (timed, reordered, syncs))| {
        let made = samples.into_iter().enumerate().map(|(n, (size, duration, cts, sync))| Sample {
            size,
            duration: if timed { duration } else { 1024 },
            cts_offset: if reordered { cts } else { 0 },
            sync: n == 0 || [false, true, sync][usize::from(syncs)],
        });
        made.collect()
    })
}

/// Bytes for `samples`, none like the one before it.
pub(crate) fn payload(samples: &[Sample]) -> Vec<u8> {
    let len: u32 = samples.iter().map(|sample| sample.size).sum();
    (0..len).map(|n| ((n * 31) >> 3) as u8).collect()
}
