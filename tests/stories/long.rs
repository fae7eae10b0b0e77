//! What takes long: `make test-long`. `LONG_MINUTES`, `LONG_KILLS` and `LONG_SEED` say how long, how
//! often, and which chances are taken; `LONG_PULLS` and `LONG_BROADCAST_MINUTES` the same of broadcasts.

mod broadcasts;

use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tests::{Clip, Engines, Setup, Stack, TINY, film, until};

fn from_environment(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

#[ignore = "takes long: `make test-long`"]
#[tokio::test(flavor = "multi_thread")]
async fn a_long_film_is_in_step_from_its_first_second_to_its_last() {
    let seconds = from_environment("LONG_MINUTES", 1) * 60;
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let film = Clip::Numbered { seconds, width: 256 };
    let video = creator.upload("Muy larga", film.file()).await;
    creator.until_plays(&video).await;
    let patience = std::time::Duration::from_secs(120 + u64::from(seconds) * 4);
    until("the long film to be made", patience, || async {
        let seen = creator.video(&video).await;
        if seen["state"] == "ready" { Ok(()) } else { Err(seen) }
    })
    .await;
    film::assert_whole(&stack, &creator, &video, seconds).await;
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

/// A number below `below` that depends on the seed and on what it is for.
fn chance(seed: u32, what: &str, below: usize) -> usize {
    let digest = Sha256::digest(format!("{seed} {what}"));
    usize::from(u16::from_be_bytes([digest[0], digest[1]])) % below
}

/// Two workers die at points of chance, the third lives: more crashes of one job would be the
/// file's fault.
async fn killed_twice(seed: u32, story: u32) -> Result<(), String> {
    let points = crate::workers::POINTS;
    let stack = Stack::set_up(Setup {
        engines: Engines::Embedded,
        configuration: "[packager]\nslots = 2\nlease_s = 3\n".to_owned(),
        roles: "web,ingest,edge",
        ..Setup::default()
    })
    .await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Con mala suerte", TINY.file()).await;
    for kill in 0..2 {
        let point = points[chance(seed, &format!("{story} {kill} point"), points.len())];
        let times = chance(seed, &format!("{story} {kill} times"), 3);
        eprintln!("story {story}: {point} after {times}");
        let mut worker = stack.add_worker_that_fails(&format!("{point}={times}*off->return(kill)"));
        // It may come by less often than that, and be done.
        until("the worker to die, or the film to be ready", std::time::Duration::from_secs(120), || {
            let has_ended = worker.has_ended();
            let seen = creator.video(&video);
            async move {
                let seen = seen.await;
                if has_ended || seen["state"] == "ready" { Ok(()) } else { Err(seen) }
            }
        })
        .await;
    }
    let _worker = stack.add_worker().await;
    creator.until_ready(&video).await;
    film::assert_whole(&stack, &creator, &video, 20).await;
    stack.cocuyo(&["sweep", "--in", "25h"]);
    let said = stack.cocuyo(&["doctor"]);
    if said.trim() == "everything is in order" { Ok(()) } else { Err(format!("story {story}: {said}")) }
}

#[ignore = "takes long: `make test-long`"]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_one_video_comes_of_it() {
    let (kills, seed) = (from_environment("LONG_KILLS", 4), from_environment("LONG_SEED", 1));
    let stories = (0..kills.div_ceil(2)).map(|story| Ok(killed_twice(seed, story)));
    let all = futures::stream::iter(stories).try_buffer_unordered(4);
    all.try_collect::<Vec<()>>().await.unwrap_or_else(|what| panic!("LONG_SEED={seed}: {what}"));
}
