//! A film plays while it is made, and nobody who watches it sees the difference.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use tests::{Answer, Cells, Clip, Engines, Kind, Person, Stack, Watching, film, named_by, until};

/// 25 segments in chunks of 2, 4, 8 and 11; 480p is lane B.
const FILM: Clip = Clip::Numbered { seconds: 100, width: 854 };
const SEGMENTS: u32 = 25;
const FRAMES: u32 = 2500;

/// A film of which only the beginning of lane A can be there: all other cells wait.
async fn uploaded(stack: &Stack, film: Clip) -> (Person, String, Watching) {
    let creator = stack.person("ana", "creator", 1).await;
    let video = creator.upload("Mientras se hace", film.file()).await;
    let growing = creator.until_plays(&video).await;
    assert_eq!(growing["state"], "packaging", "{growing:#}");
    let watching = Watching::start(stack, &creator, &video).await;
    (creator, video, watching)
}

/// Asks again while the edge says that it is not yet there, as players do.
async fn insist(watching: &Watching, name: &str) -> Answer {
    until("the segment to be answered", Duration::from_secs(60), || async {
        let answer = watching.get(name).await;
        match answer.status.as_u16() {
            503 if answer.header("retry-after") == "1" => Err(answer),
            _ => Ok(answer.expect(200)),
        }
    })
    .await
}

/// Lists the whole film and says that it is all.
fn assert_whole(name: &str, text: &str) {
    let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("it parses");
    let seconds: f32 = parsed.segments.iter().map(|segment| segment.duration).sum();
    assert!((seconds - 100.0).abs() < 0.05, "{seconds} s of {name}: {text}");
    let kind = Some(m3u8_rs::MediaPlaylistType::Vod);
    assert!(parsed.end_list && parsed.playlist_type == kind, "{name}: {text}");
    assert_eq!(parsed.segments.len(), SEGMENTS as usize, "{name}: {text}");
}

