use axum::Json;
use axum::extract::State as Shared;
use model::{ErrorKind, Tier, TierRights};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Body;
use super::extract::Id;
use super::problem::ProblemView;
use super::session::RightsView;
use crate::session::Administrator;
use crate::views::ListView;
use crate::{State, WebError};

/// A tier and what it may do.
#[derive(Serialize, ToSchema)]
#[schema(title = "Tier")]
pub(super) struct TierView {
    /// 0 (no plan) to 3.
    #[schema(value_type = u8)]
    tier: Tier,
    #[serde(flatten)]
    rights: RightsView,
}

impl From<TierRights> for TierView {
    fn from(rights: TierRights) -> Self {
        Self { tier: rights.tier, rights: rights.into() }
    }
}

/// What each tier may do, lowest first.
#[utoipa::path(
    get, path = "/api/v1/tiers", operation_id = "listTiers", tag = "tiers",
    responses((status = OK, body = ListView<TierView>))
)]
pub(super) async fn list(Shared(state): Shared<State>) -> Result<Json<ListView<TierView>>, WebError> {
    let rights = state.subscriptions.tier_rights().await?;
    Ok(Json(ListView { items: rights.map(TierView::from).into(), next: None }))
}

/// Change what a tier may do; for administrators.
#[utoipa::path(
    put, path = "/api/v1/tiers/{tier}", operation_id = "editTier", tag = "tiers", params(("tier" = u8, Path)),
    request_body = RightsView, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = TierView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn edit(
    Shared(state): Shared<State>,
    _: Administrator,
    Id(tier): Id<Tier>,
    Body(view): Body<RightsView>,
) -> Result<Json<TierView>, WebError> {
    let RightsView { greatest_height, downloads, ads, concurrent_streams, rewind_s, publish } = view;
    let stored = async || {
        let all = state.subscriptions.tier_rights().await?;
        let found = all.into_iter().find(|rights| rights.tier == tier);
        found.ok_or(WebError::from(ErrorKind::Internal))
    };
    let publish = match publish {
        Some(publish) => publish.into(),
        None => stored().await?.publish,
    };
    let rights = TierRights { tier, greatest_height, downloads, ads, concurrent_streams, rewind_s, publish };
    state.subscriptions.set_tier_rights(rights).await?;
    Ok(Json(stored().await?.into()))
}
