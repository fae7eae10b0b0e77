//! What clients see of events, and what their owners may do with them: for the API and the pages.

use catalog::{Event, NewEvent, Video};
use http::HeaderMap;
use http::header::HOST;
use model::{
    Air, ErrorKind, EventPolicy, EventState, StreamKey, Tier, Timestamp, VersionId, VideoId, Visibility,
};
use rand::rngs::StdRng;
use serde::Serialize;
use subscriptions::SignedIn;
use utoipa::ToSchema;

use crate::access::{may_edit, may_see};
use crate::session::Visitor;
use crate::views::{self, VideoView};
use crate::words::{description, title};
use crate::{State, WebError, problems};

/// Events are announced for at most two years from now, and may have been to begin a day ago.
const AHEAD_MS: i64 = 2 * 366 * 24 * 3600 * 1000;
const BEHIND_MS: i64 = 24 * 3600 * 1000;

/// A broadcast. It has the id of its video, and the video's page before, during and after.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(title = "Event")]
pub(crate) struct EventView {
    /// Its id, which is the video's: 26 characters.
    #[schema(value_type = String)]
    pub(crate) id: VideoId,
    /// `scheduled`, `live` or `ended`.
    pub(crate) state: &'static str,
    /// Whether pictures come in just now. A live event of which none do waits for its publisher.
    pub(crate) on_air: bool,
    /// When it is to begin, in milliseconds since 1970, if that is known.
    #[schema(value_type = Option<i64>)]
    pub(crate) starts_at: Option<Timestamp>,
    /// When it began, if it did.
    #[schema(value_type = Option<i64>)]
    pub(crate) began_at: Option<Timestamp>,
    /// While its publisher is away: since when.
    #[schema(value_type = Option<i64>)]
    pub(crate) away_since: Option<Timestamp>,
    /// When it was over, if it is.
    #[schema(value_type = Option<i64>)]
    pub(crate) ended_at: Option<Timestamp>,
    /// How far back viewers may go, in seconds; their tier may allow less.
    pub(crate) dvr_s: u32,
    /// Whether it is on the shelf as a video when it is over.
    pub(crate) record: bool,
    /// How many players watch it just now, as far as this server has heard.
    pub(crate) viewers: usize,
    /// Whether somebody publishes, on air or not yet; null for those who may not edit the event.
    pub(crate) publishing: Option<bool>,
    /// The video that it is.
    pub(crate) video: VideoView,
}

/// What an encoder needs. The key is shown this once: lost, it can only be replaced.
#[derive(Serialize, ToSchema)]
#[schema(title = "StreamKey")]
pub(crate) struct KeyView {
    /// The server, for example `rtmp://cocuyo.example/live`.
    pub(crate) rtmp_url: String,
    /// The stream key. Whoever has it can publish in your name.
    pub(crate) key: String,
}

/// Events as `visitor` sees them; they may see all of these.
pub(crate) async fn events(
    state: &State,
    visitor: &Visitor,
    found: Vec<(Video, Event)>,
) -> Result<Vec<EventView>, WebError> {
    let is_theirs: Vec<bool> =
        found.iter().map(|(video, _)| may_edit(video, visitor.person.as_ref())).collect();
    let (videos, events): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let videos = views::videos(state, visitor, videos).await?;
    let shown = videos.into_iter().zip(events).zip(is_theirs);
    Ok(shown.map(|((video, event), is_theirs)| view(state, video, &event, is_theirs, visitor.now)).collect())
}

/// One event as `visitor` sees it.
pub(crate) async fn event(
    state: &State,
    visitor: &Visitor,
    found: (Video, Event),
) -> Result<EventView, WebError> {
    let mut views = events(state, visitor, vec![found]).await?;
    Ok(views.pop().expect("one event has one view"))
}

fn view(state: &State, video: VideoView, event: &Event, is_theirs: bool, now: Timestamp) -> EventView {
    let (on_air, away_since) = match event.state {
        EventState::Live { air: Air::On { .. }, .. } => (true, None),
        EventState::Live { air: Air::Away { since }, .. } => (false, Some(since)),
        EventState::Scheduled | EventState::Ended { .. } => (false, None),
    };
    let ended_at = match event.state {
        EventState::Ended { at, .. } => Some(at),
        EventState::Scheduled | EventState::Live { .. } => None,
    };
    EventView {
        id: event.video,
        state: event.state.as_str(),
        on_air,
        starts_at: event.starts_at,
        began_at: event.state.began(),
        away_since,
        ended_at,
        dvr_s: event.policy.dvr_s,
        record: event.policy.record,
        viewers: state.audience.of(event.video, now),
        publishing: is_theirs.then_some(event.heard_at.is_some()),
        video,
    }
}

