//! Encoders at the door for live streams of the whole product.

use std::process::Command;

use tests::{Engines, Stack, program, run};

/// A real ffmpeg that publishes for as long as it is let; what it says.
fn publish(url: &str) -> String {
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "60"];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-hide_banner"]).args(picture).args(codec).args(["-f", "flv", url]);
    let output = ffmpeg.output().expect("run ffmpeg");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_and_written_down_nowhere() {
    for engines in [Engines::Embedded, Engines::Servers] {
        let stack = Stack::start_with(engines, "").await;
        let key = "0123456789abcdefghjkmnpqrs";
        let url = format!("{}/{key}", stack.live_url());
        let said = tokio::task::spawn_blocking(move || publish(&url)).await.expect("no panic");
        assert!(said.contains("No event has this stream key."), "{said}");
        assert!(stack.log().contains("wrong_key") && !stack.log().contains(key), "{}", stack.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_for_live_streams_is_named() {
    let stack = Stack::start().await;
    let url = stack.live_url();
    let address = url.trim_start_matches("rtmp://").trim_end_matches("/live").to_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_string_lossy().into_owned();
    let arguments = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--rtmp", &address];
    let finished = run(program("cocuyo"), &arguments);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.lines().last().is_some_and(|line| line.contains(&address)), "{finished:?}");
}
