//! One event in its owner's hands: forms that work without scripts.

use askama::Template;
use axum::Form;
use axum::extract;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use catalog::{Event, EventEdit, Video, VideoEdit};
use http::{HeaderMap, StatusCode};
use listener::Language;
use model::{ErrorKind, EventPolicy, StreamKey, Tier, Timestamp, VideoId, Visibility};
use serde::{Deserialize, Serialize};

use super::assets::Island;
use super::broadcast::{self, EventFigures, moment_in_words};
use super::choices::{self, Choice};
use super::clip::ClipForm;
use super::fault::Fault;
use super::format::{minute_iso, moment_of_form};
use super::frame::{Frame, Member, Visit, inline_json, show};
use super::recipes::{Recipe, recipes};
use super::text;
use crate::api::health;
use crate::event::{self, EventView};
use crate::playback::moment_of_change;
use crate::{State, WebError, access, chapters, problems, words};

#[derive(Template)]
#[template(path = "event.html")]
struct Page {
    frame: Frame,
    event: EventView,
    figures: EventFigures,
    notice: Option<String>,
    /// Why what was typed is not done.
    fault: Fault,
    starts: Option<(String, String)>,
    /// As a form takes it.
    starts_value: String,
    server: String,
    /// Only on the page that follows its making.
    key: Option<String>,
    /// One on each line.
    chapters: String,
    /// Why the last publisher was let go.
    let_go: Option<String>,
    /// Where clips can be made.
    clip: Option<ClipForm>,
    /// A clip that was just made: its id and its title.
    made: Option<(VideoId, String)>,
    recipes: Vec<Recipe>,
    visibilities: Vec<Choice>,
    tiers: Vec<Choice>,
    rewinds: Vec<Choice>,
    is_open: bool,
    boot: String,
}

/// What the island begins with.
#[derive(Serialize)]
struct Boot {
    id: VideoId,
    is_open: bool,
}

/// What a form says of an event.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    pub(crate) title: String,
    pub(crate) description: String,
    /// One on each line.
    #[serde(default)]
    pub(crate) chapters: String,
    pub(crate) visibility: Visibility,
    // Text, since a form's numbers are.
    min_tier: String,
    dvr_s: String,
    /// A browser sends a box only when it is ticked.
    record: Option<String>,
    starts: String,
    /// Minutes that the reader's clock is behind UTC; a script says it.
    #[serde(default)]
    zone: String,
}

impl Given {
    pub(crate) fn min_tier(&self) -> Result<Tier, WebError> {
        self.min_tier.parse().map_err(|_| ErrorKind::Invalid.into())
    }

    pub(crate) fn policy(&self) -> Result<EventPolicy, WebError> {
        let dvr_s = self.dvr_s.parse().map_err(|_| WebError::from(ErrorKind::Invalid))?;
        Ok(EventPolicy { dvr_s: event::dvr(dvr_s)?, record: self.record.is_some() })
    }

    pub(crate) fn starts_at(&self) -> Result<Option<Timestamp>, WebError> {
        if self.starts.is_empty() {
            return Ok(None);
        }
        let zone = if self.zone.is_empty() { Some(0) } else { self.zone.parse().ok() };
        let at = zone.and_then(|minutes| moment_of_form(&self.starts, minutes));
        at.map(Some).ok_or_else(|| problems::invalid_start().into())
    }

    /// The event as it is typed, to be typed on.
    fn typed(&self, video: Video, event: Event) -> Result<(Video, Event), WebError> {
        let (title, description) = (self.title.clone(), self.description.clone());
        let (visibility, min_tier) = (self.visibility, self.min_tier()?);
        let video = Video { title, description, visibility, min_tier, ..video };
        Ok((video, Event { policy: self.policy()?, ..event }))
    }

    /// What is meant of the words, or the first field with which something is wrong.
    fn words(&self, video: &Video, min_tier: Tier, language: Language) -> Result<VideoEdit, Fault> {
        let told = |field: &'static str| move |refusal: WebError| Fault::told(field, &refusal, language);
        let chapters = chapters::typed(&self.chapters, video.duration_ms);
        let told_of_line =
            |fault: chapters::Fault| Fault::new("chapters", fault.sentence("chapters_line", language));
        Ok(VideoEdit {
            title: Some(words::title(&self.title).map_err(told("title"))?),
            description: Some(words::description(&self.description).map_err(told("description"))?),
            visibility: Some(self.visibility),
            min_tier: Some(min_tier),
            chapters: Some(chapters.map_err(told_of_line)?),
        })
    }

    /// The change of the event that is meant, or the first field with which something is wrong.
    fn checked(
        &self,
        (video, event): (&Video, &Event),
        policy: EventPolicy,
        min_tier: Tier,
        now: Timestamp,
        language: Language,
    ) -> Result<EventEdit, Fault> {
        let video = self.words(video, min_tier, language)?;
        if event.state.is_ended() {
            return Ok(EventEdit { video, ..EventEdit::default() });
        }
        let told = |refusal: WebError| Fault::told("starts", &refusal, language);
        // A start that nobody touched may lie further back than a new one may.
        let starts_at = match self.starts_at().map_err(told)? {
            Some(at) if Some(at) != event.starts_at => Some(event::start(at, now).map_err(told)?),
            as_it_was => as_it_was,
        };
        let EventPolicy { dvr_s, record } = policy;
        Ok(EventEdit { video, starts_at: Some(starts_at), dvr_s: Some(dvr_s), record: Some(record) })
    }
}

