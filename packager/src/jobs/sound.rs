//! The sound: one continuous encode over the whole film, since an encoder that begins anew leaves
//! a seam that can be heard. Its chunks are committed as they come; what an attempt before this
//! one committed is encoded again and dropped.

use model::cell::Task;
use model::{RenditionName, VersionId};

use super::encode;
use crate::attempt::Attempt;
use crate::halt::Halt;
use crate::rendition::Stretch;

pub(super) async fn carry_out(attempt: Attempt<'_>, version: VersionId) -> Result<(), Halt> {
    let growing = attempt.growing(version).await?;
    let renditions: Vec<RenditionName> = growing.renditions().filter(|name| !name.is_video()).collect();
    let end = renditions.iter().map(|name| growing.segment_count(*name)).max().unwrap_or(0);
    let stretches = Stretch::each(&growing, &renditions, 0..end);
    encode::carry_out(attempt, growing, Task::Sound, &renditions, stretches).await
}
