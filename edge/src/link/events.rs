//! Live events of an origin on another machine.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use live::{Event, Failure, LiveSource, Piece, Position, Update};
use model::{RenditionName, VersionId, VideoId};

use crate::link::client::AT_ONCE;
use crate::link::documents::{EventDocument, ROOT};
use crate::link::news;
use crate::link::remote::{LinkError, RemoteOrigin};
use crate::live::LiveRoute;

#[async_trait]
impl LiveSource for RemoteOrigin {
    async fn event(
        &self,
        video: VideoId,
        version: VersionId,
        newer_than: Option<u64>,
    ) -> Result<Option<Arc<Event>>, Failure> {
        let mut path = format!("{ROOT}live/{video}/{version}");
        if let Some(revision) = newer_than {
            path += &format!("?newer_than={revision}");
        }
        let client = self.client();
        self.aside(async move {
            let EventDocument { event } = client.get(&path, AT_ONCE).await?;
            Ok(event.map(Arc::new))
        })
        .await
    }

    async fn news(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        after: Position,
    ) -> Result<Option<Update>, Failure> {
        let Position { msn, parts } = after;
        let path = format!("{ROOT}live/{video}/{version}/{rendition}/news?msn={msn}&parts={parts}");
        let client = self.client();
        self.aside(async move { news::read(client.get_bytes(&path, AT_ONCE).await?) }).await
    }

    async fn bytes(
        &self,
        video: VideoId,
        version: VersionId,
        rendition: RenditionName,
        piece: Piece,
    ) -> Result<Option<Bytes>, Failure> {
        let path = format!("{ROOT}live/{video}/{version}/{}", LiveRoute::of(rendition, piece));
        let client = self.client();
        self.aside(async move {
            match client.get_bytes(&path, AT_ONCE).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) => match error.downcast_ref() {
                    Some(LinkError::Status(StatusCode::NOT_FOUND)) => Ok(None),
                    _ => Err(error),
                },
            }
        })
        .await
    }
}
