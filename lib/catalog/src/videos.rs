//! The table of videos: what one is, and how it is found. How it changes is in `change`.

mod change;

use std::collections::{HashMap, HashSet};

use model::{
    AccountId, Chapter, JobState, Lane, PublicPolicy, RenditionName, Tier, TierRights, Timestamp, VersionId,
    VideoId, VideoState, Visibility,
};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, SelectStatement};
use sea_orm::{Condition, QueryOrder, QuerySelect, Select};

pub use change::VideoEdit;
pub(crate) use change::{
    NewVideo, change_state, cut_chapters, delete_row, edit, insert, record_progress, restore_chapters,
    set_priority,
};

use crate::convert::{Row, moment};
use crate::error::Result;
use crate::page::{Position, cut};
use crate::{
    Catalog, CatalogError, Listing, Page, Progress, Reencoding, RenditionSummary, Trimmed, events, growing,
    jobs, reencode, renditions, trims, versions,
};

/// A title that was uploaded or broadcast, with its current version where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Its id.
    pub id: VideoId,
    /// Whose.
    pub owner: AccountId,
    /// Title, as its owner wrote it.
    pub title: String,
    /// Description, as its owner wrote it.
    pub description: String,
    /// Name of the uploaded file on its owner's disk; empty for an event and for a clip.
    pub filename: String,
    /// Length of the uploaded file in bytes; of a clip that of its renditions, 0 for an event.
    pub size_bytes: u64,
    /// Who may find it.
    pub visibility: Visibility,
    /// The lowest tier that may watch it.
    pub min_tier: Tier,
    /// Where it is on its way to the player.
    pub state: VideoState,
    /// How far its packaging is,
    pub progress: Progress,
    /// as of this moment; `None` before anything could be told.
    pub progress_at: Option<Timestamp>,
    /// While nobody works on it: how many other videos come before it, 0 if it is the next.
    pub queue_place: Option<u32>,
    /// How much its packaging comes before that of others; 0 unless somebody has set it.
    pub priority: i32,
    /// When its upload began, or the event was created.
    pub created_at: Timestamp,
    /// When it was last edited or its state last changed.
    pub updated_at: Timestamp,
    /// When it first stood in the public list.
    pub published_at: Option<Timestamp>,
    /// Its chapters, as its owner wrote them; of an event from its beginning.
    pub chapters: Vec<Chapter>,
    /// Length of the film in milliseconds, once that is known.
    pub duration_ms: Option<u64>,
    /// The renditions of the version that plays, in the order in which they were published. Of a
    /// version in the making all that are planned, with the greatest rates that they can have.
    pub renditions: Vec<RenditionSummary>,
    /// Those of them that are not whole yet.
    pub unfinished: Vec<RenditionName>,
    /// Whether the version that plays has its poster and thumbnail; sound alone never has any.
    pub has_stills: bool,
    /// The version that is made to take the place of the one that plays.
    pub reencode: Option<Reencoding>,
    /// How it was trimmed last, or is to be.
    pub trim: Option<Trimmed>,
}

/// Where a video is, as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its bytes are still coming in.
    Uploading,
    /// It waits for a worker.
    Queued,
    /// Its file is looked into, and its beginning is made.
    Probing,
    /// It plays, and the smaller renditions are being made.
    Playable,
    /// It plays, and the greater ones are being made.
    Improving,
    /// It is an event that was not on air yet.
    Scheduled,
    /// It is an event that can be seen, or could be a moment ago.
    Live,
    /// All of it is there.
    Ready,
    /// It was an event of which nothing was kept.
    Ended,
    /// It will not play.
    Failed,
}

impl Stage {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Queued => "queued",
            Self::Probing => "probing",
            Self::Playable => "playable",
            Self::Improving => "improving",
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

impl Video {
    /// The version that is whole and published, if one is.
    pub fn version(&self) -> Option<VersionId> {
        match self.state {
            VideoState::Ready { version, .. } => Some(version),
            _ => None,
        }
    }

    /// The version that plays: whole, in the making, or live.
    pub fn plays(&self) -> Option<VersionId> {
        self.state.plays()
    }

    /// Whether all of a rendition is there.
    pub fn is_whole(&self, name: RenditionName) -> bool {
        self.rendition(name).is_some() && !self.unfinished.contains(&name)
    }

    /// Where it is, as its owner sees it.
    pub fn stage(&self) -> Stage {
        match self.state {
            VideoState::Uploading => Stage::Uploading,
            VideoState::Queued { .. } => Stage::Queued,
            VideoState::Packaging { plays: None, .. } => Stage::Probing,
            VideoState::Packaging { plays: Some(_), .. } => {
                let is_lane_b = |name: &RenditionName| name.is_video() && Lane::of(*name) == Lane::B;
                if self.unfinished.iter().all(is_lane_b) { Stage::Improving } else { Stage::Playable }
            }
            VideoState::Event { plays: None, .. } => Stage::Scheduled,
            VideoState::Event { plays: Some(_), .. } => Stage::Live,
            VideoState::Ready { .. } => Stage::Ready,
            VideoState::Ended { .. } => Stage::Ended,
            VideoState::Failed { .. } => Stage::Failed,
        }
    }

