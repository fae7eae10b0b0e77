//! The jobs of a re-encode.

use model::cell::EncodePlan;
use model::{Lane, RenditionName, Timestamp, VersionId};
use sea_orm::ActiveValue::Set;
use sea_orm::Condition;
use sea_orm::entity::prelude::*;

use super::parts::{chunk_place, id_of};
use super::{ActiveModel, Column, Entity, Kind, Rank, blank, in_state};
use crate::error::Result;
use crate::videos;

/// Queues all work on a version of which `anew` is encoded and the rest carried over, behind that
/// on all films which do not play yet, or not in all their renditions.
pub(crate) async fn begin_again(
    connection: &impl ConnectionTrait,
    video: &videos::Model,
    version: VersionId,
    plan: &EncodePlan,
    anew: &[RenditionName],
    now: Timestamp,
) -> Result<()> {
    let part = |kind, place: &str, rank| {
        let job = blank(id_of(version, kind, place), &video.id, kind, video.priority, now);
        ActiveModel { version: Set(Some(version.to_string())), rank: Set(rank as i64), ..job }
    };
    let mut jobs = vec![part(Kind::Carry, "", Rank::Carried)];
    let frames = plan.video.as_ref().map_or(0, |video| video.frames);
    for lane in Lane::ENCODED.into_iter().filter(|lane| anew.iter().any(|name| Lane::of(*name) == *lane)) {
        for chunk in plan.grid.chunks(0..plan.grid.count(frames)) {
            jobs.push(ActiveModel {
                lane: Set(Some(lane.as_str().to_owned())),
                first_segment: Set(chunk.start.into()),
                end_segment: Set(chunk.end.into()),
                ..part(Kind::Pictures, &chunk_place(lane, chunk.start), Rank::Again)
            });
        }
    }
    // Below either engine's greatest number of parameters.
    for some in jobs.chunks(500) {
        Entity::insert_many(some.to_vec()).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Deletes the ended parts of a video's versions that no worker may still be writing for.
pub(crate) async fn forget_ended(
    connection: &impl ConnectionTrait,
    video: &str,
    now: Timestamp,
) -> Result<()> {
    let unheld = Condition::any().add(Column::Worker.is_null()).add(Column::DueAt.lte(now.as_millis()));
    let ended = Condition::all()
        .add(Column::Video.eq(video))
        .add(in_state(model::JobState::Failed))
        .add(Column::Kind.is_not_in(Kind::BEGINNING))
        .add(unheld);
    Entity::delete_many().filter(ended).exec(connection).await?;
    Ok(())
}

/// Deletes the jobs of a version that is no more, but for the one that began it.
pub(crate) async fn delete_of_version(connection: &impl ConnectionTrait, version: &str) -> Result<()> {
    let jobs = Entity::delete_many().filter(Column::Version.eq(version));
    jobs.filter(Column::Kind.is_not_in(Kind::BEGINNING)).exec(connection).await?;
    Ok(())
}
