use model::{AccountId, Tier, Timestamp, UploadId, VideoId, VideoState, Visibility};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, DatabaseTransaction, QueryOrder, QuerySelect, Statement};

use crate::convert::{Row, moment, number};
use crate::error::{Result, one_row};
use crate::{Catalog, CatalogError, jobs, upload_parts, videos};

/// Expired uploads are ended in batches of this many.
const EXPIRED_AT_ONCE: u64 = 100;

/// An upload to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// Its id.
    pub id: UploadId,
    /// The id of the video that it will become.
    pub video: VideoId,
    /// Whose.
    pub owner: AccountId,
    /// First title of the video.
    pub title: String,
    /// Name of the file on the owner's disk.
    pub filename: String,
    /// Announced length in bytes.
    pub size_bytes: u64,
    /// When it is given up unless it goes on.
    pub expires_at: Timestamp,
}

/// What one account may upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Greatest length of one file in bytes.
    pub max_size_bytes: u64,
    /// How many unfinished uploads at once.
    pub max_open: u32,
    /// Bytes of all originals together, those still coming in included, and of clips.
    pub max_total_bytes: u64,
}

/// A resumable upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The video that it becomes.
    pub video: VideoId,
    /// Whose.
    pub owner: AccountId,
    /// Announced length in bytes.
    pub size_bytes: u64,
    /// Bytes that are safe.
    pub offset_bytes: u64,
    /// The store's name for the multi-part object, once there is one.
    pub parts_token: Option<String>,
    /// When it is given up, or, once finished, forgotten.
    pub expires_at: Timestamp,
    /// Whether it is complete and its video queued.
    pub finished: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "uploads")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub video: String,
    pub owner: String,
    pub size_bytes: i64,
    pub offset_bytes: i64,
    pub parts_token: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    pub finished_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<&Model> for Upload {
    type Error = CatalogError;

    fn try_from(model: &Model) -> Result<Self> {
        let row = Row { table: "uploads", id: &model.id };
        Ok(Self {
            id: row.word("id", &model.id)?,
            video: row.word("video", &model.video)?,
            owner: row.word("owner", &model.owner)?,
            size_bytes: row.number("size_bytes", model.size_bytes)?,
            offset_bytes: row.number("offset_bytes", model.offset_bytes)?,
            parts_token: model.parts_token.clone(),
            expires_at: moment(model.expires_at),
            finished: model.finished_at.is_some(),
        })
    }
}

impl Catalog {
    /// Begins an upload and the draft of its video, if the owner's limits allow both.
    ///
    /// # Errors
    ///
    /// `TooLarge` for the file, `TooMany` for the number of open uploads or all bytes together.
    pub async fn create_upload(
        &self,
        new: NewUpload,
        limits: &UploadLimits,
        now: Timestamp,
    ) -> Result<Upload> {
        let NewUpload { size_bytes, owner, .. } = new;
        if size_bytes > limits.max_size_bytes || i64::try_from(size_bytes).is_err() {
            return Err(CatalogError::FileTooLarge { size_bytes, limit_bytes: limits.max_size_bytes });
        }
        let transaction = self.begin().await?;
        one_at_a_time(self, &transaction, owner).await?;
        let open = count_open(&transaction, owner).await?;
        if open >= u64::from(limits.max_open) {
            return Err(CatalogError::TooManyUploads { open });
        }
        leave_room(&transaction, owner, size_bytes, limits.max_total_bytes).await?;
        let video = videos::NewVideo {
            id: new.video,
            owner,
            title: &new.title,
            description: "",
            filename: &new.filename,
            size_bytes,
            visibility: Visibility::Draft,
            min_tier: Tier::NONE,
            state: VideoState::Uploading,
        };
        videos::insert(&transaction, &video, now).await?;
        let row = Model {
            id: new.id.to_string(),
            video: new.video.to_string(),
            owner: owner.to_string(),
            size_bytes: number(size_bytes),
            offset_bytes: 0,
            parts_token: None,
            created_at: now.as_millis(),
            expires_at: new.expires_at.as_millis(),
            finished_at: None,
        };
        let upload = Upload::try_from(&row)?;
        Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(upload)
    }

