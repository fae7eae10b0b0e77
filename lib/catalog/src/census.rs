//! What the sweeper and the doctor ask: which objects does a row name?

use std::collections::HashMap;

use cmaf::GrowingIndex;
use model::{UploadId, VersionId, VideoId, VideoState};
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::convert::Row;
use crate::error::Result;
use crate::{Catalog, events, growing, trims, uploads, versions, videos};

/// How many videos are read at once.
const AT_ONCE: u64 = 500;

/// A video as far as its objects are concerned, deleted ones included.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownVideo {
    /// Its id.
    pub id: VideoId,
    /// Its state.
    pub state: VideoState,
    /// Whether it is deleted, so that none of its objects is named any more.
    pub deleted: bool,
    /// Its published versions: the current one, and earlier ones that are kept for a while.
    pub versions: Vec<VersionId>,
    /// The version that it grows or grew on air, if it is or was an event. More of it may be stored
    /// than anything says: bytes come before the row.
    pub event: Option<VersionId>,
    /// What there is of its version in the making. More of it may be stored than is named here:
    /// bytes come before the row.
    pub growing: Option<GrowingIndex>,
    /// The versions that trims made or make of it. Those that are not published are not whole.
    pub trims: Vec<VersionId>,
    /// Whether it is a clip of an event: nobody has uploaded it.
    pub is_clip: bool,
    /// Its upload, while that is not finished.
    pub upload: Option<UploadId>,
    /// Length of the uploaded file in bytes.
    pub size_bytes: u64,
}

impl KnownVideo {
    /// Whether there must be an original in storage: the upload is complete.
    pub fn has_original(&self) -> bool {
        !self.deleted && self.event.is_none() && !self.is_clip && self.state != VideoState::Uploading
    }

    /// Whether objects of `version` are named: it is published, in the making, or live.
    pub fn names(&self, version: VersionId) -> bool {
        let is_growing = self.growing.as_ref().is_some_and(|growing| growing.version == version);
        let is_live = matches!(self.state, VideoState::Event { .. }) && self.event == Some(version);
        let is_published = self.versions.contains(&version) || self.trims.contains(&version);
        !self.deleted && (is_growing || is_live || is_published)
    }
}

impl Catalog {
    /// The video, deleted or not; `None` when no row names it or any of its objects.
    pub async fn known_video(&self, id: VideoId) -> Result<Option<KnownVideo>> {
        let row = videos::Entity::find_by_id(id.to_string()).one(self.read()).await?;
        Ok(self.known(row.into_iter().collect()).await?.pop())
    }

    /// Up to 500 videos in the order of their ids, those behind `after`; empty at the end.
    pub async fn known_videos(&self, after: Option<VideoId>) -> Result<Vec<KnownVideo>> {
        let mut query = videos::Entity::find().order_by_asc(videos::Column::Id).limit(AT_ONCE);
        if let Some(after) = after {
            query = query.filter(videos::Column::Id.gt(after.to_string()));
        }
        self.known(query.all(self.read()).await?).await
    }

    async fn known(&self, rows: Vec<videos::Model>) -> Result<Vec<KnownVideo>> {
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        // Growing ones first: what is published meanwhile is then among the versions.
        let mut growing = HashMap::new();
        let may_grow = |row: &&videos::Model| matches!(row.state.as_str(), "packaging" | "ready");
        for row in rows.iter().filter(may_grow).filter(|row| row.deleted_at.is_none()) {
            for version in growing::of_video(self.read(), &row.id).await? {
                let version = Row { table: "growing", id: &row.id }.word("version", &version.version)?;
                growing.extend(self.growing(version).await?.map(|index| (row.id.as_str(), index)));
            }
        }
        let events = events::versions(self.read(), &ids).await?;
        let mut trims = trims::versions_of(self.read(), &ids).await?;
        let versions = versions::Entity::find()
            .filter(versions::Column::Video.is_in(ids.clone()))
            .all(self.read())
            .await?;
        let open = uploads::Entity::find()
            .filter(uploads::Column::Video.is_in(ids))
            .filter(uploads::Column::FinishedAt.is_null())
            .all(self.read())
            .await?;
        let of = |row: &videos::Model| {
            let named = Row { table: "videos", id: &row.id };
            let ids = versions.iter().filter(|version| version.video == row.id);
            let upload = open.iter().find(|upload| upload.video == row.id).map(|upload| upload.id.as_str());
            Ok(KnownVideo {
                id: row.id()?,
                state: row.state()?,
                deleted: row.deleted_at.is_some(),
                versions: ids.map(|version| named.word("version", &version.id)).collect::<Result<_>>()?,
                event: events.get(&row.id).copied(),
                growing: growing.remove(row.id.as_str()),
                is_clip: row.clip_of.is_some(),
                trims: trims.remove(&row.id).unwrap_or_default(),
                upload: named.optional_word("upload", upload)?,
                size_bytes: named.number("size_bytes", row.size_bytes)?,
            })
        };
        rows.iter().map(of).collect()
    }
}
