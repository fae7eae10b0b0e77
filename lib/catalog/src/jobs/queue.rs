//! Whose turn it is: how many videos come before one on which nobody works.

use std::collections::HashMap;

use model::JobState;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

use super::{Column, Entity, open};
use crate::error::Result;

/// A video's jobs in one state: what decides when the first of them is taken.
struct Line {
    video: String,
    is_running: bool,
    /// Rank, priority from above, turn.
    turn: (i64, i64, i64),
}

/// For each video with work on which nobody works: how many others come before it.
pub(crate) async fn places(connection: &impl ConnectionTrait) -> Result<HashMap<String, u32>> {
    let query = Entity::find().select_only().filter(open());
    let query = query
        .column(Column::Video)
        .column(Column::State)
        .column_as(Column::Rank.min(), "rank")
        .column_as(Column::Priority.max(), "priority")
        .column_as(Column::TurnAt.min(), "turn_at")
        .group_by(Column::Video)
        .group_by(Column::State);
    let rows: Vec<(String, String, i64, i64, i64)> = query.into_tuple().all(connection).await?;
    Ok(count(rows.into_iter().map(|(video, state, rank, priority, turn_at)| Line {
        video,
        is_running: state == JobState::Running.as_str(),
        turn: (rank, -priority, turn_at),
    })))
}

fn count(lines: impl Iterator<Item = Line>) -> HashMap<String, u32> {
    let (running, waiting): (Vec<_>, Vec<_>) = lines.partition(|line| line.is_running);
    let runs = |video: &str| running.iter().any(|line| line.video == video);
    let mut waiting: Vec<_> = waiting.into_iter().filter(|line| !runs(&line.video)).collect();
    waiting.sort_by(|a, b| (a.turn, &a.video).cmp(&(b.turn, &b.video)));
    let before = running.len();
    let place = |place: usize| u32::try_from(before + place).unwrap_or(u32::MAX);
    waiting.into_iter().enumerate().map(|(n, line)| (line.video, place(n))).collect()
}
