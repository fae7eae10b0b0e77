use std::time::Duration;

use model::{AccountId, Role, SessionId, Tier, TierRights, Timestamp};
use rand::CryptoRng;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, ExprTrait, QueryOrder, QuerySelect};

use crate::error::During;
use crate::grant::revocation_of_bearer;
use crate::rows::{RowName, moment};
use crate::throttle::{SESSIONS, WINDOW};
use crate::token::{SessionToken, TokenHash};
use crate::{
    Bearer, Entitlement, Result, Subscriptions, SubscriptionsError, Username, accounts, attempts, revocations,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A session ends after this even if it is used every day.
const GREATEST_LIFE: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// The end of a session that was signed out. Its row stays while it counts as a sign-in.
const SIGNED_OUT: i64 = 0;
/// A visit is written down once in this while; each request would be a write.
const SEEN_EVERY: Duration = Duration::from_secs(5 * 60);

/// A fresh session.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The secret, shown this once.
    pub token: SessionToken,
    /// The session.
    pub session: SessionId,
    /// Whose.
    pub account: AccountId,
    /// When it ends at the latest, without visits before.
    pub expires_at: Timestamp,
}

/// Whoever presented a session's token, with what they may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub account: AccountId,
    /// The session.
    pub session: SessionId,
    /// Their public name.
    pub username: String,
    /// What they may do on the site.
    pub role: Role,
    /// The tier that holds now.
    pub tier: Tier,
    /// When that tier ends, if it does.
    pub entitled_until: Option<Timestamp>,
    /// What the tier may do.
    pub rights: TierRights,
    /// When the account's grants were last revoked.
    pub revoked_at: Option<Timestamp>,
}

