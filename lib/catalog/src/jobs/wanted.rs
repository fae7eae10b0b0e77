//! A viewer waits for a segment: its chunk comes before the rest, cut down to what they wait for.

use std::ops::Range;
use std::time::Duration;

use model::{JobState, Lane, SegmentGrid, Timestamp, VersionId};
use sea_orm::ActiveValue::Set;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

use super::end::put_off;
use super::parts::piece;
use super::{ActiveModel, Column, Entity, Kind, Model, Rank, in_state, update_unchanged};
use crate::error::Result;
use crate::{Catalog, growing};

/// A want that nobody renews is forgotten, so that an edge that died blocks nothing. Longer than
/// an edge holds a request.
const WANTED: Duration = Duration::from_secs(15);

impl Catalog {
    /// A viewer waits for a segment of a lane's pictures, or of the sound (`None`): the chunk that
    /// has it becomes the next one, and if it is long, only its part from there on. That holds for a
    /// long chunk too that a worker has only begun, as one of the many: its lease is taken back.
    /// What is half made, is there already, or is not of this version changes nothing.
    ///
    /// It holds for 15 s, or until as many [`Catalog::unwant_segment`] were called.
    pub async fn want_segment(
        &self,
        version: VersionId,
        lane: Option<Lane>,
        segment: u32,
        now: Timestamp,
    ) -> Result<()> {
        let is_queued = queued(version, lane, segment).one(self.read()).await?.is_some();
        if !is_queued && bulk(version, lane, segment).one(self.read()).await?.is_none() {
            return Ok(());
        }
        let transaction = self.begin().await?;
        let Some(plan) = growing::lock_plan_of(&transaction, version).await? else { return Ok(()) };
        let begun = bulk(version, lane, segment).lock_exclusive().one(&transaction).await?;
        if let Some(row) = begun.filter(|row| !is_soon_made(&plan.grid, row)) {
            put_off(&transaction, &row, row.crashes, now, now).await?;
        }
        let row = queued(version, lane, segment).lock_exclusive().one(&transaction).await?;
        let Some(row) = row else { return Ok(()) };
        let mut wanted = row.clone();
        if let Some(lane) = lane {
            let segments = row.segments()?;
            let cut = cut(&plan.grid, segments, segment);
            wanted = cut_up(&transaction, &row, version, lane, &cut).await?;
        }
        let own = wanted.rank()? as i64;
        // A beginning comes before all wants, at the turn that it has.
        let comes_forward = wanted.wants == 0 && own > Rank::Wanted as i64;
        let change = ActiveModel {
            rank: Set(own.min(Rank::Wanted as i64)),
            wants: Set(wanted.wants + 1),
            wanted_until: Set(Some((now + WANTED).as_millis())),
            turn_at: Set(if comes_forward { now.as_millis() } else { wanted.turn_at }),
            ..Default::default()
        };
        update_unchanged(&transaction, &wanted, change).await?;
        transaction.commit().await?;
        self.announce_job();
        Ok(())
    }

