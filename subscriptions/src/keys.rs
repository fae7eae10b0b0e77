use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use database::Engine;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::{Grant, Timestamp};
use rand::CryptoRng;
use sea_orm::ActiveValue::{Set, Unchanged};
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, QueryOrder};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::During;
use crate::revocations::KEPT;
use crate::rows::RowName;
use crate::{Result, Subscriptions, SubscriptionsError};

/// How long a key signs.
const SIGNING_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a key is public before it signs: longer than an edge's link is likely to be down.
const LEAD: Duration = Duration::from_secs(24 * 60 * 60);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) public_key: String,
    pub(crate) private_key: Option<String>,
    pub(crate) state: String,
    pub(crate) since: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyState {
    /// Told to edges, not used yet.
    Published,
    /// Signs.
    Active,
    /// Signs no more; told until the last grant it signed is over. Its private half is gone.
    Retired,
}

impl KeyState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for KeyState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Published, Self::Active, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(())
    }
}

/// What rotation looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stage {
    id: String,
    state: KeyState,
    since: Timestamp,
}

/// What rotation does next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Make a key and tell it.
    Publish,
    /// Let this one sign, and the one that did, if any, no more.
    Activate { id: String, retired: Option<String> },
    /// Tell this one no more.
    Forget(String),
}

fn next_step(keys: &[Stage], now: Timestamp) -> Option<Step> {
    let in_state = |state| keys.iter().find(|key| key.state == state);
    let is_over = |key: &Stage, life| now.since(key.since) >= life;
    match (in_state(KeyState::Active), in_state(KeyState::Published)) {
        (None, None) => return Some(Step::Publish),
        // The first key of all: nobody holds an older set that could lack it.
        (None, Some(next)) => return Some(Step::Activate { id: next.id.clone(), retired: None }),
        (Some(active), None) if is_over(active, SIGNING_LIFE - LEAD) => return Some(Step::Publish),
        (Some(active), Some(next)) if is_over(active, SIGNING_LIFE) && is_over(next, LEAD) => {
            return Some(Step::Activate { id: next.id.clone(), retired: Some(active.id.clone()) });
        }
        _ => {}
    }
    let over = keys.iter().find(|key| key.state == KeyState::Retired && is_over(key, KEPT))?;
    Some(Step::Forget(over.id.clone()))
}

impl Subscriptions {
    /// Signs a grant with the active key: a JWT with `alg` EdDSA and the key's `kid`.
    ///
    /// # Errors
    ///
    /// [`SubscriptionsError::NoSigningKey`] before the first [`Subscriptions::rotate_keys`].
    pub async fn sign_grant(&self, grant: &Grant) -> Result<String> {
        let active = Entity::find().filter(Column::State.eq(KeyState::Active.as_str()));
        let row = active.one(self.database.read()).await.during("read signing key")?;
        let row = row.ok_or(SubscriptionsError::NoSigningKey)?;
        let private = row.private_key.as_deref().ok_or(SubscriptionsError::NoSigningKey)?;
        let der = URL_SAFE_NO_PAD.decode(private).map_err(|_| SubscriptionsError::Key)?;
        let header = Header { kid: Some(row.id), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, grant, &EncodingKey::from_ed_der(&der))
            .map_err(SubscriptionsError::Signing)
    }

    /// The public halves of all keys whose grants may be alive, or soon will be, as a JWK set
    /// (RFC 7517, RFC 8037).
    pub async fn jwks(&self) -> Result<String> {
        let rows = Entity::find().order_by_asc(Column::Id).all(self.database.read()).await;
        let keys = rows.during("read public keys")?.into_iter().map(PublicKey::from).collect();
        Ok(serde_json::to_string(&KeySet { keys }).expect("a set of strings is JSON"))
    }

    /// Makes, activates, retires and forgets keys, whatever is due.
    ///
    /// A key is published a day before it signs for thirty days; what it signed is honoured to
    /// its end. Cheap when nothing is due.
    pub async fn rotate_keys(&self, now: Timestamp, rng: &mut (impl CryptoRng + Send)) -> Result<()> {
        const ROTATE: &str = "rotate signing keys";
        if next_step(&stages(self.database.read()).await?, now).is_none() {
            return Ok(());
        }
        let transaction = self.database.begin_write().await.during(ROTATE)?;
        if self.database.engine() == Engine::Postgres {
            // SQLite's write lock does the same: processes that start together make one key.
            let wait = "SELECT pg_advisory_xact_lock(7239017)";
            transaction.execute_unprepared(wait).await.during(ROTATE)?;
        }
        while let Some(step) = next_step(&stages(&transaction).await?, now) {
            take(&transaction, &step, now, rng).await?;
            tracing::info!(?step, "rotated signing keys");
        }
        transaction.commit().await.during(ROTATE)
    }
}

