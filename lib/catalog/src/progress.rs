//! How far the work on a version is and how long it will take: a pure function of its jobs.
//!
//! Each job is so much work by the plan: pixels, how slowly they are encoded, and the decode. What
//! the jobs of this film took until now of the machines that they shared says how long such work
//! takes here, for each lane by itself as soon as there is something to measure. The rest is then
//! dealt to as many machines as were lately at work on this film.

mod estimate;
mod machines;
mod weights;

use model::cell::EncodePlan;
use model::{JobState, Lane, Timestamp};
use sea_orm::entity::prelude::*;

use crate::convert::moment;
use crate::error::Result;
use crate::jobs::{self, Kind};
use crate::{growing, videos};
use estimate::{Class, Doing, Part, estimate};
use weights::Weights;

/// How far the packaging of a video is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// 0 to 100; never goes back while the packaging goes on.
    pub percent: u8,
    /// Seconds until all of it is there, as of when this was found, once that can be told.
    pub eta_s: Option<u32>,
    /// Seconds of film that were lately made in a second, all running chunks together.
    pub speed: Option<f64>,
}

/// Length of a film in milliseconds.
pub(crate) fn length_ms(plan: &EncodePlan) -> u64 {
    (plan.grid.seconds(plan.grid.frames) * 1000.0).round() as u64
}

/// Finds out anew how far the version is of which `job` is a part, and writes it down.
pub(crate) async fn record(
    connection: &impl ConnectionTrait,
    job: &jobs::Model,
    now: Timestamp,
) -> Result<()> {
    let Some(version) = &job.version else { return Ok(()) };
    let growing = growing::Entity::find_by_id(version.clone()).one(connection).await?;
    let Some(growing) = growing else { return Ok(()) };
    let plan = growing.plan()?;
    let rows = jobs::of_version(connection, version).await?;
    let parts = parts(&rows, &plan)?;
    let progress = estimate(&parts, growing.started(), now);
    videos::record_progress(connection, &job.video, progress, now).await
}

/// How much of the work on a version is done, in percent.
pub(crate) async fn percent(connection: &impl ConnectionTrait, growing: &growing::Model) -> Result<u8> {
    let rows = jobs::of_version(connection, &growing.version).await?;
    let parts = parts(&rows, &growing.plan()?)?;
    // That does not depend on the time.
    Ok(estimate(&parts, growing.started(), growing.started()).percent)
}

/// The jobs in the order in which they will be taken.
fn parts<'a>(rows: &'a [jobs::Model], plan: &EncodePlan) -> Result<Vec<Part<'a>>> {
    let weights = Weights::of(plan);
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.rank, row.first_segment));
    let mut parts = Vec::new();
    for row in rows {
        let (class, length_ms, weight) = match row.kind()? {
            Kind::Sound => (Class::Sound, weights::sound_ms(plan), weights.sound),
            // It takes as good as no time beside the encodes.
            Kind::Pictures if row.lane()? == Lane::Copied => continue,
            Kind::Pictures => {
                let (lane, hurry) = (row.lane()?, row.is_hurried());
                (
                    Class::Pictures(lane),
                    weights::pictures_ms(plan, row.segments()?),
                    weights.lane(lane, hurry),
                )
            }
            Kind::Plan | Kind::Ladder | Kind::Stills | Kind::Carry | Kind::Trim | Kind::Finish => continue,
        };
        let (machine, started, seen) = (row.machine(), moment(row.started_at), moment(row.updated_at));
        let (doing, done_ms) = match row.state()? {
            JobState::Queued => (Doing::Waits, 0),
            JobState::Running => {
                (Doing::Runs { machine, started, seen }, u64::try_from(row.position_ms).unwrap_or(0))
            }
            JobState::Done => (Doing::Done { machine, started, ended: seen }, length_ms),
            JobState::Failed => continue,
        };
        parts.push(Part { class, length_ms, done_ms: done_ms.min(length_ms), weight, doing });
    }
    Ok(parts)
}
