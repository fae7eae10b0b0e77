use catalog::Video;
use model::{Timestamp, Uses, VersionId, VideoId};
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
    let url = multivariant(video.id, version);
    let (Right::Granted { height, until }, Some(person)) = (right, person) else {
        return Ok(Playback { foreign_url: url.clone(), url, token: None, expires_at: None });
    };
    let until = until.into_iter().chain(earlier.map(|(_, until)| until)).min();
    let scope = scope(video, version, height, until);
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

/// What a grant to play is about. The last edit may have revoked the grants before it.
pub(crate) fn scope(video: &Video, version: VersionId, height: u16, until: Option<Timestamp>) -> Scope {
    Scope {
        video: video.id,
        version,
        duration_ms: video.duration_ms.unwrap_or_default(),
        height,
        uses: Uses::PLAY,
        until,
        revoked_at: Some(video.updated_at),
    }
}

/// The moment of a change that may revoke the video's grants.
pub(crate) fn moment_of_change(video: &Video, now: Timestamp) -> Timestamp {
    revocation_moment(Some(video.updated_at), now)
}

/// The prefix of everything of one version at the edge.
pub(crate) fn at_edge(video: VideoId, version: VersionId) -> String {
    format!("/v/{video}/{version}")
}

fn multivariant(video: VideoId, version: VersionId) -> String {
    format!("{}/multivariant.m3u8", at_edge(video, version))
}