    /// The rendition of that name, if the current version has it.
    pub fn rendition(&self, name: RenditionName) -> Option<&RenditionSummary> {
        self.renditions.iter().find(|rendition| rendition.name == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "videos")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub owner: String,
    pub title: String,
    pub description: String,
    pub filename: String,
    pub size_bytes: i64,
    pub visibility: String,
    pub min_tier: i64,
    pub state: String,
    pub state_at: i64,
    /// The version that plays: whole, in the making, or live.
    pub version: Option<String>,
    pub failure: Option<String>,
    pub progress_percent: i64,
    pub eta_s: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub published_at: Option<i64>,
    pub deleted_at: Option<i64>,
    pub priority: i64,
    pub speed_ms_per_s: Option<i64>,
    pub progress_at: Option<i64>,
    /// The [`Chapter`]s as JSON; absent where there are none.
    pub chapters: Option<String>,
    /// The event that it is a clip of.
    pub clip_of: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn row(&self) -> Row<'_> {
        Row { table: "videos", id: &self.id }
    }

    pub(crate) fn id(&self) -> Result<VideoId> {
        self.row().word("id", &self.id)
    }

    pub(crate) fn state(&self) -> Result<VideoState> {
        let (row, at) = (self.row(), moment(self.state_at));
        Ok(match self.state.as_str() {
            "uploading" => VideoState::Uploading,
            "queued" => VideoState::Queued { since: at },
            "packaging" => {
                let plays = row.optional_word("version", self.version.as_deref())?;
                VideoState::Packaging { since: at, plays }
            }
            "ready" => {
                let version = row.required("version", self.version.as_deref())?;
                VideoState::Ready { version: row.word("version", version)?, at }
            }
            "event" => {
                let plays = row.optional_word("version", self.version.as_deref())?;
                VideoState::Event { since: at, plays }
            }
            "ended" => VideoState::Ended { at },
            "failed" => {
                let reason = row.required("failure", self.failure.as_deref())?;
                VideoState::Failed { reason: row.word("failure", reason)?, at }
            }
            _ => return Err(row.unreadable("state")),
        })
    }

    fn visibility(&self) -> Result<Visibility> {
        self.row().word("visibility", &self.visibility)
    }

    fn min_tier(&self) -> Result<Tier> {
        self.row().tier("min_tier", self.min_tier)
    }

    pub(crate) fn chapters(&self) -> Result<Vec<Chapter>> {
        let Some(chapters) = &self.chapters else { return Ok(Vec::new()) };
        serde_json::from_str(chapters).map_err(|_| self.row().unreadable("chapters"))
    }

    fn video(&self, made: Made, queue_place: Option<u32>) -> Result<Video> {
        let row = self.row();
        let speed = row.optional_number::<u32>("speed_ms_per_s", self.speed_ms_per_s)?;
        Ok(Video {
            id: self.id()?,
            owner: row.word("owner", &self.owner)?,
            title: self.title.clone(),
            description: self.description.clone(),
            filename: self.filename.clone(),
            size_bytes: row.number("size_bytes", self.size_bytes)?,
            visibility: self.visibility()?,
            min_tier: self.min_tier()?,
            state: self.state()?,
            progress: Progress {
                percent: row.number("progress_percent", self.progress_percent)?,
                eta_s: row.optional_number("eta_s", self.eta_s)?,
                speed: speed.map(|ms_per_s| f64::from(ms_per_s) / 1000.0),
            },
            progress_at: self.progress_at.map(moment),
            queue_place,
            priority: row.number("priority", self.priority)?,
            created_at: moment(self.created_at),
            updated_at: moment(self.updated_at),
            published_at: self.published_at.map(moment),
            chapters: self.chapters()?,
            duration_ms: made.duration_ms,
            renditions: made.renditions,
            unfinished: made.unfinished,
            has_stills: made.has_stills,
            reencode: made.reencode,
            trim: made.trim,
        })
    }
}

/// What there is of a video's version.
#[derive(Debug, Default)]
struct Made {
    duration_ms: Option<u64>,
    renditions: Vec<RenditionSummary>,
    unfinished: Vec<RenditionName>,
    has_stills: bool,
    reencode: Option<Reencoding>,
    trim: Option<Trimmed>,
}

impl Catalog {
    /// The video, unless it is deleted.
    pub async fn video(&self, id: VideoId) -> Result<Option<Video>> {
        // As of one moment: between two a growing version may become whole.
        let snapshot = self.snapshot().await?;
        let row = alive().filter(Column::Id.eq(id.to_string())).one(&snapshot).await?;
        Ok(with_renditions(&snapshot, row.into_iter().collect()).await?.pop())
    }

