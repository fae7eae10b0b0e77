//! The answers of a live event.

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use http::{Method, Response};
use listener::{Body, Language, Problem, Text};
use live::{Directives, Piece, Reload, Shown, Timing, View, Window};
use model::{ErrorKind, RenditionName};
use tokio::time::Instant;

use super::hold::{Held, longest};
use super::{Asked, Edge, text};
use crate::decision::{Bearer, Right};
use crate::document::Document;
use crate::error::EdgeError;
use crate::live::{Broadcast, Follower, LiveRoute, Moment, Stage};
use crate::media::Media;
use crate::metrics::Found;
use crate::origin::PATIENCE;
use crate::response::{self, Entity, Keep, cache_control};

/// Seconds by which media may be older than what its viewer's playlists list: they may have been fetched
/// a while ago.
const GRACE_S: u64 = 60;

type Answered = Result<(Response<Body>, Found), Arc<EdgeError>>;

/// What an answer depends on.
#[derive(Clone, Copy)]
struct Case<'a> {
    asked: &'a Asked<'a>,
    bearer: &'a Bearer,
    right: &'a Right,
}

/// What was waited for, and by which right it is served now.
enum Awaited {
    There(Arc<Moment>, Right),
    Not(Box<Response<Body>>),
}

impl Awaited {
    fn not(response: Response<Body>) -> Self {
        Self::Not(Box::new(response))
    }
}

impl Edge {
    /// Something of a live event, to which there is a right.
    pub(super) async fn event(
        &self,
        live: LiveRoute,
        asked: &Asked<'_>,
        bearer: &Bearer,
        right: &Right,
    ) -> Answered {
        let case = Case { asked, bearer, right };
        let broadcast = self.0.live.broadcast(asked.route.video, asked.route.version)?;
        let name = match live {
            LiveRoute::Multivariant(view) => return multivariant(&broadcast, view, case).await,
            LiveRoute::Playlist(_, name)
            | LiveRoute::Init(name, _)
            | LiveRoute::Segment(name, _)
            | LiveRoute::Part(name, ..)
            | LiveRoute::Joined(name, ..) => name,
        };
        let follower = match broadcast.follower(name).await {
            Err(EdgeError::Absent) => {
                // Of an event that there is it can be said for how long that holds.
                let target_s = broadcast.event().await?.timing.target_duration_s;
                return Ok((absent(live, target_s, case), Found::None));
            }
            follower => follower?,
        };
        let moment = first_moment(&follower).await?;
        let answered = match live {
            LiveRoute::Multivariant(_) => return Err(EdgeError::Absent.into()),
            LiveRoute::Playlist(view, _) => self.live_playlist(&follower, moment, view, case).await,
            LiveRoute::Init(_, n) => live_init(&broadcast, &follower, name, n, case).await,
            LiveRoute::Segment(_, msn) => closed(&broadcast, &follower, name, (msn, msn), false, case).await,
            LiveRoute::Joined(_, first, last) => {
                closed(&broadcast, &follower, name, (first, last), true, case).await
            }
            LiveRoute::Part(_, msn, part) => {
                self.live_part(&broadcast, &follower, moment, name, (msn, part), case).await
            }
        };
        match answered {
            Err(error) if matches!(*error, EdgeError::Absent) => {
                Ok((absent(live, follower.timing().target_duration_s, case), Found::None))
            }
            answered => answered,
        }
    }

    async fn live_playlist(
        &self,
        follower: &Follower,
        moment: Arc<Moment>,
        view: View,
        case: Case<'_>,
    ) -> Answered {
        let timing = follower.timing();
        let target_s = view.target_duration_s(timing.target_duration_s);
        let Ok(directives) = Directives::parse(case.asked.query) else {
            return Ok((fault(ErrorKind::Invalid, target_s, case), Found::None));
        };
        let is_blocking = directives.until.is_some() && view != View::Saver;
        let (moment, right, found) = match moment.decide(view, directives, timing) {
            Reload::TooFar => return Ok((fault(ErrorKind::Invalid, target_s, case), Found::None)),
            Reload::Now => (moment, case.right.clone(), Found::Memory),
            Reload::Wait => {
                let settles = |moment: &Moment| moment.decide(view, directives, timing) != Reload::Wait;
                match self.awaited(follower, timing, 4 * target_s, case, settles).await? {
                    Awaited::There(moment, right) => (moment, right, Found::Held),
                    Awaited::Not(response) => return Ok((*response, Found::Held)),
                }
            }
        };
        let window = Window::back(right.rewind_s());
        let delta = directives.skip.is_some();
        let playlist = follower.playlist(&moment, Shown { view, window, delta });
        let keep = Keep::For(if is_blocking { 6 * target_s } else { target_s / 2 });
        Ok((text(&playlist, keep, case.asked, &right), found))
    }

