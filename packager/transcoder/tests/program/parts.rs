//! Parts of a film, each made by a process of its own, fit together.

use std::collections::BTreeMap;
use std::path::Path;

use cmaf::read_segment;
use model::cell::{EncodePlan, Probe, Ratio, Task};
use model::{RenditionName, SegmentGrid, SegmentStarts};

use crate::driver::{Clips, Rendition, pictures, probe, small_plan, work};

/// Every picture bears its number in eight bars.
const NUMBERED: &str = "-f lavfi -i color=size=320x240:rate=25,format=gray,geq=lum='if(mod(floor(N/pow(2\\,floor(X/40)))\\,2)\\,235\\,16)',format=yuv420p";

/// Which pictures of the film a rendition shows, in order.
fn shown(clips: &Clips, rendition: &Rendition) -> Vec<u8> {
    let bars = clips
        .raw(&rendition.file(), "-fps_mode passthrough -f rawvideo -pix_fmt gray -s 8x1 -sws_flags area");
    let number = |bars: &[u8]| bars.iter().rev().fold(0, |n, bar| n << 1 | u8::from(*bar > 125));
    bars.chunks_exact(8).map(number).collect()
}

/// Probes a film and plans it with this many frames at this rate.
fn planned(media: &Path, rate: Ratio, frames: u64) -> EncodePlan {
    let said = probe(media);
    let found: Probe = said.probe.unwrap_or_else(|| panic!("{:?}\n{}", said.refused, said.log));
    let mut plan = small_plan(&found);
    let video = plan.video.as_mut().unwrap();
    (video.frame_rate, video.frames, video.segment_frames) = (rate, frames, (2 * rate.num / rate.den) & !1);
    plan.grid = SegmentGrid::even(rate, video.segment_frames, frames);
    plan
}

/// Makes a film in parts of one segment, and one of two, and checks that they are a whole.
fn check_every_cut(clips: &Clips, media: &Path, plan: &EncodePlan, expected: &[u8]) {
    let video = plan.video.as_ref().unwrap();
    let count = plan.grid.count(video.frames);
    let parts = (0..count - 2).map(|n| n..n + 1).chain(std::iter::once(count - 2..count));
    let mut film: BTreeMap<RenditionName, Rendition> = BTreeMap::new();
    for segments in parts {
        let said = work(media, plan, pictures(plan, segments.clone()));
        for (name, part) in said.renditions {
            assert_eq!(part.first..part.first + part.segments.len() as u32, segments, "{name} of {media:?}");
            let whole = film.entry(name).or_default();
            assert!(whole.init.is_empty() || whole.init == part.init, "{name} of {media:?}");
            whole.init = part.init;
            whole.segments.extend(part.segments);
        }
    }
    for rung in &video.rungs {
        let (name, rendition) = (rung.rendition, &film[&rung.rendition]);
        let divisor = u64::from(rung.frame_divisor);
        for (number, bytes) in rendition.segments.iter().enumerate() {
            let frames = plan.grid.frames_of(number as u32, video.frames);
            let segment = read_segment(bytes).unwrap();
            let start = segment.base_decode_time / u64::from(segment.samples[0].duration);
            let own = start..start + segment.samples.len() as u64;
            assert_eq!(segment.sequence as usize, number + 1, "{name} of {media:?}");
            assert_eq!(
                own,
                frames.start.div_ceil(divisor)..frames.end.div_ceil(divisor),
                "{name} of {media:?}"
            );
        }
        clips.decode(&rendition.file());
        let expected: Vec<u8> = expected.iter().copied().step_by(rung.frame_divisor as usize).collect();
        assert_eq!(shown(clips, rendition), expected, "{name} of {media:?}");
    }
}

