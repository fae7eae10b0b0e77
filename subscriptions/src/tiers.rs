use model::{AccountId, PublishLimits, Tier, TierRights, Timestamp};
use sea_orm::ActiveValue::{Set, Unchanged};
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;

use crate::error::During;
use crate::rows::RowName;
use crate::{Result, Subscriptions, SubscriptionsError};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tier_rights")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tier: i32,
    pub(crate) greatest_height: i32,
    pub(crate) downloads: bool,
    pub(crate) ads: bool,
    pub(crate) concurrent_streams: i32,
    pub(crate) rewind_s: i64,
    pub(crate) publish_kbps: i64,
    pub(crate) publish_short_side: i32,
    pub(crate) publish_s: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for TierRights {
    type Error = SubscriptionsError;

    fn try_from(row: Model) -> Result<Self> {
        let id = row.tier.to_string();
        let name = RowName { table: "tier_rights", id: &id };
        Ok(Self {
            tier: name.tier(row.tier)?,
            greatest_height: name.number("greatest_height", row.greatest_height)?,
            downloads: row.downloads,
            ads: row.ads,
            concurrent_streams: name.number("concurrent_streams", row.concurrent_streams)?,
            rewind_s: name.number("rewind_s", row.rewind_s)?,
            publish: PublishLimits {
                bitrate_kbps: name.number("publish_kbps", row.publish_kbps)?,
                short_side: name.number("publish_short_side", row.publish_short_side)?,
                duration_s: name.number("publish_s", row.publish_s)?,
            },
        })
    }
}

impl Subscriptions {
    /// What each tier may do, lowest first.
    pub async fn tier_rights(&self) -> Result<[TierRights; 4]> {
        let rows = Entity::find().order_by_asc(Column::Tier).all(self.database.read()).await;
        let rows = rows.during("read rights of tiers")?;
        let rights = rows.into_iter().map(TierRights::try_from).collect::<Result<Vec<_>>>()?;
        rights.try_into().map_err(|_| SubscriptionsError::Row {
            table: "tier_rights",
            column: "tier",
            id: "0, 1, 2 or 3".into(),
        })
    }

    /// Changes what a tier may do. Grants already given live on; they are short.
    pub async fn set_tier_rights(&self, rights: TierRights) -> Result<()> {
        let row = ActiveModel {
            tier: Unchanged(i32::from(rights.tier.number())),
            greatest_height: Set(i32::from(rights.greatest_height)),
            downloads: Set(rights.downloads),
            ads: Set(rights.ads),
            concurrent_streams: Set(i32::from(rights.concurrent_streams)),
            rewind_s: Set(i64::from(rights.rewind_s)),
            publish_kbps: Set(i64::from(rights.publish.bitrate_kbps)),
            publish_short_side: Set(i32::from(rights.publish.short_side)),
            publish_s: Set(i64::from(rights.publish.duration_s)),
        };
        let transaction = self.database.begin_write().await.during("change rights of a tier")?;
        Entity::update(row).exec(&transaction).await.during("change rights of a tier")?;
        transaction.commit().await.during("change rights of a tier")
    }

    /// What `account` may broadcast now, by the tier that holds; `None` when it may not: it is none,
    /// is disabled, or has no role that may.
    pub async fn publish_limits(&self, account: AccountId, now: Timestamp) -> Result<Option<PublishLimits>> {
        let account = self.account(account).await?;
        let Some(account) = account.filter(|it| it.disabled_at.is_none() && it.role.may_upload()) else {
            return Ok(None);
        };
        Ok(Some(self.rights_of(account.entitlement.at(now).tier).await?.publish))
    }

    /// What `tier` may do.
    pub(crate) async fn rights_of(&self, tier: Tier) -> Result<TierRights> {
        let number = i32::from(tier.number());
        let row =
            Entity::find_by_id(number).one(self.database.read()).await.during("read rights of a tier")?;
        row.ok_or_else(|| SubscriptionsError::Row {
            table: "tier_rights",
            column: "tier",
            id: number.to_string(),
        })?
        .try_into()
    }
}