impl SignedIn {
    /// The bearer of grants made in this session.
    pub fn bearer(&self) -> Bearer {
        Bearer { account: self.account, session: self.session, tier: self.tier, revoked_at: self.revoked_at }
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) account_id: String,
    #[sea_orm(unique)]
    pub(crate) token_hash: String,
    pub(crate) created_at: i64,
    pub(crate) last_seen_at: i64,
    pub(crate) expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl Subscriptions {
    /// Begins a session.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` for an unknown name, a wrong password and a disabled account alike, in
    /// the same time; `TooMany` after too many of them, or of sessions that began lately.
    pub async fn sign_in(
        &self,
        username: &str,
        password: String,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<SignIn> {
        const SIGN_IN: &str = "sign in";
        let (session, token) = (SessionId::generate(rng), SessionToken::generate(rng));
        let Ok(username) = Username::parse(username) else {
            self.check_nothing(password).await?;
            return Err(SubscriptionsError::WrongCredentials);
        };
        let known = self.check_password(&username, password, now).await?;
        let account: AccountId = RowName { table: "accounts", id: &known.id }.word("id", &known.id)?;
        let expires_at = now + self.idle();
        let row = ActiveModel {
            id: Set(session.to_string()),
            account_id: Set(known.id.clone()),
            token_hash: Set(TokenHash::of(token.as_str()).as_str().to_owned()),
            created_at: Set(now.as_millis()),
            last_seen_at: Set(now.as_millis()),
            expires_at: Set(expires_at.as_millis()),
        };
        let transaction = self.database.begin_write().await.during(SIGN_IN)?;
        // Disabled, or its password changed, while ours was hashed.
        let still = accounts::locked(&transaction, account).await?;
        let holds =
            still.is_some_and(|row| row.disabled_at.is_none() && row.password_hash == known.password_hash);
        if !holds {
            return Err(SubscriptionsError::WrongCredentials);
        }
        if let Some(wait) = too_many(&transaction, &known.id, now).await? {
            return Err(SubscriptionsError::TooManySessions { wait });
        }
        let counts_no_more = Column::CreatedAt.lte((now - WINDOW).as_millis());
        let over = Column::ExpiresAt.lte(now.as_millis()).and(counts_no_more);
        Entity::delete_many().filter(over).exec(&transaction).await.during(SIGN_IN)?;
        Entity::insert(row).exec_without_returning(&transaction).await.during(SIGN_IN)?;
        attempts::forget(&transaction, username.as_str()).await?;
        transaction.commit().await.during(SIGN_IN)?;
        tracing::info!(account.id = %account, session.id = %session, "account `{account}` signed in");
        Ok(SignIn { token, session, account, expires_at })
    }

    /// Who presents `token`; `None` for what is no token of a living session.
    pub async fn signed_in(&self, token: &str, now: Timestamp) -> Result<Option<SignedIn>> {
        let hash = TokenHash::of(token);
        let found =
            Entity::find().filter(Column::TokenHash.eq(hash.as_str())).one(self.database.read()).await;
        let Some(row) = found.during("read session")? else { return Ok(None) };
        if now.as_millis() >= row.expires_at {
            return Ok(None);
        }
        let name = RowName { table: "sessions", id: &row.id };
        let (session, account) = (name.word("id", &row.id)?, name.word("account_id", &row.account_id)?);
        let found = accounts::Entity::find_by_id(row.account_id.clone()).one(self.database.read()).await;
        let Some(person) = found.during("read account of session")?.filter(|it| it.disabled_at.is_none())
        else {
            return Ok(None);
        };
        if now.since(Timestamp::from_millis(row.last_seen_at)) >= SEEN_EVERY {
            // Not to have written down a visit is no reason to turn the visitor away.
            if let Err(error) = self.seen(&row, now).await {
                tracing::warn!(session.id = %session, %error, "visit of session `{session}` was not kept");
            }
        }
        let Entitlement { tier, until } = person.entitlement()?.at(now);
        Ok(Some(SignedIn {
            account,
            session,
            role: RowName { table: "accounts", id: &person.id }.word("role", &person.role)?,
            tier,
            entitled_until: until,
            rights: self.rights_of(tier).await?,
            revoked_at: moment(person.revoked_at),
            username: person.username,
        }))
    }

    /// Ends a session and its grants. Ending what has ended already does nothing.
    pub async fn sign_out(&self, session: SessionId, now: Timestamp) -> Result<()> {
        const SIGN_OUT: &str = "sign out";
        let transaction = self.database.begin_write().await.during(SIGN_OUT)?;
        let ended = Entity::update_many()
            .col_expr(Column::ExpiresAt, Expr::value(SIGNED_OUT))
            .filter(Column::Id.eq(session.to_string()))
            .filter(Column::ExpiresAt.ne(SIGNED_OUT))
            .exec(&transaction)
            .await
            .during(SIGN_OUT)?;
        if ended.rows_affected == 1 {
            revocations::add_session(&transaction, session, revocation_of_bearer(None, now)).await?;
        }
        transaction.commit().await.during(SIGN_OUT)
    }

    async fn seen(&self, row: &Model, now: Timestamp) -> Result<()> {
        const SEEN: &str = "keep visit";
        let end = Timestamp::from_millis(row.created_at) + GREATEST_LIFE;
        let expires_at = end.min(now + self.idle());
        let transaction = self.database.begin_write().await.during(SEEN)?;
        Entity::update_many()
            .col_expr(Column::LastSeenAt, Expr::value(now.as_millis()))
            .col_expr(Column::ExpiresAt, Expr::value(expires_at.as_millis()))
            .filter(Column::Id.eq(&row.id))
            .filter(Column::LastSeenAt.lt(now.as_millis()))
            // Not signed out since it was read.
            .filter(Column::ExpiresAt.eq(row.expires_at))
            .exec(&transaction)
            .await
            .during(SEEN)?;
        transaction.commit().await.during(SEEN)
    }

    fn idle(&self) -> Duration {
        DAY.saturating_mul(self.config.session_idle_days)
    }
}

/// How long the account must wait before its next session, if it has begun too many.
async fn too_many(db: &DatabaseTransaction, account: &str, now: Timestamp) -> Result<Option<Duration>> {
    let earliest_that_counts = Entity::find()
        .filter(Column::AccountId.eq(account))
        .order_by_desc(Column::CreatedAt)
        .offset(SESSIONS - 1)
        .one(db)
        .await
        .during("count sessions")?;
    Ok(earliest_that_counts.and_then(|row| {
        let since = now.since(Timestamp::from_millis(row.created_at));
        WINDOW.checked_sub(since).filter(|left| !left.is_zero())
    }))
}

/// Ends the sessions of `account`, except `kept`. Their grants end by the account's revocation.
pub(crate) async fn end_all(
    db: &DatabaseTransaction,
    account: AccountId,
    kept: Option<SessionId>,
) -> Result<()> {
    let mut all = Entity::delete_many().filter(Column::AccountId.eq(account.to_string()));
    if let Some(kept) = kept {
        all = all.filter(Column::Id.ne(kept.to_string()));
    }
    all.exec(db).await.during("end sessions")?;
    Ok(())
}