    async fn live_part(
        &self,
        broadcast: &Broadcast,
        follower: &Follower,
        moment: Arc<Moment>,
        name: RenditionName,
        (msn, part): (u32, u32),
        case: Case<'_>,
    ) -> Answered {
        let timing = follower.timing();
        let keep = Keep::For(6 * timing.target_duration_s);
        if let Some(media) = follower.part(msn, part) {
            return Ok((part_answer(&media, name, keep, case.asked, case.right), Found::Memory));
        }
        let is_hinted =
            |moment: &Moment| !moment.ended && (moment.position.msn, moment.position.parts) == (msn, part);
        if !is_hinted(&moment) {
            return self.earlier_part(broadcast, follower, name, (msn, part), case).await;
        }
        let began = Instant::now();
        let settles = |moment: &Moment| !is_hinted(moment);
        let target_s = timing.target_duration_s;
        let right = match self.awaited(follower, timing, target_s, case, settles).await? {
            Awaited::There(_, right) => right,
            Awaited::Not(response) => return Ok((*response, Found::Held)),
        };
        // It has come, or its segment was closed without it.
        let mut response = match follower.part(msn, part) {
            Some(media) => part_answer(&media, name, keep, case.asked, &right),
            None => self.earlier_part(broadcast, follower, name, (msn, part), case).await?.0,
        };
        response::held(response.headers_mut(), began.elapsed());
        Ok((response, Found::Held))
    }

    /// A part whose bytes are no longer, or were never, in memory here.
    async fn earlier_part(
        &self,
        broadcast: &Broadcast,
        follower: &Follower,
        name: RenditionName,
        (msn, part): (u32, u32),
        case: Case<'_>,
    ) -> Answered {
        let size_bytes = {
            let replica = follower.replica();
            let rendition = &replica.rendition;
            let open = rendition.open().filter(|open| open.begun.msn == msn);
            let of = |begun: live::Begun, parts: &[live::Part]| {
                parts.get(part as usize).filter(|_| !begun.gap).map(|part| part.size_bytes)
            };
            match open {
                Some(open) => of(open.begun, &open.parts),
                None => rendition.segment(msn).and_then(|segment| of(segment.begun, &segment.parts)),
            }
        };
        let size_bytes = size_bytes.ok_or(EdgeError::Absent)?;
        let (media, found) = broadcast.piece(name, Piece::Part(msn, part), Some(size_bytes)).await?;
        let keep = Keep::For(6 * follower.timing().target_duration_s);
        Ok((part_answer(&media, name, keep, case.asked, case.right), found))
    }

    /// Holds a request, and decides anew when it is let go: a right may have ended meanwhile.
    /// `absent_s` is for how long it may be believed that there is no such rendition.
    async fn awaited(
        &self,
        follower: &Follower,
        timing: &Timing,
        absent_s: u32,
        case: Case<'_>,
        settles: impl Fn(&Moment) -> bool,
    ) -> Result<Awaited, Arc<EdgeError>> {
        let Case { asked, bearer, right } = case;
        let language = Language::of(asked.headers);
        if *asked.method == Method::HEAD {
            return Ok(Awaited::not(response::not_yet(language)));
        }
        let moment = match self.hold(follower, asked, right, longest(timing), settles).await? {
            Held::Settled(moment) => moment,
            Held::Over => return Ok(Awaited::not(fault(ErrorKind::NotFound, absent_s, case))),
            Held::InVain => return Ok(Awaited::not(not_in_time(timing.target_duration_s, case))),
            Held::Withdrawn => return Ok(Awaited::not(self.refused(case).await?)),
        };
        let told = self.0.follower.told()?;
        match self.decide(&asked.route, bearer, &told, self.0.clock.now()).await? {
            Ok(right) => Ok(Awaited::There(moment, right)),
            Err(kind) => Ok(Awaited::not(response::refusal(kind, language))),
        }
    }

    /// The refusal that whoever asked would get now.
    async fn refused(&self, Case { asked, bearer, .. }: Case<'_>) -> Result<Response<Body>, EdgeError> {
        let told = self.0.follower.told()?;
        let decided = self.decide(&asked.route, bearer, &told, self.0.clock.now()).await?;
        let kind = decided.err().unwrap_or(ErrorKind::Unauthenticated);
        Ok(response::refusal(kind, Language::of(asked.headers)))
    }
}

async fn multivariant(broadcast: &Broadcast, view: View, case: Case<'_>) -> Answered {
    let event = broadcast.event().await?;
    let playlist = Document::plain(live::multivariant(&event, view, case.right.height()).into());
    let keep = Keep::For(event.timing.target_duration_s / 2);
    Ok((text(&playlist, keep, case.asked, case.right), Found::None))
}