async fn stages(db: &impl ConnectionTrait) -> Result<Vec<Stage>> {
    let rows = Entity::find().order_by_asc(Column::Since).all(db).await.during("read signing keys")?;
    let stage = |row: Model| {
        let state = RowName { table: "signing_keys", id: &row.id }.word("state", &row.state)?;
        Ok(Stage { state, since: Timestamp::from_millis(row.since), id: row.id })
    };
    rows.into_iter().map(stage).collect()
}

async fn take(
    db: &DatabaseTransaction,
    step: &Step,
    now: Timestamp,
    rng: &mut (impl CryptoRng + Send),
) -> Result<()> {
    const TAKE: &str = "rotate signing keys";
    let enter = |id: &str, state: KeyState| ActiveModel {
        id: Unchanged(id.to_owned()),
        state: Set(state.as_str().to_owned()),
        since: Set(now.as_millis()),
        ..Default::default()
    };
    match step {
        Step::Publish => {
            Entity::insert(generate(now, rng)?).exec_without_returning(db).await.during(TAKE)?;
        }
        Step::Activate { id, retired } => {
            Entity::update(enter(id, KeyState::Active)).exec(db).await.during(TAKE)?;
            if let Some(retired) = retired {
                let row = ActiveModel { private_key: Set(None), ..enter(retired, KeyState::Retired) };
                Entity::update(row).exec(db).await.during(TAKE)?;
            }
        }
        Step::Forget(id) => {
            Entity::delete_by_id(id.clone()).exec(db).await.during(TAKE)?;
        }
    }
    Ok(())
}

fn generate(now: Timestamp, rng: &mut impl CryptoRng) -> Result<ActiveModel> {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| SubscriptionsError::Key)?;
    let private = pair.to_pkcs8v1().map_err(|_| SubscriptionsError::Key)?;
    let public = URL_SAFE_NO_PAD.encode(pair.public_key());
    Ok(ActiveModel {
        id: Set(thumbprint(&public)),
        private_key: Set(Some(URL_SAFE_NO_PAD.encode(private))),
        public_key: Set(public),
        state: Set(KeyState::Published.as_str().to_owned()),
        since: Set(now.as_millis()),
    })
}

/// RFC 7638 §3: the required members in the order of the alphabet, without spaces.
fn thumbprint(public: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

#[derive(Serialize)]
struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Serialize)]
struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    r#use: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
}

impl From<Model> for PublicKey {
    fn from(row: Model) -> Self {
        Self { kty: "OKP", crv: "Ed25519", r#use: "sig", alg: "EdDSA", kid: row.id, x: row.public_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Does what rotation would, day by day, and returns each day on which something changed.
    fn diary(days: u32) -> Vec<String> {
        let (mut keys, mut made) = (Vec::<Stage>::new(), 0);
        let mut diary = Vec::new();
        for day in 0..days {
            let now = START + DAY * day;
            while let Some(step) = next_step(&keys, now) {
                match &step {
                    Step::Publish => {
                        made += 1;
                        keys.push(Stage { id: made.to_string(), state: KeyState::Published, since: now });
                        diary.push(format!("{day}: publish {made}"));
                    }
                    Step::Activate { id, retired } => {
                        for key in &mut keys {
                            if key.id == *id {
                                (key.state, key.since) = (KeyState::Active, now);
                            } else if retired.as_ref() == Some(&key.id) {
                                (key.state, key.since) = (KeyState::Retired, now);
                            }
                        }
                        diary.push(format!("{day}: activate {id}"));
                    }
                    Step::Forget(id) => {
                        keys.retain(|key| key.id != *id);
                        diary.push(format!("{day}: forget {id}"));
                    }
                }
            }
            assert_eq!(keys.iter().filter(|key| key.state == KeyState::Active).count(), 1);
        }
        diary
    }

    #[test]
    fn a_key_is_public_before_it_signs_and_as_long_as_its_grants_live() {
        assert_eq!(
            diary(70),
            [
                "0: publish 1",
                "0: activate 1",
                "29: publish 2",
                "30: activate 2",
                "38: forget 1",
                "59: publish 3",
                "60: activate 3",
                "68: forget 2"
            ]
        );
    }

    #[test]
    fn a_process_that_slept_publishes_a_day_before_it_uses() {
        let active = Stage { id: "1".into(), state: KeyState::Active, since: START };
        let late = START + DAY * 100;
        assert_eq!(next_step(std::slice::from_ref(&active), late), Some(Step::Publish));
        let next = Stage { id: "2".into(), state: KeyState::Published, since: late };
        let keys = [active, next];
        assert_eq!(next_step(&keys, late), None);
        let activate = Step::Activate { id: "2".into(), retired: Some("1".into()) };
        assert_eq!(next_step(&keys, late + DAY), Some(activate));
    }

    #[test]
    fn key_ids_are_thumbprints() {
        // RFC 8037 appendix A.3.
        let thumbprint = thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