/// The event, for somebody who may see it.
pub(crate) async fn visible(
    state: &State,
    visitor: &Visitor,
    id: VideoId,
) -> Result<(Video, Event), WebError> {
    let found = state.catalog.event(id).await?;
    let found = found.filter(|(video, _)| may_see(video, visitor.person.as_ref()));
    found.ok_or_else(|| ErrorKind::NotFound.into())
}

/// The event, for somebody who may change it. Who may not even see it learns that there is none.
pub(crate) async fn editable(
    state: &State,
    visitor: &Visitor,
    id: VideoId,
) -> Result<(Video, Event), WebError> {
    if visitor.person.is_none() {
        return Err(ErrorKind::Unauthenticated.into());
    }
    let found = visible(state, visitor, id).await?;
    if may_edit(&found.0, visitor.person.as_ref()) { Ok(found) } else { Err(ErrorKind::Forbidden.into()) }
}

/// What somebody wrote about an event that is to be created.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) visibility: Visibility,
    pub(crate) min_tier: Tier,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) policy: EventPolicy,
}

/// Creates an event for `person`, with a key that is shown this once.
///
/// # Errors
///
/// 403 for who may not broadcast, 400 for what they wrote, 429 for one event too many.
pub(crate) async fn create(
    state: &State,
    person: &SignedIn,
    draft: Draft<'_>,
    now: Timestamp,
) -> Result<((Video, Event), StreamKey), WebError> {
    if !person.role.may_upload() {
        return Err(ErrorKind::Forbidden.into());
    }
    let mut rng = rand::make_rng::<StdRng>();
    let key = StreamKey::generate(&mut rng);
    let new = NewEvent {
        video: VideoId::generate(&mut rng),
        version: VersionId::generate(&mut rng),
        owner: person.account,
        title: title(draft.title)?,
        description: description(draft.description)?,
        visibility: draft.visibility,
        min_tier: draft.min_tier,
        starts_at: draft.starts_at.map(|at| start(at, now)).transpose()?,
        policy: EventPolicy { dvr_s: dvr(draft.policy.dvr_s)?, ..draft.policy },
        key: key.hash(),
    };
    Ok((state.catalog.create_event(&new, now).await?, key))
}

/// Gives an event another key, which is shown this once.
pub(crate) async fn rotate(state: &State, id: VideoId, now: Timestamp) -> Result<StreamKey, WebError> {
    let key = StreamKey::generate(&mut rand::make_rng::<StdRng>());
    state.catalog.rotate_key(id, key.hash(), now).await?;
    Ok(key)
}

/// A start as it is kept.
pub(crate) fn start(at: Timestamp, now: Timestamp) -> Result<Timestamp, WebError> {
    let ahead_ms = at.as_millis().saturating_sub(now.as_millis());
    if (-BEHIND_MS..=AHEAD_MS).contains(&ahead_ms) { Ok(at) } else { Err(problems::invalid_start().into()) }
}

/// How far back viewers may go, as it is kept.
pub(crate) fn dvr(dvr_s: u32) -> Result<u32, WebError> {
    if dvr_s <= EventPolicy::GREATEST_DVR_S { Ok(dvr_s) } else { Err(problems::invalid_dvr().into()) }
}

/// What publishers connect to: as it is configured, else by the name under which this site is asked.
pub(crate) fn publish_url(state: &State, headers: &HeaderMap, authority: Option<&str>) -> String {
    if !state.config.publish_url.is_empty() {
        return state.config.publish_url.clone();
    }
    let host = authority.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    // 1935 is what encoders take where none is given.
    let port = state.rtmp_port.filter(|port| *port != 1935).map(|port| format!(":{port}"));
    format!("rtmp://{}{}/live", name_of(host).unwrap_or("localhost"), port.unwrap_or_default())
}

/// The name in a `Host`, without its port; `None` for what is none.
fn name_of(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let name = &host[..end];
    let is_of_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (!name.is_empty() && name.bytes().all(is_of_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_are_sent_to_the_name_under_which_the_site_is_asked() {
        let cases = [
            ("cocuyo.example", Some("cocuyo.example")),
            ("cocuyo.example:8080", Some("cocuyo.example")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:8080", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("[::1", None),
            ("", None),
            (":80", None),
            ("a b", None),
            ("x/live?key=1", None),
            ("evil\"><script>", None),
        ];
        for (host, expected) in cases {
            assert_eq!(name_of(host), expected, "{host}");
        }
    }

    #[test]
    fn a_start_is_near_enough_to_be_meant() {
        let now = Timestamp::from_seconds(1_000_000_000);
        let day = 24 * 3600;
        let at = |s: i64| start(Timestamp::from_seconds(1_000_000_000 + s), now).is_ok();
        assert_eq!([-day - 1, -day, 0, 700 * day, 733 * day].map(at), [false, true, true, true, false]);
        assert!(start(Timestamp::from_millis(i64::MIN), now).is_err());
        assert!(start(Timestamp::from_millis(i64::MAX), now).is_err());
    }
}
