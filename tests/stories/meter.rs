//! The meters of these stories see what they are there to see.

use std::panic::catch_unwind;
use std::path::Path;

use tests::{Clip, film, run};

const CLIP: Clip = Clip::Numbered { seconds: 20, width: 256 };

/// The clip after ffmpeg has done something to it.
fn spoilt(folder: &Path, name: &str, words: &[&str]) -> String {
    let file = folder.join(name).with_extension("mp4").to_string_lossy().into_owned();
    let source = CLIP.file().to_string_lossy();
    let front = ["-nostdin", "-v", "error", "-y", "-i", &source];
    run("ffmpeg", &[&front[..], words, &["-preset", "ultrafast", &file]].concat()).ok();
    file
}

#[test]
fn a_lost_a_doubled_and_a_late_picture_are_seen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let holds = |file: &str| catch_unwind(|| film::assert_every_frame_once(file, 500, 25.0, 1)).is_ok();
    assert!(holds(&CLIP.file().to_string_lossy()));
    let words = |filter| ["-vf", filter, "-fps_mode", "passthrough", "-enc_time_base", "1:90000"];
    for (name, filter) in [
        ("lost", "select='not(eq(n,200))'"),
        ("doubled", "loop=loop=1:size=1:start=200,select='not(eq(n,202))',setpts=N/25/TB"),
        ("late", "setpts='PTS+gt(N,200)*0.02/TB'"),
    ] {
        assert!(!holds(&spoilt(folder.path(), name, &words(filter))), "{name} was not seen");
    }
    assert!(holds(&spoilt(folder.path(), "small", &words("scale=128:72"))), "a small picture can be read");
}

#[test]
fn sound_that_is_late_or_missing_is_heard() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let holds = |file: &str| catch_unwind(|| film::assert_beeps(file, 20.0)).is_ok();
    assert!(holds(&CLIP.file().to_string_lossy()));
    for (name, filter) in [
        ("late", "adelay=delays=20:all=1"),
        ("slow", "asetrate=48000*0.999,aresample=48000"),
        ("mute", "volume=0:enable='between(t,9,12)'"),
    ] {
        assert!(
            !holds(&spoilt(folder.path(), name, &["-c:v", "copy", "-af", filter])),
            "{name} was not heard"
        );
    }
}
