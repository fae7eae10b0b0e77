//! The answer with a plain MP4: a body of many pieces.

use std::sync::Arc;

use http::Response;
use listener::{Body, BoxError, ETag, empty, sized};
use model::RenditionName;

use super::{Asked, Edge, immutable};
use crate::decision::Right;
use crate::error::EdgeError;
use crate::response::{self, Head};
use crate::route::Route;

impl Edge {
    pub(super) async fn mp4(
        &self,
        name: RenditionName,
        asked: &Asked<'_>,
        right: &Right,
    ) -> Result<Response<Body>, Arc<EdgeError>> {
        let index = self.0.versions.of(asked.route.video, asked.route.version).await?.tracks(name)?;
        let file = self.0.files.of(&index, name).await?;
        let etag = ETag::strong(file.map.etag().trim_matches('"'));
        let entity = immutable("video/mp4", &etag, file.map.len());
        let (head, part) = match response::head(&entity, asked.method, asked.headers, right) {
            Head::Send(head, Some(part)) => (head, part),
            Head::Send(head, None) => return Ok(head.map(|()| empty())),
            Head::Refuse(response) => return Ok(response),
        };
        // The first piece is read before the head is sent: what is damaged is a 503 and not a
        // body that breaks off, as far as that can be known.
        let first = self.0.files.read(&file, part.clone()).await?;
        let (edge, route) = (self.clone(), asked.route);
        let state = Sending { edge, route, file, at: part.start, end: part.end, first: Some(first) };
        let pieces = futures::stream::try_unfold(state, Sending::next);
        Ok(head.map(|()| sized(part.end - part.start, pieces)))
    }
}

/// A file on its way to a client.
struct Sending {
    edge: Edge,
    route: Route,
    file: Arc<crate::files::File>,
    at: u64,
    end: u64,
    first: Option<bytes::Bytes>,
}

impl Sending {
    async fn next(mut self) -> Result<Option<(bytes::Bytes, Self)>, BoxError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let bytes = match self.first.take() {
            Some(bytes) => bytes,
            None => self.edge.0.files.read(&self.file, self.at..self.end).await.inspect_err(|error| {
                tracing::error!(
                    video.id = %self.route.video,
                    error = &**error as &dyn std::error::Error,
                    "cannot go on with {}", self.route
                );
            })?,
        };
        self.at += bytes.len() as u64;
        Ok(Some((bytes, self)))
    }
}