async fn a_film_plays_while_it_is_made(engines: Engines) {
    let cells = Cells::new();
    let held = [Kind::Rest, Kind::Upper].map(|kind| cells.hold(kind));
    let stack = Stack::start_with(engines, &cells.configuration("slots = 2")).await;
    let (creator, video, watching) = uploaded(&stack, FILM).await;

    // The whole film is on the playlists, the seek bar is as long as it will be.
    let before = watching.playlists().await;
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    assert_eq!(names, ["144p", "240p", "360p", "480p", "a128", "a32", "a64"]);
    before.iter().for_each(|(name, text)| assert_whole(name, text));
    let offered = watching.offered().await;
    assert!(offered.contains("360p") && !offered.contains("480p"), "{offered:?}");
    let mut inits = Vec::new();
    for name in &names {
        inits.push(watching.get(&format!("{name}/init.mp4")).await.expect(200).body);
    }

    // What is there is answered at once; nobody who only asks for the head waits or hurries anybody.
    assert_eq!(watching.get("360p/0.m4s").await.expect(200).header("cocuyo-held"), "");
    let head = watching.ask(Method::HEAD, "144p/20.m4s").await.expect(503);
    assert_eq!(head.header("retry-after"), "1");
    assert!(!cells.started().iter().any(|cell| cell.kind == Kind::Wanted), "{:?}", cells.started());

    // A seek into the dark: held, made before all the rest, answered.
    let (seek, wanted) = tokio::join!(
        insist(&watching, "144p/20.m4s"),
        cells.until_started("the wanted chunk", |cell| cell.kind == Kind::Wanted),
    );
    assert_ne!(seek.header("cocuyo-held"), "");
    assert_eq!(wanted.segments, Some(20..22), "only what is waited for, from there on");
    let near = watching.get("360p/21.m4s").await.expect(200);
    assert_eq!(near.header("cocuyo-held"), "", "made with it");

    drop(held);
    let ready = creator.until_ready(&video).await;
    let version = ready["version"].as_str().expect("a version").to_owned();
    assert!(watching.url("").contains(&version), "the version is the one that played already");
    assert_eq!(watching.playlists().await, before);
    for (name, init) in names.iter().zip(&inits) {
        assert_eq!(watching.get(&format!("{name}/init.mp4")).await.expect(200).body, *init, "{name}");
    }
    assert_eq!(insist(&watching, "144p/20.m4s").await.body, seek.body, "what was served stays what it was");
    assert_eq!(watching.offered().await, watching.planned().await);
    assert_whole_and_in_step(&watching).await;

    let index = watching_index(&stack, &video, &version).await;
    let listing: BTreeSet<String> = stack.listing().await.into_iter().collect();
    assert_eq!(listing, named_by(&index), "what the index names, and nothing else");
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

/// Every frame once, in every rendition; sound in step; nothing that a decoder complains about.
async fn assert_whole_and_in_step(watching: &Watching) {
    for name in watching.planned().await {
        let playlist = watching.url(&format!("{name}/playlist.m3u8"));
        let (is_sound, divisor) = (name.starts_with('a'), if name == "144p" { 2 } else { 1 });
        let told = name.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let decoded = tests::decode(&playlist);
            assert_eq!(decoded.complaints, "", "{told}");
            assert!((decoded.seconds - 100.0).abs() < 0.1, "{told}: {decoded:?}");
            match is_sound {
                true => film::assert_beeps(&playlist, 100.0),
                false => film::assert_every_frame_once(&playlist, FRAMES, 25.0, divisor),
            }
        });
        checked.await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

async fn watching_index(stack: &Stack, video: &str, version: &str) -> serde_json::Value {
    let (video, version) = (video.parse().expect("an id"), version.parse().expect("an id"));
    let index = stack.bucket().get(&model::ObjectKey::Index { video, version }).await;
    serde_json::from_slice(&index.expect("the index is there")).expect("it is JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_while_it_is_made_on_a_folder_and_sqlite() {
    a_film_plays_while_it_is_made(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_plays_while_it_is_made_on_s3_and_postgresql() {
    a_film_plays_while_it_is_made(Engines::Servers).await;
}

async fn who_hangs_up_gives_the_wish_back(engines: Engines) {
    let cells = Cells::new();
    let rest = cells.hold(Kind::Rest);
    let waiting = cells.hold(Kind::Wanted);
    let stack = Stack::start_with(engines, &cells.configuration("slots = 1")).await;
    let film = Clip::Numbered { seconds: 100, width: 256 };
    let (creator, video, watching) = uploaded(&stack, film).await;
    cells.until_started("a cell in the only slot", |cell| cell.kind == Kind::Rest).await;

    // Two wishes take both express workers; a third one has to wait in the queue.
    let ask = |name: &'static str| {
        let watching = watching.clone();
        tokio::spawn(async move { insist(&watching, name).await })
    };
    let first = [ask("144p/14.m4s"), ask("144p/18.m4s")];
    for segment in [14, 18] {
        let is_it = |cell: &tests::Started| cell.segments.as_ref().is_some_and(|all| all.start == segment);
        cells.until_started("both express workers to be busy", is_it).await;
    }
    let third = ask("144p/22.m4s");
    stack.until_wishes("1").await;
    third.abort();
    stack.until_wishes("0").await;

    drop(waiting);
    for answer in first {
        answer.await.expect("it does not panic");
    }
    drop(rest);
    creator.until_ready(&video).await;
    let hurried = cells.started().into_iter().filter(|cell| cell.kind == Kind::Wanted);
    let starts: BTreeSet<u32> = hurried.filter_map(|cell| Some(cell.segments?.start)).collect();
    assert_eq!(starts, BTreeSet::from([14, 18]), "what nobody waits for any more is not hurried");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_gives_the_wish_back_on_a_folder_and_sqlite() {
    who_hangs_up_gives_the_wish_back(Engines::Embedded).await;
}
