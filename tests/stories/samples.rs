//! The clips of the first start: added once, kept, and removed by their own command.

use std::path::Path;

use tests::{Person, Stack, run};

/// Two seconds, small enough for any machine.
fn draw(file: &Path) {
    let path = file.to_string_lossy();
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=256x144:rate=15:duration=2"];
    let rest = ["-pix_fmt", "yuv420p", &*path];
    run("ffmpeg", &[&["-nostdin", "-v", "error", "-y"][..], &picture, &rest].concat()).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_added_once_kept_and_removed() {
    let mut stack = Stack::start().await;
    let log = stack.log();
    let told = log.lines().find_map(|line| line.split_once("password: "));
    let (_, password) = told.unwrap_or_else(|| panic!("no password in {log}"));
    let admin = Person::sign_in(stack.url(""), "admin", password.trim()).await;
    stack.stop_server().await;
    let clips = stack.data().join("samples");
    std::fs::create_dir(&clips).expect("make the folder of clips");
    for name in ["luciernagas.mp4", "costa.mp4", "amanecer.mp4"] {
        draw(&clips.join(name));
    }
    stack.start_server_with(&["--samples", &clips.to_string_lossy()]).await;

    let listing = admin.get("/api/v1/videos?mine=true").await.expect(200).json();
    let mut shown = Vec::new();
    for video in listing["items"].as_array().expect("a list") {
        let id = video["id"].as_str().expect("an id").to_owned();
        admin.until_ready(&id).await;
        shown.push((video["min_tier"].as_u64(), video["title"].as_str().map(str::to_owned)));
    }
    shown.sort();
    let wanted = [(0, "Luciérnagas"), (1, "Una costa sin fin"), (2, "Amanecer")];
    let wanted = wanted.map(|(tier, title)| (Some(tier), Some(title.to_owned())));
    assert_eq!(shown, wanted);
    assert!(!clips.exists(), "the clips lie in the bucket now");

    // The second start finds what the first one left.
    let before = stack.listing().await;
    assert_eq!(before.iter().filter(|name| name.ends_with("/original")).count(), 3, "{before:#?}");
    stack.stop_server().await;
    stack.start_server().await;
    assert_eq!(stack.listing().await, before);
    let again = stack.stranger().get("/api/v1/videos").await.expect(200).json();
    assert_eq!(again["items"].as_array().map(Vec::len), Some(3));

    assert!(stack.cocuyo(&["samples", "remove"]).contains("removed 3 sample clips"));
    assert_eq!(stack.listing().await, Vec::<String>::new());
    let gone = stack.stranger().get("/api/v1/videos").await.expect(200).json();
    assert_eq!(gone["items"], serde_json::json!([]));
    assert!(stack.cocuyo(&["samples", "remove"]).contains("removed 0 sample clips"));
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}
