use std::collections::HashMap;

use model::{AccountId, Role, SessionId, Tier, Timestamp};
use rand::CryptoRng;
use sea_orm::ActiveValue::{NotSet, Set, Unchanged};
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, QueryOrder, QuerySelect};

use crate::error::During;
use crate::grant::revocation_of_bearer;
use crate::rows::{RowName, moment};
use crate::{
    Entitlement, InvalidUsername, Result, Subscriptions, SubscriptionsError, Username, password, revocations,
    sessions,
};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub id: AccountId,
    /// Their public name.
    pub username: String,
    /// What they may do on the site.
    pub role: Role,
    /// What they were given; ask it with the time.
    pub entitlement: Entitlement,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// An account to be made.
#[derive(Clone)]
pub struct NewAccount {
    /// As typed; see [`Username::parse`].
    pub username: String,
    /// As typed.
    pub password: String,
    /// What they may do on the site.
    pub role: Role,
    /// A tier without an end, or none.
    pub tier: Tier,
}

/// What is to be changed about an account; `None` leaves it as it is.
#[derive(Clone, Default)]
pub struct AccountChange {
    /// What they may do on the site.
    pub role: Option<Role>,
    /// What they have paid for.
    pub entitlement: Option<Entitlement>,
    /// Whether nobody may sign in to it.
    pub disabled: Option<bool>,
    /// As typed.
    pub password: Option<String>,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    #[sea_orm(unique)]
    pub(crate) username: String,
    pub(crate) password_hash: String,
    pub(crate) role: String,
    pub(crate) tier: i32,
    pub(crate) entitled_until: Option<i64>,
    pub(crate) disabled_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn entitlement(&self) -> Result<Entitlement> {
        let tier = RowName { table: "accounts", id: &self.id }.tier(self.tier)?;
        Ok(Entitlement { tier, until: moment(self.entitled_until) })
    }

    fn is_administrator(&self) -> bool {
        self.role == Role::Admin.as_str() && self.disabled_at.is_none()
    }
}

impl TryFrom<Model> for Account {
    type Error = SubscriptionsError;

    fn try_from(row: Model) -> Result<Self> {
        let name = RowName { table: "accounts", id: &row.id };
        Ok(Self {
            id: name.word("id", &row.id)?,
            role: name.word("role", &row.role)?,
            entitlement: row.entitlement()?,
            disabled_at: moment(row.disabled_at),
            created_at: Timestamp::from_millis(row.created_at),
            username: row.username,
        })
    }
}

