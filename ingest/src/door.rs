//! What each request of tus does, and how it is answered.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use catalog::{NewUpload, Upload, UploadLimits};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW,
    CACHE_CONTROL, CONTENT_LENGTH, HOST, LOCATION, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use listener::{Body, Language, Outcome, Problem, empty};
use model::{ErrorKind, Timestamp, UploadId, VideoId};

use crate::IngestError;
use crate::accounts::Uploader;
use crate::ingest::Inner;
use crate::receive::Received;
use crate::turns::Turn;
use crate::tus::{self, ALGORITHMS, BASE, Checksum, Metadata, Route};

/// The video that an upload becomes.
const VIDEO_ID: &str = "cocuyo-video-id";
const EXTENSIONS: &str = "creation,creation-with-upload,termination,checksum,expiration";
const METHODS: &str = "OPTIONS, POST, HEAD, PATCH, DELETE";
const REQUEST_FIELDS: &str = "authorization, content-type, tus-resumable, upload-checksum, upload-length, \
                              upload-metadata, upload-offset, x-http-method-override";

/// A refusal that comes before the body was read still reads this much of it, for so long: a
/// connection that is closed with bytes unread is reset, and the client never sees the answer.
const DISCARDED_BYTES: u64 = 1 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// An error, and what the client must still learn.
struct Refused {
    error: IngestError,
    offset: Option<u64>,
    location: Option<UploadId>,
}

impl<E: Into<IngestError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { error: error.into(), offset: None, location: None }
    }
}