    /// The upload, finished ones included until they are forgotten.
    pub async fn upload(&self, id: UploadId) -> Result<Option<Upload>> {
        find(self.read(), id).await?.as_ref().map(Upload::try_from).transpose()
    }

    /// Records that the bytes up to `to` are safe, given that it stood at `from`.
    ///
    /// # Errors
    ///
    /// `Conflict` when the upload stands elsewhere, is finished, or `to` is not ahead of `from`
    /// and within its length.
    pub async fn advance_upload(
        &self,
        id: UploadId,
        from: u64,
        to: u64,
        expires_at: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        let change = ActiveModel {
            offset_bytes: Set(number(to)),
            expires_at: Set(expires_at.as_millis()),
            ..Default::default()
        };
        let update = Entity::update_many()
            .set(change)
            .filter(Column::Id.eq(id.to_string()))
            .filter(Column::OffsetBytes.eq(number(from)))
            .filter(Column::OffsetBytes.lt(number(to)))
            .filter(Column::SizeBytes.gte(number(to)))
            .filter(Column::FinishedAt.is_null());
        changed_one(&transaction, update.exec(&transaction).await?.rows_affected, id).await?;
        Ok(transaction.commit().await?)
    }

    /// Ends an upload whose object is closed: its video is queued, with a job to package it.
    ///
    /// Asked again, it changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` while bytes are missing.
    pub async fn complete_upload(&self, id: UploadId, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let update = Entity::update_many()
            .set(ActiveModel { finished_at: Set(Some(now.as_millis())), ..Default::default() })
            .filter(Column::Id.eq(id.to_string()))
            .filter(Expr::col(Column::OffsetBytes).eq(Expr::col(Column::SizeBytes)))
            .filter(Column::FinishedAt.is_null());
        let rows = update.exec(&transaction).await?.rows_affected;
        let Some(upload) = find(&transaction, id).await? else {
            return Err(CatalogError::Absent { what: "upload", id: id.to_string() });
        };
        if rows == 0 && upload.finished_at.is_some() {
            return Ok(());
        }
        one_row(rows, "upload", &upload.id)?;
        upload_parts::delete_of(&transaction, &upload.id).await?;
        let video = videos::find(&transaction, &upload.video).await?;
        let queued = video.state()?.uploaded(now)?;
        videos::change_state(&transaction, &video, queued, now).await?;
        jobs::enqueue(&transaction, id, &upload.video, video.priority, now).await?;
        transaction.commit().await?;
        self.announce_job();
        Ok(())
    }

    /// Ends an upload, and the draft of its video if it was not finished; returns what it was.
    /// An upload that is finished is only forgotten, its video stays.
    ///
    /// Delete the bytes first where they are found by the upload, afterwards where they are
    /// found by the video.
    pub async fn terminate_upload(&self, id: UploadId) -> Result<Option<Upload>> {
        let transaction = self.begin().await?;
        // Locked, so that it is not finished between here and the deletion of its video.
        let row = Entity::find_by_id(id.to_string()).lock_exclusive().one(&transaction).await?;
        let Some(row) = row else { return Ok(None) };
        delete(&transaction, &row.id).await?;
        if row.finished_at.is_none() {
            videos::delete_row(&transaction, &row.video).await?;
        }
        transaction.commit().await?;
        Upload::try_from(&row).map(Some)
    }

    /// Uploads whose time is over, at most 100, the longest overdue first: unfinished ones to be
    /// given up with their bytes, finished ones to be forgotten.
    pub async fn expired_uploads(&self, now: Timestamp) -> Result<Vec<Upload>> {
        let rows = Entity::find()
            .filter(Column::ExpiresAt.lte(now.as_millis()))
            .order_by_asc(Column::ExpiresAt)
            .limit(EXPIRED_AT_ONCE)
            .all(self.read())
            .await?;
        rows.iter().map(Upload::try_from).collect()
    }
}

