//! What is still to be told to webhooks: written in the transaction in which it happens, gone when it
//! was told or given up.

use std::collections::HashMap;
use std::time::Duration;

use model::{AccountId, Timestamp, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect};

use crate::convert::{Row, moment, number};
use crate::error::Result;
use crate::{Catalog, Webhook, events, videos, webhooks};

/// As many are told at once.
const AT_ONCE: u64 = 16;

/// What happened to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// Its first pictures can be seen.
    LiveStarted,
    /// It is over. One that never began does not end.
    LiveEnded,
}

impl Happened {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LiveStarted => "live.started",
            Self::LiveEnded => "live.ended",
        }
    }
}

impl std::str::FromStr for Happened {
    type Err = model::InvalidWord;

    fn from_str(text: &str) -> Result<Self, model::InvalidWord> {
        [Self::LiveStarted, Self::LiveEnded]
            .into_iter()
            .find(|happened| happened.as_str() == text)
            .ok_or(model::InvalidWord { expected: "live.started or live.ended" })
    }
}

/// Something that is to be told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// To which event it happened.
    pub video: VideoId,
    /// What.
    pub happened: Happened,
    /// Whose event it is.
    pub owner: AccountId,
    /// What the event was called then.
    pub title: String,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried, this time included.
    pub tries: u32,
    /// Where to.
    pub webhook: Webhook,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "announcements")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub video: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub word: String,
    pub owner: String,
    pub title: String,
    pub happened_at: i64,
    pub tries: i64,
    pub due_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Catalog {
    /// Takes what is due to be told, for the length of a lease: whoever does not say what became of
    /// it in time leaves it to the next. What happened first of an event is told first.
    pub async fn claim_announcements(&self, now: Timestamp, lease: Duration) -> Result<Vec<Announcement>> {
        let due = Entity::find().filter(Column::DueAt.lte(now.as_millis()));
        let due = due.order_by_asc(Column::DueAt).order_by_asc(Column::HappenedAt).limit(AT_ONCE);
        // Most times there is nothing, for which no lock is needed.
        if due.clone().one(self.read()).await?.is_none() {
            return Ok(Vec::new());
        }
        let transaction = self.begin().await?;
        let rows = due.lock_exclusive().all(&transaction).await?;
        let owners = rows.iter().map(|row| row.owner.clone());
        let webhooks = webhooks::Entity::find().filter(webhooks::Column::Owner.is_in(owners));
        let webhooks: HashMap<String, Webhook> = webhooks
            .all(&transaction)
            .await?
            .into_iter()
            .map(|row| (row.owner, Webhook { url: row.url, secret: row.secret }))
            .collect();
        let mut announcements = Vec::new();
        for row in rows {
            let Some(webhook) = webhooks.get(&row.owner) else {
                // Nobody wants to hear it any more.
                Entity::delete_many().filter(of(&row.video, &row.word)).exec(&transaction).await?;
                continue;
            };
            let named = Row { table: "announcements", id: &row.video };
            let set = ActiveModel {
                tries: Set(row.tries + 1),
                due_at: Set((now + lease).as_millis()),
                ..Default::default()
            };
            Entity::update_many().set(set).filter(of(&row.video, &row.word)).exec(&transaction).await?;
            announcements.push(Announcement {
                video: named.word("video", &row.video)?,
                happened: named.word("word", &row.word)?,
                owner: named.word("owner", &row.owner)?,
                tries: named.number("tries", row.tries + 1)?,
                at: moment(row.happened_at),
                title: row.title,
                webhook: webhook.clone(),
            });
        }
        transaction.commit().await?;
        Ok(announcements)
    }

    /// Says that an announcement arrived, or was given up.
    pub async fn announced(&self, announcement: &Announcement) -> Result<()> {
        let transaction = self.begin().await?;
        Entity::delete_many().filter(taken(announcement)).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Says that an announcement did not arrive, and is to be tried again at `next`.
    pub async fn announce_again(&self, announcement: &Announcement, next: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let set = ActiveModel { due_at: Set(next.as_millis()), ..Default::default() };
        Entity::update_many().set(set).filter(taken(announcement)).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// Notes what has happened to an event, if its owner wants to be told.
pub(crate) async fn note(
    connection: &impl ConnectionTrait,
    event: &events::Model,
    happened: Happened,
    now: Timestamp,
) -> Result<()> {
    if webhooks::Entity::find_by_id(event.owner.clone()).one(connection).await?.is_none() {
        return Ok(());
    }
    let video = videos::Entity::find_by_id(event.video.clone()).one(connection).await?;
    let row = ActiveModel {
        video: Set(event.video.clone()),
        word: Set(happened.as_str().to_owned()),
        owner: Set(event.owner.clone()),
        title: Set(video.map(|video| video.title).unwrap_or_default()),
        happened_at: Set(now.as_millis()),
        tries: Set(0),
        due_at: Set(now.as_millis()),
    };
    Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

pub(crate) async fn delete_of_owner(connection: &impl ConnectionTrait, owner: AccountId) -> Result<()> {
    Entity::delete_many().filter(Column::Owner.eq(owner.to_string())).exec(connection).await?;
    Ok(())
}

fn of(video: &str, word: &str) -> Condition {
    Condition::all().add(Column::Video.eq(video)).add(Column::Word.eq(word))
}

/// One that nobody else has taken meanwhile.
fn taken(announcement: &Announcement) -> Condition {
    of(&announcement.video.to_string(), announcement.happened.as_str())
        .add(Column::Tries.eq(number(announcement.tries)))
}
