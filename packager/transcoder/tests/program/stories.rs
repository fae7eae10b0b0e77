//! What films become.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cmaf::{Track, read_init, read_segment};
use model::SegmentGrid;
use model::cell::{EncodePlan, Probe, Ratio, Request, Source, encode_head};

use crate::driver::{
    Clips, Rendition, Said, ask, ask_for_ranges, encode, pictures, probe, small_plan, start, tasks, transcode,
};
const BARS: &str = "-f lavfi -i testsrc2=size=426x240:rate=30";
const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

/// Start of each segment in ticks, and its samples.
fn segments(rendition: &Rendition) -> Vec<(u64, usize)> {
    let read = |bytes: &Vec<u8>| {
        let segment = read_segment(bytes).unwrap();
        let first = segment.samples[0];
        assert!(first.sync && first.cts_offset == 0, "a segment starts with what is shown first");
        (segment.base_decode_time, segment.samples.len())
    };
    rendition.segments.iter().map(read).collect()
}

/// Checks everything that holds for any film: every rendition decodes without a warning, every
/// picture rendition shows each of its grid frames once, all have the same segments.
fn check(clips: &Clips, plan: &EncodePlan, said: &Said, grid_frames: u64) {
    assert_eq!(said.status, Some(0));
    for rendition in said.renditions.values() {
        clips.decode(&rendition.file());
    }
    let Some(video) = &plan.video else { return };
    for rung in &video.rungs {
        let name = rung.rendition.to_string();
        let rendition = said.rendition(&name);
        let Track::Video(track) = read_init(&rendition.init).unwrap() else { panic!("not a picture") };
        assert_eq!((u32::from(track.width), u32::from(track.height)), (rung.width, rung.height));
        let divisor = u64::from(rung.frame_divisor);
        let ticks =
            u64::from(track.timescale) * u64::from(video.frame_rate.den) / u64::from(video.frame_rate.num);
        let per_segment = u64::from(video.segment_frames);
        let expected: Vec<_> = (0..grid_frames.div_ceil(per_segment))
            .map(|n| (n * per_segment, (grid_frames - n * per_segment).min(per_segment)))
            .map(|(start, frames)| (start * ticks, frames.div_ceil(divisor) as usize))
            .collect();
        assert_eq!(segments(rendition), expected, "{name}");
        let mut times: Vec<u64> =
            clips.ffprobe(&rendition.file(), "packet=pts").iter().map(|pts| pts.parse().unwrap()).collect();
        times.sort_unstable();
        let grid: Vec<_> = (0..grid_frames.div_ceil(divisor)).map(|n| n * divisor * ticks).collect();
        assert_eq!(times, grid, "{name}");
        let kinds = clips.ffprobe(&rendition.file(), "frame=key_frame");
        let keys: Vec<_> =
            kinds.iter().enumerate().filter(|(_, key)| *key == "1").map(|(n, _)| n as u64).collect();
        let starts: Vec<_> = (0..grid_frames).step_by(per_segment as usize).map(|n| n / divisor).collect();
        assert_eq!(keys, starts, "{name} has its key frames on the borders and nowhere else");
    }
    for (still, width) in [("poster", video.poster_width), ("thumbnail", video.thumbnail_width)] {
        let top = video.rungs.last().unwrap();
        let shape = clips.ffprobe(&said.stills[still], "stream=codec_name,width");
        assert_eq!(shape, [format!("mjpeg,{}", width.min(top.width))]);
    }
}

fn made(arguments: &str, name: &str) -> (Clips, Probe, EncodePlan, Said) {
    let clips = Clips::new();
    let film = clips.make(name, arguments);
    let (probe, plan, said) = transcode(&film);
    (clips, probe, plan, said)
}

#[test]
fn a_film_becomes_aligned_renditions() {
    let (clips, probe, plan, said) = made(&format!("{BARS} {TONE} -t 5 {H264} -bf 3 -c:a aac"), "film.mp4");
    let video = probe.video.unwrap();
    assert_eq!((video.width, video.height, video.frame_rate), (426, 240, Ratio::new(30, 1)));
    assert_eq!(
        (video.codec.as_str(), video.rotation, video.interlaced, video.hdr),
        ("h264", 0, false, false)
    );
    assert_eq!((probe.audio[0].channels, probe.audio[0].sample_rate), (1, 44_100));
    let (duration, damaged) = said.done.unwrap();
    assert!((4990..5050).contains(&duration) && damaged == 0, "{duration} {damaged}");
    check(&clips, &plan, &said, 150);
    for name in ["a32", "a96"] {
        // The AAC frames nearest to 2 s and 4 s, behind one frame of priming.
        let starts: Vec<_> = segments(said.rendition(name)).iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [0, 95 * 1024, 189 * 1024], "{name}");
    }
}

