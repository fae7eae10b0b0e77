use catalog::Video;
use model::{Timestamp, Uses, VersionId, VideoState};
use serde::Serialize;
use subscriptions::{Scope, SignedIn, foreign_grant, player_grant, revocation_moment};
use utoipa::ToSchema;

use crate::access::{Playable, Right, may_play};
use crate::{State, WebError};

/// Where and with what a video plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Playback")]
pub(crate) struct Playback {
    /// Path of the multivariant playlist. With a token it wants `Authorization: Bearer <token>` on
    /// this and on every request that follows from it.
    pub(crate) url: String,
    /// The grant for a player that can send headers, and ask for the next one before
    /// `expires_at`; null when the video is free for all.
    pub(crate) token: Option<String>,
    /// Path of the same playlist for players that only take a URL; lives for hours.
    pub(crate) foreign_url: String,
    /// When the token expires, in milliseconds since 1970; null when there is none.
    pub(crate) expires_at: Option<i64>,
}

/// Lets `person` play `video`: the current version, or the one that they are `watching` already,
/// while that is kept.
///
/// # Errors
///
/// What [`may_play`] refuses; 401, 403, 404 or 409.
pub(crate) async fn playback(
    state: &State,
    video: &Video,
    watching: Option<VersionId>,
    person: Option<&SignedIn>,
    now: Timestamp,
) -> Result<Playback, WebError> {
    let Playable { version, right } = may_play(video, person).map_err(listener::Problem::from)?;
    let earlier = match watching.filter(|watching| *watching != version) {
        Some(watching) => {
            state.catalog.played_until(video.id, watching).await?.map(|until| (watching, until))
        }
        None => None,
    };
    let earlier = earlier.filter(|(_, until)| *until > now);
    let version = earlier.map_or(version, |(watching, _)| watching);
    let url = format!("{}/multivariant.m3u8", at_edge(video, version));
    let (Right::Granted { height, rewind_s, until }, Some(person)) = (right, person) else {
        return Ok(Playback { foreign_url: url.clone(), url, token: None, expires_at: None });
    };
    let until = until.into_iter().chain(earlier.map(|(_, until)| until)).min();
    let dvr_s = if is_live(video) { state.catalog.event_dvr_s(video.id).await? } else { 0 };
    let scope = Scope { rewind_s: rewind_s.min(dvr_s), ..scope(video, version, height, until) };
    let grant = player_grant(&person.bearer(), &scope, now);
    let foreign = foreign_grant(&person.bearer(), &scope, now);
    let foreign = state.subscriptions.sign_grant(&foreign).await?;
    Ok(Playback {
        foreign_url: format!("/t/{foreign}{url}"),
        url,
        token: Some(state.subscriptions.sign_grant(&grant).await?),
        expires_at: Some(Timestamp::from_seconds(grant.exp).as_millis()),
    })
}

/// How long a grant for a live event may count on it to last, in milliseconds; nobody knows.
const LIVE_MS: u64 = 24 * 3600 * 1000;

/// What a grant to play is about, without going back. The last edit may have revoked the grants before it.
pub(crate) fn scope(video: &Video, version: VersionId, height: u16, until: Option<Timestamp>) -> Scope {
    Scope {
        video: video.id,
        version,
        duration_ms: if is_live(video) { LIVE_MS } else { video.duration_ms.unwrap_or_default() },
        height,
        uses: Uses::PLAY,
        rewind_s: 0,
        until,
        revoked_at: Some(video.updated_at),
    }
}

/// The moment of a change that may revoke the video's grants.
pub(crate) fn moment_of_change(video: &Video, now: Timestamp) -> Timestamp {
    revocation_moment(Some(video.updated_at), now)
}

/// Whether what plays of it is on air, or was a moment ago.
fn is_live(video: &Video) -> bool {
    matches!(video.state, VideoState::Event { plays: Some(_), .. })
}

/// The prefix of everything of one version of a video at the edge.
pub(crate) fn at_edge(video: &Video, version: VersionId) -> String {
    let place = if is_live(video) { "live" } else { "v" };
    format!("/{place}/{}/{version}", video.id)
}