/// `GET /my/events/{event}`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    extract::RawQuery(query): extract::RawQuery,
    headers: HeaderMap,
    member: Member,
) -> Result<Response, WebError> {
    let found = editable(&state, &id, &member).await?;
    let query = query.unwrap_or_default();
    let notice = match query.as_str() {
        "saved" => Some("studio_saved"),
        "ended" => Some("event_was_ended"),
        _ => None,
    };
    let mut page = page_of(&state, &member.visit, &headers, found, None).await?;
    page.notice = notice.map(|key| text::say(member.visit.language(), key).to_owned());
    if let Some(id) = query.strip_prefix("clip=").and_then(|id| id.parse().ok()) {
        let clip = state.catalog.video(id).await?;
        let clip = clip.filter(|clip| access::may_edit(clip, Some(&member.person)));
        page.made = clip.map(|clip| (clip.id, clip.title));
    }
    Ok(show(StatusCode::OK, &page.frame, &page))
}

/// `POST /my/events/{event}`.
pub(crate) async fn save(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    headers: HeaderMap,
    member: Member,
    form: Result<Form<Given>, FormRejection>,
) -> Result<Response, WebError> {
    let (video, event) = editable(&state, &id, &member).await?;
    let now = member.visit.visitor.now;
    let Ok(Form(given)) = form else { return Err(ErrorKind::Invalid.into()) };
    let language = member.visit.language();
    let (policy, min_tier) = (given.policy()?, given.min_tier()?);
    let edit = match given.checked((&video, &event), policy, min_tier, now, language) {
        Ok(edit) => edit,
        Err(fault) => {
            let typed = given.typed(video, event)?;
            let mut page = page_of(&state, &member.visit, &headers, typed, None).await?;
            (page.fault, page.chapters, page.starts_value) = (fault, given.chapters, given.starts);
            return Ok(show(StatusCode::BAD_REQUEST, &page.frame, &page));
        }
    };
    state.catalog.edit_event(video.id, edit, moment_of_change(&video, now)).await?;
    Ok(Redirect::to(&format!("/my/events/{}?saved", video.id)).into_response())
}

/// `POST /my/events/{event}/key`: the answer is the event's page, the only one with the new key.
pub(crate) async fn rotate(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    headers: HeaderMap,
    member: Member,
) -> Result<Response, WebError> {
    let (video, _) = editable(&state, &id, &member).await?;
    let key = event::rotate(&state, video.id, member.visit.visitor.now).await?;
    let found = editable(&state, &id, &member).await?;
    show_event(&state, &member.visit, &headers, found, Some(&key)).await
}

/// `POST /my/events/{event}/end`.
pub(crate) async fn end(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    member: Member,
) -> Result<Response, WebError> {
    let (video, _) = editable(&state, &id, &member).await?;
    state.catalog.end_event(video.id, member.visit.visitor.now).await?;
    Ok(Redirect::to(&format!("/my/events/{}?ended", video.id)).into_response())
}

/// The page of an event, with its key where that has just been made.
pub(crate) async fn show_event(
    state: &State,
    visit: &Visit,
    headers: &HeaderMap,
    found: (Video, Event),
    key: Option<&StreamKey>,
) -> Result<Response, WebError> {
    let page = page_of(state, visit, headers, found, key).await?;
    Ok(show(StatusCode::OK, &page.frame, &page))
}

/// The page of an event of which a clip was asked for that there is not, with what was typed.
pub(crate) async fn show_refused_clip(
    state: &State,
    member: &Member,
    headers: &HeaderMap,
    found: (Video, Event),
    status: StatusCode,
    fault: Fault,
    form: ClipForm,
) -> Result<Response, WebError> {
    let page = page_of(state, &member.visit, headers, found, None).await?;
    let page = Page { fault, clip: Some(form), ..page };
    Ok(show(status, &page.frame, &page))
}

async fn page_of(
    state: &State,
    visit: &Visit,
    headers: &HeaderMap,
    found: (Video, Event),
    key: Option<&StreamKey>,
) -> Result<Page, WebError> {
    let language = visit.language();
    let chapters = chapters::lines(&found.0.chapters);
    let let_go = found.1.let_go.map(|why| health::sentence(why, language));
    let event = event::event(state, &visit.visitor, found).await?;
    let server = event::publish_url(state, headers, None);
    let key = key.map(|key| key.expose());
    let shown = key.clone().unwrap_or_else(|| text::say(language, "event_key_here").to_owned());
    let is_open = event.state != "ended";
    let frame = Frame::new(visit, &event.video.title, Some(Island::Broadcast));
    let is_live = event.state == "live";
    let clips = is_open && frame.may_upload && state.clips.is_some();
    Ok(Page {
        frame,
        clip: clips.then(|| ClipForm::new(&event.video.title, is_live, language)),
        made: None,
        let_go,
        figures: broadcast::figures(&event, language),
        notice: None,
        fault: Fault::default(),
        chapters,
        starts: event.starts_at.map(|at| (minute_iso(at), moment_in_words(at, language))),
        starts_value: event.starts_at.map(|at| minute_iso(at).replace('Z', "")).unwrap_or_default(),
        recipes: recipes(&server, &shown, language),
        server,
        key,
        visibilities: choices::visibilities(event.video.visibility, language),
        tiers: choices::tiers(event.video.min_tier, language),
        rewinds: choices::rewinds(event.dvr_s, language),
        is_open,
        boot: inline_json(&Boot { id: event.id, is_open }),
        event,
    })
}

/// The event, if the member may change it; absent for everybody else.
pub(crate) async fn editable(state: &State, id: &str, member: &Member) -> Result<(Video, Event), WebError> {
    let absent = || WebError::from(ErrorKind::NotFound);
    let id: VideoId = id.parse().map_err(|_| absent())?;
    let found = state.catalog.event(id).await?;
    found.filter(|(video, _)| access::may_edit(video, Some(&member.person))).ok_or_else(absent)
}
