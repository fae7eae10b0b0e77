use axum::Json;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use model::{ErrorKind, Role, Tier, Timestamp};
use rand::rngs::StdRng;
use serde::{Deserialize, Deserializer, Serialize};
use subscriptions::{Account, AccountChange, Entitlement, NewAccount};
use utoipa::ToSchema;

use super::body::Body;
use super::extract::{Id, ListParams, Params};
use super::problem::ProblemView;
use crate::session::{Administrator, Person, Visitor};
use crate::views::ListView;
use crate::{State, WebError, problems};

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountPost {
    /// 3 to 32 letters without accents, digits or, between them, a dot, hyphen or underscore.
    username: String,
    /// At least 8 characters.
    password: String,
    /// `viewer`, `creator`, `moderator` or `admin`; for administrators.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// A tier without an end, 0 to 3; for administrators.
    #[schema(value_type = Option<u8>)]
    tier: Option<Tier>,
}

/// What an administrator changes about an account; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountPatch {
    /// `viewer`, `creator`, `moderator` or `admin`.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    /// 0 to 3.
    #[schema(value_type = Option<u8>)]
    tier: Option<Tier>,
    /// When the tier ends, in milliseconds since 1970; only together with `tier`. Without it, or
    /// with null, the tier has no end.
    #[schema(value_type = Option<i64>)]
    #[serde(default, deserialize_with = "given")]
    entitled_until: Option<Option<Timestamp>>,
    /// Whether nobody may sign in to it.
    disabled: Option<bool>,
    /// A new password; ends all sessions.
    password: Option<String>,
}

/// Tells null from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A new password, from somebody who knows the present one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordPut {
    /// The present one.
    current: String,
    /// At least 8 characters.
    new: String,
}

/// An account, as administrators and its owner see it.
#[derive(Serialize, ToSchema)]
#[schema(title = "Account")]
pub(super) struct AccountView {
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
    disabled: bool,
    /// Milliseconds since 1970.
    #[schema(value_type = i64)]
    created_at: Timestamp,
}

impl AccountView {
    fn of(account: Account, now: Timestamp) -> Self {
        let entitlement = account.entitlement.at(now);
        Self {
            username: account.username,
            role: account.role,
            tier: entitlement.tier,
            entitled_until: entitlement.until,
            disabled: account.disabled_at.is_some(),
            created_at: account.created_at,
        }
    }
}

/// Make an account: anybody for themselves, where the site allows it, and administrators for
/// others.
#[utoipa::path(
    post, path = "/api/v1/accounts", operation_id = "createAccount", tag = "accounts", request_body = AccountPost,
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = CREATED, body = AccountView),
        (status = BAD_REQUEST, body = ProblemView),
        (status = FORBIDDEN, description = "`registration_closed`, or `role` and `tier` from somebody who may not set them.", body = ProblemView),
        (status = CONFLICT, description = "`username_taken`.", body = ProblemView)
    )
)]
pub(super) async fn create(
    Shared(state): Shared<State>,
    visitor: Visitor,
    Body(post): Body<AccountPost>,
) -> Result<Response, WebError> {
    let (now, mut rng) = (visitor.now, rand::make_rng::<StdRng>());
    let is_admin = visitor.person.is_some_and(|person| person.role == Role::Admin);
    let AccountPost { username, password, role, tier } = post;
    let id = if is_admin {
        let (role, tier) = (role.unwrap_or_default(), tier.unwrap_or_default());
        let new = NewAccount { username, password, role, tier };
        state.subscriptions.create_account(new, now, &mut rng).await?
    } else if role.is_some() || tier.is_some() {
        return Err(ErrorKind::Forbidden.into());
    } else if !state.config.registration {
        return Err(problems::registration_closed().into());
    } else {
        state.subscriptions.register(username, password, now, &mut rng).await?
    };
    let account = state.subscriptions.account(id).await?.ok_or(ErrorKind::Internal)?;
    Ok((StatusCode::CREATED, Json(AccountView::of(account, now))).into_response())
}

