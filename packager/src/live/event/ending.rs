//! A feed ends, and with the last of them an event: what is open is closed, and the rest goes on the shelf.

use std::time::Duration;

use model::feed::{FeedAnswer, FeedOver};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AGAIN, Driver, Input, heard};
use crate::live::LiveError;
use crate::live::going::Away;

/// How long the end of a feed waits for what its cell holds: a few pictures.
const DRAIN: Duration = Duration::from_secs(1);

impl Driver {
    /// Lets the publisher go.
    pub(super) async fn let_go(&mut self, why: FeedOver) -> Result<(), LiveError> {
        if let Some(feed) = self.feed.take() {
            feed.over(why);
            self.away().await?;
            let now = self.shared.clock.now();
            self.shared.catalog.publisher_left(self.video, feed.generation, now).await?;
        }
        Ok(())
    }

    /// Nobody publishes any more, for now.
    pub(super) async fn away(&mut self) -> Result<(), LiveError> {
        if let Some(feed) = &mut self.feed {
            (feed.timeline, feed.sound) = (None, None);
        }
        if self.going.as_ref().is_some_and(|going| going.away.is_none()) {
            self.drain().await?;
        }
        let Some(going) = &mut self.going else { return Ok(()) };
        if going.away.is_none() {
            let end = going.cutter.outage()?;
            going.away = Some(Away { cut: end, began: end, since: Instant::now() });
        }
        self.flush().await
    }

    /// The feed is over: what the cell still holds belongs to it.
    async fn drain(&mut self) -> Result<(), LiveError> {
        let deadline = tokio::time::Instant::now() + DRAIN;
        while self.going.as_ref().is_some_and(|going| going.rungs.finish()) {
            match tokio::time::timeout_at(deadline, heard(&mut self.going)).await {
                Ok(event) => {
                    self.encoded(event).await?;
                }
                Err(_) => break,
            }
        }
        if let Some(going) = &mut self.going {
            going.rungs.stop();
            going.cutter.expect_nobody();
        }
        Ok(())
    }

    /// The process stops: what was made is closed, so that the next one goes on behind it.
    pub(super) async fn settle(&mut self) {
        if let Err(error) = self.away().await {
            tracing::error!(error = &error as &dyn std::error::Error, "a live event was not settled");
        }
    }

    /// Ends the event: what was shown of it is all. That is written down on its way to the shelf.
    pub(super) async fn finish(&mut self) -> Result<(), LiveError> {
        if let Some(feed) = self.feed.take() {
            feed.over(FeedOver::EventEnded);
        }
        if self.going.as_ref().is_some_and(|going| going.away.is_none()) {
            self.drain().await?;
        }
        let Some(going) = &mut self.going else {
            self.shared.catalog.event_ended(self.video, None, self.shared.clock.now()).await?;
            return Ok(());
        };
        if going.away.is_none() {
            let end = going.cutter.outage()?;
            going.away = Some(Away { cut: end, began: end, since: Instant::now() });
        }
        going.cutter.end()?;
        let made = going.cutter.take();
        going.show(made).await;
        Ok(())
    }

    /// Puts the event on the shelf, however long the disk, the store or the rows are away.
    pub(super) async fn shelve(&mut self, stop: &CancellationToken) {
        while let Some(going) = &mut self.going {
            let shelved = tokio::select! {
                () = stop.cancelled() => return,
                shelved = going.shelve(&self.shared, self.video) => shelved,
            };
            match shelved {
                Ok(()) => {
                    tracing::info!(video = %self.video, "a broadcast is on the shelf");
                    return;
                }
                Err(error) => tracing::error!(
                    video = %self.video,
                    error = &error as &dyn std::error::Error,
                    "a broadcast is not on the shelf yet"
                ),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// The event is over: its playlists say so for a while, and no publisher is let in.
    pub(super) async fn linger(self, mut inputs: mpsc::Receiver<Input>, stop: CancellationToken) {
        let gone = tokio::time::sleep(self.shared.linger);
        tokio::pin!(gone);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = &mut gone => return,
                input = inputs.recv() => match input {
                    Some(Input::Begin { answers, .. }) => {
                        let _ = answers.try_send(FeedAnswer::Over(FeedOver::EventEnded));
                    }
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }
}
