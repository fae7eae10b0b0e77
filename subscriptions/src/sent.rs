//! Bytes that edges have sent: per account and day, and per video and day. No row says who watched
//! what.

use std::time::Duration;

use model::{AccountId, Timestamp, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, ExprTrait, OnConflict};

use crate::error::During;
use crate::{Result, Subscriptions};

/// Days for which sums are kept.
const KEPT_DAYS: i64 = 400;
/// How long an edge that is silent is remembered: longer than it can have reports that wait.
const SENDER_KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// Rows in one insertion, of four values each.
const AT_ONCE: usize = 500;

/// To whom, or of what, bytes were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SentSubject {
    /// To this account, by its grants.
    Account(AccountId),
    /// Of this video, to anybody.
    Video(VideoId),
}

/// Bytes that were sent on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// To whom, or of what.
    pub subject: SentSubject,
    /// Whole days since 1970, in UTC.
    pub day: i64,
    /// How many.
    pub bytes: u64,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sent")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) day: i64,
    pub(crate) bytes: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// Up to which number each sender's reports were counted.
pub(crate) mod reports {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sent_reports")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) sender: String,
        pub(crate) number: i64,
        pub(crate) at: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

impl Subscriptions {
    /// Adds what a sender's report says, unless a report of its with this number or a greater one
    /// was added before: then it changes nothing. Each subject and day stands in it once.
    pub async fn count_sent(&self, sender: &str, number: u64, sent: &[Sent], now: Timestamp) -> Result<()> {
        const COUNT: &str = "count bytes sent";
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let transaction = self.database.begin_write().await.during(COUNT)?;
        let row = reports::ActiveModel {
            sender: Set(sender.to_owned()),
            number: Set(number),
            at: Set(now.as_millis()),
        };
        // One statement, so that of two that are the same only one is new, also on PostgreSQL.
        let if_greater = OnConflict::column(reports::Column::Sender)
            .update_columns([reports::Column::Number, reports::Column::At])
            .action_and_where(Expr::col((reports::Entity, reports::Column::Number)).lt(number))
            .to_owned();
        let insert = reports::Entity::insert(row).on_conflict(if_greater);
        if insert.exec_without_returning(&transaction).await.during(COUNT)? == 0 {
            return Ok(());
        }
        for sent in sent.chunks(AT_ONCE) {
            let more =
                Expr::col((Entity, Column::Bytes)).add(Expr::col((Alias::new("excluded"), Column::Bytes)));
            let add = OnConflict::columns([Column::Kind, Column::Subject, Column::Day])
                .value(Column::Bytes, more)
                .to_owned();
            let rows = sent.iter().map(ActiveModel::from);
            Entity::insert_many(rows)
                .on_conflict(add)
                .exec_without_returning(&transaction)
                .await
                .during(COUNT)?;
        }
        let today = now.as_seconds().div_euclid(24 * 60 * 60);
        Entity::delete_many()
            .filter(Column::Day.lt(today - KEPT_DAYS))
            .exec(&transaction)
            .await
            .during(COUNT)?;
        let silent = reports::Column::At.lt((now - SENDER_KEPT).as_millis());
        reports::Entity::delete_many().filter(silent).exec(&transaction).await.during(COUNT)?;
        transaction.commit().await.during(COUNT)
    }

    /// Bytes that were sent to an account, or of a video, on a day.
    pub async fn sent(&self, subject: SentSubject, day: i64) -> Result<u64> {
        let (kind, id) = subject.words();
        let row = Entity::find_by_id((kind.to_owned(), id, day)).one(self.database.read()).await;
        Ok(row.during("read bytes sent")?.map_or(0, |row| row.bytes.unsigned_abs()))
    }
}

impl SentSubject {
    fn words(self) -> (&'static str, String) {
        match self {
            Self::Account(id) => ("account", id.to_string()),
            Self::Video(id) => ("video", id.to_string()),
        }
    }
}

impl From<&Sent> for ActiveModel {
    fn from(sent: &Sent) -> Self {
        let (kind, subject) = sent.subject.words();
        Self {
            kind: Set(kind.to_owned()),
            subject: Set(subject),
            day: Set(sent.day),
            bytes: Set(i64::try_from(sent.bytes).unwrap_or(i64::MAX)),
        }
    }
}
