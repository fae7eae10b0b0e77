//! One part of a plan: what one process does.

use model::cell::{EncodePlan, Reply, Source, Task};

use crate::copy;
use crate::error::{CellError, Result};
use crate::input::Input;
use crate::media::Media;
use crate::pictures::{self, Part};
use crate::process;
use crate::reply::Replies;
use crate::sound;
use crate::sound_copy;
use crate::sound_rung;
use crate::stills;
use crate::x264;

/// Carries out a task and says `Done`.
pub(crate) fn work(source: Source, plan: &EncodePlan, task: &Task, replies: &Replies) -> Result<()> {
    let open = || open(source);
    match task {
        Task::Announce => announce(plan, replies),
        Task::Sound => sound::sound(open()?, plan, replies),
        Task::Pictures { renditions, segments, hurry } => {
            let part = Part { renditions, segments: segments.clone(), hurry: *hurry };
            pictures::pictures(open()?, plan, &part, replies)
        }
        Task::Copy { segments } => copy::copy(media(source)?, plan, segments, replies),
        Task::Stills => stills::stills(open()?, plan, replies),
    }
}

/// Opens the media. To be called once.
pub(crate) fn open(source: Source) -> Result<Input> {
    Input::open(media(source)?)
}

fn media(source: Source) -> Result<Media> {
    Ok(Media::new(process::media().map_err(CellError::Read)?, source))
}

/// Seconds of film that a task decodes and encodes, and those before it that it may have to
/// decode first.
pub(crate) fn length_s(plan: &EncodePlan, task: &Task) -> u64 {
    let end = match task {
        Task::Announce => 0,
        Task::Sound | Task::Stills => plan.grid.frames,
        Task::Pictures { segments, .. } | Task::Copy { segments } => {
            plan.grid.start(segments.end).min(plan.grid.frames)
        }
    };
    plan.grid.seconds(end).ceil() as u64
}

/// Announces all renditions of a plan; the media stays closed.
fn announce(plan: &EncodePlan, replies: &Replies) -> Result<()> {
    for (video, rung) in plan.video.iter().flat_map(|video| video.rungs.iter().map(move |rung| (video, rung)))
    {
        x264::announce(&plan.grid, video, rung, false, replies)?;
    }
    for (video, copied) in plan.video.iter().filter_map(|video| Some((video, video.copied.as_ref()?))) {
        copy::announce(video, copied, replies)?;
    }
    for (audio, rung) in plan.audio.iter().flat_map(|audio| audio.rungs.iter().map(move |rung| (audio, rung)))
    {
        match &rung.copied {
            Some(coded) => sound_copy::announce(audio, rung, coded, replies)?,
            None => drop(sound_rung::announce(audio, rung, replies)?),
        }
    }
    replies.send(&Reply::Done { duration_ms: 0, damaged: 0, missing_ms: 0 }, &[])
}
