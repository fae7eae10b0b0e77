//! The poster and the thumbnail of a film that was an event.

use std::time::Duration;

use cmaf::VersionIndex;
use model::ObjectKey;
use model::cell::{Request, Task};
use storage::ObjectStore;

use super::{LiveError, Shared};
use crate::cell::{Cell, Patience, Start, Way};
use crate::film;
use crate::jobs::pictures;

/// A film is on the shelf in seconds; stills are worth a few of them.
const PATIENCE: Duration = Duration::from_secs(8);

/// Makes and stores the stills of a version that is in the store; none of sound alone.
///
/// # Errors
/// When the store fails, or the transcoder does not give them.
pub(super) async fn store(shared: &Shared, index: &VersionIndex) -> Result<(), LiveError> {
    let Some(best) = index.videos().next_back() else { return Ok(()) };
    let Some(plan) = film::plan_of_stills(best) else { return Ok(()) };
    let media = film::beginning(&*shared.store, &shared.clock, index, best).await?;
    let (patience, way) = (Patience { grace: PATIENCE, pace: 1, quiet: PATIENCE }, Way::Own);
    let start = Start {
        program: &shared.transcoder,
        scratch: &shared.folder,
        patience,
        niceness: 0,
        tasks: &shared.tracker,
        stop: &shared.stop,
    };
    let request = |source| Request::Work { source, plan, task: Task::Stills };
    let mut cell = Cell::start(start, way, media, request).await.map_err(LiveError::Start)?;
    let (poster, thumbnail) =
        pictures(&mut cell).await.map_err(|halt| LiveError::Stills(format!("{halt:?}")))?;
    let (video, version) = (index.video, index.version);
    shared.store.put(&ObjectKey::Poster { video, version }, poster).await?;
    shared.store.put(&ObjectKey::Thumbnail { video, version }, thumbnail).await?;
    Ok(())
}