/// A lost frame of sound, in sound that needs no resampling otherwise.
#[test]
fn a_small_gap_in_the_sound_moves_nothing_behind_it() {
    let clips = Clips::new();
    let film = clips.make(
        "gap.mp4",
        "-f lavfi -i aevalsrc='if(lt(t\\,3)\\,0\\,0.5*sin(2000*PI*t))':s=48000 -t 4 -c:a aac \
         -bsf:a noise=drop='eq(n\\,60)'",
    );
    let (_, _, said) = transcode(&film);
    for name in ["a32", "a96"] {
        let samples = clips.raw(&said.rendition(name).file(), "-f s16le -ac 1 -ar 48000");
        let loud = |two: &[u8]| i16::from_le_bytes([two[0], two[1]]).unsigned_abs() > 1500;
        let at = samples.chunks_exact(2).position(loud).unwrap() as f64 / 48_000.0;
        assert!((at - 3.0).abs() < 0.025, "{name}: loud at {at}");
    }
}

#[test]
fn two_films_under_one_plan_have_one_header() {
    let clips = Clips::new();
    let other = "-f lavfi -i mandelbrot=size=426x240:rate=30";
    let films = [BARS, other].map(|source| clips.make("film.mp4", &format!("{source} -t 1 {H264}")));
    let plan = small_plan(&probe(&films[0]).probe.unwrap());
    let [one, two] = films.map(|film| encode(&film, plan.clone()).rendition("240p").init.clone());
    assert!(!one.is_empty() && one == two, "encodes of parts could not be joined");
}

#[test]
fn sound_stays_with_the_picture() {
    // White and loud from 1.5 s on; the picture starts 0.4 s late, as some recorders do.
    let clips = Clips::new();
    for (name, codecs) in [
        ("late.mkv", "-bf 0 -c:a flac"),
        ("late.mp4", "-bf 2 -c:a aac -b:a 192k"),
        ("late.ts", "-bf 2 -c:a mp2 -b:a 192k"),
    ] {
        let film = clips.make(
            name,
            &format!(
                "-f lavfi -i color=black:size=320x240:rate=25,drawbox=color=white:t=fill:enable='gte(t\\,1.1)' {TONE} \
                 -filter_complex [0:v]setpts=PTS+0.4/TB[v];[1:a]volume=0:enable='lt(t\\,1.5)'[a] -map [v] -map [a] \
                 -t 4 {H264} {codecs}"
            ),
        );
        let (_, _, said) = transcode(&film);
        let pixels = clips.raw(&said.rendition("240p").file(), "-f rawvideo -pix_fmt gray -s 1x1");
        let white = pixels.iter().position(|luma| *luma > 128).unwrap() as f64 / 25.0;
        let samples = clips.raw(&said.rendition("a96").file(), "-f s16le -ac 1 -ar 48000");
        let loud = samples
            .chunks_exact(2)
            .position(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() > 1500)
            .unwrap() as f64
            / 48_000.0;
        // A coded attack smears over a part of a frame.
        assert!((white - 1.5).abs() < 0.021, "{name}: white at {white}");
        assert!((loud - white).abs() < 0.015, "{name}: white at {white}, loud at {loud}");
    }
}

#[test]
fn a_phone_film_stands_upright() {
    let clips = Clips::new();
    // Lying, its left half is white; turned clockwise, its upper half.
    let half = "-f lavfi -i color=black:size=426x240:rate=30,drawbox=w=213:color=white:t=fill";
    let mut bytes = std::fs::read(clips.make("lying.mp4", &format!("{half} -t 1 {H264}"))).unwrap();
    // The matrix of a version 0 `tkhd` stands 40 bytes behind its name (ISO/IEC 14496-12 §8.3.2).
    let matrix = bytes.windows(4).position(|window| window == b"tkhd").unwrap() + 44;
    let clockwise = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30];
    bytes.splice(matrix..matrix + 36, clockwise.into_iter().flat_map(i32::to_be_bytes));
    let turned = clips.file("turned.mp4", &bytes);
    let (probe, plan, said) = transcode(&turned);
    assert_eq!(probe.video.unwrap().rotation, 90);
    assert!(plan.video.as_ref().unwrap().rungs.iter().all(|rung| rung.width < rung.height));
    check(&clips, &plan, &said, 30);
    let pixels = clips.raw(&said.rendition("240p").file(), "-frames:v 1 -f rawvideo -pix_fmt gray -s 2x2");
    assert!(
        pixels[..2].iter().all(|luma| *luma > 200) && pixels[2..].iter().all(|luma| *luma < 50),
        "{pixels:?}"
    );
}