#[test]
fn sound_is_as_long_as_planned() {
    let clips = Clips::new();
    let tone = "-f lavfi -i sine=frequency=440:sample_rate=44100 -t 5 -c:a aac";
    let film = clips.make("film.mp4", &format!("{NUMBERED} {tone}"));
    for (samples, missing) in [(48_000 * 5 / 2, 0), (48_000 * 5, 0), (48_000 * 8 + 77, 3000)] {
        let mut plan = planned(&film, Ratio::new(25, 1), 125);
        let audio = plan.audio.as_mut().unwrap();
        audio.samples = samples;
        plan.grid.frames = samples * 25 / 48_000 + 1;
        // Borders that are not even, as those of a copied picture.
        plan.grid.starts = SegmentStarts::At { frames: vec![0, 30, 90], then: 50 };
        let said = work(&film, &plan, Task::Sound);
        let audio = plan.audio.as_ref().unwrap();
        for rung in &audio.rungs {
            let rendition = &said.renditions[&rung.rendition];
            clips.decode(&rendition.file());
            let segments: Vec<_> =
                rendition.segments.iter().map(|bytes| read_segment(bytes).unwrap()).collect();
            assert_eq!(segments.len() as u32, audio.segment_count(&plan.grid));
            for (number, segment) in segments.iter().enumerate() {
                let frames = audio.frames_of(&plan.grid, number as u32);
                let own = segment.base_decode_time / 1024;
                assert_eq!(own..own + segment.samples.len() as u64, frames, "{number} of {}", rung.rendition);
            }
        }
        let heard = clips.raw(&said.rendition("a96").file(), "-f s16le -ac 1 -ar 48000");
        let loud = |from: u64, to: u64| {
            heard[2 * from as usize..2 * to as usize]
                .chunks_exact(2)
                .any(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() > 500)
        };
        assert!(loud(0, 4800) && loud(samples.min(240_000) - 4800, samples.min(240_000)));
        assert!(samples <= 240_000 || !loud(245_000, samples), "silence behind the sound");
        assert!(said.missing_ms.abs_diff(missing) < 30, "{samples}: {}", said.missing_ms);
    }
}

#[test]
fn what_is_announced_is_what_comes() {
    let clips = Clips::new();
    let film =
        clips.make("film.mp4", &format!("{NUMBERED} -f lavfi -i sine=sample_rate=48000 -t 3 -c:a aac"));
    let mut plan = planned(&film, Ratio::new(25, 1), 75);
    for rung in &mut plan.video.as_mut().unwrap().rungs {
        (rung.preset, rung.references) = ("slow".into(), 3);
        rung.hurried_preset = "veryfast".into();
    }
    // The media need not be there.
    let announced = work(&clips.file("nothing", b""), &plan, Task::Announce);
    assert_eq!(announced.renditions.len(), 4);
    let Task::Pictures { renditions, segments, .. } = pictures(&plan, 0..1) else { panic!("it is") };
    for task in [
        Task::Sound,
        pictures(&plan, 1..2),
        Task::Pictures { renditions: renditions.clone(), segments: segments.clone(), hurry: true },
        Task::Pictures { renditions: renditions[..1].to_vec(), segments, hurry: false },
    ] {
        let said = work(&film, &plan, task);
        assert!(!said.renditions.is_empty());
        for (name, rendition) in &said.renditions {
            assert!(!rendition.segments.is_empty());
            assert!(rendition.init == announced.renditions[name].init, "{name}");
        }
    }
}

#[test]
fn stills_are_found_without_reading_the_film() {
    let clips = Clips::new();
    let dark = "-f lavfi -i testsrc2=size=640x360:rate=25,drawbox=t=fill:color=black:enable='lt(t\\,1)'";
    for (name, codec) in [("film.mp4", "-c:v libx264 -preset ultrafast -g 25"), ("film.gif", "")] {
        let film = clips.make(name, &format!("{dark} -t 12 {codec}"));
        let plan = planned(&film, Ratio::new(25, 1), 300);
        let said = work(&film, &plan, Task::Stills);
        for (still, width) in [("poster", 426), ("thumbnail", 160)] {
            let shape = clips.ffprobe(&said.stills[still], "stream=codec_name,width");
            assert_eq!(shape, [format!("mjpeg,{width}")], "{name}");
            let luma = clips.raw(&said.stills[still], "-f rawvideo -pix_fmt gray -s 1x1");
            assert!(luma[0] > 60, "{name}: {still} is dark: {}", luma[0]);
        }
    }
}

/// The numbered film itself, nine seconds of it, from which the others are made.
fn numbered(clips: &Clips) -> String {
    let film = clips.make("numbered.mkv", &format!("{NUMBERED} -t 9 -c:v ffv1"));
    format!("-i {}", film.display())
}

const X264: &str = "-c:v libx264 -preset ultrafast -g 60 -bf 3 -x264-params scenecut=0:b-adapt=0";