impl Inner {
    /// Answers, always.
    pub(crate) async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let route = Route::decode(&parts.method, parts.uri.path(), &parts.headers);
        let language = Language::of(&parts.headers);
        let mut response = match self.respond(route, &parts, &mut body, language).await {
            Ok(response) => response,
            Err(refused) => {
                log(route, &refused.error);
                if reads_on(&refused.error) {
                    discard(&mut body).await;
                }
                refused.response(language)
            }
        };
        let headers = response.headers_mut();
        headers.insert(tus::RESUMABLE, HeaderValue::from_static(tus::VERSION));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(Outcome::of(route.name()));
        response
    }

    async fn respond(
        self: &Arc<Self>,
        route: Route,
        parts: &Parts,
        body: &mut Incoming,
        language: Language,
    ) -> Result<Response<Body>, Refused> {
        match route {
            Route::Options => return Ok(self.options(&parts.headers)),
            Route::Nothing => return Ok(Problem::of(ErrorKind::NotFound).response(language)),
            Route::NotAllowed(allow) => return Ok(Problem::method_not_allowed(allow, language)),
            _ => {}
        }
        tus::check_version(&parts.headers)?;
        let uploader = self.accounts.signed_in(parts).await?.ok_or(IngestError::SignedOut)?;
        match route {
            Route::Create => self.create(&uploader, &parts.headers, body).await,
            Route::Head(id) => self.head(id, &uploader).await,
            Route::Patch(id) => self.patch(id, &uploader, &parts.headers, body).await,
            Route::Delete(id) => self.delete(id, &uploader).await,
            Route::Options | Route::Nothing | Route::NotAllowed(_) => unreachable!("answered above"),
        }
    }

    fn options(&self, headers: &HeaderMap) -> Response<Body> {
        let mut response = reply(StatusCode::NO_CONTENT);
        let fields = response.headers_mut();
        fields.insert("tus-version", HeaderValue::from_static(tus::VERSION));
        fields.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
        fields.insert("tus-max-size", HeaderValue::from(self.config.max_size_bytes));
        fields.insert("tus-checksum-algorithm", HeaderValue::from_static(ALGORITHMS));
        fields.insert(ALLOW, HeaderValue::from_static(METHODS));
        fields.insert(VARY, HeaderValue::from_static("origin"));
        // Pages of other sites have no business here, so only our own origin is named.
        if let Some(origin) = own_origin(headers) {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            fields.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_FIELDS));
        }
        response
    }

    async fn create(
        self: &Arc<Self>,
        uploader: &Uploader,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<Response<Body>, Refused> {
        let limits = uploader.limits.ok_or(IngestError::NotUploader)?;
        let size_bytes = tus::length(headers)?;
        let metadata = Metadata::of(headers)?;
        let with_upload = !body.is_end_stream();
        let checksum = if with_upload {
            tus::check_body_type(headers)?;
            Checksum::of(headers)?
        } else {
            None
        };
        let limit_bytes = limits.max_size_bytes.min(self.config.max_size_bytes);
        if size_bytes > limit_bytes {
            return Err(IngestError::TooLarge { size_bytes, limit_bytes }.into());
        }
        let announced = announced(headers);
        if announced.is_some_and(|announced| announced > size_bytes) {
            return Err(IngestError::TooLong { size_bytes }.into());
        }
        self.check_room(size_bytes).await?;
        let mut upload = self.reserve(uploader, &limits, size_bytes, metadata).await?;
        let mut offset = 0;
        if with_upload {
            let id = upload.id;
            let turn = self.turn(id).await?;
            let location = |refused: Refused| Refused { location: Some(id), ..refused };
            offset = self.take_and_close(&mut upload, 0, body, checksum, &turn).await.map_err(location)?;
        } else if size_bytes == 0 {
            let _turn = self.turn(upload.id).await?;
            self.close(&mut upload).await?;
        }
        let mut response = self.standing(StatusCode::CREATED, &upload, with_upload.then_some(offset));
        let fields = response.headers_mut();
        fields.insert(LOCATION, location(upload.id));
        fields.insert(VIDEO_ID, text(upload.video));
        Ok(response)
    }

    /// New bytes are refused before the disk is so full that nothing else works.
    pub(crate) async fn check_room(&self, size_bytes: u64) -> Result<(), IngestError> {
        let free_bytes = self.spool.free_bytes().await.map_err(|source| IngestError::OpenSpool {
            folder: self.spool.folder().display().to_string(),
            source,
        })?;
        if free_bytes < size_bytes.saturating_add(self.config.keep_free_bytes) {
            return Err(IngestError::NoRoom { free_bytes, size_bytes });
        }
        Ok(())
    }

    async fn reserve(
        &self,
        uploader: &Uploader,
        limits: &UploadLimits,
        size_bytes: u64,
        metadata: Metadata,
    ) -> Result<Upload, IngestError> {
        let new = NewUpload {
            id: UploadId::generate(&mut rand::rng()),
            video: VideoId::generate(&mut rand::rng()),
            owner: uploader.account,
            title: metadata.title,
            filename: metadata.filename,
            size_bytes,
            expires_at: self.expires_at(),
        };
        Ok(self.catalog.create_upload(new, limits, self.clock.now()).await?)
    }

    async fn head(&self, id: UploadId, uploader: &Uploader) -> Result<Response<Body>, Refused> {
        self.owned(id, uploader).await?;
        let _turn = self.turn(id).await?;
        let mut upload = self.owned(id, uploader).await?;
        let offset = self.stand(&mut upload).await?;
        let mut response = self.standing(StatusCode::OK, &upload, Some(offset));
        let fields = response.headers_mut();
        fields.insert(tus::LENGTH, HeaderValue::from(upload.size_bytes));
        fields.insert(VIDEO_ID, text(upload.video));
        if let Some(video) = self.catalog.video(upload.video).await.map_err(IngestError::from)? {
            let metadata = Metadata { filename: video.filename, title: video.title };
            fields.insert(tus::METADATA, text(metadata));
        }
        Ok(response)
    }

    async fn patch(
        self: &Arc<Self>,
        id: UploadId,
        uploader: &Uploader,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<Response<Body>, Refused> {
        tus::check_body_type(headers)?;
        let sent = tus::offset(headers)?;
        let checksum = Checksum::of(headers)?;
        // Before anybody is interrupted: it must be theirs.
        self.owned(id, uploader).await?;
        let turn = self.turn(id).await?;
        let mut upload = self.owned(id, uploader).await?;
        let offset = self.stand(&mut upload).await?;
        let refuse = |error| Refused { error, offset: Some(offset), location: None };
        if sent != offset {
            return Err(refuse(IngestError::Offset { sent, offset }));
        }
        if announced(headers).is_some_and(|announced| announced > upload.size_bytes - offset) {
            return Err(refuse(IngestError::TooLong { size_bytes: upload.size_bytes }));
        }
        if upload.finished {
            return Ok(self.standing(StatusCode::NO_CONTENT, &upload, Some(offset)));
        }
        let offset = self.take_and_close(&mut upload, offset, body, checksum, &turn).await?;
        Ok(self.standing(StatusCode::NO_CONTENT, &upload, Some(offset)))
    }

    async fn delete(&self, id: UploadId, uploader: &Uploader) -> Result<Response<Body>, Refused> {
        self.owned(id, uploader).await?;
        let _turn = self.turn(id).await?;
        if self.owned(id, uploader).await?.finished {
            return Err(IngestError::Finished(id).into());
        }
        // Another node may have been quicker.
        if self.abandon(id).await?.is_some_and(|ended| ended.finished) {
            return Err(IngestError::Finished(id).into());
        }
        Ok(reply(StatusCode::NO_CONTENT))
    }

    /// Takes a body in, and closes the object when that was the last of it. Returns the offset.
    async fn take_and_close(
        self: &Arc<Self>,
        upload: &mut Upload,
        start: u64,
        body: &mut Incoming,
        checksum: Option<Checksum>,
        turn: &Turn,
    ) -> Result<u64, Refused> {
        let Received { offset, outcome } = self.receive(upload, start, body, checksum, turn).await;
        if let Err(error) = outcome {
            self.clean_up_after(&error, upload).await;
            return Err(Refused { error, offset: Some(offset), location: None });
        }
        if offset == upload.size_bytes
            && let Err(error) = self.close(upload).await
        {
            let offset = match error {
                // The store has dropped what this node never had.
                IngestError::Damaged { .. } => self.proven(upload).await?,
                _ => offset,
            };
            return Err(Refused { error, offset: Some(offset), location: None });
        }
        Ok(offset)
    }

    /// An answer that says how far an upload is.
    fn standing(&self, status: StatusCode, upload: &Upload, offset: Option<u64>) -> Response<Body> {
        let mut response = reply(status);
        let fields = response.headers_mut();
        if let Some(offset) = offset {
            fields.insert(tus::OFFSET, HeaderValue::from(offset));
        }
        if !upload.finished {
            fields.insert(tus::EXPIRES, text(http_date(upload.expires_at)));
        }
        response
    }
}

impl Refused {
    fn response(self, language: Language) -> Response<Body> {
        let mut response = self.error.problem().response(language);
        let fields = response.headers_mut();
        if self.error.kind() == ErrorKind::Precondition {
            fields.insert("tus-version", HeaderValue::from_static(tus::VERSION));
        }
        if let Some(offset) = self.offset {
            fields.insert(tus::OFFSET, HeaderValue::from(offset));
        }
        if let Some(id) = self.location {
            fields.insert(LOCATION, location(id));
        }
        response
    }
}

fn log(route: Route, error: &IngestError) {
    let (route, source) = (route.name(), error as &dyn std::error::Error);
    if error.is_ours() {
        tracing::error!(route, error = source, "an upload could not go on");
    } else {
        tracing::debug!(route, error = source, "an upload was refused");
    }
}

/// Whether the client may still be sending, and listens.
const fn reads_on(error: &IngestError) -> bool {
    !matches!(
        error,
        IngestError::Broken(_) | IngestError::Stalled | IngestError::Overtaken | IngestError::Stopping
    )
}

async fn discard(body: &mut Incoming) {
    let read = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            if read > DISCARDED_BYTES {
                return;
            }
        }
    };
    // Whoever takes longer than this is let down: the answer is a courtesy.
    let _ = tokio::time::timeout(DISCARD_TIME, read).await;
}