async fn live_init(
    broadcast: &Broadcast,
    follower: &Follower,
    name: RenditionName,
    n: u32,
    case: Case<'_>,
) -> Answered {
    if n > follower.replica().rendition.last_init() {
        return Err(EdgeError::Absent.into());
    }
    let (init, found) = broadcast.piece(name, Piece::Init(n), None).await?;
    Ok((part_answer(&init, name, Keep::Forever, case.asked, case.right), found))
}

/// Closed segments `first` to `last`, as one.
async fn closed(
    broadcast: &Broadcast,
    follower: &Follower,
    name: RenditionName,
    (first, last): (u32, u32),
    is_joined: bool,
    case: Case<'_>,
) -> Answered {
    let (sizes, age_s) = {
        let replica = follower.replica();
        let rendition = &replica.rendition;
        let segments: Option<Vec<_>> = (first..=last).map(|msn| rendition.segment(msn)).collect();
        let segments = segments.ok_or(EdgeError::Absent)?;
        let head = segments.first().ok_or(EdgeError::Absent)?.begun;
        let goes_on = |begun: live::Begun| {
            !begun.gap && begun.init == head.init && (begun.msn == first || !begun.discontinuity)
        };
        if !segments.iter().all(|segment| goes_on(segment.begun)) {
            return Err(EdgeError::Absent.into());
        }
        let age_s = segments.last().map_or(0, |last| rendition.age_s(last));
        (segments.iter().map(|segment| (segment.begun.msn, segment.size_bytes)).collect::<Vec<_>>(), age_s)
    };
    let reach_s = u64::from(Window::back(case.right.rewind_s()).seconds()) + GRACE_S;
    if age_s > reach_s {
        return Ok((response::refusal(ErrorKind::Forbidden, Language::of(case.asked.headers)), Found::None));
    }
    let (media, found) = match sizes[..] {
        [segment] if !is_joined => broadcast.segment(follower, name, segment).await?,
        _ => broadcast.joined(follower, name, &sizes).await?,
    };
    Ok((part_answer(&media, name, Keep::Forever, case.asked, case.right), found))
}

/// What a follower knows, once it has heard anything.
async fn first_moment(follower: &Follower) -> Result<Arc<Moment>, EdgeError> {
    let mut stage = follower.stage();
    let heard = stage.wait_for(|stage| !matches!(stage, Stage::Unknown));
    match tokio::time::timeout(PATIENCE, heard).await.ok().and_then(Result::ok).as_deref() {
        Some(Stage::Known(moment)) => Ok(Arc::clone(moment)),
        Some(Stage::Over) => Err(EdgeError::Absent),
        _ => Err(EdgeError::NotYet),
    }
}

/// The answer with bytes that are in memory.
fn part_answer(
    media: &Media,
    name: RenditionName,
    keep: Keep,
    asked: &Asked<'_>,
    right: &Right,
) -> Response<Body> {
    let content_type = if name.is_video() { "video/mp4" } else { "audio/mp4" };
    let len = media.bytes.len() as u64;
    let entity = Entity { content_type, etag: &media.etag, len, keep, varies: None, encoding: None };
    response::in_memory(&entity, &media.bytes, asked.method, asked.headers, right)
}

/// The answer where there is nothing: a reload that would wait may believe it for longer.
fn absent(live: LiveRoute, target_s: u32, case: Case<'_>) -> Response<Body> {
    let waits = matches!(live, LiveRoute::Playlist(..))
        && Directives::parse(case.asked.query).is_ok_and(|directives| directives.until.is_some());
    fault(ErrorKind::NotFound, if waits { 4 * target_s } else { target_s }, case)
}

/// A refusal that may be believed for so many seconds: players ask again by themselves.
fn fault(kind: ErrorKind, seconds: u32, case: Case<'_>) -> Response<Body> {
    let mut response = response::refusal(kind, Language::of(case.asked.headers));
    response.headers_mut().insert(CACHE_CONTROL, cache_control(Keep::For(seconds), case.right));
    response
}

/// The answer to who has waited as long as one may.
fn not_in_time(target_s: u32, case: Case<'_>) -> Response<Body> {
    let title = Text::new("La emisión no avanza en este momento", "The event does not move on at present");
    let problem = Problem::of(ErrorKind::Unavailable).named("not_in_time", title).retry_after(1);
    let mut response = problem.response(Language::of(case.asked.headers));
    response.headers_mut().insert(CACHE_CONTROL, cache_control(Keep::For(target_s), case.right));
    response
}