    /// An owner's videos in all states, newest upload first.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not one of this list.
    pub async fn videos_of(&self, owner: AccountId, page: &Page) -> Result<Listing<Video>> {
        let query = alive().filter(Column::Owner.eq(owner.to_string()));
        self.list(query, Column::CreatedAt, page, |row| row.created_at).await
    }

    /// Those of an owner's videos whose ids a query selects, newest first.
    pub(crate) async fn videos_among(
        &self,
        owner: AccountId,
        ids: SelectStatement,
        page: &Page,
    ) -> Result<Listing<Video>> {
        let query = alive().filter(Column::Owner.eq(owner.to_string())).filter(Column::Id.in_subquery(ids));
        self.list(query, Column::CreatedAt, page, |row| row.created_at).await
    }

    /// The videos that everybody may find, newest publication first; also those that play while
    /// they are packaged or on air.
    ///
    /// # Errors
    ///
    /// `Invalid` for a cursor that is not one of this list.
    pub async fn public_videos(&self, page: &Page) -> Result<Listing<Video>> {
        let query = alive().filter(Column::Visibility.eq("public")).filter(Column::Version.is_not_null());
        let query = query.filter(Column::PublishedAt.is_not_null());
        self.list(query, Column::PublishedAt, page, |row| row.published_at.unwrap_or_default()).await
    }

    /// What anybody may have of a video without a grant: what `free`, the rights of no plan, allow
    /// where no tier is asked for; `None` unless it plays and is shared.
    pub async fn public_policy(&self, id: VideoId, free: &TierRights) -> Result<Option<PublicPolicy>> {
        let Some(row) = alive().filter(Column::Id.eq(id.to_string())).one(self.read()).await? else {
            return Ok(None);
        };
        let (Some(version), visibility) = (row.state()?.plays(), row.visibility()?) else {
            return Ok(None);
        };
        let is_free = row.min_tier()? == Tier::NONE;
        let height = is_free.then_some(free.greatest_height);
        let listed = visibility == Visibility::Public;
        if !visibility.is_shared() {
            return Ok(None);
        }
        let versions = versions::of_video(self.read(), &row.id).await?;
        let versions = versions.iter().map(|other| row.row().word("version", &other.id));
        let mut also: Vec<VersionId> = versions.collect::<Result<_>>()?;
        also.retain(|other| *other != version);
        let event =
            if is_free && row.state == "event" { events::dvr_s(self.read(), &row.id).await? } else { 0 };
        let rewind_s = std::cmp::min(event, free.rewind_s);
        Ok(Some(PublicPolicy { video: id, version, also, listed, height, rewind_s }))
    }

    async fn list(
        &self,
        mut query: Select<Entity>,
        order: Column,
        page: &Page,
        at: fn(&Model) -> i64,
    ) -> Result<Listing<Video>> {
        if let Some(Position { at, id }) = page.position()? {
            let later = Condition::all().add(order.eq(at.as_millis())).add(Column::Id.lt(id));
            query = query.filter(Condition::any().add(order.lt(at.as_millis())).add(later));
        }
        // One more than asked for tells whether there is a next page.
        let query = query.order_by_desc(order).order_by_desc(Column::Id).limit(page.rows() as u64 + 1);
        let snapshot = self.snapshot().await?;
        let rows = query.all(&snapshot).await?;
        let (rows, next) = cut(rows, page.rows(), |row| Position { at: moment(at(row)), id: row.id.clone() });
        Ok(Listing { items: with_renditions(&snapshot, rows).await?, next })
    }
}

fn alive() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.is_null())
}

/// The row of a video that is not deleted, for a transaction that will change it: locked on
/// PostgreSQL, so that what is decided on it holds until the commit.
pub(crate) async fn find(connection: &impl ConnectionTrait, id: &str) -> Result<Model> {
    let row = alive().filter(Column::Id.eq(id)).lock_exclusive().one(connection).await?;
    row.ok_or_else(|| CatalogError::Absent { what: "video", id: id.to_owned() })
}

/// The row of a video that is not deleted, to look at.
pub(crate) async fn find_alive(connection: &impl ConnectionTrait, id: &str) -> Result<Option<Model>> {
    Ok(alive().filter(Column::Id.eq(id)).one(connection).await?)
}