pub(crate) async fn find(connection: &impl ConnectionTrait, id: UploadId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id.to_string()).one(connection).await?)
}

pub(crate) async fn set_parts_token(
    connection: &impl ConnectionTrait,
    id: UploadId,
    token: &str,
) -> Result<()> {
    let update = Entity::update_many()
        .set(ActiveModel { parts_token: Set(Some(token.to_owned())), ..Default::default() })
        .filter(Column::Id.eq(id.to_string()))
        .filter(Column::PartsToken.is_null())
        .filter(Column::FinishedAt.is_null());
    changed_one(connection, update.exec(connection).await?.rows_affected, id).await
}

/// Locks an upload whose multi-part object is `token`, so that it stays so until the commit.
pub(crate) async fn hold_parts_token(
    connection: &impl ConnectionTrait,
    id: UploadId,
    token: &str,
) -> Result<()> {
    let row = Entity::find_by_id(id.to_string())
        .filter(Column::PartsToken.eq(token))
        .lock_exclusive()
        .one(connection)
        .await?;
    changed_one(connection, u64::from(row.is_some()), id).await
}

pub(crate) async fn clear_parts_token(
    connection: &impl ConnectionTrait,
    id: UploadId,
    token: &str,
) -> Result<()> {
    let update = Entity::update_many()
        .set(ActiveModel { parts_token: Set(None), ..Default::default() })
        .filter(Column::Id.eq(id.to_string()))
        .filter(Column::PartsToken.eq(token))
        .filter(Column::FinishedAt.is_null());
    changed_one(connection, update.exec(connection).await?.rows_affected, id).await
}

/// Ends all uploads of a video.
pub(crate) async fn delete_of_video(connection: &impl ConnectionTrait, video: &str) -> Result<()> {
    for upload in Entity::find().filter(Column::Video.eq(video)).all(connection).await? {
        delete(connection, &upload.id).await?;
    }
    Ok(())
}

async fn delete(connection: &impl ConnectionTrait, id: &str) -> Result<()> {
    upload_parts::delete_of(connection, id).await?;
    Entity::delete_by_id(id.to_owned()).exec(connection).await?;
    Ok(())
}

async fn changed_one(connection: &impl ConnectionTrait, rows: u64, id: UploadId) -> Result<()> {
    if rows == 0 && find(connection, id).await?.is_none() {
        return Err(CatalogError::Absent { what: "upload", id: id.to_string() });
    }
    one_row(rows, "upload", &id.to_string())
}

/// Makes concurrent creations of one owner wait for each other, so that what they count stays
/// true until they commit. SQLite's write lock does it for everybody.
pub(crate) async fn one_at_a_time(
    catalog: &Catalog,
    transaction: &DatabaseTransaction,
    owner: AccountId,
) -> Result<()> {
    if catalog.database().engine() == database::Engine::Postgres {
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let backend = transaction.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, lock, [owner.to_string().into()]);
        transaction.execute_raw(statement).await?;
    }
    Ok(())
}

/// Refuses `size_bytes` more of an owner than all of their videos may have; see [`one_at_a_time`].
pub(crate) async fn leave_room(
    connection: &impl ConnectionTrait,
    owner: AccountId,
    size_bytes: u64,
    limit_bytes: u64,
) -> Result<()> {
    let used_bytes = videos::bytes_of(connection, owner).await?;
    if used_bytes.saturating_add(size_bytes) > limit_bytes {
        return Err(CatalogError::QuotaExceeded { size_bytes, used_bytes, limit_bytes });
    }
    Ok(())
}

async fn count_open(connection: &impl ConnectionTrait, owner: AccountId) -> Result<u64> {
    let of_owner = Entity::find().filter(Column::Owner.eq(owner.to_string()));
    Ok(of_owner.filter(Column::FinishedAt.is_null()).count(connection).await?)
}