    /// A viewer no longer waits for the segment: when nobody does, its chunk has its turn again.
    pub async fn unwant_segment(
        &self,
        version: VersionId,
        lane: Option<Lane>,
        segment: u32,
        now: Timestamp,
    ) -> Result<()> {
        let transaction = self.begin().await?;
        let wanted = queued(version, lane, segment).filter(Column::Wants.gt(0));
        let Some(row) = wanted.lock_exclusive().one(&transaction).await? else { return Ok(()) };
        if row.wants > 1 {
            let change = ActiveModel { wants: Set(row.wants - 1), ..Default::default() };
            update_unchanged(&transaction, &row, change).await?;
        } else {
            forget_wants(&transaction, &row, now).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Gives a job the turn that it has by itself.
pub(super) async fn forget_wants(
    connection: &impl ConnectionTrait,
    row: &Model,
    now: Timestamp,
) -> Result<()> {
    let change = ActiveModel {
        rank: Set(row.rank()? as i64),
        turn_at: Set(row.created_at),
        wants: Set(0),
        wanted_until: Set(None),
        updated_at: Set(now.as_millis().max(row.updated_at)),
        ..Default::default()
    };
    update_unchanged(connection, row, change).await
}

/// The queued job that will make a segment.
fn queued(version: VersionId, lane: Option<Lane>, segment: u32) -> Select<Entity> {
    let query = Entity::find().filter(Column::Version.eq(version.to_string()));
    let query = query.filter(in_state(JobState::Queued));
    match lane {
        None => query.filter(Column::Kind.eq(Kind::Sound.as_str())),
        Some(lane) => query
            .filter(Column::Kind.eq(Kind::Pictures.as_str()))
            .filter(Column::Lane.eq(lane.as_str()))
            .filter(Column::FirstSegment.lte(i64::from(segment)))
            .filter(Column::EndSegment.gt(i64::from(segment))),
    }
}

/// The job that makes a segment of pictures at this moment, as one of the many.
fn bulk(version: VersionId, lane: Option<Lane>, segment: u32) -> Select<Entity> {
    Entity::find()
        .filter(Column::Version.eq(version.to_string()))
        .filter(in_state(JobState::Running))
        .filter(Column::Kind.eq(Kind::Pictures.as_str()))
        .filter(Column::Lane.eq(lane.map_or("", Lane::as_str)))
        .filter(Column::Rank.gt(Rank::Wanted as i64))
        .filter(Column::FirstSegment.lte(i64::from(segment)))
        .filter(Column::EndSegment.gt(i64::from(segment)))
}

/// Whether waiting for a running job is better than beginning anew: it only copies, is short, or
/// half made.
fn is_soon_made(grid: &SegmentGrid, row: &Model) -> bool {
    let (Ok(Range { start, end }), Ok(Lane::A | Lane::B)) = (row.segments(), row.lane()) else { return true };
    let length_s = grid.seconds(grid.start(end)) - grid.seconds(grid.start(start));
    row.position_ms as f64 * 2.0 > length_s * 1000.0 || grid.chunks(start..end).len() < 2
}

/// How a queued chunk is cut up for somebody who waits for a segment of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cut {
    /// What stays as it was, in front; may be empty.
    before: Range<u32>,
    /// What is wanted.
    wanted: Range<u32>,
    /// The rest.
    after: Vec<Range<u32>>,
}

/// Cuts `segments` so that `wanted` comes early in a short chunk. What would be in front is at
/// least a short chunk itself: a player that asks for one segment after the other leaves no
/// crumbs.
fn cut(grid: &SegmentGrid, segments: Range<u32>, wanted: u32) -> Cut {
    let first = grid.chunks(segments.clone()).into_iter().next().unwrap_or_else(|| segments.clone());
    let from = if first.contains(&wanted) { segments.start } else { wanted };
    let mut chunks = grid.chunks(from..segments.end).into_iter();
    let wanted = chunks.next().unwrap_or(from..segments.end);
    Cut { before: segments.start..from, wanted, after: chunks.collect() }
}

/// Cuts up the job; gives the one that is wanted.
async fn cut_up(
    connection: &impl ConnectionTrait,
    row: &Model,
    version: VersionId,
    lane: Lane,
    cut: &Cut,
) -> Result<Model> {
    let keeps = if cut.before.is_empty() { &cut.wanted } else { &cut.before };
    if i64::from(keeps.end) == row.end_segment {
        return Ok(row.clone());
    }
    let shorter = ActiveModel { end_segment: Set(keeps.end.into()), ..Default::default() };
    update_unchanged(connection, row, shorter).await?;
    let new = cut.after.iter().chain((!cut.before.is_empty()).then_some(&cut.wanted));
    let new: Vec<_> = new.map(|segments| piece(row, version, lane, segments.clone())).collect();
    let wanted = new.last().cloned();
    if !new.is_empty() {
        Entity::insert_many(new).exec_without_returning(connection).await?;
    }
    match wanted.filter(|_| !cut.before.is_empty()) {
        Some(wanted) => Ok(sea_orm::TryIntoModel::try_into_model(wanted)?),
        None => Ok(Model { end_segment: keeps.end.into(), ..row.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use model::cell::Ratio;

    use super::*;

    /// Segments of 4 s.
    fn grid() -> SegmentGrid {
        SegmentGrid::even(Ratio::new(25, 1), 100, 1_000_000)
    }

    #[test]
    fn a_long_chunk_is_cut_at_the_wanted_segment() {
        let cut = cut(&grid(), 14..29, 20);
        assert_eq!((cut.before, cut.wanted, cut.after), (14..20, 20..22, vec![22..26, 26..29]));
    }

    #[test]
    fn whatever_is_wanted_no_segment_is_lost_and_only_the_end_is_shorter_than_a_short_chunk() {
        for end in 15..40 {
            for wanted in 14..end {
                let cut = cut(&grid(), 14..end, wanted);
                let all = [cut.before.clone(), cut.wanted.clone()].into_iter().chain(cut.after.clone());
                let segments: Vec<u32> = all.clone().flatten().collect();
                assert_eq!(segments, (14..end).collect::<Vec<_>>());
                assert!(cut.wanted.contains(&wanted) && cut.wanted.len() <= 2);
                assert!(
                    all.filter(|part| part.end < end).all(|part| part.is_empty() || part.len() > 1),
                    "{cut:?}"
                );
            }
        }
    }

    #[test]
    fn who_follows_the_encoder_leaves_no_crumbs() {
        let mut jobs = vec![14..29, 29..44];
        for wanted in 20..30 {
            let job = jobs.iter().position(|job| job.contains(&wanted)).unwrap();
            let cut = cut(&grid(), jobs.remove(job), wanted);
            jobs.extend(
                [cut.before, cut.wanted].into_iter().chain(cut.after).filter(|part| !part.is_empty()),
            );
        }
        jobs.sort_by_key(|job| job.start);
        assert!(jobs.iter().all(|job| job.len() > 1 || [29, 44].contains(&job.end)), "{jobs:?}");
    }
}
