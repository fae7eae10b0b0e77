//! Objects in a bucket of S3, or of a server that speaks it.
//!
//! Repeating what failed for a while is the SDK's work here (five tries with back-off), except
//! for a body that breaks off after its head came: that is read again from its beginning.

mod error;
mod plan;

#[cfg(test)]
mod retries;

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CompletedMultipartUpload, CompletedPart, CreateBucketConfiguration,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use model::{ErrorKind, ObjectKey, Timestamp};

use crate::{Listed, ObjectStore, Operation, Part, Parts, S3Config, StorageError, Unfinished};
use error::{body, sdk};

/// A server that does not take a connection within this time is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the end of a request to the head of its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Tries of a request, the first one included.
const TRIES: u32 = 5;
/// Greatest wait before the second try; it doubles with each one, to 3 s in all.
const FIRST_BACK_OFF: Duration = Duration::from_millis(200);
/// Tries of a body that breaks off.
const BODY_TRIES: u32 = 3;
/// Parts of one file under way at a time: enough to fill a link, and a bound on memory
/// ([`plan::LEAST_PART`] each).
const PARTS_AT_A_TIME: usize = 3;

/// A store that is a bucket.
#[derive(Debug)]
pub struct S3 {
    client: Client,
    bucket: String,
    prefix: String,
}

impl S3 {
    /// Connects, and makes the bucket if it is not there.
    pub async fn open(config: &S3Config) -> Result<Self, StorageError> {
        let credentials = Credentials::new(
            &config.access_key_id,
            config.secret_access_key.reveal(),
            None,
            None,
            "configuration",
        );
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_https();
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
        let settings = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(config.endpoint.as_str())
            .region(Region::new(config.region.clone()))
            .credentials_provider(credentials)
            // `bucket.host` needs DNS that servers of other vendors do not have.
            .force_path_style(true)
            // The SDK's own checksums travel in trailers that other vendors refuse, and cost
            // the reader time; chunks carry their hash in their name.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(
                RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_BACK_OFF),
            )
            .timeout_config(timeouts)
            .build();
        let store = Self {
            client: Client::from_conf(settings),
            bucket: config.bucket.clone(),
            prefix: config.prefix.clone(),
        };
        store.make_bucket(config).await?;
        Ok(store)
    }

    async fn make_bucket(&self, config: &S3Config) -> Result<(), StorageError> {
        let subject = format!("{}{}", config.endpoint, config.bucket);
        match self.client.head_bucket().bucket(&self.bucket).send().await {
            Ok(_) => return Ok(()),
            Err(error) => match sdk(Operation::Open, &subject, error) {
                error if error.kind() == ErrorKind::NotFound => {}
                error => return Err(error),
            },
        }
        let mut request = self.client.create_bucket().bucket(&self.bucket);
        // `us-east-1` is the one region that may not be named here.
        if config.region != "us-east-1" {
            let place = BucketLocationConstraint::from(config.region.as_str());
            let place = CreateBucketConfiguration::builder().location_constraint(place).build();
            request = request.create_bucket_configuration(place);
        }
        request.send().await.map(drop).map_err(|error| sdk(Operation::Open, &subject, error))
    }

    fn name(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The object, or the part of it that `range` names as an HTTP header does.
    async fn fetch(&self, key: &ObjectKey, range: Option<String>) -> Result<Bytes, StorageError> {
        for attempt in 1.. {
            let request = self.client.get_object().bucket(&self.bucket).key(self.name(key));
            let response = request
                .set_range(range.clone())
                .send()
                .await
                .map_err(|error| sdk(Operation::Get, key, error))?;
            match response.body.collect().await {
                Ok(bytes) => return Ok(bytes.into_bytes()),
                Err(_) if attempt < BODY_TRIES => {}
                Err(error) => return Err(body(Operation::Get, key, error)),
            }
        }
        unreachable!("the last try returns")
    }

    async fn put_in_parts(
        &self,
        key: &ObjectKey,
        file: Arc<std::fs::File>,
        size: u64,
    ) -> Result<(), StorageError> {
        let token = self.start_parts(key).await?;
        let outcome = async {
            let parts = stream::iter(plan::parts(size))
                .map(|part| {
                    let (file, token) = (file.clone(), token.as_str());
                    async move {
                        let bytes = read_at(file, part.range.clone())
                            .await
                            .map_err(|error| StorageError::io(Operation::Put, key, error))?;
                        let tag = self.put_part(key, token, part.number, bytes).await?;
                        Ok(Part { number: part.number, tag })
                    }
                })
                .buffered(PARTS_AT_A_TIME)
                .try_collect::<Vec<_>>()
                .await?;
            self.complete_parts(key, &token, &parts).await
        }
        .await;
        if outcome.is_err() {
            // The first error is the one to tell; unfinished parts are also found by a sweep.
            let _ = self.abort_parts(key, &token).await;
        }
        outcome
    }
}