impl Subscriptions {
    /// Makes an account, with any well-formed name; for operators.
    ///
    /// # Errors
    ///
    /// `Invalid` for the name or the password, `Conflict` when the name is taken.
    pub async fn create_account(
        &self,
        new: NewAccount,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<AccountId> {
        const CREATE: &str = "create account";
        let username = Username::parse(&new.username)?;
        let id = AccountId::generate(rng);
        let password_hash = self.hash(new.password, rng).await?;
        let row = ActiveModel {
            id: Set(id.to_string()),
            username: Set(username.as_str().to_owned()),
            password_hash: Set(password_hash),
            role: Set(new.role.as_str().to_owned()),
            tier: Set(i32::from(new.tier.number())),
            entitled_until: Set(None),
            disabled_at: Set(None),
            revoked_at: Set(None),
            created_at: Set(now.as_millis()),
        };
        let transaction = self.database.begin_write().await.during(CREATE)?;
        if let Err(error) = Entity::insert(row).exec_without_returning(&transaction).await {
            return Err(match error.sql_err() {
                Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => SubscriptionsError::UsernameTaken,
                _ => SubscriptionsError::Query { operation: CREATE, source: error },
            });
        }
        transaction.commit().await.during(CREATE)?;
        tracing::info!(account.id = %id, role = new.role.as_str(), "created account `{id}`");
        Ok(id)
    }

    /// Makes a viewer's account for whoever asks.
    ///
    /// # Errors
    ///
    /// As [`Subscriptions::create_account`]; reserved names are `Invalid` too.
    pub async fn register(
        &self,
        username: String,
        password: String,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<AccountId> {
        if Username::parse(&username)?.is_reserved() {
            return Err(InvalidUsername.into());
        }
        let new = NewAccount { username, password, role: Role::Viewer, tier: Tier::NONE };
        self.create_account(new, now, rng).await
    }

    /// The account with this id.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        find(self.database.read(), id).await?.map(Account::try_from).transpose()
    }

    /// The account with this name, as typed.
    pub async fn account_named(&self, username: &str) -> Result<Option<Account>> {
        let Ok(username) = Username::parse(username) else { return Ok(None) };
        find_named(self.database.read(), &username).await?.map(Account::try_from).transpose()
    }

    /// Up to `limit` accounts behind the name `after`, by name.
    pub async fn accounts(&self, after: Option<&str>, limit: u64) -> Result<Vec<Account>> {
        let behind = Entity::find().filter(Column::Username.gt(after.unwrap_or_default()));
        let rows = behind.order_by_asc(Column::Username).limit(limit).all(self.database.read()).await;
        rows.during("list accounts")?.into_iter().map(Account::try_from).collect()
    }

    /// The names of these accounts; those that are gone are left out.
    pub async fn usernames(
        &self,
        ids: impl IntoIterator<Item = AccountId>,
    ) -> Result<HashMap<AccountId, String>> {
        let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(String, String)> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Username])
            .filter(Column::Id.is_in(ids))
            .into_tuple()
            .all(self.database.read())
            .await
            .during("read usernames")?;
        let named = |(id, username): (String, String)| {
            Ok((RowName { table: "accounts", id: &id }.word("id", &id)?, username))
        };
        rows.into_iter().map(named).collect()
    }

    /// Whether nobody has an account yet.
    pub async fn has_no_accounts(&self) -> Result<bool> {
        let one = Entity::find().select_only().column(Column::Id).into_tuple::<String>();
        Ok(one.one(self.database.read()).await.during("look for an account")?.is_none())
    }

    /// Changes an account, all of it or nothing, and returns it as it is then. Its grants are
    /// void, since each of these may have been what a grant was made from; a new password and
    /// being disabled end its sessions too.
    ///
    /// # Errors
    ///
    /// `Invalid` for the password, `NotFound` for the account, `Conflict` when no administrator
    /// would be left.
    pub async fn change_account(
        &self,
        account: AccountId,
        change: AccountChange,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Account> {
        let AccountChange { role, entitlement, disabled, password } = change;
        let password_hash = match password {
            Some(password) => Some(self.hash(password, rng).await?),
            None => None,
        };
        let ends = password_hash.is_some() || disabled == Some(true);
        let sessions = if ends { Sessions::End { but: None } } else { Sessions::Keep };
        let row = ActiveModel {
            role: role.map_or(NotSet, |role| Set(role.as_str().to_owned())),
            tier: entitlement.map_or(NotSet, |it| Set(i32::from(it.tier.number()))),
            entitled_until: entitlement.map_or(NotSet, |it| Set(it.until.map(Timestamp::as_millis))),
            disabled_at: disabled.map_or(NotSet, |disabled| Set(disabled.then_some(now.as_millis()))),
            password_hash: password_hash.map_or(NotSet, Set),
            ..Default::default()
        };
        self.change(account, row, sessions, now).await
    }

    /// Gives an account a tier, up to `until` if it has an end; its grants are void.
    pub async fn set_tier(
        &self,
        account: AccountId,
        tier: Tier,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let row = ActiveModel {
            tier: Set(i32::from(tier.number())),
            entitled_until: Set(until.map(Timestamp::as_millis)),
            ..Default::default()
        };
        self.change(account, row, Sessions::Keep, now).await.map(drop)
    }

    /// Lets nobody sign in to the account any more, and ends its sessions and grants.
    ///
    /// # Errors
    ///
    /// `Conflict` when no administrator would be left.
    pub async fn disable_account(&self, account: AccountId, now: Timestamp) -> Result<()> {
        let row = ActiveModel { disabled_at: Set(Some(now.as_millis())), ..Default::default() };
        self.change(account, row, Sessions::End { but: None }, now).await.map(drop)
    }

    /// Sets a password, and ends the account's grants and its sessions but `kept`.
    pub async fn set_password(
        &self,
        account: AccountId,
        password: String,
        kept: Option<SessionId>,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<()> {
        let password_hash = self.hash(password, rng).await?;
        let row = ActiveModel { password_hash: Set(password_hash), ..Default::default() };
        self.change(account, row, Sessions::End { but: kept }, now).await?;
        tracing::info!(account.id = %account, "changed the password of account `{account}`");
        Ok(())
    }

    /// Sets a password for somebody who knows the present one.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` for a wrong one, `TooMany` after too many wrong ones.
    pub async fn change_password(
        &self,
        session: &crate::SignedIn,
        present: String,
        password: String,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<()> {
        password::check(&password)?;
        self.check_password(&Username::parse(&session.username)?, present, now).await?;
        self.set_password(session.account, password, Some(session.session), now, rng).await
    }

    async fn hash(&self, password: String, rng: &mut (impl CryptoRng + Send)) -> Result<String> {
        password::check(&password)?;
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        self.hasher.turn().await?.hash(password, salt).await
    }

    /// Changes what is set in `row`, revokes the account's grants, and looks that an
    /// administrator is left.
    async fn change(
        &self,
        account: AccountId,
        mut row: ActiveModel,
        sessions: Sessions,
        now: Timestamp,
    ) -> Result<Account> {
        const CHANGE: &str = "change account";
        let transaction = self.database.begin_write().await.during(CHANGE)?;
        let before = locked(&transaction, account).await?.ok_or(SubscriptionsError::NoAccount)?;
        let at = revocation_of_bearer(moment(before.revoked_at), now);
        row.id = Unchanged(before.id.clone());
        row.revoked_at = Set(Some(at.as_millis()));
        let after = Entity::update(row).exec(&transaction).await.during(CHANGE)?;
        if before.is_administrator()
            && !after.is_administrator()
            && !others_administrate(&transaction, account).await?
        {
            return Err(SubscriptionsError::LastAdministrator);
        }
        if let Sessions::End { but } = sessions {
            sessions::end_all(&transaction, account, but).await?;
        }
        revocations::add_account(&transaction, account, at).await?;
        transaction.commit().await.during(CHANGE)?;
        after.try_into()
    }

    /// Whether `password` is the one of `username`; failures count.
    ///
    /// The look at earlier failures, the hash and the count happen within one turn of the hasher,
    /// so that trying many at once does not try more.
    pub(crate) async fn check_password(
        &self,
        username: &Username,
        password: String,
        now: Timestamp,
    ) -> Result<Model> {
        let turn = self.hasher.turn().await?;
        self.check_attempts(username, now).await?;
        let row = find_named(self.database.read(), username).await?;
        let expected = row.as_ref().map(|row| row.password_hash.clone());
        let (fits, turn) = turn.verify(password, expected).await?;
        match row.filter(|row| fits && row.disabled_at.is_none()) {
            Some(row) => Ok(row),
            None => {
                self.count_failure(username, now).await?;
                drop(turn);
                Err(SubscriptionsError::WrongCredentials)
            }
        }
    }

    /// Spends as long as [`Self::check_password`] does, for a name that nobody can have.
    pub(crate) async fn check_nothing(&self, password: String) -> Result<()> {
        self.hasher.turn().await?.verify(password, None).await.map(drop)
    }
}

/// What happens to an account's sessions in a change.
enum Sessions {
    Keep,
    End { but: Option<SessionId> },
}

async fn others_administrate(db: &DatabaseTransaction, account: AccountId) -> Result<bool> {
    let others = Entity::find()
        .filter(Column::Role.eq(Role::Admin.as_str()))
        .filter(Column::DisabledAt.is_null())
        .filter(Column::Id.ne(account.to_string()))
        // Two administrators who remove each other at once wait for one another.
        .lock_exclusive()
        .one(db)
        .await
        .during("look for administrators")?;
    Ok(others.is_some())
}

async fn find(db: &impl ConnectionTrait, id: AccountId) -> Result<Option<Model>> {
    Entity::find_by_id(id.to_string()).one(db).await.during("read account")
}

/// The row, which nobody else changes until the transaction ends.
pub(crate) async fn locked(db: &DatabaseTransaction, id: AccountId) -> Result<Option<Model>> {
    Entity::find_by_id(id.to_string()).lock_exclusive().one(db).await.during("lock account")
}

async fn find_named(db: &impl ConnectionTrait, username: &Username) -> Result<Option<Model>> {
    Entity::find().filter(Column::Username.eq(username.as_str())).one(db).await.during("read account by name")
}
