use std::collections::HashMap;

use model::{AccountId, Role, SessionId, Tier, Timestamp};
use rand::CryptoRng;
use sea_orm::ActiveValue::{Set, Unchanged};
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, QueryOrder, QuerySelect};

use crate::error::During;
use crate::grant::revocation_moment;
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
        password::check(&new.password)?;
        let id = AccountId::generate(rng);
        let salt = salt(rng);
        let password_hash = self.hasher.turn().await.hash(new.password, salt).await?;
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

    /// Gives an account a tier, up to `until` if it has an end; its grants are void.
    pub async fn set_tier(
        &self,
        account: AccountId,
        tier: Tier,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        self.change(account, now, |row, _| {
            row.tier = Set(i32::from(tier.number()));
            row.entitled_until = Set(until.filter(|_| tier != Tier::NONE).map(Timestamp::as_millis));
        })
        .await
        .map(drop)
    }

    /// Gives an account a role; its grants are void, since a role too lets one play.
    ///
    /// # Errors
    ///
    /// `Conflict` when no administrator would be left.
    pub async fn set_role(&self, account: AccountId, role: Role, now: Timestamp) -> Result<()> {
        self.change(account, now, |row, _| row.role = Set(role.as_str().to_owned())).await.map(drop)
    }

    /// Lets nobody sign in to the account any more, and ends its sessions and grants.
    ///
    /// # Errors
    ///
    /// `Conflict` when no administrator would be left.
    pub async fn disable_account(&self, account: AccountId, now: Timestamp) -> Result<()> {
        self.change(account, now, |row, sessions| {
            row.disabled_at = Set(Some(now.as_millis()));
            *sessions = Sessions::End { but: None };
        })
        .await
        .map(drop)
    }

    /// Lets a disabled account sign in again.
    pub async fn enable_account(&self, account: AccountId, now: Timestamp) -> Result<()> {
        self.change(account, now, |row, _| row.disabled_at = Set(None)).await.map(drop)
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
        password::check(&password)?;
        let salt = salt(rng);
        let password_hash = self.hasher.turn().await.hash(password, salt).await?;
        self.change(account, now, |row, sessions| {
            row.password_hash = Set(password_hash);
            *sessions = Sessions::End { but: kept };
        })
        .await?;
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

    /// Changes an account's row, revokes its grants, and looks that an administrator is left.
    async fn change(
        &self,
        account: AccountId,
        now: Timestamp,
        change: impl FnOnce(&mut ActiveModel, &mut Sessions),
    ) -> Result<Timestamp> {
        const CHANGE: &str = "change account";
        let transaction = self.database.begin_write().await.during(CHANGE)?;
        let row = locked(&transaction, account).await?.ok_or(SubscriptionsError::NoAccount)?;
        let at = revocation_moment(moment(row.revoked_at), now);
        let was_administrator = is_administrator(&row.role, row.disabled_at);
        let mut changed = ActiveModel {
            id: Unchanged(row.id),
            role: Unchanged(row.role),
            disabled_at: Unchanged(row.disabled_at),
            revoked_at: Set(Some(at.as_millis())),
            ..Default::default()
        };
        let mut sessions = Sessions::Keep;
        change(&mut changed, &mut sessions);
        let is_one = is_administrator(changed.role.as_ref(), *changed.disabled_at.as_ref());
        if was_administrator && !is_one && !others_administrate(&transaction, account).await? {
            return Err(SubscriptionsError::LastAdministrator);
        }
        Entity::update(changed).exec(&transaction).await.during(CHANGE)?;
        if let Sessions::End { but } = sessions {
            sessions::end_all(&transaction, account, but).await?;
        }
        revocations::add_account(&transaction, account, at).await?;
        transaction.commit().await.during(CHANGE)?;
        Ok(at)
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
        let turn = self.hasher.turn().await;
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
        self.hasher.turn().await.verify(password, None).await.map(drop)
    }
}

/// What happens to an account's sessions in a change.
enum Sessions {
    Keep,
    End { but: Option<SessionId> },
}

fn is_administrator(role: &str, disabled_at: Option<i64>) -> bool {
    role == Role::Admin.as_str() && disabled_at.is_none()
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

fn salt(rng: &mut impl CryptoRng) -> [u8; 16] {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    salt
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
