//! `cargo +nightly fuzz run configs`: what a publisher's configurations and packets say is read or
//! refused. The first byte chooses of what kind they are.
#![no_main]

use cmaf::{AacLc, AudioConfig, AudioTrack, Opus, Track, VideoConfig, VideoTrack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let record = bytes.to_vec();
    match kind % 6 {
        0 => picture(VideoConfig::Avc(record)),
        1 => picture(VideoConfig::Hevc(record)),
        2 => picture(VideoConfig::Av1(record)),
        3 => {
            if let Some(AacLc { sample_rate, channels }) = AacLc::read(bytes) {
                assert!(written(sound(AudioConfig::Aac(record), sample_rate, channels)));
            }
        }
        4 => {
            if let Some(opus) = Opus::read(bytes) {
                assert!(written(sound(AudioConfig::Opus(opus), Opus::SAMPLE_RATE, opus.channels)));
            }
        }
        _ => assert!(Opus::samples(bytes).is_none_or(|samples| (120..=5760).contains(&samples))),
    }
});

/// Also of a configuration without a size, as one without a name may have one.
fn picture(config: VideoConfig) {
    let _ = config.size();
    written(Track::Video(VideoTrack { width: 2, height: 2, timescale: 15, config, colour: None }));
}

fn sound(config: AudioConfig, sample_rate: u32, channels: u16) -> Track {
    Track::Audio(AudioTrack { channels, sample_rate, config, priming: 0 })
}

/// Whether the track can be offered to a player.
fn written(track: Track) -> bool {
    track.codecs().is_ok() && cmaf::init_segment(&track).is_ok()
}
