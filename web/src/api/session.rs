use axum::Json;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use model::{PublishLimits, Role, Tier, TierRights, Timestamp};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use subscriptions::SignedIn;
use utoipa::ToSchema;

use super::body::Body;
use super::problem::ProblemView;
use crate::session::{Person, Visitor, cookie_for, cookie_gone};
use crate::{State, WebError};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    username: String,
    password: String,
}

/// A fresh session.
#[derive(Serialize, ToSchema)]
#[schema(title = "SignIn")]
pub(super) struct SignInView {
    /// The session's token, for `Authorization: Bearer`; told this once. The same is set as a
    /// cookie.
    token: String,
    /// When the session ends without visits before, in milliseconds since 1970.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
#[schema(title = "Session")]
pub(super) struct SessionView {
    username: String,
    /// `viewer`, `creator`, `moderator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// The tier that holds now, 0 to 3.
    #[schema(value_type = u8)]
    tier: Tier,
    /// When the tier ends, in milliseconds since 1970; null for one without an end.
    #[schema(value_type = Option<i64>)]
    entitled_until: Option<Timestamp>,
    rights: RightsView,
    may_upload: bool,
}

/// What a tier may do.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(title = "Rights")]
#[serde(deny_unknown_fields)]
pub(super) struct RightsView {
    /// The greatest short side of a picture, in pixels.
    pub(super) greatest_height: u16,
    /// Whether files may be downloaded.
    pub(super) downloads: bool,
    /// Whether advertising is shown.
    pub(super) ads: bool,
    /// How many streams may play at once.
    pub(super) concurrent_streams: u16,
    /// How far back a live event may be rewound, in seconds.
    pub(super) rewind_s: u32,
    /// What a creator of the tier may broadcast; left out of a change, it stays as it is.
    #[serde(default)]
    pub(super) publish: Option<PublishView>,
}

/// What a creator may broadcast.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(title = "PublishLimits")]
#[serde(deny_unknown_fields)]
pub(super) struct PublishView {
    /// The greatest rate of a feed in kbit/s.
    bitrate_kbps: u32,
    /// The greatest short side of its picture in pixels.
    short_side: u16,
    /// How long an event may last, in seconds.
    duration_s: u32,
}

impl From<PublishLimits> for PublishView {
    fn from(limits: PublishLimits) -> Self {
        let PublishLimits { bitrate_kbps, short_side, duration_s } = limits;
        Self { bitrate_kbps, short_side, duration_s }
    }
}

impl From<PublishView> for PublishLimits {
    fn from(view: PublishView) -> Self {
        let PublishView { bitrate_kbps, short_side, duration_s } = view;
        Self { bitrate_kbps, short_side, duration_s }
    }
}

impl From<TierRights> for RightsView {
    fn from(rights: TierRights) -> Self {
        let TierRights { tier: _, greatest_height, downloads, ads, concurrent_streams, rewind_s, publish } =
            rights;
        let publish = Some(publish.into());
        Self { greatest_height, downloads, ads, concurrent_streams, rewind_s, publish }
    }
}

impl From<SignedIn> for SessionView {
    fn from(person: SignedIn) -> Self {
        Self {
            may_upload: person.role.may_upload(),
            username: person.username,
            role: person.role,
            tier: person.tier,
            entitled_until: person.entitled_until,
            rights: person.rights.into(),
        }
    }
}

/// Sign in.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "signIn", tag = "session", request_body = Credentials,
    responses(
        (status = CREATED, body = SignInView),
        (status = UNAUTHORIZED, description = "Wrong username or password.", body = ProblemView),
        (status = TOO_MANY_REQUESTS, description = "Too many failures under this name; see `Retry-After`.", body = ProblemView)
    )
)]
pub(super) async fn sign_in(
    Shared(state): Shared<State>,
    Body(credentials): Body<Credentials>,
) -> Result<Response, WebError> {
    let Credentials { username, password } = credentials;
    let (now, mut rng) = (state.now(), rand::make_rng::<StdRng>());
    let session = state.subscriptions.sign_in(&username, password, now, &mut rng).await?;
    let cookie = cookie_for(&session.token, &state.config);
    let view = SignInView { token: session.token.as_str().to_owned(), expires_at: session.expires_at };
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(view)).into_response())
}

/// Who is signed in.
#[utoipa::path(
    get, path = "/api/v1/session", operation_id = "showSession", tag = "session", security(("bearer" = []), ("cookie" = [])),
    responses((status = OK, body = SessionView), (status = UNAUTHORIZED, body = ProblemView))
)]
pub(super) async fn show(person: Person) -> Json<SessionView> {
    Json(person.signed_in.into())
}

/// Sign out. Everything that was granted in the session ends with it.
#[utoipa::path(
    delete, path = "/api/v1/session", operation_id = "signOut", tag = "session", security(("bearer" = []), ("cookie" = [])),
    responses((status = NO_CONTENT, description = "Signed out, also for who was not signed in."))
)]
pub(super) async fn sign_out(Shared(state): Shared<State>, visitor: Visitor) -> Result<Response, WebError> {
    if let Some(person) = visitor.person {
        state.subscriptions.sign_out(person.session, visitor.now).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie_gone(&state.config))]).into_response())
}
