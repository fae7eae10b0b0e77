//! One `ffmpeg` command from a plan: one decode, the same cascade of sizes, the same encoders with
//! the same options, an MP4 for each rendition.

use std::fmt::Write;
use std::path::Path;

use model::cell::{AudioPlan, EncodePlan, VideoPlan, VideoRung};

/// The arguments of the command that makes `plan` of `film`, into `folder`.
pub(crate) fn arguments(plan: &EncodePlan, film: &Path, folder: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["-nostdin", "-v", "error", "-y", "-i"].map(str::to_owned).to_vec();
    words.push(film.to_string_lossy().into_owned());
    let mut graph = String::new();
    if let Some(video) = &plan.video {
        cascade(video, &mut graph);
    }
    if let Some(audio) = &plan.audio {
        sounds(audio, &mut graph);
    }
    words.extend(["-filter_complex".to_owned(), graph.trim_end_matches(';').to_owned()]);
    for rung in plan.video.iter().flat_map(|video| &video.rungs) {
        let gop = plan.video.as_ref().map_or(1, |video| video.segment_frames / rung.frame_divisor.max(1));
        words.extend(picture(rung, gop));
        words.push(folder.join(format!("{}.mp4", rung.rendition)).to_string_lossy().into_owned());
    }
    for (video, copied) in plan.video.iter().filter_map(|video| Some((video, video.copied.as_ref()?))) {
        words.extend(["-map", &format!("0:{}", video.stream), "-c:v", "copy"].map(str::to_owned));
        words.push(folder.join(format!("{}.mp4", copied.rendition)).to_string_lossy().into_owned());
    }
    for (audio, rung) in plan.audio.iter().flat_map(|audio| audio.rungs.iter().map(move |rung| (audio, rung)))
    {
        if rung.copied.is_some() {
            words.extend(["-map", &format!("0:{}", audio.stream), "-c:a", "copy"].map(str::to_owned));
        } else {
            let (map, rate) = (format!("[{}]", rung.rendition), rung.bit_rate_bps.to_string());
            words.extend(["-map", &map, "-c:a", "aac", "-b:a", &rate].map(str::to_owned));
        }
        words.push(folder.join(format!("{}.mp4", rung.rendition)).to_string_lossy().into_owned());
    }
    words
}

/// Largest first, each smaller size made from the one above it, as the transcoder does.
fn cascade(video: &VideoPlan, graph: &mut String) {
    let rate = format!("{}/{}", video.frame_rate.num, video.frame_rate.den);
    let _ = write!(graph, "[0:{}]fps={rate}", video.stream);
    let mut rungs = video.rungs.iter().rev().peekable();
    let mut largest = true;
    while let Some(rung) = rungs.next() {
        let VideoRung { rendition, width, height, frame_divisor, .. } = rung;
        if largest {
            let _ = write!(graph, ",scale={width}:{height}:flags=bicubic,setsar=1,format=yuv420p");
        } else {
            let _ = write!(graph, "[from{rendition}]scale={width}:{height}:flags=bicubic");
        }
        largest = false;
        let slower = if *frame_divisor > 1 {
            format!("fps={}/{}", video.frame_rate.num, video.frame_rate.den * frame_divisor)
        } else {
            "null".to_owned()
        };
        let _ = match rungs.peek() {
            Some(next) => {
                let next = next.rendition;
                write!(graph, ",split[to{rendition}][from{next}];[to{rendition}]{slower}[{rendition}];")
            }
            None => write!(graph, ",{slower}[{rendition}];"),
        };
    }
}

fn sounds(audio: &AudioPlan, graph: &mut String) {
    let _ = write!(graph, "[0:{}]aresample={}:async=1", audio.stream, audio.sample_rate);
    let encoded: Vec<_> = audio.rungs.iter().filter(|rung| rung.copied.is_none()).collect();
    let _ = write!(graph, ",asplit={}", encoded.len());
    for rung in &encoded {
        let _ = write!(graph, "[in{}]", rung.rendition);
    }
    graph.push(';');
    for rung in encoded {
        let layout = if rung.channels == 1 { "mono" } else { "stereo" };
        let _ = write!(graph, "[in{0}]aformat=channel_layouts={layout}[{0}];", rung.rendition);
    }
}

fn picture(rung: &VideoRung, gop: u32) -> Vec<String> {
    let options = [
        ("map", format!("[{}]", rung.rendition)),
        ("c:v", "libx264".to_owned()),
        ("preset", rung.preset.clone()),
        ("profile:v", rung.profile.clone()),
        ("crf", rung.crf.to_string()),
        ("maxrate", rung.maxrate_bps.to_string()),
        ("bufsize", rung.bufsize_bits.to_string()),
        ("refs", rung.references.to_string()),
        ("bf", rung.b_frames.to_string()),
        ("g", gop.to_string()),
        ("keyint_min", gop.to_string()),
        ("sc_threshold", "0".to_owned()),
        ("flags", "+cgop".to_owned()),
        ("x264-params", "stitchable=1:open-gop=0:scenecut=0".to_owned()),
        // A second process would write HLS as it goes; fragments are the cheapest that plays.
        ("movflags", "+frag_keyframe+empty_moov+default_base_moof".to_owned()),
    ];
    options.into_iter().flat_map(|(name, value)| [format!("-{name}"), value]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RenditionName;
    use model::cell::{AudioRung, Ratio};

    #[test]
    fn a_plan_becomes_one_command() {
        let rung = |height: u16, frame_divisor| VideoRung {
            rendition: RenditionName::Video { height },
            width: 2 * u32::from(height),
            height: height.into(),
            frame_divisor,
            crf: 26.0,
            hurried_crf: 26.0,
            maxrate_bps: 44_000,
            bufsize_bits: 66_000,
            preset: "slow".to_owned(),
            hurried_preset: "faster".to_owned(),
            references: 3,
            b_frames: 3,
            profile: "main".to_owned(),
        };
        let plan = EncodePlan {
            grid: model::SegmentGrid::even(Ratio::new(30, 1), 120, 30),
            video: Some(VideoPlan {
                stream: 0,
                frame_rate: Ratio::new(30, 1),
                segment_frames: 120,
                frames: 30,
                rotation: 0,
                deinterlace: false,
                tone_map: false,
                rungs: vec![rung(144, 2), rung(240, 1)],
                copied: None,
                poster_width: 480,
                thumbnail_width: 480,
            }),
            audio: Some(AudioPlan {
                stream: 1,
                sample_rate: 48_000,
                samples: 48_000,
                segment: Ratio::new(4, 1),
                rungs: vec![AudioRung {
                    rendition: RenditionName::Audio { kbps: 32 },
                    channels: 1,
                    bit_rate_bps: 32_000,
                    copied: None,
                }],
            }),
            expected_ms: 1000,
            max_ms: 1000,
        };
        let words = arguments(&plan, Path::new("film.mp4"), Path::new("out"));
        let after = |word: &str| &words[words.iter().position(|each| each == word).unwrap() + 1];
        assert_eq!(
            after("-filter_complex"),
            "[0:0]fps=30/1,scale=480:240:flags=bicubic,setsar=1,format=yuv420p,split[to240p][from144p];\
             [to240p]null[240p];[from144p]scale=288:144:flags=bicubic,fps=30/2[144p];\
             [0:1]aresample=48000:async=1,asplit=1[ina32];[ina32]aformat=channel_layouts=mono[a32]"
        );
        assert_eq!(after("[144p]").as_str(), "-c:v");
        assert_eq!(after("-g"), "60", "the smallest is first and has half the frames");
        assert_eq!(words.last().unwrap(), "out/a32.mp4");
    }
}
