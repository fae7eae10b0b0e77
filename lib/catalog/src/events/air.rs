//! From the first picture to the shelf.

use model::{EventState, Timestamp, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use super::{ActiveModel, Event, Model, change, find, state_change};
use crate::convert::number;
use crate::error::{Result, one_row};
use crate::{Catalog, Happened, NewVersion, announcements, jobs, publish, versions, videos};

impl Catalog {
    /// Says that pictures of the event can be seen: for the first time, and then its video plays, or
    /// again. Asked again in the same turn, it changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted, `Conflict` when the turn or the event is over.
    pub async fn event_went_live(&self, id: VideoId, generation: u64, now: Timestamp) -> Result<Event> {
        let transaction = self.begin().await?;
        let row = find(&transaction, id).await?;
        let video = videos::find(&transaction, &row.video).await?;
        let before = row.state()?;
        let state = before.on_air(now)?;
        let has_turn = row.generation == number(generation) && row.heard_at.is_some();
        one_row(has_turn.into(), "event", &row.video)?;
        if state == before {
            return Event::try_from(&row);
        }
        change(&transaction, &row, ActiveModel { let_go: Set(None), ..state_change(state) }).await?;
        if before == EventState::Scheduled {
            let live = video.state()?.live(row.version()?)?;
            videos::change_state(&transaction, &video, live, now).await?;
            announcements::note(&transaction, &row, Happened::LiveStarted, now).await?;
        }
        let event = Event::try_from(&find(&transaction, id).await?)?;
        transaction.commit().await?;
        self.announce_change();
        Ok(event)
    }

    /// Ends an event, as its owner asks or because nobody came back to publish: its publisher is let
    /// go, and its key opens nothing any more. What was on air plays on until
    /// [`Catalog::event_ended`]; if nothing ever was, the video is ended at once. Asked again, it
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted.
    pub async fn end_event(&self, id: VideoId, now: Timestamp) -> Result<Event> {
        let transaction = self.begin().await?;
        let row = find(&transaction, id).await?;
        let video = videos::find(&transaction, &row.video).await?;
        let before = row.state()?;
        if before.is_ended() {
            return Event::try_from(&row);
        }
        end(&transaction, &row, now).await?;
        if before.began().is_none() {
            let ended = video.state()?.ended(now)?;
            videos::change_state(&transaction, &video, ended, now).await?;
        }
        let event = Event::try_from(&find(&transaction, id).await?)?;
        transaction.commit().await?;
        self.announce_change();
        Ok(event)
    }

    /// Takes a broadcast off the air. With a version, whose objects are all stored and whose id is
    /// the event's, it is on the shelf: the video is ready, whoever watches goes on, and the renditions that it lacks are
    /// queued behind all other work. Without one
    /// nothing of it is kept. An event that is not over yet is so now. Asked again for the same, it
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is absent or deleted, `Conflict` when the version is not the event's, the
    /// event is not to be recorded, or its end was another one already.
    pub async fn event_ended(&self, id: VideoId, shelf: Option<&NewVersion>, now: Timestamp) -> Result<()> {
        let transaction = self.begin().await?;
        let row = find(&transaction, id).await?;
        let video = videos::find(&transaction, &row.video).await?;
        if !row.state()?.is_ended() {
            end(&transaction, &row, now).await?;
        }
        match shelf {
            Some(new) => {
                let is_its = row.version()? == new.version && row.record != 0;
                one_row(is_its.into(), "event", &row.video)?;
                let published = versions::of_video(&transaction, &row.video).await?;
                if published.iter().any(|version| version.id == row.version) {
                    return Ok(());
                }
                let ready = video.state()?.ready(now, new.version)?;
                publish::put_on_shelf(&transaction, &video, ready, 0, new, None, now).await?;
                jobs::enqueue_ladder(&transaction, &video, now).await?;
            }
            None if video.state == "ended" => return Ok(()),
            None => {
                let ended = video.state()?.ended(now)?;
                videos::change_state(&transaction, &video, ended, now).await?;
            }
        }
        transaction.commit().await?;
        self.announce_change();
        Ok(())
    }
}

/// Ends the event of a row that was read in this transaction, and with it the publisher's turn.
pub(super) async fn end(connection: &impl ConnectionTrait, row: &Model, now: Timestamp) -> Result<()> {
    let set = ActiveModel {
        generation: Set(row.generation + 1),
        heard_at: Set(None),
        ..state_change(row.state()?.ended(now)?)
    };
    change(connection, row, set).await?;
    if row.began_at.is_some() {
        announcements::note(connection, row, Happened::LiveEnded, now).await?;
    }
    Ok(())
}
