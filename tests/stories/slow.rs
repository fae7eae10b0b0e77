//! An event on a machine that is too slow for it.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{self, kill};
use nix::unistd::Pid;
use tests::{Signal, Stack, Watching, until};

use crate::live::{Broadcast, PATIENCE};

/// The cells of the installation's events.
fn cells(stack: &Stack) -> Vec<Pid> {
    let folder = stack.data().join("live").canonicalize().expect("the folder of the spool");
    let works_there = |process: &Path| {
        std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == folder)
            && std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with("cocuyo-transcoder"))
    };
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let cells = processes.map(|entry| entry.path()).filter(|process| works_there(process));
    cells.filter_map(|cell| Some(Pid::from_raw(cell.file_name()?.to_str()?.parse().ok()?))).collect()
}

/// Tells all of them; one that has ended meanwhile need not hear it.
fn tell(stack: &Stack, what: signal::Signal) {
    for cell in cells(stack) {
        let _ = kill(cell, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rung_that_is_given_up_is_offered_to_nobody_new() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    let _publisher = event.start(Signal { size: "854x480", ..Signal::default() });
    event.until_on_air().await;
    let luis = stack.person("luis", "viewer", 0).await;
    let viewer = Watching::start(&stack, &luis, &event.id).await;
    until("two rungs", PATIENCE, async || {
        let offered = event.offered(&viewer).await;
        if ["144p", "360p", "480p"].iter().all(|name| offered.contains(*name)) {
            Ok(())
        } else {
            Err(offered)
        }
    })
    .await;
    viewer.get("360p/playlist.m3u8").await.expect(200);

    // Its cell stands still until it is too late for the greater one.
    until("a rung that is given up", PATIENCE, async || {
        tell(&stack, signal::Signal::SIGSTOP);
        let health = event.health().await;
        if health.to_string().contains("fewer_renditions") { Ok(()) } else { Err(health) }
    })
    .await;
    until("an offer without it", PATIENCE, async || {
        tell(&stack, signal::Signal::SIGCONT);
        let offered = event.offered(&viewer).await;
        let is_less = offered.contains("144p") && offered.contains("480p") && !offered.contains("360p");
        if is_less { Ok(()) } else { Err((offered, event.health().await)) }
    })
    .await;
    // Who plays it finds out by its gaps, and the others go on.
    for (name, is_gone) in [("360p", true), ("144p", false), ("480p", false)] {
        until("what is at the end of a rendition", Duration::from_secs(60), async || {
            let text = viewer.get(&format!("normal/{name}/playlist.m3u8")).await.expect(200).text();
            let last = text.rfind("#EXTINF").and_then(|last| text[..last].lines().last());
            if (last == Some("#EXT-X-GAP")) == is_gone { Ok(()) } else { Err(text) }
        })
        .await;
    }
    event.end().await;
}
