//! Who may upload, and how much: what ingest asks, answered by the accounts.

use std::sync::Arc;

use async_trait::async_trait;
use catalog::UploadLimits;
use http::request::Parts;
use ingest::{Accounts, IngestError, Uploader};
use model::Clock;
use serde::{Deserialize, Serialize};
use subscriptions::Subscriptions;
use web::Presented;

/// What one account may upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Greatest length of one file in bytes.
    pub(crate) max_size_bytes: u64,
    /// How many unfinished uploads at once.
    pub(crate) max_open: u32,
    /// Bytes of all originals together.
    pub(crate) max_total_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_size_bytes: 20 << 30, max_open: 20, max_total_bytes: 200 << 30 }
    }
}

impl From<Config> for UploadLimits {
    fn from(config: Config) -> Self {
        let Config { max_size_bytes, max_open, max_total_bytes } = config;
        Self { max_size_bytes, max_open, max_total_bytes }
    }
}

/// The accounts of an ingest that lives in the same process.
#[derive(Debug)]
pub(crate) struct Uploaders {
    pub(crate) subscriptions: Subscriptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Config,
}

#[async_trait]
impl Accounts for Uploaders {
    async fn signed_in(&self, request: &Parts) -> Result<Option<Uploader>, IngestError> {
        let presented = match Presented::in_headers(&request.headers) {
            // A browser adds its cookie to whatever another site's page sends.
            Some(Presented::Cookie(_))
                if !request.method.is_safe()
                    && !web::is_same_origin(
                        &request.headers,
                        request.uri.authority().map(|a| a.as_str()),
                    ) =>
            {
                None
            }
            presented => presented,
        };
        let Some(presented) = presented else { return Ok(None) };
        let signed_in = self.subscriptions.signed_in(presented.token(), self.clock.now()).await;
        let signed_in =
            signed_in.map_err(|error| IngestError::Accounts { kind: error.kind(), source: error.into() })?;
        Ok(signed_in.map(|person| Uploader {
            account: person.account,
            limits: person.role.may_upload().then_some(self.limits.into()),
        }))
    }
}