/// All accounts by name; for administrators.
#[utoipa::path(
    get, path = "/api/v1/accounts", operation_id = "listAccounts", tag = "accounts", params(ListParams),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = ListView<AccountView>),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, body = ProblemView)
    )
)]
pub(super) async fn list(
    Shared(state): Shared<State>,
    admin: Administrator,
    Params(params): Params<ListParams>,
) -> Result<Json<ListView<AccountView>>, WebError> {
    let page = params.page();
    let limit = page.limit.clamp(1, 100) as usize;
    let after = page.cursor.as_deref();
    let mut accounts = state.subscriptions.accounts(after, limit as u64 + 1).await?;
    let more = accounts.len() > limit;
    accounts.truncate(limit);
    let next = accounts.last().filter(|_| more).map(|account| account.username.clone());
    let items = accounts.into_iter().map(|account| AccountView::of(account, admin.now)).collect();
    Ok(Json(ListView { items, next }))
}

/// One account; for administrators and for its owner.
#[utoipa::path(
    get, path = "/api/v1/accounts/{username}", operation_id = "showAccount", tag = "accounts", params(("username" = String, Path)),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = AccountView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = NOT_FOUND, body = ProblemView)
    )
)]
pub(super) async fn show(
    Shared(state): Shared<State>,
    Person { signed_in, now }: Person,
    Id(username): Id<String>,
) -> Result<Json<AccountView>, WebError> {
    let found = state.subscriptions.account_named(&username).await?;
    let may_see = |account: &Account| signed_in.role == Role::Admin || account.id == signed_in.account;
    let account = found.filter(may_see).ok_or(ErrorKind::NotFound)?;
    Ok(Json(AccountView::of(account, now)))
}

/// Change an account; for administrators. What was granted to it ends within seconds.
#[utoipa::path(
    patch, path = "/api/v1/accounts/{username}", operation_id = "editAccount", tag = "accounts", params(("username" = String, Path)),
    request_body = AccountPatch, security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = OK, body = AccountView),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, body = ProblemView),
        (status = FORBIDDEN, body = ProblemView),
        (status = NOT_FOUND, body = ProblemView),
        (status = CONFLICT, description = "`last_administrator`.", body = ProblemView)
    )
)]
pub(super) async fn edit(
    Shared(state): Shared<State>,
    Administrator { now }: Administrator,
    Id(username): Id<String>,
    Body(patch): Body<AccountPatch>,
) -> Result<Json<AccountView>, WebError> {
    let account = state.subscriptions.account_named(&username).await?.ok_or(ErrorKind::NotFound)?;
    let change = AccountChange {
        role: patch.role,
        entitlement: match (patch.tier, patch.entitled_until) {
            (Some(tier), until) => Some(Entitlement { tier, until: until.flatten() }),
            (None, None) => None,
            (None, Some(_)) => return Err(problems::invalid_body("`entitled_until` needs `tier`").into()),
        },
        disabled: patch.disabled,
        password: patch.password,
    };
    let mut rng = rand::make_rng::<StdRng>();
    let account = state.subscriptions.change_account(account.id, change, now, &mut rng).await?;
    Ok(Json(AccountView::of(account, now)))
}

/// Change one's own password. All other sessions end, and what was granted.
#[utoipa::path(
    put, path = "/api/v1/accounts/me/password", operation_id = "changePassword", tag = "accounts", request_body = PasswordPut,
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = NO_CONTENT, description = "Changed."),
        (status = BAD_REQUEST, body = ProblemView),
        (status = UNAUTHORIZED, description = "`wrong_credentials`: the present password is another one.", body = ProblemView),
        (status = TOO_MANY_REQUESTS, body = ProblemView)
    )
)]
pub(super) async fn change_password(
    Shared(state): Shared<State>,
    Person { signed_in, now }: Person,
    Body(PasswordPut { current, new }): Body<PasswordPut>,
) -> Result<StatusCode, WebError> {
    let mut rng = rand::make_rng::<StdRng>();
    state.subscriptions.change_password(&signed_in, current, new, now, &mut rng).await?;
    Ok(StatusCode::NO_CONTENT)
}
