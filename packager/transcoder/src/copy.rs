//! The copied picture rendition: the source's coded pictures in segments of ours. Nothing is decoded; which
//! frame a picture is and where it lies in the file, tables say.

use std::ops::Range;

use cmaf::{Track, VideoConfig, VideoTrack};
use model::FailureReason;
use model::cell::{CopiedRung, EncodePlan, Reply, VideoPlan};

use crate::coded::Coded;
use crate::error::{CellError, Result};
use crate::media::Media;
use crate::reply::Replies;
use crate::segments::Segments;

/// Announces the rendition.
pub(crate) fn announce(video: &VideoPlan, copied: &CopiedRung, replies: &Replies) -> Result<()> {
    let side = |value: u32| u16::try_from(value).map_err(|_| other_file("a picture that no box can hold"));
    let track = VideoTrack {
        width: side(copied.width)?,
        height: side(copied.height)?,
        timescale: video.timescale(1).0,
        config: VideoConfig::Avc(copied.avcc.clone()),
        // Its parameter sets say it, or nothing does.
        colour: None,
    };
    let init = cmaf::init_segment(&Track::Video(track))?;
    replies.send(&Reply::Init { rendition: copied.rendition }, &init)
}

/// Copies a run of segments and says `Done`.
pub(crate) fn copy(
    mut media: Media,
    plan: &EncodePlan,
    segments: &Range<u32>,
    replies: &Replies,
) -> Result<()> {
    let video = plan.video.as_ref().ok_or_else(|| other_file("a plan without pictures"))?;
    let copied = video.copied.as_ref().ok_or_else(|| other_file("a plan that copies nothing"))?;
    announce(video, copied, replies)?;
    let coded = Coded::read(&mut media, copied.track).map_err(CellError::Read)?;
    let coded = coded.filter(|coded| coded.len() == video.frames);
    let coded = coded.ok_or_else(|| other_file("not the tables that were planned with"))?;
    let frames = |number| plan.grid.frames_of(number, video.frames);
    let (first, ticks) = (frames(segments.start).start, video.timescale(1).1);
    let mut cut = Segments::new(replies, copied.rendition, ticks, (segments.start, first));
    let track = replies.track();
    let mut bytes = Vec::new();
    for number in segments.clone() {
        let frames = frames(number);
        let samples: Option<Vec<_>> = frames.clone().map(|n| coded.get(n)).collect();
        let samples = samples.ok_or_else(|| other_file("a frame that is not there"))?;
        let mut is_first = true;
        // Pictures that lie behind each other are read at once.
        for run in samples.chunk_by(|(one, _), (next, _)| one.end() == next.offset) {
            let (start, end) = (run[0].0.offset, run[run.len() - 1].0.end());
            bytes.resize((end - start) as usize, 0);
            media.fill(start, &mut bytes).map_err(CellError::Read)?;
            let mut rest = &bytes[..];
            for (sample, shown) in run {
                let (picture, behind) = rest.split_at(sample.size as usize);
                // Inside a segment key frames may be open, and nobody begins there.
                cut.push(*shown, std::mem::take(&mut is_first), picture)?;
                rest = behind;
            }
        }
        cut.cut()?;
        replies.advance(track, (plan.grid.seconds(frames.end) * 1000.0) as u64)?;
    }
    replies.end(track)?;
    let length_s = plan.grid.seconds(frames(segments.end).start) - plan.grid.seconds(first);
    let duration_ms = (length_s * 1000.0).round() as u64;
    replies.send(&Reply::Done { duration_ms, damaged: 0, missing_ms: 0 }, &[])
}

/// The plan was made of another file.
pub(crate) fn other_file(detail: &str) -> CellError {
    CellError::refused(FailureReason::Internal, detail)
}
