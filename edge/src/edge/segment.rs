//! The answer with a segment: at once, or when it has been made.

use std::sync::Arc;

use http::{Method, Response};
use listener::{Body, Language};
use model::RenditionName;
use tokio::time::Instant;

use super::{Asked, Edge, media};
use crate::decision::{Bearer, Right};
use crate::error::EdgeError;
use crate::metrics::Found;
use crate::patience::patience;
use crate::response;
use crate::route::Route;
use crate::versions::{Place, Version};

impl Edge {
    /// A segment; if it is still being made, the request is held until it is there, for a while.
    pub(super) async fn segment(
        &self,
        name: RenditionName,
        number: u32,
        asked: &Asked<'_>,
        bearer: &Bearer,
        right: &Right,
    ) -> Result<(Response<Body>, Found), Arc<EdgeError>> {
        let Route { video, version, .. } = asked.route;
        let found = self.0.versions.of(video, version).await?;
        let growth = match (found.segment(name, number), &found) {
            (Err(EdgeError::NotYet), Version::Growing(growth, _)) if *asked.method != Method::HEAD => growth,
            (place, _) => return self.send_segment(place?, name, asked, right).await,
        };
        let began = Instant::now();
        tokio::select! {
            () = growth.arrival(name, number, right.session(), patience(asked.headers)) => {}
            () = asked.departs() => {}
            () = self.0.versions.closed() => {}
        }
        let time = began.elapsed();
        // A right may have ended meanwhile.
        let told = self.0.follower.told()?;
        let right = match self.decide(&asked.route, bearer, &told, self.0.clock.now()).await? {
            Ok(right) => right,
            Err(kind) => return Ok((response::refusal(kind, Language::of(asked.headers)), Found::None)),
        };
        let found = self.0.versions.of(video, version).await?;
        let mut response = match found.segment(name, number) {
            Err(EdgeError::NotYet) => response::not_yet(Language::of(asked.headers)),
            place => self.send_segment(place?, name, asked, &right).await?.0,
        };
        response::held(response.headers_mut(), time);
        Ok((response, Found::Held))
    }

    async fn send_segment(
        &self,
        place: Place<'_>,
        name: RenditionName,
        asked: &Asked<'_>,
        right: &Right,
    ) -> Result<(Response<Body>, Found), Arc<EdgeError>> {
        let (segment, cache) = self.0.media.segment(place).await?;
        let content_type = if name.is_video() { "video/mp4" } else { "audio/mp4" };
        Ok((media(&segment, content_type, asked, right), cache))
    }
}

impl Asked<'_> {
    /// Waits until whoever asked has hung up.
    pub(super) async fn departs(&self) {
        match self.departure {
            Some(departure) => departure.happens().await,
            None => std::future::pending().await,
        }
    }
}