#[test]
fn odd_tiny_and_single_pictures_work() {
    for (arguments, name, frames) in [
        ("-f lavfi -i testsrc2=size=35x17:rate=10 -t 1 -c:v ffv1 -pix_fmt yuv444p -c:v vp9", "odd.webm", 10),
        ("-f lavfi -i testsrc2=size=320x240:rate=25 -frames:v 1 -c:v libx264 -pix_fmt yuv444p", "one.mp4", 1),
        ("-f lavfi -i testsrc2=size=64x48:rate=5 -t 2", "small.gif", 10),
    ] {
        let (clips, _, plan, said) = made(arguments, name);
        check(&clips, &plan, &said, frames);
    }
}

#[test]
fn films_of_other_rates_keep_their_grid() {
    for (rate, seconds, frames) in [("30000/1001", 5, 150), ("60", 3, 180), ("24000/1001", 3, 72)] {
        let source = format!("-f lavfi -i testsrc2=size=320x240:rate={rate} -t {seconds} {H264} -bf 2");
        // Matroska rounds every timestamp to a millisecond.
        let (clips, _, plan, said) = made(&source, "film.mkv");
        check(&clips, &plan, &said, frames);
    }
}

#[test]
fn a_film_of_varying_rate_fills_its_gaps() {
    let clips = Clips::new();
    // Frames 20 to 49 are missing; the one before them is held for a second and more.
    let film = clips.make(
        "vfr.mp4",
        &format!("{BARS} -vf select='not(between(n\\,20\\,49))' -fps_mode vfr -t 3 {H264} {}", "-bf 0"),
    );
    let mut plan = small_plan(&probe(&film).probe.unwrap());
    let video = plan.video.as_mut().unwrap();
    (video.frame_rate, video.segment_frames, video.frames) = (Ratio::new(30, 1), 60, 90);
    plan.grid = SegmentGrid::even(video.frame_rate, 60, 90);
    let said = encode(&film, plan.clone());
    check(&clips, &plan, &said, 90);
    // The held pictures are equal, so they cost next to nothing.
    let sizes: Vec<usize> = clips
        .ffprobe(&said.rendition("240p").file(), "packet=size")
        .iter()
        .map(|size| size.parse().unwrap())
        .collect();
    assert!(sizes[25..45].iter().sum::<usize>() < sizes[..20].iter().sum::<usize>() / 10, "{sizes:?}");
}

#[test]
fn silent_films_and_sound_alone_work() {
    let (clips, probe, plan, said) = made(&format!("{BARS} -t 1 {H264}"), "silent.mp4");
    assert!(probe.audio.is_empty() && said.renditions.len() == 2);
    check(&clips, &plan, &said, 30);

    let clips = Clips::new();
    let cover = clips.make("cover.png", "-f lavfi -i testsrc2=size=64x64 -frames:v 1");
    let song = clips.make(
        "song.mp3",
        &format!(
            "{TONE} -i {} -map 0 -map 1 -t 5 -c:a libmp3lame -c:v copy -disposition:v attached_pic",
            cover.display()
        ),
    );
    let (probe, plan, said) = transcode(&song);
    assert!(probe.video.is_none(), "a cover is no film");
    assert!(said.stills.is_empty() && said.renditions.len() == 2);
    check(&clips, &plan, &said, 0);
    let (duration, _) = said.done.unwrap();
    assert!((4950..5100).contains(&duration), "{duration}");
}

