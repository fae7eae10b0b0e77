//! A plan becomes jobs, and the last of them the finish.

use model::cell::EncodePlan;
use model::{ChunkHash, JobId, Lane, Timestamp, VersionId};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveModelTrait, Condition};

use super::{ActiveModel, Column, Entity, Kind, Model, Rank, blank, open, update_unchanged};
use crate::error::Result;

/// Queues all work on a version that the job `row` has planned.
pub(crate) async fn begin(
    connection: &impl ConnectionTrait,
    row: &Model,
    version: VersionId,
    plan: &EncodePlan,
    now: Timestamp,
) -> Result<()> {
    let started = ActiveModel { version: Set(Some(version.to_string())), ..Default::default() };
    update_unchanged(connection, row, started).await?;
    let part = |kind, place: &str| {
        let job = blank(id_of(version, kind, place), &row.video, kind, row.priority, now);
        ActiveModel { version: Set(Some(version.to_string())), ..job }
    };
    let mut jobs = Vec::new();
    if plan.audio.is_some() {
        jobs.push(part(Kind::Sound, ""));
    }
    if let Some(video) = &plan.video {
        jobs.push(ActiveModel { rank: Set(Rank::Rest as i64), ..part(Kind::Stills, "") });
        let end = plan.grid.count(video.frames);
        let chunks = plan.grid.chunks(0..end);
        let encoded =
            Lane::ENCODED.into_iter().flat_map(|lane| chunks.iter().map(move |chunk| (lane, chunk.clone())));
        let first = chunks.first().map_or(0, |first| first.end);
        // To copy is to read and to write: behind the beginning nothing is gained by more parts.
        let copied = [0..first, first..end].into_iter().map(|part| (Lane::Copied, part));
        for (lane, segments) in encoded.chain(copied) {
            let is_used = video.renditions().any(|name| video.lane(name) == lane);
            if !is_used || segments.is_empty() {
                continue;
            }
            let rank = match lane {
                Lane::A | Lane::Copied if segments.start == 0 => Rank::Beginning,
                Lane::A | Lane::Copied => Rank::Rest,
                Lane::B => Rank::Better,
            };
            jobs.push(ActiveModel {
                lane: Set(Some(lane.as_str().to_owned())),
                first_segment: Set(segments.start.into()),
                end_segment: Set(segments.end.into()),
                rank: Set(rank as i64),
                ..part(Kind::Pictures, &chunk_place(lane, segments.start))
            });
        }
    }
    if row.kind()? == Kind::Ladder {
        // Nobody waits for any of it.
        jobs.iter_mut().for_each(|job| job.rank = Set(Rank::Again as i64));
    }
    // Below either engine's greatest number of parameters.
    for some in jobs.chunks(500) {
        Entity::insert_many(some.to_vec()).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Whether all work on a version but its finish is done.
pub(crate) async fn is_complete(connection: &impl ConnectionTrait, version: &str) -> Result<bool> {
    let of_version = Column::Version.eq(version);
    let rest = Condition::any().add(open()).add(Column::Kind.eq(Kind::Finish.as_str()));
    Ok(Entity::find().filter(of_version).filter(rest).count(connection).await? == 0)
}

/// Queues the finish of the version of which `last` was the last job.
pub(crate) async fn enqueue_finish(
    connection: &impl ConnectionTrait,
    last: &Model,
    version: VersionId,
    now: Timestamp,
) -> Result<()> {
    let id = id_of(version, Kind::Finish, "");
    let finish = blank(id, &last.video, Kind::Finish, last.priority, now);
    let finish = ActiveModel { version: Set(Some(version.to_string())), ..finish };
    Entity::insert(finish).exec_without_returning(connection).await?;
    Ok(())
}

/// What a split leaves behind the chunk `row`: a job like it for other segments.
pub(super) fn piece(
    row: &Model,
    version: VersionId,
    lane: Lane,
    segments: std::ops::Range<u32>,
) -> ActiveModel {
    let like: ActiveModel = row.clone().into();
    let rank = match lane {
        Lane::A | Lane::Copied => Rank::Rest,
        Lane::B => Rank::Better,
    };
    ActiveModel {
        id: Set(id_of(version, Kind::Pictures, &chunk_place(lane, segments.start))),
        first_segment: Set(segments.start.into()),
        end_segment: Set(segments.end.into()),
        rank: Set(rank as i64),
        turn_at: Set(row.created_at),
        wants: Set(0),
        wanted_until: Set(None),
        ..like
    }
    .reset_all()
}

pub(super) fn chunk_place(lane: Lane, first: u32) -> String {
    format!("{lane}{first}")
}

/// A job's id: what it does, and of which version or video, decides it, so that nothing is queued twice.
pub(super) fn id_of(version: impl std::fmt::Display, kind: Kind, place: &str) -> String {
    let hash = ChunkHash::of(format!("{version} {} {place}", kind.as_str()).as_bytes()).to_string();
    let bits = u128::from_str_radix(&hash[..32], 16).expect("a hash is written in hexadecimal digits");
    JobId::from_bits(bits).to_string()
}
