//! What stands on an event's page until it is on the shelf.

use listener::Language;
use model::Timestamp;
use serde::Serialize;

use super::format::{day_in_words, minute_iso, time_left, time_of_day};
use super::frame::{Visit, inline_json};
use super::text::{fill, say};
use crate::event::EventView;
use crate::playback::Playback;

/// A broadcast where the film would be; the island takes over from here.
pub(crate) struct Broadcast {
    /// What plays without scripts, in browsers that play playlists.
    pub(crate) source: Option<String>,
    /// How far it is, in a sentence.
    pub(crate) sentence: String,
    /// When it is to begin: for programs and for people.
    pub(crate) starts: Option<(String, String)>,
    /// For the island.
    pub(crate) boot: String,
}

/// What a page's head says of an event.
pub(crate) struct EventFigures {
    pub(crate) badge: String,
    pub(crate) is_live: bool,
    pub(crate) viewers: Option<String>,
}

/// What the island begins with.
#[derive(Serialize)]
struct Boot<'a> {
    event: &'a EventView,
    playback: Option<&'a Playback>,
    saver: bool,
    /// The server's time, since a viewer's clock may be wrong.
    now: Timestamp,
}

impl Broadcast {
    pub(crate) fn of(event: &EventView, playback: Option<Playback>, visit: &Visit) -> Self {
        let (language, now) = (visit.language(), visit.visitor.now);
        let boot = Boot { event, playback: playback.as_ref(), saver: visit.saver, now };
        let starts = event.starts_at.filter(|_| event.state == "scheduled");
        Self {
            boot: inline_json(&boot),
            sentence: sentence(event, now, language),
            starts: starts.map(|at| (minute_iso(at), moment_in_words(at, language))),
            source: playback.map(|playback| playback.foreign_url),
        }
    }
}

/// How far an event is, in a sentence; the island says the same.
fn sentence(event: &EventView, now: Timestamp, language: Language) -> String {
    let key = match event.state {
        "scheduled" => match event.starts_at {
            Some(at) if at > now => {
                let seconds = u32::try_from(at.since(now).as_secs()).unwrap_or(u32::MAX);
                return fill(language, "event_starts_in", &[("time", &time_left(seconds, language))]);
            }
            Some(_) => "event_late",
            None => "event_some_day",
        },
        "live" if event.on_air => "event_on_air",
        "live" => "event_away",
        _ if event.record => "event_ended_recorded",
        _ => "event_ended_plain",
    };
    say(language, key).to_owned()
}

/// The word of an event's state, and how many watch it.
pub(crate) fn figures(event: &EventView, language: Language) -> EventFigures {
    let is_live = event.state == "live";
    EventFigures {
        badge: say(language, &format!("event_{}", event.state)).to_owned(),
        is_live,
        viewers: is_live.then(|| fill(language, "event_viewers", &[("n", &event.viewers)])),
    }
}

/// Day and time in words; of the world's clock, since no browser says where it is.
pub(crate) fn moment_in_words(at: Timestamp, language: Language) -> String {
    let (day, time) = (day_in_words(at, language), time_of_day(at));
    fill(language, "moment_utc", &[("day", &day), ("time", &time)])
}
