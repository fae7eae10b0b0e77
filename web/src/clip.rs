//! Clips of events that go on: films of the same segments, ready at once.

use catalog::{NewClip, Video};
use model::{ClipStretch, ErrorKind, Tier, Timestamp, VersionId, VideoId, Visibility};
use rand::rngs::StdRng;
use subscriptions::SignedIn;

use crate::erase::delete_objects;
use crate::trim::stretch;
use crate::words::title;
use crate::{State, WebError, problems};

/// What somebody wants a clip of.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) title: &'a str,
    pub(crate) visibility: Visibility,
    pub(crate) min_tier: Tier,
    pub(crate) stretch: ClipStretch,
}

/// Makes a clip of `event`, which is `person`'s then.
///
/// # Errors
///
/// `Forbidden` for who may not upload, `Invalid` for a stretch that is not there, `Conflict` for an event
/// that is not on air, `TooMany` where the account has no room for it, `Unavailable` where no packager is
/// in this process.
pub(crate) async fn create(
    state: &State,
    person: &SignedIn,
    event: VideoId,
    draft: Draft<'_>,
    now: Timestamp,
) -> Result<Video, WebError> {
    if !person.role.may_upload() {
        return Err(ErrorKind::Forbidden.into());
    }
    let title = title(draft.title)?;
    let clips = state.clips.as_ref().ok_or(ErrorKind::Unavailable)?;
    let (video, version) = {
        let mut rng = rand::make_rng::<StdRng>();
        (VideoId::generate(&mut rng), VersionId::generate(&mut rng))
    };
    let made = clips.clip(event, draft.stretch, video, version).await.ok_or(ErrorKind::Unavailable)?;
    let made = made.map_err(problems::no_clip)?;
    let Draft { visibility, min_tier, .. } = draft;
    let clip = NewClip { video, event, owner: person.account, title, visibility, min_tier };
    let created = state.catalog.create_clip(&clip, &made, state.max_total_bytes, now).await;
    let video = match created {
        Ok(video) => video,
        Err(refusal) => {
            // Only where no row can name them: an answer may be lost on its way.
            if matches!(refusal.kind(), ErrorKind::TooMany | ErrorKind::NotFound) {
                delete_objects(&*state.store, video).await?;
            }
            return Err(refusal.into());
        }
    };
    tracing::info!(video.id = %video.id, "video `{}` is a clip of `{event}`", video.id);
    Ok(video)
}

/// The stretch that is meant: two moments, or the last seconds.
pub(crate) fn meant(
    from_s: Option<f64>,
    to_s: Option<f64>,
    last_s: Option<f64>,
) -> Result<ClipStretch, WebError> {
    let (meant, ms) = match (from_s, to_s, last_s) {
        (Some(from), Some(to), None) => {
            let ms = stretch(Some(from), Some(to)).ok_or_else(problems::invalid_clip)?;
            (ClipStretch::Between { from_ms: ms.start, to_ms: ms.end }, ms.end - ms.start)
        }
        (None, None, Some(last)) => {
            let ms = stretch(None, Some(last)).ok_or_else(problems::invalid_clip)?.end;
            (ClipStretch::Last { ms }, ms)
        }
        _ => return Err(problems::invalid_clip().into()),
    };
    let fits = (ClipStretch::SHORTEST_MS..=ClipStretch::LONGEST_MS).contains(&ms);
    if fits { Ok(meant) } else { Err(problems::invalid_clip().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_moments_or_the_last_seconds_are_meant_and_not_too_many() {
        let cases = [
            (Some(1.0), Some(3.5), None, Some(ClipStretch::Between { from_ms: 1000, to_ms: 3500 })),
            (None, None, Some(30.0), Some(ClipStretch::Last { ms: 30_000 })),
            (Some(0.0), Some(900.0), None, Some(ClipStretch::Between { from_ms: 0, to_ms: 900_000 })),
            (Some(0.0), Some(900.1), None, None),
            (None, None, Some(901.0), None),
            (None, None, Some(0.5), None),
            (None, None, Some(0.0), None),
            (None, None, Some(-5.0), None),
            (Some(5.0), Some(5.5), None, None),
            (Some(5.0), Some(1.0), None, None),
            (Some(5.0), None, None, None),
            (None, Some(5.0), None, None),
            (Some(1.0), Some(5.0), Some(5.0), None),
            (None, None, None, None),
        ];
        for (from, to, last, expected) in cases {
            assert_eq!(meant(from, to, last).ok(), expected, "{from:?} {to:?} {last:?}");
        }
    }
}
