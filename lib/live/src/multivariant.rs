use std::fmt::{self, Write};

use cmaf::{Bandwidth, RenditionKind, sounds_with};
use model::RenditionName;

use crate::{Event, Offered, View};

/// The saver's greatest picture: what fits a link of 100 kbit/s.
const SAVER_HEIGHT: u16 = 144;

/// The multivariant playlist of an event for whoever may see pictures up to `height`.
///
/// Sound is always there: as the group of each picture that it goes with, and as a variant of its
/// own. The smallest picture comes first, because players without an estimate begin with the first.
pub fn multivariant(event: &Event, view: View, height: u16) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
    write(&mut text, event, view, height).expect("a string takes every text");
    text
}

fn write(text: &mut String, event: &Event, view: View, height: u16) -> fmt::Result {
    let height = if view == View::Saver { height.min(SAVER_HEIGHT) } else { height };
    let mut offered: Vec<&Offered> = event.renditions.iter().collect();
    offered.sort_by_key(|offered| offered.name);
    let tracks: Vec<_> = offered.iter().map(|one| (one.name, one.codecs.as_str())).collect();
    let (pictures, sounds): (Vec<_>, Vec<_>) =
        offered.iter().copied().partition(|offered| offered.name.is_video());
    // Sound by itself is for who saves, or has no right to a picture; of an event without pictures
    // it is all there is.
    let alone = if pictures.is_empty() && view != View::Saver { sounds.len() } else { sounds.len().min(1) };
    let alone = &sounds[..alone];
    let pairs: Vec<(&Offered, Vec<RenditionName>)> = pictures
        .into_iter()
        .filter(|picture| picture.name.height() <= height)
        .map(|picture| (picture, sounds_with(picture.name, &tracks)))
        .collect();
    // Only sounds that something goes with, or that are by themselves: a player that changes only the
    // picture keeps its sound.
    let used = |sound: &&&Offered| {
        let goes = |(_, names): &(&Offered, Vec<RenditionName>)| names.contains(&sound.name);
        pairs.iter().any(goes) || alone.iter().any(|one| one.name == sound.name)
    };
    for sound in sounds.iter().filter(used) {
        let RenditionKind::Audio { channels, .. } = sound.kind else { continue };
        let name = sound.name;
        writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{name}\",NAME=\"{name}\",DEFAULT=YES,AUTOSELECT=YES,\
             CHANNELS=\"{channels}\",URI=\"{name}/playlist.m3u8\""
        )?;
    }
    for (picture, names) in pairs {
        if names.is_empty() {
            variant(text, picture, None)?;
        }
        for name in names {
            variant(text, picture, event.rendition(name))?;
        }
    }
    alone.iter().try_for_each(|sound| variant(text, sound, Some(sound)))
}

fn variant(text: &mut String, of: &Offered, sound: Option<&Offered>) -> fmt::Result {
    let with = sound.filter(|sound| sound.name != of.name);
    let Bandwidth { peak_bps, average_bps } =
        of.bandwidth + with.map_or_else(Bandwidth::default, |sound| sound.bandwidth);
    write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={peak_bps},AVERAGE-BANDWIDTH={average_bps}")?;
    write!(text, ",CODECS=\"{}", of.codecs)?;
    if let Some(sound) = with {
        write!(text, ",{}", sound.codecs)?;
    }
    text.push('"');
    if let RenditionKind::Video { width, height, frame_rate } = of.kind {
        write!(text, ",RESOLUTION={width}x{height},FRAME-RATE={:.3}", frame_rate.as_f64())?;
    }
    if let Some(sound) = sound {
        write!(text, ",AUDIO=\"{}\"", sound.name)?;
    }
    writeln!(text, "\n{}/playlist.m3u8", of.name)
}

#[cfg(test)]
mod tests {
    use cmaf::Bandwidth;
    use model::cell::Ratio;
    use model::{VersionId, VideoId};

    use super::*;
    use crate::samples::TIMING;

    fn picture(height: u16, kbps: u64) -> Offered {
        let (width, num) = (height * 16 / 9, 30);
        Offered {
            name: RenditionName::Video { height },
            codecs: "avc1.64001f".to_owned(),
            timescale: 90_000,
            kind: RenditionKind::Video { width, height, frame_rate: Ratio { num, den: 1 } },
            bandwidth: Bandwidth { peak_bps: kbps * 1000, average_bps: kbps * 900 },
            first_msn: 0,
        }
    }

