//! One video: what it is, what it costs to watch, and the film itself or why not.

use askama::Template;
use axum::extract;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use model::{ErrorKind, Tier, VideoId, VideoState, Visibility};
use serde::Serialize;

use super::assets::Island;
use super::broadcast::{self, Broadcast, EventFigures};
use super::cost::{self, Quality, Sound};
use super::format::{clock, day, day_in_words, decimal, duration_iso};
use super::frame::{Frame, Visit, inline_json, show};
use super::text;
use crate::access::{self, Refused, Right};
use crate::chapters::ChapterView;
use crate::playback::{Playback, playback};
use crate::views::{self, VideoView};
use crate::{State, WebError, event};

#[derive(Template)]
#[template(path = "watch.html")]
struct Watch {
    frame: Frame,
    video: VideoView,
    owner_line: String,
    duration: Option<String>,
    published: Option<(String, String)>,
    /// What only the owner needs to know: who else can see it.
    visibility_notice: Option<String>,
    may_edit: bool,
    /// When each chapter begins, on a clock, and its title.
    chapters: Vec<(String, String)>,
    /// Of an event: its word, and how many watch.
    event: Option<EventFigures>,
    stage: Stage,
    share: Share,
}

/// What stands where the film would be.
enum Stage {
    Film(Box<Film>),
    Broadcast(Broadcast),
    Refusal { title: String, sentence: String, is_signed_out: bool },
    Notice { sentence: String, is_owner: bool },
}

/// The film, playing without scripts; the island takes over from here.
struct Film {
    source: String,
    source_type: &'static str,
    foreign_url: String,
    rows: Vec<(String, String)>,
    /// Whether the picture is higher than wide, and wants more of a phone's screen.
    is_portrait: bool,
    plain_notice: Option<String>,
    /// For the island.
    boot: String,
}

/// What the island begins with.
#[derive(Serialize)]
struct Boot<'a> {
    id: VideoId,
    title: &'a str,
    poster: Option<&'a str>,
    qualities: &'a [Quality],
    sound: Option<&'a Sound>,
    mp4: Option<&'a str>,
    saver: bool,
    /// The first grant, so that play asks for nothing but the film.
    playback: &'a Playback,
    /// Whether all of it is there; until then the island looks for more.
    is_ready: bool,
    chapters: &'a [ChapterView],
}

/// What other sites and programs are told of a public video.
#[derive(Default)]
struct Share {
    is_public: bool,
    url: String,
    image: Option<String>,
    /// schema.org `VideoObject`.
    json_ld: Option<String>,
}

#[derive(Serialize)]
struct VideoObject<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'a str,
    description: &'a str,
    #[serde(rename = "thumbnailUrl")]
    thumbnail_url: &'a str,
    #[serde(rename = "uploadDate")]
    upload_date: String,
    duration: String,
    #[serde(rename = "contentUrl")]
    content_url: String,
}

/// `GET /watch/{video}`.
pub(crate) async fn page(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    visit: Visit,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let absent = || WebError::from(ErrorKind::NotFound);
    let id: VideoId = id.parse().map_err(|_| absent())?;
    let row = state.catalog.video(id).await?.ok_or_else(absent)?;
    let person = visit.person();
    let right = access::may_play(&row, person);
    if right == Err(Refused::Hidden) {
        return Err(absent());
    }
    let (is_owner, may_edit) =
        (person.is_some_and(|person| person.account == row.owner), access::may_edit(&row, person));
    let event = match row.state {
        VideoState::Event { .. } => state.catalog.event(id).await?,
        _ => None,
    };
    let event = match event {
        Some(found) => Some(event::event(&state, &visit.visitor, found).await?),
        None => None,
    };
    let video = views::video(&state, &visit.visitor, row.clone()).await?;
    let stage = match (right, &event) {
        (Ok(_), Some(event)) => {
            let playback = playback(&state, &row, None, person, visit.visitor.now).await?;
            Stage::Broadcast(Broadcast::of(event, Some(playback), &visit))
        }
        (Err(Refused::NotReady), Some(event)) => Stage::Broadcast(Broadcast::of(event, None, &visit)),
        (Ok(playable), None) => {
            let height = match playable.right {
                Right::Granted { height, .. } => height,
                Right::Free => access::free_height(&state.subscriptions.tier_rights().await?),
            };
            let playback = playback(&state, &row, None, person, visit.visitor.now).await?;
            Stage::Film(Box::new(film(&video, height, playback, &visit)))
        }
        (Err(Refused::NotReady | Refused::Hidden), _) => notice(&row.state, is_owner, &visit),
        (Err(Refused::SignedOut | Refused::Tier(_)), _) => refusal(video.min_tier, &visit),
    };
    let island = match stage {
        Stage::Film(_) => Some(Island::Watch),
        Stage::Broadcast(_) => Some(Island::Live),
        Stage::Refusal { .. } | Stage::Notice { .. } => None,
    };
    let language = visit.language();
    let origin = origin(&headers);
    let watch = Watch {
        frame: Frame::new(&visit, &video.title, island),
        owner_line: text::fill(language, "watch_by", &[("owner", &video.owner)]),
        duration: video.duration_ms.map(clock),
        published: video.published_at.map(|at| {
            (day(at), text::fill(language, "watch_published", &[("date", &day_in_words(at, language))]))
        }),
        visibility_notice: (!row.visibility.is_shared()).then(|| visibility_notice(row.visibility, &visit)),
        may_edit,
        chapters: video.chapters.iter().map(|it| (clock(it.start_ms), it.title.clone())).collect(),
        event: event.as_ref().map(|event| broadcast::figures(event, language)),
        share: share(&video, &stage, &origin),
        stage,
        video,
    };
    Ok(show(StatusCode::OK, &watch.frame, &watch))
}

