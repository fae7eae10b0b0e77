//! The kinds of jobs, each a file.
//!
//! ```text
//! plan ─┬─> sound ───────┐
//!       ├─> pictures … ──┼─> finish
//!       └─> stills ──────┘
//!
//! a re-encode ─┬─> carry ──────┐
//!              └─> pictures … ─┴─> finish
//!
//! a trim ─> trim
//!
//! a film that was an event: ladder, and then as behind a plan
//! ```
//!
//! # Consistency
//!
//! An object is stored before a row names it, and the row names the hash of its bytes. Rows are
//! written by whoever holds the job's lease. So a job may be carried out by several attempts at
//! once, each of which may end anywhere: the version is that of the attempts that committed. What
//! others stored is never removed by them, since the same bytes have the same key.

mod carry;
mod encode;
mod finish;
mod ladder;
mod pictures;
mod plan;
mod sound;
mod stills;
mod stored;
mod trim;

pub(crate) use finish::summaries;
pub(crate) use stills::pictures;

use catalog::Work;

use crate::attempt::Attempt;
use crate::halt::Halt;

/// Carries out the job; its effect is committed when this succeeds.
pub(crate) async fn carry_out(attempt: Attempt<'_>) -> Result<(), Halt> {
    match &attempt.job.work {
        Work::Plan => plan::carry_out(attempt).await,
        Work::Ladder => ladder::carry_out(attempt).await,
        Work::Sound { version } => sound::carry_out(attempt, *version).await,
        Work::Pictures { version, lane, segments } => {
            pictures::carry_out(attempt, *version, *lane, segments.clone()).await
        }
        Work::Stills { version } => stills::carry_out(attempt, *version).await,
        Work::Carry { version } => carry::carry_out(attempt, *version).await,
        Work::Trim { version } => trim::carry_out(attempt, *version).await,
        Work::Finish { version } => finish::carry_out(attempt, *version).await,
    }
}

/// What the work is, for the log.
pub(crate) fn describe(work: &Work) -> String {
    match work {
        Work::Plan => "plan".to_owned(),
        Work::Ladder => "ladder".to_owned(),
        Work::Sound { .. } => "sound".to_owned(),
        Work::Pictures { lane, segments, .. } => {
            format!("pictures {lane} {}..{}", segments.start, segments.end)
        }
        Work::Stills { .. } => "stills".to_owned(),
        Work::Carry { .. } => "carry".to_owned(),
        Work::Trim { .. } => "trim".to_owned(),
        Work::Finish { .. } => "finish".to_owned(),
    }
}
