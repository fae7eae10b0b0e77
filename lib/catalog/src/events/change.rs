use model::{
    AccountId, EventPolicy, EventState, StreamKeyHash, Takeovers, Timestamp, VersionId, VideoId, VideoState,
};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;

use super::{ActiveModel, Column, Entity, Event, Model, NewEvent, change, find, state_change};
use crate::convert::{moment, number};
use crate::error::Result;
use crate::{Catalog, CatalogError, Video, VideoEdit, uploads, videos};

/// How many events of one owner may be scheduled or live.
const OPEN_EVENTS: u64 = 100;
/// A publisher that was heard of so lately before the deletion may be packaged still.
const STILL_WRITTEN: std::time::Duration = std::time::Duration::from_secs(60);

/// What an owner changes about an event; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventEdit {
    /// What is the video's.
    pub video: VideoEdit,
    /// When it is to begin; `Some(None)` for some time.
    pub starts_at: Option<Option<Timestamp>>,
    /// How far back viewers may go, in seconds.
    pub dvr_s: Option<u32>,
    /// Whether it is on the shelf when it is over.
    pub record: Option<bool>,
}

impl EventEdit {
    /// Whether it changes what is only an event's.
    const fn is_of_event(&self) -> bool {
        self.starts_at.is_some() || self.dvr_s.is_some() || self.record.is_some()
    }
}

impl Catalog {
    /// Creates an event and the video that it is.
    ///
    /// # Errors
    ///
    /// `TooMany` when its owner has a hundred events that are not over.
    pub async fn create_event(&self, new: &NewEvent, now: Timestamp) -> Result<(Video, Event)> {
        let transaction = self.begin().await?;
        uploads::one_at_a_time(self, &transaction, new.owner).await?;
        let open = count_open(&transaction, new.owner).await?;
        if open >= OPEN_EVENTS {
            return Err(CatalogError::TooManyEvents { open });
        }
        let video = videos::NewVideo {
            id: new.video,
            owner: new.owner,
            title: &new.title,
            description: &new.description,
            filename: "",
            size_bytes: 0,
            visibility: new.visibility,
            min_tier: new.min_tier,
            state: VideoState::Event { since: now, plays: None },
        };
        videos::insert(&transaction, &video, now).await?;
        let EventPolicy { dvr_s, record } = new.policy;
        let row = Model {
            video: new.video.to_string(),
            owner: new.owner.to_string(),
            version: new.version.to_string(),
            key_hash: new.key.to_string(),
            state: EventState::Scheduled.as_str().to_owned(),
            starts_at: new.starts_at.map(Timestamp::as_millis),
            began_at: None,
            ended_at: None,
            air: None,
            air_at: None,
            dvr_s: number(dvr_s),
            record: record.into(),
            generation: 0,
            heard_at: None,
            takeovers: takeovers_text(&Takeovers::default()),
            created_at: now.as_millis(),
            let_go: None,
        };
        let event = Event::try_from(&row)?;
        Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(&transaction).await?;
        let video = videos::shown(&transaction, &new.video.to_string()).await?;
        transaction.commit().await?;
        Ok((video, event))
    }

    /// Changes what the owner says about an event, and returns it as it is then. Hiding it, or asking
    /// for a higher tier, makes void all grants for it as [`Catalog::edit_video`] does.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted, `Conflict` for what is only an event's once that is
    /// over.
    pub async fn edit_event(&self, id: VideoId, edit: EventEdit, now: Timestamp) -> Result<(Video, Event)> {
        let transaction = self.begin().await?;
        let row = find(&transaction, id).await?;
        if edit.is_of_event() {
            // What the end has decided stays.
            row.state()?.publisher_away(now)?;
            let set = ActiveModel {
                starts_at: edit.starts_at.map_or(NotSet, |at| Set(at.map(Timestamp::as_millis))),
                dvr_s: edit.dvr_s.map_or(NotSet, |s| Set(number(s))),
                record: edit.record.map_or(NotSet, |record| Set(record.into())),
                // So that there is always something to set.
                key_hash: Set(row.key_hash.clone()),
                ..Default::default()
            };
            change(&transaction, &row, set).await?;
        }
        videos::edit(&transaction, &row.video, edit.video, now).await?;
        let video = videos::shown(&transaction, &row.video).await?;
        let event = Event::try_from(&find(&transaction, id).await?)?;
        transaction.commit().await?;
        self.announce_change();
        Ok((video, event))
    }

    /// Gives an event another key: the old one opens nothing from now on, and the feed that came with
    /// it is over.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted, `Conflict` when it is over.
    pub async fn rotate_key(&self, id: VideoId, key: StreamKeyHash, now: Timestamp) -> Result<Event> {
        let transaction = self.begin().await?;
        let row = find(&transaction, id).await?;
        videos::find(&transaction, &row.video).await?;
        let set = ActiveModel {
            key_hash: Set(key.to_string()),
            generation: Set(row.generation + 1),
            heard_at: Set(None),
            // Those of the old key's publishers are no fault of the next one's.
            takeovers: Set(takeovers_text(&Takeovers::default())),
            ..state_change(row.state()?.publisher_away(now)?)
        };
        change(&transaction, &row, set).await?;
        let event = Event::try_from(&find(&transaction, id).await?)?;
        transaction.commit().await?;
        self.announce_change();
        Ok(event)
    }
}

pub(super) fn takeovers_text(takeovers: &Takeovers) -> String {
    serde_json::to_string(takeovers).expect("moments have a JSON form")
}

/// Ends the event that a video is, with the video.
pub(crate) async fn end_of_video(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<Option<VersionId>> {
    let row = Entity::find_by_id(video.to_owned()).one(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let state = row.state()?;
    if !state.is_ended() {
        super::air::end(connection, &row, now).await?;
    }
    row.version().map(Some)
}

/// Whether a packager may not have noticed at `now` that its event was deleted at `deleted_at`.
pub(crate) async fn may_be_written(
    connection: &impl ConnectionTrait,
    video: &str,
    deleted_at: i64,
    now: Timestamp,
) -> Result<bool> {
    let row = Entity::find_by_id(video.to_owned()).one(connection).await?;
    // The end itself counted as one.
    let had_publishers = row.is_some_and(|row| row.generation > 1);
    Ok(had_publishers && now.since(moment(deleted_at)) < STILL_WRITTEN)
}

async fn count_open(connection: &impl ConnectionTrait, owner: AccountId) -> Result<u64> {
    let open = Entity::find().filter(Column::Owner.eq(owner.to_string()));
    Ok(open.filter(Column::State.is_in(["scheduled", "live"])).count(connection).await?)
}