#[async_trait]
impl ObjectStore for S3 {
    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.name(key))
            .content_type(key.content_type())
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map(drop)
            .map_err(|error| sdk(Operation::Put, key, error))
    }

    async fn put_file(&self, key: &ObjectKey, file: &Path) -> Result<(), StorageError> {
        let failed = |error| StorageError::io(Operation::Put, key, error);
        let open = tokio::fs::File::open(file).await.map_err(failed)?;
        let size = open.metadata().await.map_err(failed)?.len();
        let open = Arc::new(open.into_std().await);
        if size <= plan::LEAST_PART {
            self.put(key, read_at(open, 0..size).await.map_err(failed)?).await?;
        } else {
            self.put_in_parts(key, open, size).await?;
        }
        tokio::fs::remove_file(file).await.map_err(failed)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes, StorageError> {
        self.fetch(key, None).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        if range.start < range.end {
            // HTTP names the last byte, not the one behind it (RFC 9110 §14.1.2), and a server
            // answers with less when the object ends before it.
            let bytes = self.fetch(key, Some(format!("bytes={}-{}", range.start, range.end - 1))).await?;
            if bytes.len() as u64 == range.end - range.start {
                return Ok(bytes);
            }
        }
        match self.size(key).await? {
            None => Err(StorageError::absent(Operation::Get, key)),
            Some(size) if range.start == range.end && range.end <= size => Ok(Bytes::new()),
            Some(size) => Err(StorageError::range(key, &range, size)),
        }
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        match self.client.head_object().bucket(&self.bucket).key(self.name(key)).send().await {
            Ok(head) => {
                Ok(Some(head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0)))
            }
            Err(error) => match sdk(Operation::Size, key, error) {
                error if error.kind() == ErrorKind::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        match self.client.delete_object().bucket(&self.bucket).key(self.name(key)).send().await {
            Ok(_) => Ok(()),
            Err(error) => match sdk(Operation::Delete, key, error) {
                error if error.kind() == ErrorKind::NotFound => Ok(()),
                error => Err(error),
            },
        }
    }

    fn list<'a>(&'a self, prefix: &str) -> BoxStream<'a, Result<Listed, StorageError>> {
        let subject = prefix.to_owned();
        let pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(format!("{}{prefix}", self.prefix))
            .into_paginator()
            .send();
        stream::try_unfold((pages, subject), |(mut pages, subject)| async move {
            let Some(page) = pages.try_next().await.map_err(|error| sdk(Operation::List, &subject, error))?
            else {
                return Ok(None);
            };
            Ok(Some((page.contents.unwrap_or_default(), (pages, subject))))
        })
        .map_ok(|objects| stream::iter(objects.into_iter().filter_map(|object| self.listed(object)).map(Ok)))
        .try_flatten()
        .boxed()
    }

    fn parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
}

#[async_trait]
impl Parts for S3 {
    fn least_part_size(&self) -> u64 {
        plan::LEAST_PART
    }

    async fn start_parts(&self, key: &ObjectKey) -> Result<String, StorageError> {
        let started = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.name(key))
            .content_type(key.content_type())
            .send()
            .await
            .map_err(|error| sdk(Operation::StartParts, key, error))?;
        started.upload_id.ok_or_else(|| unexpected(Operation::StartParts, key, "an answer without upload id"))
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        token: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, StorageError> {
        let stored = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(self.name(key))
            .upload_id(token)
            .part_number(number as i32)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| sdk(Operation::PutPart, key, error))?;
        stored.e_tag.ok_or_else(|| unexpected(Operation::PutPart, key, "an answer without tag"))
    }

    async fn complete_parts(&self, key: &ObjectKey, token: &str, parts: &[Part]) -> Result<(), StorageError> {
        let parts = parts
            .iter()
            .map(|part| CompletedPart::builder().part_number(part.number as i32).e_tag(&part.tag).build());
        self.client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.name(key))
            .upload_id(token)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build())
            .send()
            .await
            .map(drop)
            .map_err(|error| sdk(Operation::CompleteParts, key, error))
    }

    async fn abort_parts(&self, key: &ObjectKey, token: &str) -> Result<(), StorageError> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket);
        match request.key(self.name(key)).upload_id(token).send().await {
            Ok(_) => Ok(()),
            Err(error) => match sdk(Operation::AbortParts, key, error) {
                error if error.kind() == ErrorKind::NotFound => Ok(()),
                error => Err(error),
            },
        }
    }

    async fn unfinished_parts(&self) -> Result<Vec<Unfinished>, StorageError> {
        let mut found = Vec::new();
        let (mut key_marker, mut token_marker) = (None, None);
        loop {
            let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(&self.prefix);
            let page = request
                .set_key_marker(key_marker)
                .set_upload_id_marker(token_marker)
                .send()
                .await
                .map_err(|error| sdk(Operation::ListParts, &self.bucket, error))?;
            found.extend(page.uploads.unwrap_or_default().into_iter().filter_map(|begun| {
                let name = begun.key?.strip_prefix(&self.prefix)?.to_owned();
                Some(Unfinished { name, token: begun.upload_id?, started: moment(begun.initiated) })
            }));
            // A page without a mark to go on from would be asked for again, for ever.
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(found);
            }
            (key_marker, token_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}

impl S3 {
    fn listed(&self, object: aws_sdk_s3::types::Object) -> Option<Listed> {
        let name = object.key?.strip_prefix(&self.prefix)?.to_owned();
        let size_bytes = u64::try_from(object.size.unwrap_or(0)).ok()?;
        Some(Listed { name, size_bytes, modified: moment(object.last_modified) })
    }
}

fn moment(at: Option<DateTime>) -> Timestamp {
    Timestamp::from_millis(at.and_then(|at| at.to_millis().ok()).unwrap_or(0))
}

fn unexpected(operation: Operation, key: &ObjectKey, what: &'static str) -> StorageError {
    StorageError::new(operation, key, ErrorKind::Unavailable, what)
}

async fn read_at(file: Arc<std::fs::File>, range: Range<u64>) -> io::Result<Bytes> {
    let read = move || {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(Bytes::from(bytes))
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
