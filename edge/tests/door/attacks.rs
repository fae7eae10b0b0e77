//! The attacks on gated playback, by their numbers in the list that issue 4 names. Each has a line
//! here, and each line is sent to an edge that knows nothing yet (cold) and to one that has just
//! served everything to those who may have it (warm): the answer is the same to the byte.
//!
//! What takes more than one request is told below, in [`stories`]. What needs the whole product
//! (7 and 9, roles and states of 21) is in `tests/stories/attacks.rs`.

use futures::FutureExt;
use futures::future::BoxFuture;
use model::{VersionId, VideoId};
use storage::Memory;

use crate::film::Film;
use crate::origin::{Signer, grant, keeping};
use crate::serving::{Answer, Serving, path};

mod requests;
mod stories;
mod tokens;

/// Those that an edge can show alone.
const NUMBERS: [u8; 17] = [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 16, 17, 21, 22, 60];

/// Another film in the same store, for which nobody here has a grant.
const OTHER: (VideoId, VersionId) = (VideoId::from_bits(0xf11b), VersionId::from_bits(0x0002));

/// Every part of a film.
const PARTS: [&str; 11] = [
    "multivariant.m3u8",
    "360p/playlist.m3u8",
    "360p/init.mp4",
    "360p/0.m4s",
    "360p.mp4",
    "1080p/playlist.m3u8",
    "1080p/init.mp4",
    "1080p/0.m4s",
    "a64/0.m4s",
    "poster.jpg",
    "thumbnail.jpg",
];

/// A request and what becomes of it.
struct Attack {
    number: u8,
    what: String,
    method: &'static str,
    target: String,
    headers: Vec<String>,
    /// The height to which the film is free for all, if it is.
    free: Option<u16>,
    status: u16,
    /// The part of the film that it gets, and nothing else, if it is served.
    same_as: Option<&'static str>,
}

impl Attack {
    fn new(number: u8, what: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            number,
            what: what.into(),
            method: "GET",
            target: target.into(),
            headers: Vec::new(),
            free: None,
            status: 0,
            same_as: None,
        }
    }

    fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn with(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    fn free(self, height: u16) -> Self {
        Self { free: Some(height), ..self }
    }

    fn is(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// It is served as if the odd thing about it were not there.
    fn gets(self, part: &'static str) -> Self {
        Self { status: 200, same_as: Some(part), ..self }
    }

    /// The same, in answer to a range that names all of it.
    fn gets_as_a_part(self, part: &'static str) -> Self {
        Self { status: 206, ..self.gets(part) }
    }

    async fn send(&self, serving: &Serving) -> Answer {
        let headers: Vec<_> = self.headers.iter().map(String::as_str).collect();
        let mut answer = serving.ask(self.method, &self.target, &headers).await;
        answer.headers.remove("date");
        answer
    }

    /// What is wrong with this answer, if anything is.
    async fn faults(&self, answer: &Answer, serving: &Serving) -> Option<String> {
        let is_same = match self.same_as {
            Some(part) => {
                let whole = serving.get(&path(part), &[&serving.bearer(&keeping(1080))]).await;
                answer.body == whole.body
            }
            None => true,
        };
        // What is no request has a bare answer, which no cache keeps.
        let is_refusal = self.status >= 400 && !answer.header("content-type").is_empty();
        let is_plain = answer.header("cache-control") == "no-store" && answer.body.len() < 1000;
        let is_right = answer.status == self.status && is_same && (!is_refusal || is_plain);
        (!is_right)
            .then(|| format!("{self}: {} and not {}, {:?}", answer.status, self.status, answer.headers))
    }
}

impl std::fmt::Display for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "attack {}, {}: {} {:.120}", self.number, self.what, self.method, self.target)
    }
}

/// An edge over both films, the first of them free to this height.
async fn edge(free: Option<u16>) -> Serving {
    let serving = Serving::over(Memory::default(), edge::Config::default()).await;
    Film::of(OTHER.0, OTHER.1).store(&*serving.store).await;
    if free.is_some() {
        serving.said.policy(true, free);
    }
    serving
}

