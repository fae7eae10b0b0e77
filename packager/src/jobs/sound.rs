//! The sound: one continuous encode over the whole film, since an encoder that begins anew leaves
//! a seam that can be heard. Its chunks are committed as they come; what an attempt before this
//! one committed is encoded again and dropped.

use cmaf::GrowingIndex;
use model::cell::Task;
use model::{RenditionName, VersionId};

use super::encode;
use crate::attempt::Attempt;
use crate::halt::Halt;
use crate::rendition::Stretch;

pub(super) async fn carry_out(attempt: Attempt<'_>, version: VersionId) -> Result<(), Halt> {
    let growing = attempt.growing(version).await?;
    let renditions: Vec<RenditionName> = growing.renditions().filter(|name| !name.is_video()).collect();
    let stretches = stretches(&growing, &renditions);
    encode::carry_out(attempt, growing, Task::Sound, &renditions, stretches).await
}

/// The chunks of all the sound.
fn stretches(growing: &GrowingIndex, renditions: &[RenditionName]) -> Vec<Stretch> {
    let end = renditions.iter().map(|name| growing.segment_count(*name)).max().unwrap_or(0);
    let chunks = growing.plan.grid.chunks(0..end).into_iter();
    let stretch = |segments: std::ops::Range<u32>| {
        let is_there = renditions.iter().all(|name| growing.chunk_of(*name, segments.start).is_some());
        Stretch { segments, is_there }
    };
    chunks.map(stretch).collect()
}
