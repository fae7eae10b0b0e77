//! Whether what an event's cell says is what its plan asked for. It has read a stranger's packets.

use std::collections::BTreeMap;

use cmaf::AacLc;
use model::RenditionName;
use model::cell::live::{LivePlan, LiveTrack};

/// NAL units of H.264 (table 7-1): slices are kinds 1 to 5, the last of them those of IDR pictures.
const IDR_SLICE: u8 = 5;
/// By how many ticks a frame of sound may be ahead of what was fed: a frame that is filled up.
const AHEAD: i64 = 90_000;

/// What each rendition must be, and how far it is.
#[derive(Debug)]
pub(super) struct Verifier {
    renditions: BTreeMap<RenditionName, Rendition>,
}

#[derive(Debug)]
struct Rendition {
    expected: Expected,
    is_announced: bool,
    last: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Pictures { width: u32, height: u32 },
    Sound { sample_rate: u32, channels: u16 },
}

impl Verifier {
    pub(super) fn new(plan: &LivePlan) -> Self {
        let pictures = plan.video.iter().flat_map(|video| &video.rungs);
        let pictures = pictures
            .map(|rung| (rung.rendition, Expected::Pictures { width: rung.width, height: rung.height }));
        let sounds = plan.audio.iter().flat_map(|audio| {
            let sample_rate = audio.sample_rate;
            audio
                .rungs
                .iter()
                .map(move |rung| (rung.rendition, Expected::Sound { sample_rate, channels: rung.channels }))
        });
        let new = |expected| Rendition { expected, is_announced: false, last: None };
        let renditions = pictures.chain(sounds).map(|(name, expected)| (name, new(expected)));
        Self { renditions: renditions.collect() }
    }

    /// Whether all renditions have been announced.
    pub(super) fn is_ready(&self) -> bool {
        self.renditions.values().all(|rendition| rendition.is_announced)
    }

    /// Checks an announcement.
    pub(super) fn init(&mut self, name: RenditionName, track: &LiveTrack) -> Result<(), String> {
        let rendition = self.rendition(name)?;
        let is_right = match (rendition.expected, track) {
            (Expected::Pictures { width, height }, LiveTrack::Video { avcc, width: w, height: h }) => {
                (width, height) == (u32::from(*w), u32::from(*h)) && avcc.len() > 7
            }
            (
                Expected::Sound { sample_rate, channels },
                LiveTrack::Audio { asc, sample_rate: rate, channels: count },
            ) => {
                let said = AacLc { sample_rate: *rate, channels: *count };
                said == AacLc { sample_rate, channels } && AacLc::read(asc) == Some(said)
            }
            _ => false,
        };
        if rendition.is_announced || !is_right {
            return Err(format!("{name} is announced as {track:?}"));
        }
        rendition.is_announced = true;
        Ok(())
    }

    /// Checks a coded picture or frame, when nothing behind `newest` has been fed.
    pub(super) fn packet(
        &mut self,
        name: RenditionName,
        (dts, cts_offset, key): (i64, i32, bool),
        data: &[u8],
        newest: i64,
    ) -> Result<(), String> {
        let rendition = self.rendition(name)?;
        if !rendition.is_announced {
            return Err(format!("{name} begins without its announcement"));
        }
        let is_later = rendition.last.is_none_or(|last| last < dts);
        if !is_later || cts_offset != 0 || dts > newest.saturating_add(AHEAD) {
            let last = rendition.last;
            return Err(format!("{name} is at {dts}{cts_offset:+} behind {last:?}, fed up to {newest}"));
        }
        let is_right = match rendition.expected {
            Expected::Pictures { .. } => is_idr(data) == Some(key),
            // The frames of libav's encoder are shorter than what a decoder's buffer holds.
            Expected::Sound { channels, .. } => {
                key && (1..=768 * usize::from(channels)).contains(&data.len())
            }
        };
        if !is_right {
            return Err(format!("{name} has {} bytes that are none at {dts}", data.len()));
        }
        rendition.last = Some(dts);
        Ok(())
    }

    fn rendition(&mut self, name: RenditionName) -> Result<&mut Rendition, String> {
        self.renditions.get_mut(&name).ok_or_else(|| format!("{name} is not in the plan"))
    }
}

/// Whether slices, each behind its length in four bytes, are those of an IDR picture; none if they
/// are no slices.
fn is_idr(mut data: &[u8]) -> Option<bool> {
    let mut found = None;
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let kind = unit.first()? & 0x1f;
        let is_idr = kind == IDR_SLICE;
        if !(1..=IDR_SLICE).contains(&kind) || found.is_some_and(|found| found != is_idr) {
            return None;
        }
        (found, data) = (Some(is_idr), rest);
    }
    found.filter(|_| data.is_empty())
}

