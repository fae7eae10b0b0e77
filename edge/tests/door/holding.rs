//! Requests for what is still being made: the time is tokio's, and stands still until all wait.

use std::time::Duration;

use model::{Grant, Lane, ObjectKey, Revoked, SessionId};
use storage::ObjectStore;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::film::{VERSION, VIDEO};
use crate::growing::{FIRST, Growing, names, want};
use crate::origin::{Heard, NOW, SESSION, grant};
use crate::serving::{Serving, path};

#[tokio::test(start_paused = true)]
async fn a_request_is_held_until_its_segment_is_there() {
    let growing = Growing::start().await;
    let came = async {
        growing.said.heard(1).await;
        tokio::time::advance(Duration::from_millis(3000)).await;
        growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), came);
    assert_eq!(answer.status, 200);
    assert!(answer.body == growing.film.segment("144p", 2));
    assert_eq!(answer.header("cocuyo-held"), "3000");
    assert!(answer.header("access-control-expose-headers").contains("cocuyo-held"));
    growing.said.heard(2).await;
    let want = want("144p", 2);
    assert_eq!(growing.said.wants(), [Heard::Want(want), Heard::Unwant(want)]);
}

#[tokio::test(start_paused = true)]
async fn who_waited_eight_seconds_is_asked_to_come_again() {
    let growing = Growing::start().await;
    let began = Instant::now();
    let answer = growing.get("1080p/0.m4s").await;
    assert_eq!(began.elapsed().as_secs(), 8);
    assert_eq!(
        (answer.status, answer.header("retry-after"), answer.header("cache-control")),
        (503, "1", "no-store")
    );
    assert!(answer.text().contains(r#""code":"not_yet""#), "{}", answer.text());
    assert!(answer.header("cocuyo-held").starts_with("800"), "{}", answer.header("cocuyo-held"));
    // Told again after five seconds, and taken back as often.
    growing.said.heard(4).await;
    let (want, unwant) = (Heard::Want(want("1080p", 0)), Heard::Unwant(want("1080p", 0)));
    assert_eq!(growing.said.wants(), [want, want, unwant, unwant]);
}

#[tokio::test(start_paused = true)]
async fn a_player_that_a_refusal_would_end_waits_nearly_a_minute() {
    let growing = Growing::start().await;
    let began = Instant::now();
    let answer = growing.ask_as("VLC/3.0.24 LibVLC/3.0.24", "GET", "144p/2.m4s", &grant(1080)).await;
    assert_eq!((answer.status, began.elapsed().as_secs()), (503, 52));
    // Every five seconds anew, and taken back as often.
    growing.said.heard(22).await;
    let heard = growing.said.wants();
    let (wants, unwants) = heard.split_at(11);
    assert!(wants.iter().all(|heard| *heard == Heard::Want(want("144p", 2))), "{wants:?}");
    assert!(unwants.iter().all(|heard| *heard == Heard::Unwant(want("144p", 2))), "{unwants:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_is_not_held() {
    let growing = Growing::start().await;
    let began = Instant::now();
    let answer = growing.ask("HEAD", "144p/2.m4s", &grant(1080)).await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.body.is_empty()), (503, "1", false));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(growing.ask("HEAD", "144p/1.m4s", &grant(1080)).await.status, 200);
    assert_eq!(growing.said.wants(), []);
}

#[tokio::test(start_paused = true)]
async fn one_want_stands_for_all_who_wait_for_a_lane() {
    let growing = Growing::start().await;
    let first = growing.get("144p/2.m4s");
    let mut first = std::pin::pin!(first);
    assert!(futures::poll!(first.as_mut()).is_pending());
    growing.said.heard(1).await;
    {
        let (second, third) = (growing.get("360p/2.m4s"), growing.get("a32/2.m4s"));
        let (mut second, mut third) = (std::pin::pin!(second), std::pin::pin!(third));
        assert!(futures::poll!(second.as_mut()).is_pending() && futures::poll!(third.as_mut()).is_pending());
        growing.said.heard(2).await;
    }
    // The second and the third are gone: the sound is given back, the lane is still wanted.
    growing.said.heard(3).await;
    let (picture, sound) = (want("144p", 2), want("a32", 2));
    let so_far = [Heard::Want(picture), Heard::Want(sound), Heard::Unwant(sound)];
    assert_eq!(growing.said.wants(), so_far);
    growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    assert_eq!(first.await.status, 200);
    growing.said.heard(4).await;
    assert_eq!(growing.said.wants(), [&so_far[..], &[Heard::Unwant(picture)]].concat());
}

#[tokio::test]
async fn a_player_that_hangs_up_gives_its_want_back() {
    let serving = Serving::start().await;
    serving.store.delete(&ObjectKey::Index { video: VIDEO, version: VERSION }).await.unwrap();
    serving.said.grow(Some(serving.film.growing(1, &FIRST)));
    let mut stream = tokio::net::TcpStream::connect(serving.address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: edge\r\n{}\r\n\r\n",
        path("360p/2.m4s"),
        serving.bearer(&grant(360))
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let deadline = Duration::from_secs(5);
    tokio::time::timeout(deadline, serving.said.heard(1)).await.unwrap();
    drop(stream);
    tokio::time::timeout(deadline, serving.said.heard(2)).await.unwrap();
    assert_eq!(serving.said.wants(), [Heard::Want(want("360p", 2)), Heard::Unwant(want("360p", 2))]);
}

#[tokio::test(start_paused = true)]
async fn publishing_answers_who_waits_and_changes_nothing_else() {
    let growing = Growing::start().await;
    let published = async {
        growing.said.heard(1).await;
        growing.publish().await;
    };
    let (answer, ()) = tokio::join!(growing.get("1080p/2.m4s"), published);
    assert_eq!(answer.status, 200);
    assert!(answer.body == growing.film.segment("1080p", 2));
    let asked = growing.said.growing_asked();
    for name in names() {
        for n in 0..3 {
            let answer = growing.get(&format!("{name}/{n}.m4s")).await;
            assert!(answer.status == 200 && answer.body == growing.film.segment(&name, n), "{name}/{n}");
        }
    }
    let whole = Growing::start().await;
    whole.publish().await;
    let multivariant = whole.get("multivariant.m3u8").await;
    assert_eq!(growing.get("multivariant.m3u8?planned=1").await.text(), multivariant.text());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(growing.said.growing_asked(), asked, "nobody follows what is whole");
}

#[tokio::test(start_paused = true)]
async fn a_version_whose_follower_panics_is_followed_anew() {
    let growing = Growing::start().await;
    assert_eq!(growing.get("144p/1.m4s").await.status, 200);
    growing.said.curse();
    growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    let answer = growing.get("144p/2.m4s").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == growing.film.segment("144p", 2));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_given_up_is_absent_for_who_waits() {
    let growing = Growing::start().await;
    let given_up = async {
        growing.said.heard(1).await;
        growing.said.grow(None);
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), given_up);
    assert_eq!(answer.status, 404);
    assert_eq!(growing.get("144p/0.m4s").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_right_while_waiting_gets_nothing() {
    let growing = Growing::start().await;
    let revoked = async {
        growing.said.heard(1).await;
        growing.said.revoke(Revoked::Session(SESSION), NOW);
        growing.edge.refresh().await.unwrap();
        growing.said.grow(Some(growing.film.growing(2, &[&FIRST[..], &[("144p", 1)]].concat())));
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), revoked);
    assert_eq!(answer.status, 401);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_bounded() {
    let growing = Growing::start().await;
    let mut plan = growing.film.plan();
    plan.grid.frames = 100_000;
    plan.video.as_mut().unwrap().frames = 100_000;
    let long = cmaf::GrowingIndex::new(2, VIDEO, VERSION, plan, Vec::new(), Vec::new());
    growing.said.grow(Some(long));
    let session = |n: u128| Grant { sid: SessionId::from_bits(n), ..grant(1080) };

    // Eight requests of one session wait, the ninth does not.
    let paths: Vec<_> = (0..80).map(|n| format!("144p/{n}.m4s")).collect();
    let grants: Vec<_> = (0..20).map(session).collect();
    let mut waiting: Vec<_> =
        (0..64).map(|n| Box::pin(growing.ask("GET", &paths[n], &grants[n / 8]))).collect();
    for request in &mut waiting {
        assert!(futures::poll!(request.as_mut()).is_pending());
    }
    growing.said.heard(64).await;
    let began = Instant::now();
    let refused = async |path: &str, grant: &Grant| {
        let answer = growing.ask("GET", path, grant).await;
        (answer.status, answer.header("retry-after").to_owned(), began.elapsed())
    };
    let at_once = (503, "1".to_owned(), Duration::ZERO);
    assert_eq!(refused(&paths[0], &grants[0]).await, at_once, "one session too often");
    assert_eq!(refused(&paths[64], &grants[19]).await, at_once, "one segment too many");
    // What is waited for already is no more work; nor has the other lane anything to do with it.
    for name in [&paths[0], "1080p/7.m4s"] {
        let more = growing.ask("GET", name, &grants[19]);
        assert!(futures::poll!(std::pin::pin!(more)).is_pending(), "{name}");
    }
    assert_eq!(Lane::of("1080p".parse().unwrap()), Lane::B);
    drop(waiting);
    growing.said.heard(128).await;
    let more = growing.ask("GET", &paths[70], &grants[0]);
    assert!(futures::poll!(std::pin::pin!(more)).is_pending(), "all were given back");
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_stops_holds_nobody() {
    let growing = Growing::start().await;
    let stop = CancellationToken::new();
    let (edge, stopped) = (growing.edge.clone(), stop.clone());
    TaskTracker::new().spawn(async move { edge.follow(stopped).await });
    let began = Instant::now();
    let stopping = async {
        growing.said.heard(1).await;
        stop.cancel();
    };
    let (answer, ()) = tokio::join!(growing.get("144p/2.m4s"), stopping);
    assert_eq!((answer.status, began.elapsed()), (503, Duration::ZERO));
    assert_eq!(growing.get("144p/1.m4s").await.status, 200);
}
