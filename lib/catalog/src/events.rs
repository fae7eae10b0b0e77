//! Broadcasts. An event is a video that is not on the shelf yet: it has the same id, and the version
//! that it grows is made with it.
//!
//! Whoever changes an event and its video locks the event first.

mod air;
mod change;
mod find;
mod turns;

use model::{
    AccountId, Air, EventPolicy, EventState, LetGo, StreamKeyHash, Takeovers, Tier, Timestamp, VersionId,
    VideoId, Visibility,
};
use sea_orm::ActiveValue::Set;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

pub use change::EventEdit;
pub(crate) use change::{end_of_video, may_be_written};
pub(crate) use find::{dvr_s, versions};
pub use turns::Admitted;

use crate::CatalogError;
use crate::convert::{Row, moment};
use crate::error::{Result, one_row};

/// An event to create, with the video that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id, which is the video's.
    pub video: VideoId,
    /// The version that it will grow.
    pub version: VersionId,
    /// Whose.
    pub owner: AccountId,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Who may find it.
    pub visibility: Visibility,
    /// The lowest tier that may watch it.
    pub min_tier: Tier,
    /// When it is to begin, if that is known.
    pub starts_at: Option<Timestamp>,
    /// What viewers may do, and what stays of it.
    pub policy: EventPolicy,
    /// Of the key with which it is published.
    pub key: StreamKeyHash,
}

/// A broadcast. What it is called and who may see it, its [`Video`](crate::Video) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, which is the video's.
    pub video: VideoId,
    /// The version that it grows.
    pub version: VersionId,
    /// Whose.
    pub owner: AccountId,
    /// How far it is.
    pub state: EventState,
    /// When it is to begin, if that is known.
    pub starts_at: Option<Timestamp>,
    /// What viewers may do, and what stays of it.
    pub policy: EventPolicy,
    /// The publisher's turn, the present one or the last; 0 before the first.
    pub generation: u64,
    /// When the present publisher was last heard of; `None` while there is none.
    pub heard_at: Option<Timestamp>,
    /// Why its last publisher was let go, until the next one is on air.
    pub let_go: Option<LetGo>,
    /// When it was created.
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub video: String,
    pub owner: String,
    pub version: String,
    pub key_hash: String,
    pub state: String,
    pub starts_at: Option<i64>,
    pub began_at: Option<i64>,
    pub ended_at: Option<i64>,
    /// Of a live event: `on` or `away`,
    pub air: Option<String>,
    /// since this moment.
    pub air_at: Option<i64>,
    pub dvr_s: i64,
    pub record: i64,
    pub generation: i64,
    /// When the present publisher was last heard of.
    pub heard_at: Option<i64>,
    /// [`Takeovers`] as JSON.
    pub takeovers: String,
    pub created_at: i64,
    pub let_go: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn row(&self) -> Row<'_> {
        Row { table: "events", id: &self.video }
    }

    fn id(&self) -> Result<VideoId> {
        self.row().word("video", &self.video)
    }

    pub(crate) fn version(&self) -> Result<VersionId> {
        self.row().word("version", &self.version)
    }

    pub(crate) fn state(&self) -> Result<EventState> {
        let row = self.row();
        Ok(match self.state.as_str() {
            "scheduled" => EventState::Scheduled,
            "live" => {
                let since = moment(row.required("air_at", self.air_at)?);
                let air = match row.required("air", self.air.as_deref())? {
                    "on" => Air::On { since },
                    "away" => Air::Away { since },
                    _ => return Err(row.unreadable("air")),
                };
                EventState::Live { since: moment(row.required("began_at", self.began_at)?), air }
            }
            "ended" => EventState::Ended {
                began: self.began_at.map(moment),
                at: moment(row.required("ended_at", self.ended_at)?),
            },
            _ => return Err(row.unreadable("state")),
        })
    }

    fn takeovers(&self) -> Result<Takeovers> {
        serde_json::from_str(&self.takeovers).map_err(|_| self.row().unreadable("takeovers"))
    }
}

impl TryFrom<&Model> for Event {
    type Error = CatalogError;

    fn try_from(model: &Model) -> Result<Self> {
        let row = model.row();
        Ok(Self {
            video: model.id()?,
            version: model.version()?,
            owner: row.word("owner", &model.owner)?,
            state: model.state()?,
            starts_at: model.starts_at.map(moment),
            policy: EventPolicy { dvr_s: row.number("dvr_s", model.dvr_s)?, record: model.record != 0 },
            generation: row.number("generation", model.generation)?,
            heard_at: model.heard_at.map(moment),
            let_go: row.optional_word("let_go", model.let_go.as_deref())?,
            created_at: moment(model.created_at),
        })
    }
}

/// The row of an event for a transaction that will change it: locked on PostgreSQL.
async fn find(connection: &impl ConnectionTrait, video: VideoId) -> Result<Model> {
    let id = video.to_string();
    let row = Entity::find_by_id(id.clone()).lock_exclusive().one(connection).await?;
    row.ok_or(CatalogError::Absent { what: "event", id })
}

/// What of a row says how far the event is.
fn state_change(state: EventState) -> ActiveModel {
    let (air, ended_at) = match state {
        EventState::Scheduled => (None, None),
        EventState::Live { air: Air::On { since }, .. } => (Some(("on", since)), None),
        EventState::Live { air: Air::Away { since }, .. } => (Some(("away", since)), None),
        EventState::Ended { at, .. } => (None, Some(at)),
    };
    ActiveModel {
        state: Set(state.as_str().to_owned()),
        began_at: Set(state.began().map(Timestamp::as_millis)),
        ended_at: Set(ended_at.map(Timestamp::as_millis)),
        air: Set(air.map(|(word, _)| word.to_owned())),
        air_at: Set(air.map(|(_, since)| since.as_millis())),
        ..Default::default()
    }
}

/// Changes an event that is still in the state and the turn in which `row` was read, or fails with
/// `Conflict`.
async fn change(connection: &impl ConnectionTrait, row: &Model, change: ActiveModel) -> Result<()> {
    let update = Entity::update_many()
        .set(change)
        .filter(Column::Video.eq(&row.video))
        .filter(Column::State.eq(&row.state))
        .filter(Column::Generation.eq(row.generation));
    one_row(update.exec(connection).await?.rows_affected, "event", &row.video)
}

pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    Entity::delete_by_id(video.to_owned()).exec(connection).await?;
    Ok(())
}
