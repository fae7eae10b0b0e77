//! A publisher's turn: from when the key lets it in until it leaves, is put off, or the event ends.
//! Its number grows with each one, so that whatever comes late from an earlier one is known.

use std::collections::HashMap;
use std::time::Duration;

use model::{AccountId, LetGo, PublishRefusal, StreamKeyHash, Timestamp, VersionId, VideoId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QuerySelect};

use super::change::takeovers_text;
use super::{ActiveModel, Column, Entity, Model, change, state_change};
use crate::Catalog;
use crate::convert::{moment, number};
use crate::error::Result;
use crate::videos;

/// A publisher of which nothing was heard for so long is not there: whoever comes then takes over
/// from nobody.
const SILENT: Duration = Duration::from_secs(30);
/// Publishers of which it is said in one statement that they are there.
const AT_ONCE: usize = 100;

/// A publisher that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// To which event,
    pub video: VideoId,
    /// which grows this version.
    pub version: VersionId,
    /// Whose event it is.
    pub owner: AccountId,
    /// Its turn: whoever has a lower one is put off.
    pub generation: u64,
    /// When the event began, if it has.
    pub began: Option<Timestamp>,
}

impl Catalog {
    /// Lets in whoever publishes with this key: it has the turn from now on, whoever had it before.
    ///
    /// Whether the owner may broadcast is for the caller to know, before and while somebody
    /// publishes: [`Catalog::event_of_key`] says who that is.
    pub async fn admit_publisher(
        &self,
        key: &StreamKeyHash,
        now: Timestamp,
    ) -> Result<Result<Admitted, PublishRefusal>> {
        let transaction = self.begin().await?;
        let row = Entity::find().filter(Column::KeyHash.eq(key.to_string()));
        let Some(row) = row.lock_exclusive().one(&transaction).await? else {
            return Ok(Err(PublishRefusal::UnknownKey));
        };
        if videos::find_alive(&transaction, &row.video).await?.is_none() {
            return Ok(Err(PublishRefusal::UnknownKey));
        }
        if row.state()?.is_ended() {
            return Ok(Err(PublishRefusal::EventEnded));
        }
        let mut set = ActiveModel {
            generation: Set(row.generation + 1),
            heard_at: Set(Some(now.as_millis())),
            ..Default::default()
        };
        if is_there(&row, now) {
            match row.takeovers()?.one_more(now) {
                Ok(takeovers) => set.takeovers = Set(takeovers_text(&takeovers)),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        change(&transaction, &row, set).await?;
        let admitted = Admitted {
            video: row.id()?,
            version: row.version()?,
            owner: row.row().word("owner", &row.owner)?,
            generation: row.row().number("generation", row.generation + 1)?,
            began: row.state()?.began(),
        };
        transaction.commit().await?;
        self.announce_change();
        Ok(Ok(admitted))
    }

    /// Says that the publishers of these turns are still there. Returns those of them that are not over,
    /// and whose event each is: another publisher may have taken a turn, the key may be another one,
    /// the event may be over or deleted. To be asked every few seconds, and whenever
    /// [`Catalog::changed`] says so.
    pub async fn publishers_heard(
        &self,
        turns: &[(VideoId, u64)],
        now: Timestamp,
    ) -> Result<HashMap<(VideoId, u64), AccountId>> {
        let mut going = HashMap::new();
        for turns in turns.chunks(AT_ONCE) {
            let transaction = self.begin().await?;
            let turn = |(id, generation): &(VideoId, u64)| {
                Condition::all()
                    .add(Column::Video.eq(id.to_string()))
                    .add(Column::Generation.eq(number(*generation)))
            };
            let are_theirs = turns.iter().map(turn).fold(Condition::any(), Condition::add);
            let have_one = Condition::all()
                .add(are_theirs)
                .add(Column::HeardAt.is_not_null())
                .add(Column::State.ne("ended"));
            let rows = Entity::find().filter(have_one.clone()).all(&transaction).await?;
            let ids: Vec<String> = rows.iter().map(|row| row.video.clone()).collect();
            let alive = videos::alive_of(&transaction, &ids).await?;
            Entity::update_many()
                .set(ActiveModel { heard_at: Set(Some(now.as_millis())), ..Default::default() })
                .filter(have_one)
                .exec(&transaction)
                .await?;
            transaction.commit().await?;
            for row in rows.iter().filter(|row| alive.contains(&row.video)) {
                let turn = (row.id()?, row.row().number("generation", row.generation)?);
                going.insert(turn, row.row().word("owner", &row.owner)?);
            }
        }
        Ok(going)
    }

    /// Says why the publisher of this turn is let go; its owner is told until the next one is on air. It
    /// changes nothing when another one has the turn.
    pub async fn publisher_let_go(&self, id: VideoId, generation: u64, why: LetGo) -> Result<()> {
        let transaction = self.begin().await?;
        let set = ActiveModel { let_go: Set(Some(why.as_str().to_owned())), ..Default::default() };
        let update = Entity::update_many().set(set).filter(Column::Video.eq(id.to_string()));
        update.filter(Column::Generation.eq(number(generation))).exec(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Says that the publisher of this turn is gone; the event waits for the next one. `false` when
    /// the turn was over already: nothing changes then.
    pub async fn publisher_left(&self, id: VideoId, generation: u64, now: Timestamp) -> Result<bool> {
        let transaction = self.begin().await?;
        let row = Entity::find_by_id(id.to_string()).lock_exclusive().one(&transaction).await?;
        let has_turn = |row: &Model| row.generation == number(generation) && row.heard_at.is_some();
        let Some(row) = row.filter(has_turn) else { return Ok(false) };
        let state = row.state()?.publisher_away(now)?;
        change(&transaction, &row, ActiveModel { heard_at: Set(None), ..state_change(state) }).await?;
        transaction.commit().await?;
        self.announce_change();
        Ok(true)
    }
}

fn is_there(row: &Model, now: Timestamp) -> bool {
    row.heard_at.is_some_and(|heard| now.since(moment(heard)) < SILENT)
}
