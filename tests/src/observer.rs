use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::checker::{Checker, Look};
use crate::{Watching, until};

/// Asks for the playlists of an event again and again, as players of low latency do: for what they do
/// not have yet, of each rendition, to the end of the event. A door that is away is asked again.
#[derive(Debug)]
pub struct Observer {
    notes: Arc<Mutex<Notes>>,
    tasks: JoinSet<()>,
}

/// What an [`Observer`] saw.
#[derive(Debug, Default)]
pub struct Notes {
    seen: Vec<Seen>,
    /// Requests that were not answered with a playlist: of which rendition, and what came instead.
    pub missed: Vec<String>,
    /// Judges what is seen at once, and only the last of it is kept: for hours.
    at_once: Option<Checker>,
}

/// A playlist as it was seen.
#[derive(Debug)]
struct Seen {
    rendition: String,
    sent: Duration,
    at: Duration,
    until: Option<(u64, Option<u64>)>,
    text: String,
}

impl Seen {
    fn look(&self) -> Look<'_> {
        let Self { rendition, sent, at, until, text } = self;
        Look { rendition, sent: *sent, at: *at, until: *until, text }
    }
}

/// Longest wait for what an event has within seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two requests to a door that is away.
const PAUSE: Duration = Duration::from_millis(200);

impl Observer {
    /// Begins to look at these renditions.
    pub fn start(viewer: &Watching, renditions: impl IntoIterator<Item = String>) -> Self {
        Self::noting(viewer, renditions, Notes::default())
    }

    /// The same for hours: each look is judged when it comes, and forgotten behind the next one.
    pub fn start_for_long(viewer: &Watching, renditions: impl IntoIterator<Item = String>) -> Self {
        Self::noting(viewer, renditions, Notes { at_once: Some(Checker::new()), ..Notes::default() })
    }

    fn noting(viewer: &Watching, renditions: impl IntoIterator<Item = String>, notes: Notes) -> Self {
        let (began, notes, mut tasks) = (Instant::now(), Arc::new(Mutex::new(notes)), JoinSet::new());
        for rendition in renditions {
            tasks.spawn(observe(viewer.clone(), rendition, began, Arc::clone(&notes)));
        }
        Self { notes, tasks }
    }

    /// Waits until there are so many looks more.
    pub async fn until_more(&self, looks: usize) {
        let wanted = locked(&self.notes).seen.len() + looks;
        until("looks at playlists", PATIENCE, async || {
            let notes = locked(&self.notes);
            let last = notes.seen.last().map(|seen| seen.text.clone());
            if notes.seen.len() >= wanted { Ok(()) } else { Err((notes.seen.len(), wanted, last)) }
        })
        .await;
    }

    /// Waits until a rendition, from now on, has three segments more, the last two of which are no gaps.
    pub async fn until_goes_on(&self, rendition: &str) {
        let last = || {
            let notes = locked(&self.notes);
            notes.seen.iter().rev().find(|seen| seen.rendition == rendition).map(|seen| seen.text.clone())
        };
        let before = last().map_or(0, |text| next_msn(&text));
        until("an event that goes on", PATIENCE, async || match last() {
            Some(text) if next_msn(&text) >= before + 3 && ends_with_media(&text) => Ok(()),
            other => Err((before, other)),
        })
        .await;
    }

    /// Waits until so many requests more were not answered with a playlist.
    pub async fn until_missed(&self, requests: usize) {
        let wanted = self.missed().len() + requests;
        until("a door that is away", PATIENCE, async || {
            let missed = self.missed().len();
            if missed >= wanted { Ok(()) } else { Err(missed) }
        })
        .await;
    }

    /// The number behind a rendition's last closed segment, as it was seen last.
    pub fn next_msn(&self, rendition: &str) -> u64 {
        let notes = locked(&self.notes);
        notes
            .seen
            .iter()
            .rev()
            .find(|seen| seen.rendition == rendition)
            .map_or(0, |seen| next_msn(&seen.text))
    }

    /// What was not answered with a playlist so far.
    pub fn missed(&self) -> Vec<String> {
        locked(&self.notes).missed.clone()
    }