/// Checks every cut of the numbered film in each of these forms.
fn check_forms(forms: &[(&str, String)]) {
    let clips = Clips::new();
    let numbered = numbered(&clips);
    for (name, codec) in forms {
        let film = clips.make(name, &format!("{numbered} {codec}"));
        // AVI counts coded pictures only: the first one that is shown is the second one coded.
        let delay = u64::from(*name == "packed.avi");
        let plan = planned(&film, Ratio::new(25, 1), 225 + delay);
        let expected: Vec<u8> = (0..225 + delay).map(|n| n.saturating_sub(delay) as u8).collect();
        check_every_cut(&clips, &film, &plan, &expected);
    }
}

#[test]
fn every_cut_shows_every_picture_once() {
    check_forms(&[
        ("closed.mp4", X264.to_owned()),
        ("open.mp4", format!("{X264}:open-gop=1:b-pyramid=none")),
        ("fragments.mp4", format!("{X264} -movflags +frag_keyframe+empty_moov")),
        ("refreshing.mp4", format!("{X264}:intra-refresh=1")),
        ("late.mp4", format!("{X264} -output_ts_offset 7.77")),
        (
            "hevc.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=60:open-gop=1:scenecut=0"
                .into(),
        ),
    ]);
}

#[test]
fn every_cut_is_right_in_matroska_too() {
    check_forms(&[
        ("open.mkv", format!("{X264}:open-gop=1")),
        ("late.mkv", format!("{X264} -output_ts_offset 7.77")),
        ("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60".into()),
    ]);
}

#[test]
fn every_cut_is_right_where_no_index_tells_of_key_frames() {
    let mpeg2 = "-c:v mpeg2video -qscale:v 3 -g 15 -bf 2";
    check_forms(&[
        ("open.ts", format!("{X264}:open-gop=1")),
        ("broadcast.ts", mpeg2.into()),
        ("disc.mpg", mpeg2.into()),
        ("open.flv", format!("{X264}:open-gop=1")),
        ("packed.avi", "-c:v mpeg4 -qscale:v 3 -g 60 -bf 2".into()),
        ("raw.h264", X264.to_owned()),
    ]);
}

#[test]
fn every_cut_of_a_film_of_varying_rate_holds_what_was_shown_last() {
    let clips = Clips::new();
    let numbered = numbered(&clips);
    // Pictures of one to four frames, and one of more than three seconds.
    let kept = |n: u32| n.is_multiple_of(4) || n % 7 == 2;
    let kept = |n: u32| kept(n) && !(61..140).contains(&n);
    let select = "(not(mod(n\\,4))+eq(mod(n\\,7)\\,2))*not(between(n\\,61\\,139))";
    for name in ["varying.mp4", "varying.mkv", "varying.ts"] {
        let film =
            clips.make(name, &format!("{numbered} -vf select='{select}' -fps_mode vfr {X264}:open-gop=1"));
        let plan = planned(&film, Ratio::new(25, 1), 225);
        let expected: Vec<u8> =
            (0..225u32).map(|n| (0..=n).rev().find(|n| kept(*n)).unwrap() as u8).collect();
        check_every_cut(&clips, &film, &plan, &expected);
    }
}

#[test]
fn every_cut_of_a_film_that_was_cut_or_joined_is_right() {
    let clips = Clips::new();
    let numbered = numbered(&clips);
    // An edit list that hides the first pictures.
    let film = clips.make("film.mp4", &format!("{numbered} {X264}"));
    let cut = clips.make("cut.mp4", &format!("-ss 3.28 -i {} -c copy", film.display()));
    let plan = planned(&cut, Ratio::new(25, 1), 143);
    check_every_cut(&clips, &cut, &plan, &(82..225).collect::<Vec<u8>>());
    // A clock that starts anew.
    let [one, two] = ["100", "1"].map(|offset| {
        let part = clips.make("part.ts", &format!("{numbered} {X264} -output_ts_offset {offset}"));
        std::fs::read(part).unwrap()
    });
    let joined = clips.file("joined.ts", &[one, two].concat());
    let plan = planned(&joined, Ratio::new(25, 1), 450);
    check_every_cut(&clips, &joined, &plan, &(0..225).chain(0..225).collect::<Vec<u8>>());
}

