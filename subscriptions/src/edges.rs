//! Edges of their own: each shows a fill credential at the origin's door. It opens the documents
//! there and nothing else; no grant and no session comes of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Timestamp;
use rand::CryptoRng;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder};

use crate::error::During;
use crate::rows::{RowName, moment};
use crate::{Result, Subscriptions, SubscriptionsError};

/// How every fill credential begins, so that one that got lost is recognised.
const PREFIX: &str = "fill_";
/// Characters behind the prefix: 256 random bits in URL-safe base 64.
const SECRET_LEN: usize = 43;

/// What an edge is called: 1 to 64 lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeName(String);

/// A text that cannot be an edge's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an edge's name is 1 to 64 lower-case letters, digits and hyphens")]
pub struct InvalidEdgeName;

impl EdgeName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EdgeName {
    type Err = InvalidEdgeName;

    fn from_str(text: &str) -> Result<Self, InvalidEdgeName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        is_name.then(|| Self(text.to_owned())).ok_or(InvalidEdgeName)
    }
}

impl fmt::Display for EdgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an edge shows at the origin's door; told once, to whoever enrols it. Rows hold its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct FillCredential(String);

impl FillCredential {
    fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Whether `text` could be one: nothing else is worth a comparison.
    pub fn has_form(text: &str) -> bool {
        text.strip_prefix(PREFIX).is_some_and(|secret| secret.len() == SECRET_LEN)
    }

    /// The secret itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// A secret that is printed is a secret no more.
impl fmt::Debug for FillCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FillCredential(…)")
    }
}

/// An edge that was enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledEdge {
    /// Its name.
    pub name: EdgeName,
    /// Since when.
    pub enrolled_at: Timestamp,
    /// Until when its credential is good,
    pub expires_at: Timestamp,
    /// if it was not revoked.
    pub revoked_at: Option<Timestamp>,
    hash: blake3::Hash,
}

impl EnrolledEdge {
    /// Whether its credential opens the door at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Whether what was `presented` is its credential; takes as long if it is not.
    pub fn presents(&self, presented: &str) -> bool {
        // 256 random bits need no slow hash, and `blake3::Hash` compares in constant time.
        self.hash == blake3::hash(presented.as_bytes())
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "edges")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) name: String,
    #[sea_orm(unique)]
    pub(crate) credential_hash: String,
    pub(crate) enrolled_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revoked_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for EnrolledEdge {
    type Error = SubscriptionsError;

    fn try_from(row: Model) -> Result<Self> {
        let of = RowName { table: "edges", id: &row.name };
        Ok(Self {
            name: of.word("name", &row.name)?,
            enrolled_at: Timestamp::from_millis(row.enrolled_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            revoked_at: moment(row.revoked_at),
            hash: of.word("credential_hash", &row.credential_hash)?,
        })
    }
}

impl Subscriptions {
    /// Makes a fill credential for an edge, good for `life`. A name whose credential was revoked,
    /// or whose time is over, may be given again.
    ///
    /// # Errors
    ///
    /// `Conflict` while the name has a good credential.
    pub async fn enrol_edge(
        &self,
        name: &EdgeName,
        life: Duration,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<FillCredential> {
        const ENROL: &str = "enrol edge";
        let credential = FillCredential::generate(rng);
        let row = ActiveModel {
            name: Set(name.as_str().to_owned()),
            credential_hash: Set(blake3::hash(credential.as_str().as_bytes()).to_hex().to_string()),
            enrolled_at: Set(now.as_millis()),
            expires_at: Set((now + life).as_millis()),
            revoked_at: Set(None),
        };
        let transaction = self.database.begin_write().await.during(ENROL)?;
        let over = Column::RevokedAt.is_not_null().or(Column::ExpiresAt.lte(now.as_millis()));
        let former = Entity::delete_many().filter(Column::Name.eq(name.as_str())).filter(over);
        former.exec(&transaction).await.during(ENROL)?;
        let inserted = Entity::insert(row).exec_without_returning(&transaction).await;
        inserted.map_err(|source| match database::kind_of(&source) {
            model::ErrorKind::Conflict => SubscriptionsError::EdgeEnrolled,
            _ => SubscriptionsError::Query { operation: ENROL, source },
        })?;
        transaction.commit().await.during(ENROL)?;
        tracing::info!(edge.name = %name, "edge `{name}` enrolled");
        Ok(credential)
    }

    /// All edges, also those whose credentials are no good any more, by name.
    pub async fn edges(&self) -> Result<Vec<EnrolledEdge>> {
        let rows = Entity::find().order_by_asc(Column::Name).all(self.database.read()).await;
        rows.during("read edges")?.into_iter().map(EnrolledEdge::try_from).collect()
    }

    /// Makes an edge's credential void.
    ///
    /// # Errors
    ///
    /// `NotFound` when no edge of this name has one that is not void already.
    pub async fn revoke_edge(&self, name: &EdgeName, now: Timestamp) -> Result<()> {
        const REVOKE: &str = "revoke edge";
        let transaction = self.database.begin_write().await.during(REVOKE)?;
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, now.as_millis().into())
            .filter(Column::Name.eq(name.as_str()))
            .filter(Column::RevokedAt.is_null())
            .exec(&transaction)
            .await
            .during(REVOKE)?;
        if revoked.rows_affected != 1 {
            return Err(SubscriptionsError::NoEdge);
        }
        transaction.commit().await.during(REVOKE)?;
        tracing::info!(edge.name = %name, "edge `{name}` revoked");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn names_are_plain() {
        for (text, is_name) in [
            ("havana-1", true),
            ("a", true),
            (&*"x".repeat(64), true),
            ("", false),
            (&*"x".repeat(65), false),
            ("Havana", false),
            ("a b", false),
            ("habana\n", false),
            ("../x", false),
        ] {
            assert_eq!(text.parse::<EdgeName>().is_ok(), is_name, "{text:?}");
        }
    }

    #[test]
    fn credentials_have_a_form_and_are_never_printed() {
        let mut rng = StdRng::seed_from_u64(1);
        let (a, b) = (FillCredential::generate(&mut rng), FillCredential::generate(&mut rng));
        assert!(a != b && FillCredential::has_form(a.as_str()), "{}", a.as_str());
        assert!(!format!("{a:?}").contains(a.as_str()));
        for other in ["", "fill_", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", &a.as_str()[1..]] {
            assert!(!FillCredential::has_form(other), "{other}");
        }
    }
}
