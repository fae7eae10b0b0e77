use axum::Json;
use axum::extract::State as Shared;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog::Webhook;
use http::StatusCode;
use model::ErrorKind;
use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use webhook::{Destination, Secret};

use super::body::Body;
use super::problem::ProblemView;
use crate::session::Person;
use crate::{State, WebError, problems};

/// Where somebody wants to be told of their events.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookOrder {
    /// An `http` or `https` address of at most 500 characters.
    url: String,
    /// What calls are signed with: 16 to 128 visible characters. If not given, one is made.
    secret: Option<String>,
}

/// Where somebody is told of their events.
#[derive(Serialize, ToSchema)]
#[schema(title = "Webhook")]
pub(super) struct WebhookView {
    url: String,
    /// What calls are signed with, where it has just been made; it is not told again.
    secret: Option<String>,
}

/// Be told of one's events. `live.started` and `live.ended` are sent as JSON by `POST`, signed in
/// `Cocuyo-Signature`, and tried again for two days; a receiver knows by `Cocuyo-Delivery` what it
/// has had already. The address must be public, unless the operator allows others.
#[utoipa::path(
    put, path = "/api/v1/webhook", operation_id = "setWebhook", tag = "events",
    request_body = WebhookOrder, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = WebhookView),
        (status = BAD_REQUEST, description = "`invalid_webhook`.", body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, description = "The account's role may not broadcast.", body = ProblemView)
    )
)]
pub(super) async fn set(
    Shared(state): Shared<State>,
    person: Person,
    Body(order): Body<WebhookOrder>,
) -> Result<Json<WebhookView>, WebError> {
    if !person.signed_in.role.may_upload() {
        return Err(ErrorKind::Forbidden.into());
    }
    let invalid = || WebError::from(problems::invalid_webhook());
    let url = order.url.parse::<Destination>().map_err(|_| invalid())?.to_string();
    let made = order.secret.is_none().then(new_secret);
    let secret = order.secret.or_else(|| made.clone()).unwrap_or_default();
    let secret = secret.parse::<Secret>().map_err(|_| invalid())?.expose().to_owned();
    let webhook = Webhook { url: url.clone(), secret };
    state.catalog.set_webhook(person.signed_in.account, webhook, person.now).await?;
    Ok(Json(WebhookView { url, secret: made }))
}

/// 256 random bits.
fn new_secret() -> String {
    let mut bytes = [0; 32];
    rand::make_rng::<StdRng>().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where one is told of one's events.
#[utoipa::path(
    get, path = "/api/v1/webhook", operation_id = "showWebhook", tag = "events", security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = WebhookView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = NOT_FOUND, description = "Nowhere.", body = ProblemView)
    )
)]
pub(super) async fn show(
    Shared(state): Shared<State>,
    person: Person,
) -> Result<Json<WebhookView>, WebError> {
    let webhook = state.catalog.webhook_of(person.signed_in.account).await?;
    let Webhook { url, .. } = webhook.ok_or(ErrorKind::NotFound)?;
    Ok(Json(WebhookView { url, secret: None }))
}

/// Be told nothing any more.
#[utoipa::path(
    delete, path = "/api/v1/webhook", operation_id = "deleteWebhook", tag = "events", security(("bearer" = []), ("cookie" = [])),
    responses((status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemView))
)]
pub(super) async fn delete(Shared(state): Shared<State>, person: Person) -> Result<StatusCode, WebError> {
    state.catalog.remove_webhook(person.signed_in.account).await?;
    Ok(StatusCode::NO_CONTENT)
}