/// Those of these videos that are not deleted.
pub(crate) async fn alive_of(connection: &impl ConnectionTrait, ids: &[String]) -> Result<HashSet<String>> {
    let ids = alive().select_only().column(Column::Id).filter(Column::Id.is_in(ids));
    Ok(ids.into_tuple().all(connection).await?.into_iter().collect())
}

/// The video as outsiders see it, unless it is deleted.
pub(crate) async fn shown(connection: &impl ConnectionTrait, id: &str) -> Result<Video> {
    let videos = shown_of(connection, &[id.to_owned()]).await?;
    videos.into_iter().next().ok_or_else(|| CatalogError::Absent { what: "video", id: id.to_owned() })
}

/// Those of these videos that are not deleted, as outsiders see them, in any order.
pub(crate) async fn shown_of(connection: &impl ConnectionTrait, ids: &[String]) -> Result<Vec<Video>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    with_renditions(connection, alive().filter(Column::Id.is_in(ids)).all(connection).await?).await
}

/// Bytes of an owner's originals: complete, coming in, and deleted but not yet forgotten; and of clips.
pub(crate) async fn bytes_of(connection: &impl ConnectionTrait, owner: AccountId) -> Result<u64> {
    // PostgreSQL adds BIGINTs up to a NUMERIC.
    let sum = Expr::col(Column::SizeBytes).sum().cast_as(Alias::new("BIGINT"));
    let query = Entity::find().select_only().column_as(sum, "sum");
    let query = query.filter(Column::Owner.eq(owner.to_string()));
    let sum: Option<Option<i64>> = query.into_tuple().one(connection).await?;
    Ok(sum.flatten().and_then(|bytes| bytes.try_into().ok()).unwrap_or(0))
}

async fn with_renditions(connection: &impl ConnectionTrait, rows: Vec<Model>) -> Result<Vec<Video>> {
    let playing = rows.iter().filter_map(|row| row.version.clone());
    let ids: Vec<String> = playing.collect();
    let mut summaries: HashMap<String, Vec<RenditionSummary>> = HashMap::new();
    for rendition in renditions::of(connection, &ids).await? {
        summaries.entry(rendition.version.clone()).or_default().push((&rendition).try_into()?);
    }
    let durations = versions::durations(connection, &ids).await?;
    let in_work = |row: &Model| matches!(row.state.as_str(), "queued" | "packaging");
    let growing: Vec<_> =
        rows.iter().filter(|row| in_work(row)).filter_map(|row| row.version.clone()).collect();
    let mut outlines = growing::outlines(connection, &growing).await?;
    let ready: Vec<_> = rows.iter().filter(|row| row.state == "ready").map(|row| row.id.clone()).collect();
    let mut reencodes = reencode::under_way(connection, &ready).await?;
    let playing = rows.iter().filter(|row| row.state == "ready");
    let playing = playing.filter_map(|row| Some((row.id.clone(), row.version.clone()?))).collect();
    let mut trims = trims::of_videos(connection, &playing).await?;
    let drawn = with_stills(connection, &growing).await?;
    let places = if rows.iter().any(in_work) { jobs::places(connection).await? } else { HashMap::new() };
    rows.iter()
        .map(|row| {
            let version = row.version.as_deref().unwrap_or_default();
            let made = match outlines.remove(version) {
                Some(outline) => Made {
                    duration_ms: Some(outline.duration_ms),
                    renditions: outline.renditions,
                    unfinished: outline.unfinished,
                    has_stills: drawn.contains(version),
                    reencode: None,
                    trim: None,
                },
                None => {
                    let renditions = summaries.remove(version).unwrap_or_default();
                    Made {
                        duration_ms: durations.get(version).copied(),
                        has_stills: renditions.iter().any(|rendition| rendition.name.is_video()),
                        renditions,
                        unfinished: Vec::new(),
                        reencode: reencodes.remove(&row.id),
                        trim: trims.remove(&row.id),
                    }
                }
            };
            row.video(made, places.get(&row.id).copied())
        })
        .collect()
}

/// Those of `versions` in the making whose stills are there.
async fn with_stills(connection: &impl ConnectionTrait, versions: &[String]) -> Result<HashSet<String>> {
    if versions.is_empty() {
        return Ok(HashSet::new());
    }
    let query = jobs::Entity::find().select_only().column(jobs::Column::Version);
    let query = query
        .filter(jobs::Column::Version.is_in(versions))
        .filter(jobs::Column::Kind.eq(jobs::Kind::Stills.as_str()))
        .filter(jobs::Column::State.eq(JobState::Done.as_str()));
    let versions: Vec<Option<String>> = query.into_tuple().all(connection).await?;
    Ok(versions.into_iter().flatten().collect())
}

/// A video that is still in the state in which it was read.
fn of_state(id: &str, state: &str) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::State.eq(state)).add(Column::DeletedAt.is_null())
}
