//! The command lines that the studio shows, each run as its creator would paste it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Clip, Person, Stack, Watching, decode, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A program that was pasted into a shell.
struct Pasted(Child);

impl Pasted {
    /// In a folder in which `video.mp4` is, as the commands have it.
    fn run(command: &str, folder: &Path) -> Self {
        let log = File::create(folder.join("log")).expect("open a log");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec {command}")).current_dir(folder);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(shell.spawn().expect("start a shell"))
    }
}

impl Drop for Pasted {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The page that shows a new event's key, and the event's id.
async fn announce(creator: &Person) -> (String, String) {
    let form = [
        ("title", "Prueba"),
        ("description", ""),
        ("visibility", "public"),
        ("min_tier", "0"),
        ("dvr_s", "0"),
        ("record", "1"),
        ("starts", ""),
    ];
    let page = creator.send(creator.request(Method::POST, "/my/events").form(&form)).await.expect(200).text();
    let (_, boot) = page.split_once("id=\"boot\">").expect("the page has its island");
    let (boot, _) = boot.split_once("</script>").expect("it ends");
    let boot: Value = serde_json::from_str(boot).expect("it is JSON");
    (boot["id"].as_str().expect("an id").to_owned(), page)
}

/// What stands on the page to be copied and is a command.
fn commands(page: &str) -> Vec<String> {
    let copied = page.split("<pre tabindex=\"0\"><code data-copy>").skip(1);
    let texts = copied.map(|rest| rest.split_once("</code>").expect("it ends").0);
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", "\""), ("&amp;", "&")];
    let read = |text: &str| plain.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    texts.map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_line_of_the_studio_broadcasts() {
    let stack = Stack::start().await;
    let ana = stack.person("ana", "creator", 0).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(Clip::Long.file(), folder.path().join("video.mp4")).expect("have a film");
    let mut programs = Vec::new();
    for n in 0.. {
        let (id, page) = announce(&ana).await;
        let Some(command) = commands(&page).into_iter().nth(n) else { break };
        let program = command.split(' ').next().expect("a program").to_owned();
        let running = Pasted::run(&command, folder.path());
        let path = format!("/api/v1/events/{id}/health");
        // Its first group may be shorter.
        let health = until("groups of pictures of two seconds", PATIENCE, async || {
            let health = ana.get(&path).await.expect(200).json();
            let log = std::fs::read_to_string(folder.path().join("log"));
            let gop_s = health["feed"]["picture"]["gop_s"].as_f64();
            if gop_s.is_some_and(|gop_s| (gop_s - 2.0).abs() < 0.05) {
                Ok(health)
            } else {
                Err((health, log))
            }
        })
        .await;
        // A key frame every two seconds, picture and sound: nothing that the studio would complain of. How
        // many frames come in is this machine's affair.
        let feed = &health["feed"];
        let picture = &feed["picture"];
        assert_eq!((&picture["width"], &picture["height"]), (&json!(1280), &json!(720)), "{health:#}");
        let warnings = feed["warnings"].as_array().expect("a list");
        assert!(warnings.iter().all(|one| one["code"] == "few_frames"), "{command}: {health:#}");
        ana.until_plays(&id).await;
        let viewer = Watching::start(&stack, &ana, &id).await;
        let playlist = viewer.get("720p/playlist.m3u8").await.expect(200).text();
        assert!(playlist.contains("#EXT-X-PART:"), "{command}: {playlist}");

        ana.post(&format!("/api/v1/events/{id}/end"), json!({})).await.expect(200);
        drop(running);
        ana.until_ready(&id).await;
        let film = Watching::start(&stack, &ana, &id).await;
        let film = decode(&film.url("multivariant.m3u8"));
        assert_eq!(film.complaints, "", "{command}");
        assert!(film.seconds > 2.0, "{command}: {film:?}");
        programs.push(program);
    }
    assert_eq!(programs, ["ffmpeg", "ffmpeg", "gst-launch-1.0"]);
}