/// The length that the request says its body has.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The request's `Origin`, if it is the host that it was sent to.
fn own_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let (_, authority) = origin.to_str().ok()?.split_once("://")?;
    (authority == headers.get(HOST)?.to_str().ok()?).then_some(origin)
}

fn reply(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

fn location(id: UploadId) -> HeaderValue {
    text(format_args!("{BASE}/{id}"))
}

fn text(value: impl std::fmt::Display) -> HeaderValue {
    HeaderValue::try_from(value.to_string()).expect("ids, paths, dates and base64 are ASCII")
}

/// RFC 9110 §5.6.7.
fn http_date(at: Timestamp) -> httpdate::HttpDate {
    let since_epoch = at.since(Timestamp::from_millis(0));
    // The last second that the format can write.
    httpdate::HttpDate::from(UNIX_EPOCH + since_epoch.min(Duration::from_secs(253_402_300_799)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_origin_is_named() {
        for (host, origin, expected) in [
            ("cocuyo.example", "https://cocuyo.example", true),
            ("localhost:8080", "http://localhost:8080", true),
            ("cocuyo.example", "https://cocuyo.example.evil", false),
            ("cocuyo.example", "null", false),
        ] {
            let headers = [(HOST, host), (ORIGIN, origin)]
                .map(|(name, value): (http::HeaderName, _)| (name, HeaderValue::from_static(value)));
            assert_eq!(own_origin(&HeaderMap::from_iter(headers)).is_some(), expected, "{host} {origin}");
        }
    }

    #[test]
    fn dates_are_written_as_http_has_them() {
        assert_eq!(
            http_date(Timestamp::from_seconds(784_111_777)).to_string(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(http_date(Timestamp::from_millis(i64::MAX)).to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
