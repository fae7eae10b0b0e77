//! Clips of events: videos that were never uploaded, and are ready when they come to be.

use model::{AccountId, Tier, Timestamp, VideoId, VideoState, Visibility};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::error::Result;
use crate::videos::{self, NewVideo};
use crate::{Catalog, NewVersion, Video, publish, uploads};

/// A clip to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClip {
    /// Its id.
    pub video: VideoId,
    /// The event that it is of.
    pub event: VideoId,
    /// Whose the clip is.
    pub owner: AccountId,
    /// Its title.
    pub title: String,
    /// Who may find it.
    pub visibility: Visibility,
    /// The lowest tier that may watch it.
    pub min_tier: Tier,
}

impl Catalog {
    /// Creates a video whose objects are all stored, and returns it. It counts like an upload of as many
    /// bytes; all of its owner's together may be `max_total_bytes`.
    ///
    /// # Errors
    ///
    /// `NotFound` when the event is absent or deleted, `TooMany` when there is no room for it.
    pub async fn create_clip(
        &self,
        clip: &NewClip,
        version: &NewVersion,
        max_total_bytes: u64,
        now: Timestamp,
    ) -> Result<Video> {
        let transaction = self.begin().await?;
        let size_bytes = version.renditions.iter().map(|rendition| rendition.size_bytes).sum();
        uploads::one_at_a_time(self, &transaction, clip.owner).await?;
        uploads::leave_room(&transaction, clip.owner, size_bytes, max_total_bytes).await?;
        videos::find(&transaction, &clip.event.to_string()).await?;
        let new = NewVideo {
            id: clip.video,
            owner: clip.owner,
            title: &clip.title,
            description: "",
            filename: "",
            size_bytes,
            visibility: clip.visibility,
            min_tier: clip.min_tier,
            state: VideoState::Queued { since: now },
        };
        videos::insert(&transaction, &new, now).await?;
        let id = clip.video.to_string();
        let change = videos::ActiveModel { clip_of: Set(Some(clip.event.to_string())), ..Default::default() };
        let update = videos::Entity::update_many().set(change).filter(videos::Column::Id.eq(&id));
        update.exec(&transaction).await?;
        let row = videos::find(&transaction, &id).await?;
        let ready = row.state()?.packaging(now)?.ready(now, version.version)?;
        publish::put_on_shelf(&transaction, &row, ready, 0, version, None, now).await?;
        let video = videos::shown(&transaction, &id).await?;
        transaction.commit().await?;
        self.announce_change();
        Ok(video)
    }
}