    /// Waits until every rendition was seen to end.
    pub async fn ended(mut self) -> Notes {
        let all = async { while self.tasks.join_next().await.transpose().expect("it looks on").is_some() {} };
        let in_time = tokio::time::timeout(PATIENCE, all).await;
        let mut notes = std::mem::take(&mut *locked(&self.notes));
        assert!(in_time.is_ok(), "not all have ended: {:?}", notes.seen.last());
        notes.seen.sort_by_key(|seen| seen.at);
        notes
    }
}

impl Notes {
    /// Every rendition's last playlist.
    pub fn last(&self, rendition: &str) -> &str {
        let last = self.seen.iter().rev().find(|seen| seen.rendition == rendition);
        &last.expect("it was looked at").text
    }

    /// All playlists, one behind the other.
    pub fn text(&self) -> String {
        self.seen.iter().map(|seen| seen.text.as_str()).collect()
    }

    fn saw(&mut self, seen: Seen) {
        if let Some(checker) = &mut self.at_once {
            checker.saw(seen.look());
            self.seen.retain(|other| other.rendition != seen.rendition);
        }
        self.seen.push(seen);
    }

    /// Judges all that was seen; no rule may be broken.
    #[track_caller]
    pub fn check(&self) -> Checker {
        let checker = self.at_once.clone().unwrap_or_else(|| {
            let mut checker = Checker::new();
            for seen in &self.seen {
                checker.saw(seen.look());
            }
            checker
        });
        let violations: Vec<String> = checker.violations().iter().map(ToString::to_string).collect();
        let first = checker.violations().first();
        let text = first.and_then(|first| self.seen.iter().find(|seen| seen.at == first.at));
        assert!(violations.is_empty(), "{violations:#?}\n{}", text.map_or("", |seen| seen.text.as_str()));
        checker
    }
}

/// The number behind the last closed segment.
fn next_msn(text: &str) -> u64 {
    let value = |tag: &str| text.lines().find_map(|line| line.strip_prefix(tag)?.parse().ok()).unwrap_or(0);
    let listed = text.lines().filter(|line| !line.starts_with('#')).count() as u64;
    value("#EXT-X-MEDIA-SEQUENCE:") + value("#EXT-X-SKIP:SKIPPED-SEGMENTS=") + listed
}

fn ends_with_media(text: &str) -> bool {
    let kinds = text.lines().rev().filter(|line| line.starts_with("#EXTINF") || *line == "#EXT-X-GAP");
    let last: Vec<&str> = kinds.take(2).collect();
    last.len() == 2 && last.iter().all(|line| line.starts_with("#EXTINF"))
}

async fn observe(mut viewer: Watching, rendition: String, began: Instant, notes: Arc<Mutex<Notes>>) {
    let mut wanted: Option<(u64, Option<u64>)> = None;
    loop {
        let query = wanted.map_or_else(String::new, |(msn, part)| {
            format!("?_HLS_msn={msn}{}", part.map_or_else(String::new, |part| format!("&_HLS_part={part}")))
        });
        let sent = began.elapsed();
        let text = match viewer.try_get(&format!("{rendition}/playlist.m3u8{query}")).await {
            Ok(answer) if answer.status == 200 => answer.text(),
            Ok(answer) if answer.status == 401 => {
                viewer.renew().await;
                continue;
            }
            other => {
                let why = other.map_or_else(|error| error.to_string(), |answer| answer.status.to_string());
                locked(&notes).missed.push(format!("{:.3} s, {rendition}{query}: {why}", sent.as_secs_f64()));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let is_over = text.contains("#EXT-X-ENDLIST");
        let hint = text.lines().find_map(|line| line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""));
        let next = hint.and_then(|hint| hint.strip_suffix(".m4s\"")?.split_once('.'));
        let next = next.and_then(|(msn, part)| Some((msn.parse().ok()?, Some(part.parse().ok()?))));
        {
            // Noted in the order in which they came.
            let mut notes = locked(&notes);
            let at = began.elapsed();
            notes.saw(Seen { rendition: rendition.clone(), sent, at, until: wanted, text });
        }
        if is_over {
            return;
        }
        wanted = next;
    }
}

fn locked(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
