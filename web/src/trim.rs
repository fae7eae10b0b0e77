//! A film without its beginning or its end: a version that is a stretch of the one that plays.

use std::ops::Range;

use catalog::{Trim, Video};
use cmaf::VersionIndex;
use model::{ErrorKind, ObjectKey, Timestamp, VersionId};
use rand::rngs::StdRng;

use crate::{State, WebError, problems};

/// Starts to take from a film what is before and behind the stretch, which grows outward to whole
/// segments; gives the stretch that will be left. Workers do it, and the film plays on as it is
/// until then.
///
/// # Errors
///
/// `Invalid` for a stretch that is all of the film or nothing, `Conflict` when the film is not
/// ready or another version of it is being made.
pub(crate) async fn trim(
    state: &State,
    video: &Video,
    from_s: Option<f64>,
    to_s: Option<f64>,
    now: Timestamp,
) -> Result<Range<u64>, WebError> {
    let from = video.version().ok_or_else(problems::not_ready)?;
    let wanted = stretch(from_s, to_s).ok_or_else(problems::invalid_trim)?;
    let json = state.store.get(&ObjectKey::Index { video: video.id, version: from }).await?;
    let index = VersionIndex::from_json(&json).map_err(|error| {
        tracing::error!(%error, video.id = %video.id, "an index cannot be read");
        WebError::from(ErrorKind::Internal)
    })?;
    let cut = index.cut(wanted).ok_or_else(problems::invalid_trim)?;
    let whole = index.cut(0..u64::MAX).is_some_and(|whole| whole.ms == cut.ms);
    if whole {
        return Err(problems::invalid_trim().into());
    }
    let version = VersionId::generate(&mut rand::make_rng::<StdRng>());
    let trim = Trim { from, ms: cut.ms.clone() };
    state.catalog.start_trim(video.id, version, &trim, now).await?;
    tracing::info!(video.id = %video.id, version.id = %version, "video `{}` is to be trimmed", video.id);
    Ok(cut.ms)
}

/// The stretch that is meant, in milliseconds; `None` for what is none.
pub(crate) fn stretch(from_s: Option<f64>, to_s: Option<f64>) -> Option<Range<u64>> {
    let ms = |s: f64| (s.is_finite() && (0.0..1e9).contains(&s)).then_some((s * 1000.0).round() as u64);
    let from = from_s.map_or(Some(0), ms)?;
    let to = to_s.map_or(Some(u64::MAX), ms)?;
    (from < to).then_some(from..to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_a_stretch_or_none() {
        let cases = [
            (Some(1.5), Some(2.0), Some(1500..2000)),
            (None, Some(2.0), Some(0..2000)),
            (Some(1.0), None, Some(1000..u64::MAX)),
            (Some(2.0), Some(2.0), None),
            (Some(3.0), Some(2.0), None),
            (Some(-1.0), Some(2.0), None),
            (Some(f64::NAN), None, None),
            (Some(0.0), Some(f64::INFINITY), None),
            (Some(1e300), None, None),
        ];
        for (from, to, expected) in cases {
            assert_eq!(stretch(from, to), expected, "{from:?} {to:?}");
        }
    }
}
