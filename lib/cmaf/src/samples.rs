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

/// Calls `read` with `count` damaged copies of `bytes`: flipped bits, other numbers, parts cut out,
/// doubled or lost. The same every time.
pub(crate) fn mutants(bytes: &[u8], count: u32, mut read: impl FnMut(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ bytes.len() as u64;
    let mut next = |limit: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    };
    for _ in 0..count {
        let mut mutant = bytes.to_vec();
        for _ in 0..=next(3) {
            let at = next(mutant.len());
            let len = next(24).min(mutant.len() - at);
            match next(6) {
                0 if !mutant.is_empty() => mutant[at] ^= 1 << next(8),
                1 if !mutant.is_empty() => mutant[at] = [0, 1, 0x7f, 0x80, 0xff][next(5)],
                2 if at + 4 <= mutant.len() => {
                    let number = [0u32, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, u32::MAX][next(7)];
                    mutant[at..at + 4].copy_from_slice(&number.to_be_bytes());
                }
                3 => drop(mutant.drain(at..at + len)),
                4 => {
                    let part = mutant[at..at + len].to_vec();
                    mutant.splice(at..at, part);
                }
                _ => mutant.truncate(at),
            }
        }
        read(&mutant);
    }
}
