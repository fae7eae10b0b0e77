//! What clients see of rows: types of their own, so that nothing is shown by accident.

use std::time::Duration;

use catalog::{Progress, Reencoding, RenditionSummary, Stage, Video};
use listener::Language;
use model::{RenditionName, Timestamp, VersionId, VideoState, Visibility};
use serde::Serialize;
use subscriptions::{SignedIn, player_grant};
use utoipa::ToSchema;

use crate::access::{Playable, Right, may_edit, may_play};
use crate::chapters::{self, ChapterView};
use crate::pages::text::say;
use crate::playback::{at_edge, scope};
use crate::session::Visitor;
use crate::{State, WebError};

/// Pictures behind a grant keep their URL for this long, so that browsers' caches work; half the
/// life of a player's grant.
const PICTURE_STEP: Duration = Duration::from_secs(5 * 60);

/// A video.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(title = "Video")]
pub(crate) struct VideoView {
    /// Its id: 26 characters.
    #[schema(value_type = String)]
    pub(crate) id: model::VideoId,
    pub(crate) title: String,
    pub(crate) description: String,
    /// Who may find it: `draft`, `private`, `unlisted` or `public`.
    #[schema(value_type = String)]
    pub(crate) visibility: Visibility,
    /// The lowest tier that may play it, 0 to 3.
    #[schema(value_type = u8)]
    pub(crate) min_tier: model::Tier,
    /// `uploading`, `queued`, `packaging`, `ready` or `failed`; of an event `event`, and then
    /// `ready`, or `ended` when nothing of it was kept.
    pub(crate) state: &'static str,
    /// The state in more detail: `uploading`, `queued`, `probing`, `playable`, `improving`,
    /// `ready` or `failed`. From `playable` on it can be watched, from `improving` on in whole. Of
    /// an event: `scheduled`, `live`, and then `ready` or `ended`.
    pub(crate) stage: &'static str,
    /// Whether it can be watched, if only in part of its qualities.
    pub(crate) plays: bool,
    /// Its place in the queue, 1 for the next; null when it does not wait for a worker.
    pub(crate) queue_place: Option<u32>,
    /// How much it comes before others in the queue: 0 unless somebody has set it.
    pub(crate) priority: i32,
    /// Percent of the way to `ready`.
    pub(crate) progress: u8,
    /// Seconds to go to `ready`, once that can be told.
    pub(crate) eta_s: Option<u32>,
    /// Seconds of film that are made in a second, once that can be told.
    pub(crate) speed: Option<f64>,
    /// Why it failed, if it did; told to those who may edit it.
    pub(crate) failure: Option<FailureView>,
    pub(crate) duration_ms: Option<u64>,
    /// Its chapters in order; those of an event count from its beginning, and can be set while it
    /// goes on.
    pub(crate) chapters: Vec<ChapterView>,
    /// Milliseconds since 1970.
    #[schema(value_type = i64)]
    pub(crate) created_at: Timestamp,
    /// When it first stood in the public list, in milliseconds since 1970.
    #[schema(value_type = Option<i64>)]
    pub(crate) published_at: Option<Timestamp>,
    /// The owner's username.
    pub(crate) owner: String,
    /// The version that plays, if one does.
    #[schema(value_type = Option<String>)]
    pub(crate) version: Option<VersionId>,
    /// Path of a picture for lists.
    pub(crate) thumbnail_url: Option<String>,
    /// Path of a picture at player size; null for those who may not play the video.
    pub(crate) poster_url: Option<String>,
    pub(crate) renditions: Vec<RenditionView>,
    /// The re-encode that is under way, if one is; told to those who may edit the video.
    pub(crate) reencode: Option<ReencodeView>,
    /// How it was trimmed last, or is to be; told to those who may edit the video.
    pub(crate) trim: Option<TrimView>,
}

/// What a trim leaves, or has left, of a film.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Trim")]
pub(crate) struct TrimView {
    /// Where the film begins now, in milliseconds of the film before,
    pub(crate) from_ms: u64,
    /// and where it ends.
    pub(crate) to_ms: u64,
    /// Whether it is still to be made: until then the film is as it was before.
    pub(crate) under_way: bool,
    /// Until when it can be undone, in milliseconds since 1970.
    #[schema(value_type = Option<i64>)]
    pub(crate) undo_until: Option<Timestamp>,
}

/// How far a re-encode is. The video stays as it is meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Reencode")]
pub(crate) struct ReencodeView {
    /// What is encoded anew.
    #[schema(value_type = Vec<String>)]
    pub(crate) renditions: Vec<RenditionName>,
    /// x264's word for how slowly.
    pub(crate) preset: String,
    /// Percent of the work.
    pub(crate) progress: u8,
}