#[cfg(test)]
mod tests {
    use model::cell::Ratio;
    use model::cell::live::{LiveAudio, LiveRung, LiveSound, LiveVideo};
    use model::feed::FeedConfig;

    use super::*;

    const PICTURES: RenditionName = RenditionName::Video { height: 144 };
    const SOUND: RenditionName = RenditionName::Audio { kbps: 32 };

    fn plan() -> LivePlan {
        let rung = LiveRung {
            rendition: PICTURES,
            width: 256,
            height: 144,
            frame_divisor: 2,
            crf: 28.0,
            maxrate_bps: 1,
            bufsize_bits: 1,
            preset: "fast".into(),
            profile: "main".into(),
            look_ahead: 0,
        };
        let sound = LiveSound { rendition: SOUND, channels: 1, bit_rate_bps: 32_000 };
        LivePlan {
            video: Some(LiveVideo {
                config: FeedConfig::H264 { avcc: Vec::new() },
                frame_rate: Ratio::new(30, 1),
                rungs: vec![rung],
            }),
            audio: Some(LiveAudio {
                config: FeedConfig::Opus { head: Vec::new() },
                sample_rate: 48_000,
                rungs: vec![sound],
            }),
        }
    }

    fn tracks() -> [LiveTrack; 2] {
        [
            LiveTrack::Video { avcc: vec![1; 20], width: 256, height: 144 },
            LiveTrack::Audio { asc: vec![0x11, 0x88], sample_rate: 48_000, channels: 1 },
        ]
    }

    #[test]
    fn only_what_was_planned_is_announced_and_once() {
        let [pictures, sound] = tracks();
        let mut verifier = Verifier::new(&plan());
        assert!(verifier.init(SOUND, &pictures).is_err());
        assert!(verifier.init(RenditionName::Video { height: 360 }, &pictures).is_err());
        let other = LiveTrack::Video { avcc: vec![1; 20], width: 426, height: 240 };
        assert!(verifier.init(PICTURES, &other).is_err());
        let stereo = LiveTrack::Audio { asc: vec![0x11, 0x90], sample_rate: 48_000, channels: 1 };
        assert!(verifier.init(SOUND, &stereo).is_err());
        verifier.init(PICTURES, &pictures).unwrap();
        assert!(!verifier.is_ready());
        verifier.init(SOUND, &sound).unwrap();
        assert!(verifier.is_ready());
        assert!(verifier.init(PICTURES, &pictures).is_err());
    }

    #[test]
    fn pictures_are_slices_whose_times_go_forwards() {
        let mut verifier = Verifier::new(&plan());
        let (idr, other) = (&[0, 0, 0, 2, 0x65, 1][..], &[0, 0, 0, 1, 0x41][..]);
        assert!(verifier.packet(PICTURES, (0, 0, true), idr, 0).is_err(), "not announced");
        verifier.init(PICTURES, &tracks()[0]).unwrap();
        verifier.packet(PICTURES, (0, 0, true), idr, 0).unwrap();
        verifier.packet(PICTURES, (1, 0, false), other, 1).unwrap();
        for (dts, cts_offset, key, data) in [
            (1, 0, false, other),
            (2, 7, false, other),
            (2 + AHEAD, 0, false, other),
            (2, 0, true, other),
            (2, 0, false, idr),
            (2, 0, false, &[]),
            (2, 0, false, &[0, 0, 0, 2, 0x41]),
            (2, 0, false, &[0, 0, 0, 1, 0x41, 0]),
            (2, 0, false, &[0, 0, 0, 1, 0x67]),
            (2, 0, true, &[0, 0, 0, 1, 0x65, 0, 0, 0, 1, 0x41]),
        ] {
            let said = verifier.packet(PICTURES, (dts, cts_offset, key), data, 1);
            assert!(said.is_err(), "{dts} {cts_offset} {key} {data:?}");
        }
        verifier.packet(PICTURES, (2, 0, false), other, 1).unwrap();
    }

    #[test]
    fn sound_is_no_longer_than_a_decoder_holds() {
        let mut verifier = Verifier::new(&plan());
        verifier.init(SOUND, &tracks()[1]).unwrap();
        verifier.packet(SOUND, (-1920, 0, true), &[0; 768], 0).unwrap();
        assert!(verifier.packet(SOUND, (0, 0, true), &[0; 769], 0).is_err());
        assert!(verifier.packet(SOUND, (0, 0, false), &[0; 9], 0).is_err());
        assert!(verifier.packet(SOUND, (0, 0, true), &[], 0).is_err());
    }
}