#[test]
fn a_part_before_the_first_picture_shows_that() {
    let clips = Clips::new();
    let sound = "-f lavfi -i sine=duration=14";
    let late = format!("{sound} -itsoffset 5 {} -map 0:a -map 1:v {X264} -c:a aac", numbered(&clips));
    let late = clips.make("late.mp4", &late);
    let plan = planned(&late, Ratio::new(25, 1), 350);
    let expected: Vec<u8> = std::iter::repeat_n(0, 125).chain(0..225).collect();
    check_every_cut(&clips, &late, &plan, &expected);
    assert_eq!(work(&late, &plan, pictures(&plan, 0..1)).missing_ms, 0);
}

#[test]
fn a_part_is_encoded_as_if_the_film_went_on() {
    let clips = Clips::new();
    let film = clips.make("film.mp4", &format!("-f lavfi -i testsrc2=size=320x240:rate=25 -t 9 {X264}"));
    let mut plan = planned(&film, Ratio::new(25, 1), 225);
    for rung in &mut plan.video.as_mut().unwrap().rungs {
        rung.preset = "medium".into();
        // Little enough that the encoder must save for what comes.
        (rung.maxrate_bps, rung.bufsize_bits) = (120_000, 180_000);
    }
    let whole = work(&film, &plan, pictures(&plan, 0..5));
    let part = work(&film, &plan, pictures(&plan, 0..2));
    for (name, part) in &part.renditions {
        assert!(part.segments[..] == whole.renditions[name].segments[..2], "{name} has other bytes");
    }
}

#[test]
fn what_the_file_no_longer_holds_is_filled_and_counted() {
    let clips = Clips::new();
    let numbered = numbered(&clips);
    for (name, codec) in [("film.mp4", "-bf 0 -movflags +faststart"), ("film.mkv", "-bf 0")] {
        let film = clips.make(name, &format!("{numbered} {X264} {codec}"));
        let plan = planned(&film, Ratio::new(25, 1), 225);
        let bytes = std::fs::read(&film).unwrap();
        let cut = clips.file(name, &bytes[..bytes.len() * 6 / 10]);
        let whole = work(&cut, &plan, pictures(&plan, 0..5));
        let ids = shown(&clips, whole.rendition("240p"));
        let last = *ids.last().unwrap();
        let expected: Vec<u8> = (0..225).map(|n: u8| n.min(last)).collect();
        assert!(ids == expected && (90..170).contains(&last), "{name}: {ids:?}");
        let missing = (224 - u64::from(last)) * 40;
        assert!(whole.missing_ms.abs_diff(missing) <= 40, "{name}: {} of {missing}", whole.missing_ms);
        // A part of which nothing is there.
        let end = work(&cut, &plan, pictures(&plan, 4..5));
        assert_eq!(shown(&clips, end.rendition("240p")), [last; 25], "{name}");
        assert_eq!((end.missing_ms, end.done.unwrap().0), (1000, 0), "{name}");
    }
}

#[test]
fn a_deinterlaced_part_is_what_it_is_in_the_whole() {
    let clips = Clips::new();
    let source = "-f lavfi -i testsrc2=size=320x240:rate=50 -t 6 -vf scroll=vertical=0.011:horizontal=0.007,tinterlace=interleave_top,fieldorder=tff";
    let film =
        clips.make("tape.mpg", &format!("{source} -flags +ildct+ilme -c:v mpeg2video -qscale:v 3 -r 25"));
    let mut plan = planned(&film, Ratio::new(25, 1), 150);
    let video = plan.video.as_mut().unwrap();
    video.deinterlace = true;
    // Without loss, so that equal pictures are equal bytes.
    for rung in &mut video.rungs {
        (rung.crf, rung.maxrate_bps, rung.bufsize_bits) = (1.0, 90_000_000, 90_000_000);
    }
    let luma = |rendition: &Rendition| {
        clips.raw(&rendition.file(), "-fps_mode passthrough -f rawvideo -pix_fmt gray")
    };
    let whole = luma(work(&film, &plan, pictures(&plan, 0..3)).rendition("240p"));
    let segment = 50 * 320 * 240;
    for (n, whole) in (0..3).zip(whole.chunks_exact(segment)) {
        let part = luma(work(&film, &plan, pictures(&plan, n..n + 1)).rendition("240p"));
        assert_eq!(part.len(), segment);
        for (frame, (a, b)) in part.chunks(320 * 240).zip(whole.chunks(320 * 240)).enumerate() {
            let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            // The encoder's rate control differs a little behind the first.
            let limit = if frame == 0 { 1000 } else { 320 * 240 };
            assert!(apart < limit, "frame {frame} of segment {n}: {apart}");
        }
    }
}
