use model::UploadId;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, QueryOrder};

use crate::convert::{Row, number};
use crate::error::Result;
use crate::{Catalog, uploads};

/// A part of a multi-part object that the store has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    /// Its place, from 1.
    pub number: u32,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What the store wants to hear at completion.
    pub tag: String,
}

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload_parts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub upload: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub size_bytes: i64,
    pub tag: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Catalog {
    /// The parts of an upload that the store has, in order.
    pub async fn upload_parts(&self, upload: UploadId) -> Result<Vec<UploadPart>> {
        let of_upload = Column::Upload.eq(upload.to_string());
        let rows = Entity::find().filter(of_upload).order_by_asc(Column::Number).all(self.read()).await?;
        rows.iter()
            .map(|model| {
                let row = Row { table: "upload_parts", id: &model.upload };
                Ok(UploadPart {
                    number: row.number("number", model.number)?,
                    size_bytes: row.number("size_bytes", model.size_bytes)?,
                    tag: model.tag.clone(),
                })
            })
            .collect()
    }

    /// Records the store's name for the multi-part object, once.
    ///
    /// # Errors
    ///
    /// `Conflict` when the upload has such a name already or is finished: abort the new one.
    pub async fn start_upload_parts(&self, upload: UploadId, token: &str) -> Result<()> {
        let transaction = self.begin().await?;
        uploads::set_parts_token(&transaction, upload, token).await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets the multi-part object `token` and its parts, because the store has: the upload may
    /// start another one.
    ///
    /// # Errors
    ///
    /// `Conflict` when the upload has another such object, or none, or is finished.
    pub async fn forget_upload_parts(&self, upload: UploadId, token: &str) -> Result<()> {
        let transaction = self.begin().await?;
        uploads::clear_parts_token(&transaction, upload, token).await?;
        delete_of(&transaction, &upload.to_string()).await?;
        Ok(transaction.commit().await?)
    }

    /// Records a part of the multi-part object `token` that the store has confirmed; the same
    /// number again replaces it.
    ///
    /// # Errors
    ///
    /// `Conflict` when the upload has another such object, or none: the part is worth nothing.
    pub async fn add_upload_part(&self, upload: UploadId, token: &str, part: UploadPart) -> Result<()> {
        let transaction = self.begin().await?;
        uploads::hold_parts_token(&transaction, upload, token).await?;
        let row = ActiveModel {
            upload: Set(upload.to_string()),
            number: Set(number(part.number)),
            size_bytes: Set(number(part.size_bytes)),
            tag: Set(part.tag),
        };
        let replace = OnConflict::columns([Column::Upload, Column::Number])
            .update_columns([Column::SizeBytes, Column::Tag])
            .to_owned();
        Entity::insert(row).on_conflict(replace).exec_without_returning(&transaction).await?;
        Ok(transaction.commit().await?)
    }
}

pub(crate) async fn delete_of(connection: &impl ConnectionTrait, upload: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Upload.eq(upload)).exec(connection).await?;
    Ok(())
}
