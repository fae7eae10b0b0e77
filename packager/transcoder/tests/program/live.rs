//! What feeds become while an event is on.

use std::path::PathBuf;
use std::process::Command;

use model::FailureReason;
use model::cell::live::{LiveInput, LivePlan, LiveRung, LiveSound, LiveTrack};
use model::feed::{FeedConfig, FeedTrack};

use crate::driver::Clips;
use crate::feeds::{Cell, Clip, Fed, Heard, broadcast, children_cpu_s};

const BARS: &str = "-f lavfi -i testsrc2=size=640x360:rate=30";
const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000";
/// As an encoder of an event: a key frame every 2 s, nothing reordered.
const LIVE: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 60 -pix_fmt yuv420p";
const TICKS: &str = "-video_track_timescale 90000";

fn clip(arguments: &str) -> (Clips, Clip) {
    let clips = Clips::new();
    let clip = Clip::of(&clips.make("feed.mp4", &format!("{arguments} {TICKS}")));
    (clips, clip)
}

fn video(clip: &Clip) -> Vec<Fed> {
    clip.track(FeedTrack::Video).cloned().collect()
}

/// Decodes all of a rendition; fails on any warning.
fn decodes(clips: &Clips, heard: &Heard, name: &str) {
    let path = clips.file("decodes.mp4", &heard.file(name));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-xerror", "-nostdin", "-i"]).arg(&path);
    command.args(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"]);
    let said = command.output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// Checks that the rungs have the source's IDR pictures, at full rate its pictures, at half rate every
/// second one, and that everything decodes.
fn check(clips: &Clips, clip: &Clip, heard: &Heard, full: &[&str]) {
    let (all, keys) = clip.shown();
    for name in full {
        assert_eq!(heard.times(name), (all.clone(), keys.clone()), "{name}");
        decodes(clips, heard, name);
    }
    let (half, half_keys) = heard.times("144p");
    assert_eq!(half_keys, keys, "144p");
    assert!(half.iter().all(|pts| all.contains(pts)), "144p shows none that the source does not");
    assert!(half.len() <= all.len().div_ceil(2) + keys.len(), "{} of {}", half.len(), all.len());
    assert!(half.len() >= all.len() / 2, "{} of {}", half.len(), all.len());
    decodes(clips, heard, "144p");
    assert_eq!(heard.passed["video"].1, 0, "nothing is damaged");
}

#[test]
fn rungs_have_the_sources_pictures_and_its_idr_pictures() {
    let (clips, clip) = clip(&format!("{BARS} {TONE} -t 5 {LIVE} -c:a aac"));
    let heard = broadcast(clip.plan(30, &[240]), &clip.packets);
    check(&clips, &clip, &heard, &["240p"]);
    assert_eq!(heard.inits.len(), 4);
    let LiveTrack::Video { width, height, .. } = heard.inits[&"240p".parse().unwrap()] else { panic!() };
    assert_eq!((width, height), (426, 240));
    assert_eq!(heard.passed["video"].0, clip.track(FeedTrack::Video).last().unwrap().dts);
}

#[test]
fn a_source_that_reorders_its_pictures_is_shown_at_its_own_times() {
    let (clips, clip) = clip(&format!(
        "{BARS} -t 4 -c:v libx264 -preset medium -bf 3 -b_strategy 0 -g 48 -sc_threshold 0 -pix_fmt yuv420p"
    ));
    assert!(clip.packets.iter().any(|fed| fed.cts_offset > 3000), "some pictures are shown late");
    let heard = broadcast(clip.plan(30, &[240, 270]), &clip.packets);
    check(&clips, &clip, &heard, &["240p", "270p"]);
}

#[test]
fn hevc_and_av1_are_decoded_alike() {
    for (codec, gop) in [
        (
            "libx265 -preset ultrafast -x265-params log-level=none:bframes=2:keyint=40:min-keyint=40:scenecut=0:open-gop=0 -tag:v hvc1",
            40,
        ),
        ("libsvtav1 -preset 12 -g 30 -svtav1-params pred-struct=1", 30),
    ] {
        let (clips, clip) =
            clip(&format!("-f lavfi -i testsrc2=size=426x240:rate=25 -t 3 -c:v {codec} -pix_fmt yuv420p"));
        let (all, keys) = clip.shown();
        assert_eq!(keys.len(), all.len().div_ceil(gop), "{codec}");
        let heard = broadcast(clip.plan(25, &[180]), &clip.packets);
        check(&clips, &clip, &heard, &["180p"]);
    }
}

/// By how many packets of the feed what comes out lags, whatever the time is.
#[test]
fn no_picture_is_held_back_but_what_is_looked_at() {
    let hevc =
        "-c:v libx265 -preset ultrafast -tune zerolatency -x265-params log-level=none:keyint=60 -tag:v hvc1";
    let av1 = "-c:v libsvtav1 -preset 12 -g 60 -svtav1-params pred-struct=1";
    for codec in [LIVE, hevc, av1] {
        let (_clips, clip) = clip(&format!("{BARS} -t 2 {codec} -pix_fmt yuv420p"));
        let fed = video(&clip);
        let mut cell = Cell::start(clip.plan(30, &[240]));
        for (n, packet) in fed.iter().enumerate() {
            cell.feed(packet);
            let has = |heard: &Heard, name: &str, pts: i64| {
                heard.made(name).last().is_some_and(|made| made.dts >= pts)
            };
            // At full rate each picture comes out before the next goes in,
            cell.until(&format!("picture {n} at full rate, {codec}"), |heard| {
                has(heard, "240p", packet.pts())
            });
            // and at half rate when three more of its own are there.
            if let Some(before) = (n - n % 2).checked_sub(2 * 3) {
                cell.until(&format!("picture {before} at half rate"), |heard| {
                    has(heard, "144p", fed[before].pts())
                });
            }
        }
        assert_eq!(cell.finish().made("144p").len(), fed.len() / 2);
    }
}

/// Two reordered pictures are known to be so from the parameter sets, and no more are waited for.
#[test]
fn a_source_that_reorders_costs_as_many_pictures_as_it_does() {
    let (_clips, clip) = clip(&format!(
        "{BARS} -t 2 -c:v libx264 -preset medium -bf 2 -b_strategy 0 -g 48 -sc_threshold 0 -pix_fmt yuv420p"
    ));
    let fed = video(&clip);
    let delay = fed.iter().map(|fed| fed.cts_offset).max().unwrap() / 3000;
    let mut cell = Cell::start(clip.plan(30, &[240]));
    for (n, packet) in fed.iter().enumerate() {
        cell.feed(packet);
        if let Some(before) = n.checked_sub(delay as usize + 1) {
            let shown = fed[before].dts;
            cell.until(&format!("what is shown when packet {before} is decoded"), |heard| {
                heard.made("240p").last().is_some_and(|made| made.dts >= shown)
            });
        }
    }
    assert_eq!(cell.finish().made("240p").len(), fed.len());
}

/// Frames of sound follow each other to the tick, and are where the source's are.
fn check_sound(heard: &Heard, name: &str, rate: i64) {
    let made = heard.made(name);
    let start = made[1].dts;
    for (n, frame) in made.iter().enumerate().skip(1) {
        let exact = start + (n as i64 - 1) * 1024 * 90_000 / rate;
        assert!(frame.dts.abs_diff(exact) <= 1, "{name}: frame {n} at {} and not {exact}", frame.dts);
        if let Some(next) = made.get(n + 1) {
            assert_eq!(frame.dts + i64::from(frame.duration), next.dts, "{name}: frame {n}");
        }
    }
}

#[test]
fn sound_does_not_drift_in_a_minute_be_it_silent_or_not() {
    for (source, codec) in [
        ("sine=frequency=440:sample_rate=48000", "aac"),
        ("anullsrc=sample_rate=48000:channel_layout=stereo", "aac"),
        ("sine=frequency=440:sample_rate=44100", "aac"),
        ("sine=frequency=440:sample_rate=48000", "libopus -frame_duration 20"),
    ] {
        let (_clips, mut clip) = clip(&format!("-f lavfi -i {source} -t 60 -ac 2 -c:a {codec}"));
        // As RTMP says times: whole milliseconds.
        for fed in &mut clip.packets {
            fed.dts = (fed.dts + 45).div_euclid(90) * 90;
        }
        let heard = broadcast(clip.plan(30, &[]), &clip.packets);
        let first = clip.packets[0].pts();
        for name in ["a32", "a96"] {
            check_sound(&heard, name, 48_000);
            // One frame of priming, then the source's first sample, behind Opus' own priming.
            let made = heard.made(name);
            let late = if codec.starts_with("libopus") { 585 } else { 0 };
            assert_eq!(made[1].dts, first + late, "{name} of {source}, {codec}");
            let end = made.last().map(|made| made.dts + i64::from(made.duration)).unwrap();
            let source_end = clip.packets.last().unwrap().pts() + 2090;
            assert!(end.abs_diff(source_end) < 3 * 1920, "{name} of {source}, {codec}: {end} {source_end}");
        }
        assert_eq!(heard.passed["audio"].1, 0);
    }
}

/// Where the sound gets loud, in ticks, by the times of the frames in which it does.
fn onsets(clips: &Clips, heard: &Heard, name: &str) -> Vec<i64> {
    let samples = clips.raw(&heard.file(name), "-f s16le -ac 1 -ar 48000");
    let samples: Vec<i16> = samples.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
    let mut quiet = 4800;
    let mut found = Vec::new();
    for (n, sample) in samples.iter().enumerate() {
        if sample.unsigned_abs() > 3000 {
            if quiet >= 4800 {
                let frame = &heard.made(name)[n / 1024];
                found.push(frame.dts + (n % 1024) as i64 * 90_000 / 48_000);
            }
            quiet = 0;
        } else {
            quiet += 1;
        }
    }
    found
}

/// A tone in the second half of each second.
const BEEPS: &str = "-f lavfi -i aevalsrc='if(lt(mod(t\\,1)\\,0.5)\\,0\\,0.5*sin(2000*PI*t))':s=48000 -ac 1";

#[test]
fn a_beep_is_heard_when_the_feed_says_so_also_behind_pauses() {
    let (clips, mut clip) = clip(&format!("{BEEPS} -t 12 -c:a aac -b:a 96k"));
    // A frame is lost; half a second is silent that has no packets; then ten are; later the clock is
    // 30 ms late, as when an encoder corrects itself.
    let moved = |dts: i64| match dts {
        540_000.. => Some(dts + 900_000 + 2700),
        270_000..360_000 => Some(dts + 45_000),
        360_000.. => Some(dts + 900_000),
        180_000..181_000 => None,
        _ => Some(dts),
    };
    clip.packets.retain_mut(|fed| {
        moved(fed.dts).is_some_and(|dts| {
            fed.dts = dts;
            true
        })
    });
    let heard = broadcast(clip.plan(30, &[]), &clip.packets);
    let expected = |second: i64| moved(second * 90_000 + 45_000).unwrap();
    for name in ["a32", "a96"] {
        let found = onsets(&clips, &heard, name);
        for second in [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11] {
            let expected = expected(second);
            let nearest = found.iter().map(|at| at.abs_diff(expected)).min().unwrap();
            assert!(nearest < 1800, "{name}: {expected} in {found:?}");
        }
        let made = heard.made(name);
        let leaps: Vec<i64> = made
            .windows(2)
            .map(|two| two[1].dts - two[0].dts - i64::from(two[0].duration))
            .filter(|leap| *leap != 0)
            .collect();
        let [leap] = leaps[..] else { panic!("{name}: {leaps:?}") };
        assert!((800_000..900_000).contains(&leap), "{name}: half a second is filled, ten are not: {leap}");
    }
}

#[test]
fn damaged_packets_cost_pictures_and_nothing_else() {
    let (clips, clip) = clip(&format!("{BARS} {TONE} -t 8 {LIVE} -c:a aac"));
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut packets = clip.packets.clone();
    let mut whole_gop = 0;
    for fed in &mut packets {
        // The third GOP arrives as it was sent.
        if (360_000..540_000).contains(&fed.dts) {
            whole_gop += i64::from(fed.track == FeedTrack::Video);
            continue;
        }
        match next(12) {
            0 => fed.data.truncate(next(fed.data.len()).max(1)),
            1 => (0..20).for_each(|_| {
                let at = next(fed.data.len());
                fed.data[at] ^= 1 << next(8);
            }),
            2 => fed.data.clear(),
            3 => fed.data = vec![0xff; 40],
            _ => {}
        }
    }
    // And some are lost on the way.
    let lost: Vec<bool> = packets.iter().map(|fed| !fed.key && next(40) == 0 && fed.dts < 360_000).collect();
    let mut lost = lost.into_iter();
    packets.retain(|_| !lost.next().unwrap());
    let heard = broadcast(clip.plan(30, &[240]), &packets);
    let (_, keys) = clip.shown();
    for name in ["240p", "144p"] {
        let (all, found) = heard.times(name);
        assert_eq!(found, keys, "{name}: whatever is lost, renditions are cut alike");
        let in_third = all.iter().filter(|pts| (360_000..540_000).contains(*pts)).count() as i64;
        assert_eq!(in_third, if name == "240p" { whole_gop } else { whole_gop / 2 }, "{name}");
        decodes(&clips, &heard, name);
    }
    assert!(heard.passed["video"].1 > 0 && heard.passed["audio"].1 > 0, "{:?}", heard.passed);
    check_sound(&heard, "a32", 48_000);
}

#[test]
fn a_gop_that_begins_with_damage_begins_all_the_same() {
    let (_clips, clip) = clip(&format!("{BARS} -t 6 {LIVE}"));
    let mut packets = video(&clip);
    for fed in packets.iter_mut().filter(|fed| fed.key) {
        fed.data.truncate(3);
    }
    // The first two GOPs have no pictures at all, the last is whole.
    packets[120] = video(&clip)[120].clone();
    let heard = broadcast(clip.plan(30, &[]), &packets);
    let (all, keys) = heard.times("144p");
    assert_eq!(keys.last(), Some(&packets[120].pts()));
    assert!(all.len() >= 30, "{all:?}");
}

/// The parent leaves out the rest of a GOP: what follows needs nothing of it.
#[test]
fn a_gop_that_is_cut_short_is_followed_by_the_next() {
    let (clips, clip) = clip(&format!("{BARS} -t 6 {LIVE}"));
    let packets: Vec<Fed> = video(&clip)
        .into_iter()
        .enumerate()
        .filter(|(n, _)| !(80..120).contains(n))
        .map(|(_, fed)| fed)
        .collect();
    let heard = broadcast(clip.plan(30, &[240]), &packets);
    let shown: Vec<i64> = packets.iter().map(Fed::pts).collect();
    assert_eq!(heard.times("240p"), (shown, clip.shown().1));
    clips.decode(&heard.file("240p"));
}

#[test]
fn idr_pictures_are_where_they_are_asked_for_also_where_the_source_has_none() {
    let (clips, clip) = clip(&format!("{BARS} -t 4 {LIVE}"));
    let mut cell = Cell::start(clip.plan(30, &[240]));
    let fed = video(&clip);
    for (n, Fed { track, dts, cts_offset, key, data }) in fed.iter().enumerate() {
        let (track, dts, cts_offset, key) = (*track, *dts, *cts_offset, *key);
        cell.say(&LiveInput::Packet { track, dts, cts_offset, key, idr: n % 45 == 0 }, data);
    }
    let heard = cell.finish();
    let asked: Vec<i64> = fed.iter().step_by(45).map(Fed::pts).collect();
    for name in ["240p", "144p"] {
        assert_eq!(heard.times(name).1, asked, "{name}");
        decodes(&clips, &heard, name);
    }
}

#[test]
fn the_end_of_the_input_ends_it_at_once_and_whatever_it_does() {
    let (_clips, clip) = clip(&format!("{BARS} {TONE} -t 2 {LIVE} -c:a aac"));
    // Nothing fed; something; something of which half is there.
    assert!(!Cell::start(clip.plan(30, &[240])).abandon().done);
    let mut cell = Cell::start(clip.plan(30, &[240]));
    clip.packets.iter().for_each(|fed| cell.feed(fed));
    assert!(!cell.abandon().done);
}

#[test]
fn what_cannot_be_decoded_is_refused_before_anything_is_fed() {
    let (_clips, clip) = clip(&format!("{BARS} {TONE} -t 1 {LIVE} -c:a aac"));
    let good = clip.plan(30, &[]);
    let with_video = |config| {
        let mut plan = good.clone();
        plan.video.as_mut().unwrap().config = config;
        plan
    };
    let with_audio = |config| {
        let mut plan = good.clone();
        plan.audio.as_mut().unwrap().config = config;
        plan
    };
    let unsupported = [
        with_video(FeedConfig::H264 { avcc: Vec::new() }),
        with_video(FeedConfig::Hevc { hvcc: Vec::new() }),
        with_audio(FeedConfig::Aac { asc: Vec::new() }),
        // Channels in an order that is not there.
        with_audio(FeedConfig::Opus { head: b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\xff".to_vec() }),
    ];
    for plan in unsupported {
        let mut cell = Cell::start(plan.clone());
        cell.until("refusal", |heard| heard.refused.is_some());
        let (reason, detail) = cell.abandon().refused.unwrap();
        assert_eq!(reason, FailureReason::UnsupportedCodec, "{plan:?}: {detail}");
    }
    let mut cell = Cell::start(LivePlan { video: None, audio: None });
    cell.until("refusal", |heard| heard.refused.is_some());
    assert_eq!(cell.abandon().refused.unwrap().0, FailureReason::Internal);
}

/// Decoders take a configuration that they cannot use, and refuse every packet.
#[test]
fn a_configuration_of_rubbish_costs_the_pictures_and_not_the_sound() {
    let (_clips, clip) = clip(&format!("{BARS} {TONE} -t 1 {LIVE} -c:a aac"));
    let mut plan = clip.plan(30, &[]);
    plan.video.as_mut().unwrap().config = FeedConfig::H264 { avcc: vec![1, 2, 3, 4, 0xff, 6, 7, 8, 9] };
    let heard = broadcast(plan, &clip.packets);
    assert!(heard.made("144p").is_empty() && heard.made("a32").len() > 40);
    assert!(heard.passed["video"].1 >= 30, "{:?}", heard.passed);
}

/// The rung for slow links as the packager plans it.
fn least_rung() -> LiveRung {
    LiveRung {
        rendition: "144p".parse().unwrap(),
        width: 256,
        height: 144,
        frame_divisor: 2,
        crf: 29.0,
        maxrate_bps: 36_000,
        bufsize_bits: 24_000,
        preset: "medium".into(),
        profile: "main".into(),
        look_ahead: 3,
    }
}

/// Bits per second of the busiest run of `seconds`, boxes around parts of a third of a second included.
fn peak(heard: &Heard, name: &str, seconds: i64, per_sample: usize) -> i64 {
    let made = heard.made(name);
    let starts: Vec<i64> = match name {
        "144p" => heard.times(name).1,
        _ => made.iter().map(|made| made.dts).step_by(94).collect(),
    };
    let (first, end) = (starts[0], made.last().unwrap().dts);
    let within = |from: i64| {
        let run = made.iter().filter(|made| (from..from + seconds * 90_000).contains(&made.dts));
        let bytes: usize = run.map(|made| made.data.len() + per_sample).sum();
        (bytes as i64 + 110 * 3 * seconds) * 8 / seconds
    };
    starts
        .into_iter()
        .filter(|from| *from >= first && from + seconds * 90_000 <= end)
        .map(within)
        .max()
        .unwrap()
}

#[test]
fn the_rung_for_slow_links_keeps_to_them_whatever_is_shown() {
    for source in [
        // A still picture, then noise, then cuts four times a second.
        "-f lavfi -i color=gray:size=640x360:rate=30:d=4,format=yuv420p[a];nullsrc=size=640x360:rate=30:d=4,geq=random(1)*255:128:128,format=yuv420p[b];testsrc2=size=640x360:rate=30:d=6,hue=h='90*floor(4*t)':b='4*mod(floor(4*t)\\,2)',format=yuv420p[c];[a][b][c]concat=n=3[out0]",
        "-f lavfi -i mandelbrot=size=640x360:rate=30",
    ] {
        let noise = "-f lavfi -i anoisesrc=sample_rate=48000:amplitude=0.5";
        let (_clips, clip) = clip(&format!("{source} {noise} -t 14 {LIVE} -c:a aac"));
        let mut plan = clip.plan(30, &[]);
        plan.video.as_mut().unwrap().rungs = vec![least_rung()];
        let heard = broadcast(plan, &clip.packets);
        let (picture, sound) = (peak(&heard, "144p", 2, 8), peak(&heard, "a32", 2, 4));
        assert!(picture + sound <= 90_000, "{picture} + {sound} of {source}");
        let saved = peak(&heard, "144p", 6, 8) + peak(&heard, "a32", 6, 4);
        assert!(saved <= 85_000, "{saved} in segments of 6 s leaves room for what is around them");
    }
}

/// What a cell costs: `LIVE_CLIP=film.mp4 cargo test --release -p transcoder --test program
/// costs_of_rungs -- --ignored --nocapture`; docs/design/0011-live-cell.md has the figures.
#[test]
#[ignore = "measures"]
fn costs_of_rungs() {
    let film = PathBuf::from(std::env::var("LIVE_CLIP").expect("LIVE_CLIP names an MP4"));
    let clip = Clip::of(&film);
    let fps: u32 = std::env::var("LIVE_FPS").map_or(30, |fps| fps.parse().unwrap());
    let (shown, _) = clip.shown();
    let seconds = (shown.last().unwrap() - shown[0]) as f64 / 90_000.0;
    let rung = |height: u16, kbps: u32| LiveRung {
        rendition: model::RenditionName::Video { height },
        width: (u32::from(height) * 16 / 9).next_multiple_of(2),
        height: height.into(),
        frame_divisor: fps.div_ceil(30),
        crf: if height == 360 { 25.0 } else { 24.0 },
        maxrate_bps: kbps * 1000,
        bufsize_bits: kbps * 1000,
        preset: "veryfast".into(),
        profile: "high".into(),
        look_ahead: 0,
    };
    let least = LiveRung { frame_divisor: fps.div_ceil(15), ..least_rung() };
    let rungs = [least, rung(360, 600), rung(480, 1100)];
    let sounds = [LiveSound { rendition: "a32".parse().unwrap(), channels: 1, bit_rate_bps: 32_000 }];
    for count in 0..=rungs.len() {
        let mut plan = clip.plan(fps, &[]);
        plan.video = plan.video.filter(|_| count > 0);
        if let Some(video) = &mut plan.video {
            video.rungs = rungs[..count].to_vec();
        }
        if let Some(audio) = &mut plan.audio {
            audio.rungs = sounds.to_vec();
        }
        let before = children_cpu_s();
        let heard = broadcast(plan, &clip.packets);
        let cpu = children_cpu_s() - before;
        let rates = heard.made.iter().map(|(name, made)| {
            let bytes: usize = made.iter().map(|made| made.data.len()).sum();
            format!("{name} {:.0}k", bytes as f64 * 8.0 / 1000.0 / seconds)
        });
        let rates: Vec<String> = rates.collect();
        eprintln!("{:5.1} % of a core: {}", 100.0 * cpu / seconds, rates.join(", "));
    }
}
