//! Where an owner wants to be told of their events.

use model::{AccountId, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use crate::error::Result;
use crate::{Catalog, announcements};

/// Where an owner is told, and with what it is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The shared secret: both sides need it as it is.
    pub secret: String,
}

// A secret that is printed is a secret no more.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: String,
    pub url: String,
    pub secret: String,
    pub updated_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Catalog {
    /// Where this owner is told of their events.
    pub async fn webhook_of(&self, owner: AccountId) -> Result<Option<Webhook>> {
        let row = Entity::find_by_id(owner.to_string()).one(self.read()).await?;
        Ok(row.map(|Model { url, secret, .. }| Webhook { url, secret }))
    }

    /// Tells this owner there from now on, and of what they were not told yet.
    pub async fn set_webhook(&self, owner: AccountId, webhook: Webhook, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let row = ActiveModel {
            owner: Set(owner.to_string()),
            url: Set(webhook.url),
            secret: Set(webhook.secret),
            updated_at: Set(now.as_millis()),
        };
        let change = OnConflict::column(Column::Owner)
            .update_columns([Column::Url, Column::Secret, Column::UpdatedAt])
            .to_owned();
        Entity::insert(row).on_conflict(change).exec_without_returning(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Tells this owner nothing any more.
    pub async fn remove_webhook(&self, owner: AccountId) -> Result<()> {
        let transaction = self.begin().await?;
        Entity::delete_by_id(owner.to_string()).exec(&transaction).await?;
        announcements::delete_of_owner(&transaction, owner).await?;
        Ok(transaction.commit().await?)
    }
}
