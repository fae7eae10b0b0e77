//! The real program on real and hostile files.

mod cell;

use cell::{Clips, Rendition, transcode};
use cmaf::{Track, read_init, read_segment};

use model::cell::Ratio;

const BARS: &str = "-f lavfi -i testsrc2=size=426x240:rate=30";
const TONE: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

/// Ticks of each segment's first presentation, and samples of each.
fn segments(rendition: &Rendition) -> Vec<(u64, usize)> {
    let read = |bytes: &Vec<u8>| {
        let segment = read_segment(bytes).unwrap();
        let first = segment.samples[0];
        assert!(first.sync && first.cts_offset == 0, "a segment starts with what is shown first");
        (segment.base_decode_time, segment.samples.len())
    };
    rendition.segments.iter().map(read).collect()
}

#[test]
fn a_film_becomes_aligned_renditions() {
    let clips = Clips::new();
    let film = clips.make("film.mp4", &format!("{BARS} {TONE} -t 5 {H264} -bf 3 -c:a aac"));
    let (probe, _, said) = transcode(&film);

    let video = probe.video.unwrap();
    assert_eq!((video.width, video.height, video.frame_rate), (426, 240, Ratio::new(30, 1)));
    assert_eq!(
        (video.codec.as_str(), video.rotation, video.interlaced, video.hdr),
        ("h264", 0, false, false)
    );
    assert_eq!((probe.audio[0].channels, probe.audio[0].sample_rate), (1, 44_100));

    let (duration, damaged) = said.done.unwrap();
    assert!((4990..5050).contains(&duration) && damaged == 0, "{duration} {damaged}");
    assert!(said.progress_ms.is_sorted() && said.status == Some(0));

    for (name, divisor) in [("144p", 2), ("240p", 1)] {
        let rendition = said.rendition(name);
        let Track::Video(track) = read_init(&rendition.init).unwrap() else { panic!("not a picture") };
        assert_eq!(track.timescale, 30_000);
        // Whole grid: 60 grid frames per segment, 150 in all.
        let expected = [(0, 60 / divisor), (60_000, 60 / divisor), (120_000, 30 / divisor)];
        assert_eq!(segments(rendition), expected, "{name}");
        clips.decode(&rendition.file());
        let mut times: Vec<u64> =
            clips.ffprobe(&rendition.file(), "packet=pts").iter().map(|pts| pts.parse().unwrap()).collect();
        times.sort_unstable();
        assert_eq!(times, (0..150 / divisor as u64).map(|n| n * 1000 * divisor as u64).collect::<Vec<_>>());
        let kinds = clips.ffprobe(&rendition.file(), "frame=key_frame");
        assert_eq!(kinds.iter().filter(|key| *key == "1").count(), 3, "{name} has one key frame per segment");
    }
    for name in ["a32", "a96"] {
        let rendition = said.rendition(name);
        clips.decode(&rendition.file());
        let starts: Vec<_> = segments(rendition).iter().map(|(start, _)| *start).collect();
        // Nearest AAC frames to 2 s and 4 s, behind one frame of priming.
        assert_eq!(starts, [0, 95 * 1024, 189 * 1024], "{name}");
    }
    for still in ["poster", "thumbnail"] {
        let shape = clips.ffprobe(&said.stills[still], "stream=codec_name,width,height");
        assert_eq!(shape, [if still == "poster" { "mjpeg,426,240" } else { "mjpeg,160,90" }]);
    }
}
