use std::collections::HashMap;
use std::time::Duration;

use model::{AccountId, StreamKeyHash, Timestamp, VersionId, VideoId, Visibility};
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Query, SimpleExpr};
use sea_orm::{Condition, QuerySelect};

use super::{Column, Entity, Event, Model};
use crate::convert::Row;
use crate::error::Result;
use crate::{Catalog, Listing, Page, Video, videos};

/// An event that did not begin is announced for so long after its time.
const LATE: Duration = Duration::from_secs(6 * 3600);
/// As many events are announced at once.
const ANNOUNCED: u64 = 100;

impl Catalog {
    /// The event that this video is or was, with the video; `None` for others and deleted ones.
    pub async fn event(&self, id: VideoId) -> Result<Option<(Video, Event)>> {
        let snapshot = self.snapshot().await?;
        let Some(row) = Entity::find_by_id(id.to_string()).one(&snapshot).await? else { return Ok(None) };
        let videos = videos::shown_of(&snapshot, std::slice::from_ref(&row.video)).await?;
        let event = Event::try_from(&row)?;
        Ok(videos.into_iter().next().map(|video| (video, event)))
    }

    /// How far back the event lets its viewers go, in seconds; 0 when there is none.
    pub async fn event_dvr_s(&self, id: VideoId) -> Result<u32> {
        dvr_s(self.read(), &id.to_string()).await
    }

    /// Whether the event goes on just now and is for others than its owner, too. Players ask it so
    /// often that it reads no more than that.
    pub async fn is_live_and_shared(&self, id: VideoId) -> Result<bool> {
        let live = Entity::find_by_id(id.to_string()).filter(Column::State.eq("live"));
        let shared = [Visibility::Unlisted, Visibility::Public];
        Ok(live.filter(of_alive_videos(&shared)).one(self.read()).await?.is_some())
    }

    /// The event that is published with this key, over or not; `None` when none is.
    pub async fn event_of_key(&self, key: &StreamKeyHash) -> Result<Option<Event>> {
        let rows = Entity::find().filter(Column::KeyHash.eq(key.to_string()));
        rows.filter(of_alive_videos(&[])).one(self.read()).await?.as_ref().map(Event::try_from).transpose()
    }

    /// An owner's events in all states, newest first.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not one of this list.
    pub async fn events_of(&self, owner: AccountId, page: &Page) -> Result<Listing<(Video, Event)>> {
        let ids = Query::select().column(Column::Video).from(Entity).to_owned();
        let Listing { items, next } = self.videos_among(owner, ids, page).await?;
        let ids: Vec<String> = items.iter().map(|video| video.id.to_string()).collect();
        let rows = Entity::find().filter(Column::Video.is_in(ids)).all(self.read()).await?;
        let mut events = by_id(&rows)?;
        let items = items.into_iter().filter_map(|video| Some((events.remove(&video.id)?, video)));
        Ok(Listing { items: items.map(|(event, video)| (video, event)).collect(), next })
    }

    /// The events that everybody may find and that are not over: the live ones, the longest on air
    /// first, and then those that will begin, the soonest first. At most a hundred.
    pub async fn public_events(&self, now: Timestamp) -> Result<Vec<(Video, Event)>> {
        let snapshot = self.snapshot().await?;
        let soon = Condition::all()
            .add(Column::State.eq("scheduled"))
            .add(Column::StartsAt.gt((now - LATE).as_millis()));
        let rows = Entity::find()
            .filter(Condition::any().add(Column::State.eq("live")).add(soon))
            .filter(of_alive_videos(&[Visibility::Public]))
            // `live` is before `scheduled`.
            .order_by_asc(Column::State)
            .order_by_asc(Column::BeganAt)
            .order_by_asc(Column::StartsAt)
            .order_by_asc(Column::Video)
            .limit(ANNOUNCED)
            .all(&snapshot)
            .await?;
        let ids: Vec<String> = rows.iter().map(|row| row.video.clone()).collect();
        let videos = videos::shown_of(&snapshot, &ids).await?;
        let mut videos: HashMap<_, _> = videos.into_iter().map(|video| (video.id, video)).collect();
        let events = rows.iter().map(Event::try_from).collect::<Result<Vec<_>>>()?;
        Ok(events.into_iter().filter_map(|event| Some((videos.remove(&event.video)?, event))).collect())
    }

    /// The events of which something was on air and that are not on the shelf yet, the oldest first:
    /// the live ones, and those that are over and still to be put there. For a packager that begins.
    pub async fn events_on_air(&self) -> Result<Vec<Event>> {
        let not_on_shelf = Query::select()
            .column(videos::Column::Id)
            .from(videos::Entity)
            .and_where(videos::Column::State.eq("event"))
            .and_where(videos::Column::DeletedAt.is_null())
            .to_owned();
        let rows = Entity::find()
            .filter(Column::BeganAt.is_not_null())
            .filter(Column::Video.in_subquery(not_on_shelf))
            .order_by_asc(Column::BeganAt)
            .order_by_asc(Column::Video)
            .all(self.read())
            .await?;
        rows.iter().map(Event::try_from).collect()
    }
}

/// The versions that these videos grow or grew on air.
pub(crate) async fn versions(
    connection: &impl ConnectionTrait,
    videos: &[&str],
) -> Result<HashMap<String, VersionId>> {
    let rows = Entity::find().filter(Column::Video.is_in(videos.iter().copied())).all(connection).await?;
    let version = |row: Model| {
        let version = Row { table: "events", id: &row.video }.word("version", &row.version)?;
        Ok((row.video, version))
    };
    rows.into_iter().map(version).collect()
}

fn by_id(rows: &[Model]) -> Result<HashMap<VideoId, Event>> {
    rows.iter().map(|row| Event::try_from(row).map(|event| (event.video, event))).collect()
}

/// Of videos that are not deleted and of one of these visibilities; of any if none is named.
fn of_alive_videos(visibilities: &[Visibility]) -> SimpleExpr {
    let mut ids = Query::select();
    ids.column(videos::Column::Id).from(videos::Entity).and_where(videos::Column::DeletedAt.is_null());
    if !visibilities.is_empty() {
        ids.and_where(videos::Column::Visibility.is_in(visibilities.iter().map(|it| it.as_str())));
    }
    Column::Video.in_subquery(ids)
}

/// How far back the event lets its viewers go, in seconds.
pub(crate) async fn dvr_s(connection: &impl ConnectionTrait, video: &str) -> Result<u32> {
    let row = Entity::find_by_id(video.to_owned()).one(connection).await?;
    row.map_or(Ok(0), |row| Ok(Event::try_from(&row)?.policy.dvr_s))
}