#[test]
fn many_channels_become_two_and_gaps_become_silence() {
    let sound = "-f lavfi -i aevalsrc=0.2*sin(440*2*PI*t)|0|0.2*sin(550*2*PI*t)|0|0|0:c=5.1:s=48000";
    // Fifteen seconds are cut out of the sound.
    let cut = "aselect='not(between(t\\,1\\,16))'";
    let (clips, probe, _, said) = made(&format!("{sound} -af {cut} -t 18 -c:a ac3"), "surround.mkv");
    assert_eq!(probe.audio[0].channels, 6);
    let rendition = said.rendition("a96");
    clips.decode(&rendition.file());
    let samples = clips.raw(&rendition.file(), "-f s16le -ac 1 -ar 1000");
    let loud = |from: usize, to: usize| {
        samples[2 * from..2 * to]
            .chunks_exact(2)
            .any(|s| i16::from_le_bytes([s[0], s[1]]).unsigned_abs() > 500)
    };
    assert!(loud(200, 800) && !loud(1200, 15_800) && loud(16_200, 17_500));
}

#[test]
fn interlaced_and_hdr_films_are_recognised_and_shown() {
    let interlaced = "-vf tinterlace=interleave_top,fieldorder=tff -flags +ildct+ilme -c:v mpeg2video -r 25";
    let (clips, probe, plan, said) =
        made(&format!("-f lavfi -i testsrc2=size=720x576:rate=50 -t 2 {interlaced}"), "tape.mpg");
    assert!(probe.video.unwrap().interlaced);
    check(&clips, &plan, &said, 50);

    let hdr = "-pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -x265-params \
               log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc";
    let (clips, probe, plan, said) =
        made(&format!("-f lavfi -i testsrc2=size=640x360:rate=25 -t 1 {hdr} -tag:v hvc1"), "hdr.mp4");
    assert!(probe.video.unwrap().hdr);
    check(&clips, &plan, &said, 25);
}

#[test]
fn other_containers_and_codecs_work() {
    for (name, codecs) in [
        ("film.ts", "-c:v mpeg2video -b:v 1M -c:a mp2"),
        ("film.webm", "-c:v vp8 -deadline realtime -c:a libopus -ac 2"),
        ("film.avi", "-c:v mpeg4 -c:a libmp3lame"),
        ("film.flv", "-c:v flv -c:a aac"),
        ("film.mkv", "-c:v libsvtav1 -preset 12 -c:a libvorbis"),
        ("film.mov", "-c:v prores_ks -c:a pcm_s16le"),
        ("film.wmv", "-c:v wmv2 -c:a wmav2"),
        ("film.ogv", "-c:v libtheora -c:a flac"),
    ] {
        let (clips, _, plan, said) = made(
            &format!("-f lavfi -i testsrc2=size=320x240:rate=25 {TONE} -t 2 -pix_fmt yuv420p {codecs}"),
            name,
        );
        let (duration, damaged) = said.done.unwrap();
        assert!((1900..2200).contains(&duration) && damaged == 0, "{name}: {duration} {damaged}");
        for rendition in said.renditions.values() {
            clips.decode(&rendition.file());
        }
        assert_eq!(plan.video.unwrap().frame_rate, Ratio::new(25, 1), "{name}");
    }
}

#[test]
fn a_stream_that_ends_early_holds_up_nothing() {
    let clips = Clips::new();
    for (picture, sound, name) in [("2", "120", "song.mp4"), ("120", "2", "mute.mkv")] {
        let source = format!(
            "-f lavfi -t {picture} -i testsrc2=size=320x240:rate=10 -f lavfi -t {sound} -i sine=sample_rate=48000 \
             {H264} -c:a aac"
        );
        let (_, _, said) = transcode(&clips.make(name, &source));
        let (duration, _) = said.done.unwrap();
        assert!((119_000..121_000).contains(&duration), "{name}: {duration}");
        // A packager takes a cell whose progress stands still for one that hangs.
        assert!(said.progress_ms.iter().any(|ms| *ms > 10_000), "{name}: {:?}", said.progress_ms);
    }
}

#[test]
fn streams_that_were_cut_together_go_on() {
    let clips = Clips::new();
    // A clock that starts anew, and pictures of another size.
    let parts = [("one.ts", "426x240"), ("two.ts", "320x240")].map(|(name, size)| {
        let source =
            format!("-f lavfi -i testsrc2=size={size}:rate=30 {TONE} -t 15 {H264} -c:a aac -muxdelay 0");
        std::fs::read(clips.make(name, &source)).unwrap()
    });
    let film = clips.file("film.ts", &parts.concat());
    let (_, plan, said) = transcode(&film);
    let (duration, _) = said.done.unwrap();
    assert!((29_800..30_300).contains(&duration), "{duration}\n{}", said.log);
    let seconds = said.rendition("240p").segments.len() as u64 * 2;
    assert!(plan.video.is_some() && duration.div_ceil(2000) * 2 == seconds, "{duration} {seconds}");
    for rendition in said.renditions.values() {
        clips.decode(&rendition.file());
    }
}