/// Why a video failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Failure")]
pub(crate) struct FailureView {
    /// A word for programs.
    pub(crate) code: &'static str,
    /// A sentence in the reader's language.
    pub(crate) text: String,
}

/// One quality of a video.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(title = "Rendition")]
pub(crate) struct RenditionView {
    /// `360p`, `a64`…
    #[schema(value_type = String)]
    pub(crate) name: RenditionName,
    /// `video` or `audio`.
    pub(crate) kind: &'static str,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    /// Rate of the fastest segment of this track, in bit/s.
    pub(crate) bandwidth_bps: u64,
    /// Rate of this track over its whole length, in bit/s.
    pub(crate) average_bandwidth_bps: u64,
    /// Megabytes that a minute costs, with the sound that goes with a picture.
    pub(crate) mb_per_minute: f64,
    /// Whether all of it is there. Until then its figures are what it has at most.
    pub(crate) whole: bool,
    /// Whether it has one format, and its sound too.
    #[serde(skip)]
    pub(crate) is_uniform: bool,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ListView<T> {
    pub(crate) items: Vec<T>,
    /// The `cursor` of the next part; null at the end.
    pub(crate) next: Option<String>,
}

/// Videos as `visitor` sees them; they may see all of these.
pub(crate) async fn videos(
    state: &State,
    visitor: &Visitor,
    videos: Vec<Video>,
) -> Result<Vec<VideoView>, WebError> {
    let names = state.subscriptions.usernames(videos.iter().map(|video| video.owner)).await?;
    let mut views = Vec::with_capacity(videos.len());
    for video in videos {
        let owner = names.get(&video.owner).cloned().unwrap_or_default();
        let pictures = pictures(state, &video, visitor.person.as_ref(), visitor.now).await?;
        let is_theirs = may_edit(&video, visitor.person.as_ref());
        let view = view(video, owner, pictures, visitor.language, visitor.now);
        let failure = view.failure.filter(|_| is_theirs);
        let reencode = view.reencode.filter(|_| is_theirs);
        let trim = view.trim.filter(|_| is_theirs);
        views.push(VideoView { failure, reencode, trim, ..view });
    }
    Ok(views)
}

/// One video as `visitor` sees it.
pub(crate) async fn video(state: &State, visitor: &Visitor, video: Video) -> Result<VideoView, WebError> {
    let mut views = videos(state, visitor, vec![video]).await?;
    Ok(views.pop().expect("one video has one view"))
}

fn view(video: Video, owner: String, pictures: Pictures, language: Language, now: Timestamp) -> VideoView {
    let failure = match video.state {
        VideoState::Failed { reason, .. } => Some(FailureView {
            code: reason.as_str(),
            text: say(language, &format!("failure_{reason}")).to_owned(),
        }),
        _ => None,
    };
    let version = video.plays();
    let reencode = video.reencode.clone().map(|Reencoding { renditions, preset, percent }| ReencodeView {
        renditions,
        preset,
        progress: percent,
    });
    let moving = matches!(
        video.state,
        VideoState::Uploading | VideoState::Queued { .. } | VideoState::Packaging { .. }
    );
    VideoView {
        id: video.id,
        visibility: video.visibility,
        min_tier: video.min_tier,
        state: video.state.as_str(),
        stage: video.stage().as_str(),
        plays: version.is_some(),
        queue_place: video.queue_place.map(|before| before + 1),
        priority: video.priority,
        progress: if video.stage() == Stage::Ready { 100 } else { video.progress.percent },
        eta_s: eta_s(&video.progress, video.progress_at, now).filter(|_| moving),
        speed: video.progress.speed.filter(|_| moving),
        failure,
        duration_ms: video.duration_ms,
        chapters: chapters::shown(&video.chapters, video.duration_ms),
        created_at: video.created_at,
        published_at: video.published_at,
        owner,
        version,
        thumbnail_url: pictures.thumbnail,
        poster_url: pictures.poster,
        renditions: renditions(&video),
        reencode,
        trim: video.trim.map(|trim| TrimView {
            from_ms: trim.ms.start,
            to_ms: trim.ms.end,
            under_way: trim.is_under_way,
            undo_until: trim.undo_until.filter(|until| *until > now),
        }),
        title: video.title,
        description: video.description,
    }
}

/// The seconds that are left now of those that were left at `then`; one is always left of what is
/// not there yet.
fn eta_s(progress: &Progress, then: Option<Timestamp>, now: Timestamp) -> Option<u32> {
    let passed = (now.as_millis() - then?.as_millis()).max(0) / 1000;
    let left = i64::from(progress.eta_s?).saturating_sub(passed).max(1);
    u32::try_from(left).ok()
}

fn renditions(video: &Video) -> Vec<RenditionView> {
    let summaries = &video.renditions;
    let names: Vec<_> = summaries.iter().map(|summary| summary.name).collect();
    let average = |name| video.rendition(name).map_or(0, |summary| summary.average_bandwidth_bps);
    let view = |summary: &RenditionSummary| {
        let is_video = summary.name.is_video();
        let sound = if is_video { summary.name.sound_of(&names).map_or(0, average) } else { 0 };
        RenditionView {
            name: summary.name,
            kind: if is_video { "video" } else { "audio" },
            width: summary.width,
            height: summary.height,
            bandwidth_bps: summary.bandwidth_bps,
            average_bandwidth_bps: summary.average_bandwidth_bps,
            mb_per_minute: mb_per_minute(summary.average_bandwidth_bps + sound),
            whole: video.is_whole(summary.name),
            is_uniform: summary.formats == 1,
        }
    };
    summaries.iter().map(view).collect()
}

/// Megabytes of a minute at `bps`, to the hundredth.
fn mb_per_minute(bps: u64) -> f64 {
    (bps as f64 * 60.0 / 8.0 / 10_000.0).round() / 100.0
}

#[derive(Default)]
struct Pictures {
    thumbnail: Option<String>,
    poster: Option<String>,
}

/// Where the pictures are: plainly for what is everybody's, under a grant's prefix for the rest.
async fn pictures(
    state: &State,
    video: &Video,
    person: Option<&SignedIn>,
    now: Timestamp,
) -> Result<Pictures, WebError> {
    let Some(version) = video.plays().filter(|_| video.has_stills) else { return Ok(Pictures::default()) };
    let plain = at_edge(video, version);
    let is_free = may_play(video, None).is_ok();
    let path = match (may_play(video, person), person) {
        _ if is_free => Some(plain.clone()),
        (Ok(Playable { right: Right::Granted { height, until, .. }, .. }), Some(person)) => {
            let step = now.as_millis().rem_euclid(PICTURE_STEP.as_millis() as i64);
            let then = Timestamp::from_millis(now.as_millis() - step);
            let scope = scope(video, version, height, until);
            let grant = player_grant(&person.bearer(), &scope, then);
            Some(format!("/t/{}{plain}", state.subscriptions.sign_grant(&grant).await?))
        }
        _ => None,
    };
    let is_listed = video.visibility == Visibility::Public;
    let thumbnail = if is_listed { Some(&plain) } else { path.as_ref() };
    Ok(Pictures {
        thumbnail: thumbnail.map(|path| format!("{path}/thumbnail.jpg")),
        poster: path.map(|path| format!("{path}/poster.jpg")),
    })
}

#[cfg(test)]
mod tests {
    use model::Visibility;