    fn sound(kbps: u16) -> Offered {
        Offered {
            name: RenditionName::Audio { kbps },
            codecs: "mp4a.40.2".to_owned(),
            timescale: 48_000,
            kind: RenditionKind::Audio { channels: 2, sample_rate: 48_000 },
            bandwidth: Bandwidth { peak_bps: u64::from(kbps) * 1000, average_bps: u64::from(kbps) * 1000 },
            first_msn: 0,
        }
    }

    fn event(renditions: Vec<Offered>) -> Event {
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(2));
        Event { video, version, timing: TIMING, renditions, revision: 0, ended: false }
    }

    #[test]
    fn pictures_are_offered_up_to_a_height_and_sound_always_is() {
        let event = event(vec![picture(720, 3000), sound(128), picture(144, 50), sound(32)]);
        let lines = |view, height| {
            let text = multivariant(&event, view, height);
            text.lines().filter(|line| line.ends_with(".m3u8")).map(str::to_owned).collect::<Vec<_>>()
        };
        let all = ["144p/playlist.m3u8", "720p/playlist.m3u8", "a32/playlist.m3u8"];
        assert_eq!(lines(View::Low, 1080), all);
        assert_eq!(lines(View::Normal, 480), [all[0], all[2]]);
        assert_eq!(lines(View::Saver, 1080), [all[0], all[2]]);
        assert_eq!(lines(View::Low, 0), [all[2]]);
        let text = multivariant(&event, View::Low, 144);
        assert!(
            text.contains("BANDWIDTH=82000,AVERAGE-BANDWIDTH=77000,CODECS=\"avc1.64001f,mp4a.40.2\""),
            "{text}"
        );
        assert!(text.contains("RESOLUTION=256x144,FRAME-RATE=30.000,AUDIO=\"a32\""), "{text}");
    }

    #[test]
    fn opus_is_offered_with_the_publishers_picture_and_aac_with_all() {
        let opus = Offered { codecs: "opus".to_owned(), ..sound(160) };
        let hevc = Offered { codecs: "hvc1.1.6.L93.B0".to_owned(), ..picture(720, 3000) };
        let event = event(vec![hevc, opus, picture(480, 1000), sound(128), picture(144, 50), sound(32)]);
        let variants = |view, height| {
            let text = multivariant(&event, view, height);
            let attribute = |line: &str, name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\"")).expect("the attribute");
                rest.split_once('"').expect("its end").0.to_owned()
            };
            let lines: Vec<_> = text.lines().collect();
            let variants = lines.windows(2).filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF"));
            variants
                .map(|pair| {
                    let name = pair[1].trim_end_matches("/playlist.m3u8");
                    format!("{name} {} {}", attribute(pair[0], "CODECS"), attribute(pair[0], "AUDIO"))
                })
                .collect::<Vec<_>>()
        };
        let all = [
            "144p avc1.64001f,mp4a.40.2 a32",
            "480p avc1.64001f,mp4a.40.2 a128",
            "720p hvc1.1.6.L93.B0,opus a160",
            "720p hvc1.1.6.L93.B0,mp4a.40.2 a128",
            "a32 mp4a.40.2 a32",
        ];
        assert_eq!(variants(View::Low, 1080), all);
        assert_eq!(variants(View::Normal, 480), [all[0], all[1], all[4]]);
        assert_eq!(variants(View::Saver, 1080), [all[0], all[4]]);
        assert!(!multivariant(&event, View::Low, 480).contains("a160"));
    }

    #[test]
    fn an_event_of_sound_alone_offers_the_publishers_too() {
        let event = event(vec![sound(128), sound(32)]);
        let named = |view, name: &str| multivariant(&event, view, 1080).contains(&format!("\n{name}/"));
        assert!(named(View::Low, "a32") && named(View::Low, "a128"));
        assert!(named(View::Saver, "a32") && !named(View::Saver, "a128"));
    }

    #[test]
    fn a_picture_without_sound_names_none() {
        let text = multivariant(&event(vec![picture(720, 3000)]), View::Low, 720);
        assert!(!text.contains("AUDIO"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
