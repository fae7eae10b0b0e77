//! Encoders at the door for live streams of the whole product.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Engines, Signal, Stack, program, run, until};

use crate::live::{Broadcast, PATIENCE};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_above_the_tiers_size_is_let_go_and_its_owner_reads_why() {
    let stack = Stack::start().await;
    let root = stack.person("root1", "admin", 0).await;
    let mut rights = root.get("/api/v1/tiers").await.expect(200).json()["items"][0].clone();
    rights.as_object_mut().expect("it is an object").remove("tier");
    let allow = async |short_side: u16| {
        let mut rights = rights.clone();
        rights["publish"]["short_side"] = json!(short_side);
        root.send(root.request(Method::PUT, "/api/v1/tiers/0").json(&rights)).await.expect(200);
    };
    allow(240).await;
    let event = Broadcast::create(&stack, 0).await;
    let mut publisher = event.start(Signal::default());
    publisher.until_ended(Duration::from_secs(20)).await;
    let said = event.log();
    assert!(said.contains("more than 240 pixels: lower the resolution"), "{said}");
    let told = until("the reason", PATIENCE, async || {
        let health = event.health().await;
        if health["let_go"] == Value::Null { Err(health) } else { Ok(health) }
    })
    .await;
    assert_eq!((&told["let_go"]["code"], &told["state"]), (&json!("too_large"), &json!("scheduled")));
    assert!(told["let_go"]["text"].as_str().is_some_and(|text| text.contains("resol")), "{told:#}");

    // Read when somebody begins; a picture on its side is measured by its short side.
    allow(360).await;
    let publisher = event.start(Signal { size: "360x640", ..Signal::default() });
    event.until_on_air().await;
    assert_eq!(event.health().await["let_go"], Value::Null);
    publisher.kill();
}