fn film(video: &VideoView, height: u16, playback: Playback, visit: &Visit) -> Film {
    let language = visit.language();
    let foreign_url = &playback.foreign_url;
    let qualities = cost::qualities(&video.renditions, height);
    let sound = cost::sound(&video.renditions);
    let prefix = foreign_url.strip_suffix("/multivariant.m3u8").unwrap_or(foreign_url);
    let plain = cost::plain(&qualities);
    let is_ready = video.state == "ready";
    // The plain file begins with tables of all that is in it.
    let has_sound = video.renditions.iter().all(|view| view.name.is_video() || view.whole);
    let whole = plain.filter(|quality| quality.whole && has_sound);
    let mp4 = whole.map(|quality| format!("{prefix}/{}.mp4", quality.name));
    let row = |name: String, mb: f64| {
        (name, text::fill(language, "watch_cost_row", &[("mb", &decimal(mb, language))]))
    };
    let mut rows: Vec<_> = qualities.iter().map(|q| row(q.name.to_string(), q.mb_per_minute)).collect();
    let alone = text::say(language, "quality_audio");
    rows.extend(sound.iter().map(|sound| row(alone.to_owned(), sound.mb_per_minute)));
    let boot = Boot {
        id: video.id,
        title: &video.title,
        poster: video.poster_url.as_deref(),
        qualities: &qualities,
        sound: sound.as_ref(),
        mp4: mp4.as_deref(),
        saver: visit.saver,
        playback: &playback,
        is_ready,
        chapters: &video.chapters,
    };
    Film {
        boot: inline_json(&boot),
        is_portrait: video.renditions.iter().any(|view| view.height > view.width),
        plain_notice: match whole {
            Some(quality) => {
                let mb = decimal(quality.mb_per_minute, language);
                Some(text::fill(language, "watch_no_script", &[("quality", &quality.name), ("mb", &mb)]))
            }
            None => (!is_ready).then(|| text::say(language, "watch_still_prepared").to_owned()),
        },
        // What is still being made, and sound without a picture, has no plain file; some browsers
        // play the playlist itself.
        source_type: if mp4.is_some() { "video/mp4" } else { "application/vnd.apple.mpegurl" },
        source: mp4.unwrap_or_else(|| foreign_url.clone()),
        foreign_url: playback.foreign_url,
        rows,
    }
}

fn refusal(min_tier: Tier, visit: &Visit) -> Stage {
    let language = visit.language();
    let (key, yours) = match visit.person() {
        None => ("refused_anonymous", Tier::NONE),
        Some(person) if person.tier == Tier::NONE => ("refused_no_plan", Tier::NONE),
        Some(person) => ("refused_lower_plan", person.tier),
    };
    Stage::Refusal {
        title: text::fill(language, "refused_title", &[("tier", &min_tier)]),
        sentence: text::fill(language, key, &[("tier", &min_tier), ("yours", &yours)]),
        is_signed_out: visit.person().is_none(),
    }
}

fn notice(state: &VideoState, is_owner: bool, visit: &Visit) -> Stage {
    let key = match state {
        VideoState::Failed { .. } => "watch_failed",
        VideoState::Ended { .. } => "event_nothing_left",
        _ => "watch_not_ready",
    };
    let is_owner = is_owner && !matches!(state, VideoState::Ended { .. });
    Stage::Notice { sentence: text::say(visit.language(), key).to_owned(), is_owner }
}

fn visibility_notice(visibility: Visibility, visit: &Visit) -> String {
    let key = format!("visibility_{visibility}");
    let word = text::say(visit.language(), &key);
    text::fill(visit.language(), "watch_not_public", &[("visibility", &word)])
}

/// The origin under which the reader sees this site, as far as their request tells; links that
/// other sites follow must be whole.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_host = |host: &&str| {
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'))
    };
    let forwarded = text(header::HeaderName::from_static("x-forwarded-proto"));
    let scheme = if forwarded == Some("https") { "https" } else { "http" };
    match text(header::HOST).filter(is_host) {
        Some(host) => format!("{scheme}://{host}"),
        None => String::new(),
    }
}

fn share(video: &VideoView, stage: &Stage, origin: &str) -> Share {
    if video.visibility != Visibility::Public || origin.is_empty() {
        return Share::default();
    }
    let url = format!("{origin}/watch/{}", video.id);
    let image = video.thumbnail_url.as_ref().map(|path| format!("{origin}{path}"));
    // Only what anybody may fetch: a grant of the reader's is nothing to hand on.
    let free = match stage {
        Stage::Film(film) if video.min_tier == Tier::NONE && film.foreign_url.starts_with("/v/") => {
            Some(film)
        }
        _ => None,
    };
    let json_ld = free.zip(image.as_deref()).map(|(film, thumbnail_url)| {
        inline_json(&VideoObject {
            context: "https://schema.org",
            kind: "VideoObject",
            name: &video.title,
            description: if video.description.is_empty() { &video.title } else { &video.description },
            thumbnail_url,
            upload_date: day(video.published_at.unwrap_or(video.created_at)),
            duration: duration_iso(video.duration_ms.unwrap_or_default()),
            content_url: format!("{origin}{}", film.foreign_url),
        })
    });
    Share { is_public: true, url, image, json_ld }
}