    use super::*;
    use crate::access::tests::video;

    fn film(names: [(&str, u64); 4], unfinished: &[&str]) -> Video {
        let summary = |(name, average_bandwidth_bps): (&str, u64)| RenditionSummary {
            name: name.parse().unwrap(),
            width: None,
            height: None,
            bandwidth_bps: 2 * average_bandwidth_bps,
            average_bandwidth_bps,
            size_bytes: 1,
            formats: 1,
        };
        Video {
            renditions: names.map(summary).into(),
            unfinished: unfinished.iter().map(|name| name.parse().unwrap()).collect(),
            ..video(Visibility::Public, 0)
        }
    }

    #[test]
    fn a_minute_costs_picture_and_sound_together_and_the_unfinished_is_not_whole() {
        let film =
            film([("a32", 32_000), ("a128", 128_000), ("144p", 40_000), ("720p", 1_472_000)], &["720p"]);
        let told: Vec<_> = renditions(&film)
            .into_iter()
            .map(|view| (view.name.to_string(), view.mb_per_minute, view.whole))
            .collect();
        let expected =
            [("a32", 0.24, true), ("a128", 0.96, true), ("144p", 0.54, true), ("720p", 12.0, false)];
        assert_eq!(told, expected.map(|(name, mb, whole)| (name.to_owned(), mb, whole)));
    }

    #[test]
    fn time_left_runs_down_by_itself_and_never_out() {
        let at = |second: i64| Timestamp::from_seconds(second);
        let progress = |eta_s| Progress { eta_s, ..Progress::default() };
        let left = |eta_s, now| super::eta_s(&progress(eta_s), Some(at(100)), at(now));
        assert_eq!(
            [100, 130, 189, 5000].map(|now| left(Some(90), now)),
            [Some(90), Some(60), Some(1), Some(1)]
        );
        assert_eq!(left(Some(90), 50), Some(90), "another machine's clock may be ahead");
        assert_eq!(left(None, 130), None);
        assert_eq!(super::eta_s(&progress(Some(90)), None, at(130)), None);
    }
}