/// [`edge`], for grants that this key signs.
async fn edge_of(signer: &Signer, free: Option<u16>) -> Serving {
    let mut serving = edge(free).await;
    serving.said.keys(&[signer]);
    serving.edge.refresh().await.unwrap();
    serving.signer = signer.clone();
    serving
}

/// Those who may have it have had everything.
async fn warm(serving: &Serving) {
    let bearer = serving.bearer(&keeping(1080));
    let other = serving.bearer(&model::Grant { video: OTHER.0, version: OTHER.1, ..keeping(1080) });
    for part in PARTS {
        assert_eq!(serving.get(&path(part), &[&bearer]).await.status, 200, "{part}");
        assert_eq!(serving.get(&elsewhere(part), &[&other]).await.status, 200, "{part}");
    }
    // And the grants that forged ones are made of are remembered.
    for grant in [grant(360), grant(1080), grant(4320), keeping(4320)] {
        assert_eq!(serving.get(&path("360p/0.m4s"), &[&serving.bearer(&grant)]).await.status, 200);
    }
}

/// The path of a part of the other film.
fn elsewhere(part: &str) -> String {
    format!("/v/{}/{}/{part}", OTHER.0, OTHER.1)
}

/// Whether a query's token is moved into the path: three parts of the letters of base64url.
fn is_three_parts(token: &str) -> bool {
    let letters = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    token.split('.').count() == 3 && token.split('.').all(letters)
}

/// All lines, signed by this edge's key.
fn attacks(signer: &Signer) -> Vec<Attack> {
    let mut attacks = requests::lines(signer);
    attacks.extend(tokens::lines(signer));
    attacks
}

/// What takes more than one request.
fn stories() -> Vec<(u8, BoxFuture<'static, ()>)> {
    vec![
        (8, stories::hidden_after_it_was_kept().boxed()),
        (11, stories::no_kind_of_request_spoils_the_next().boxed()),
        (12, stories::what_is_not_whole_is_not_kept().boxed()),
        (13, stories::a_decision_is_nobody_elses().boxed()),
        (14, stories::a_token_is_in_nothing_that_is_sent().boxed()),
        (16, stories::no_time_is_too_far_to_count().boxed()),
        (22, stories::without_its_origin_it_closes().boxed()),
    ]
}

#[test]
fn every_attack_has_a_line() {
    let lines = attacks(&Signer::new("k1"));
    let numbers = lines.iter().map(|attack| attack.number).chain(stories().into_iter().map(|story| story.0));
    let numbers: std::collections::BTreeSet<_> = numbers.collect();
    assert_eq!(numbers, NUMBERS.into());
}

#[tokio::test]
async fn a_cold_edge_and_a_warm_one_answer_alike() {
    let signer = Signer::new("k1");
    let (gated, free) = (edge_of(&signer, None).await, edge_of(&signer, Some(360)).await);
    warm(&gated).await;
    warm(&free).await;
    let mut wrong = Vec::new();
    for attack in attacks(&signer) {
        let cold_edge = edge_of(&signer, attack.free).await;
        let before = cold_edge.store.reads();
        let cold = attack.send(&cold_edge).await;
        if cold.status >= 400 && cold.status != 416 && cold_edge.store.reads() != before {
            wrong.push(format!("{attack}: the store was asked"));
        }
        wrong.extend(attack.faults(&cold, &cold_edge).await);

        let warm_edge = if attack.free.is_some() { &free } else { &gated };
        // Twice, so that what is kept of a refusal is no grant either.
        for _ in 0..2 {
            let warm = attack.send(warm_edge).await;
            if (&warm.headers, &warm.body) != (&cold.headers, &cold.body) || warm.status != cold.status {
                wrong.push(format!("{attack}: {:?} when warm, {:?} when cold", warm.headers, cold.headers));
            }
        }
        let good = warm_edge.get(&path("360p/0.m4s"), &[&warm_edge.bearer(&grant(360))]).await;
        assert_eq!(good.status, 200, "an honest request after {attack}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_takes_more_than_one_request_gets_nobody_further() {
    for (number, story) in stories() {
        println!("attack {number}");
        story.await;
    }
}
