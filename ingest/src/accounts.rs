use std::fmt::Debug;

use async_trait::async_trait;
use catalog::UploadLimits;
use http::request::Parts;
use model::AccountId;

use crate::IngestError;

/// Who is asking; answered by whoever knows people, which is not this crate.
#[async_trait]
pub trait Accounts: Debug + Send + Sync + 'static {
    /// The account whose session the request carries; `None` without a valid one, or when the
    /// request may have been sent by another site in its name.
    ///
    /// # Errors
    ///
    /// [`IngestError::Accounts`] when it cannot be found out now.
    async fn signed_in(&self, request: &Parts) -> Result<Option<Uploader>, IngestError>;
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploader {
    /// Their account.
    pub account: AccountId,
    /// How much they may upload; `None` if their role does not let them upload at all.
    pub limits: Option<UploadLimits>,
}