#[test]
fn ranges_give_what_the_file_gives() {
    let clips = Clips::new();
    let film = clips.make("film.mp4", &format!("{BARS} {TONE} -t 2 {H264} -c:a aac"));
    let plan = small_plan(&probe(&film).probe.unwrap());
    let bytes = std::fs::read(&film).unwrap();
    for task in tasks(&plan) {
        let request = |source| Request::Work { source, plan: plan.clone(), task: task.clone() };
        let (by_file, by_ranges) = (ask(&film, request), ask_for_ranges(bytes.clone(), bytes.len(), request));
        assert!(by_ranges.done.is_some() && by_ranges.done == by_file.done);
        for (name, rendition) in &by_file.renditions {
            assert!(by_ranges.renditions[name].file() == rendition.file(), "{name}");
        }
    }
}

#[test]
fn media_that_cannot_be_read_is_not_the_films_fault() {
    let clips = Clips::new();
    let film = clips.make(
        "film.mp4",
        "-f lavfi -i testsrc2=size=640x480:rate=30 -t 6 -c:v mpeg4 -qscale:v 1 -movflags +faststart",
    );
    let plan = small_plan(&probe(&film).probe.unwrap());
    let bytes = std::fs::read(&film).unwrap();
    assert!(bytes.len() > 3 << 20);
    for served in [0, 2 << 20] {
        let said = ask_for_ranges(bytes.clone(), served, |source| Request::Work {
            source,
            plan: plan.clone(),
            task: pictures(&plan, 1..2),
        });
        assert_eq!((said.status, said.done, said.refused), (Some(74), None, None), "{served}");
    }
}

#[test]
fn a_cell_leaves_with_its_packager() {
    let clips = Clips::new();
    let film = clips.make("film.mp4", &format!("{BARS} -t 60 {H264}"));
    let plan = small_plan(&probe(&film).probe.unwrap());
    // Nobody reads the replies, or standard input ends.
    for which in ["stdout", "stdin"] {
        let mut child =
            start(&film, |source| Request::Work { source, plan: plan.clone(), task: pictures(&plan, 0..30) });
        match which {
            "stdout" => drop(child.stdout.take()),
            _ => drop(child.stdin.take()),
        }
        assert_eq!(child.wait().unwrap().code(), Some(0), "{which}");
    }
}

#[test]
fn a_cell_that_stands_still_leaves_with_a_packager_that_is_killed() {
    let clips = Clips::new();
    let film = clips.make("film.mp4", &format!("{BARS} -t 60 {H264}"));
    let plan = small_plan(&probe(&film).probe.unwrap());
    // The shell stands for the packager: the cell's parent, which says its number.
    let mut packager = Command::new("sh")
        .args([
            "-c",
            r#"exec 4<&0; "$0" 3<"$1" <&4 4<&- & echo $! >&2; wait"#,
            env!("CARGO_BIN_EXE_cocuyo-transcoder"),
        ])
        .arg(&film)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(packager.stderr.take().unwrap()).read_line(&mut number).unwrap();
    let mut input = packager.stdin.take().unwrap();
    let source = Source::File { size: std::fs::metadata(&film).unwrap().len() };
    let request = Request::Work { source, plan: plan.clone(), task: pictures(&plan, 0..30) };
    input.write_all(&encode_head(&request, 0).unwrap()).unwrap();
    // It is at work, and its pipe holds less than it will say.
    let mut output = packager.stdout.take().unwrap();
    output.read_exact(&mut [0; 64]).unwrap();
    let signal = |name: &str| {
        assert!(Command::new("kill").args(["-s", name, number.trim()]).status().unwrap().success(), "{name}");
    };
    signal("STOP");
    packager.kill().unwrap();
    packager.wait().unwrap();
    drop(input);
    let stat = std::path::PathBuf::from(format!("/proc/{}/stat", number.trim()));
    let deadline = Instant::now() + Duration::from_secs(30);
    // Gone, or a zombie that nobody has asked for yet.
    while let Ok(seen) = std::fs::read_to_string(&stat)
        && !seen.contains(") Z ")
    {
        if Instant::now() > deadline {
            signal("KILL");
            panic!("last seen: {seen}");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
