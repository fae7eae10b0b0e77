//! The copied sound: the source's coded frames in segments of ours. It goes along with those that
//! are encoded, so that the chunks of all are whole at about the same time.

use cmaf::{AudioConfig, AudioTrack, Track};
use model::SegmentGrid;
use model::cell::{AudioPlan, AudioRung, CodedSound, Reply};

use crate::copy::other_file;
use crate::error::{CellError, Result};
use crate::media::Media;
use crate::reply::Replies;
use crate::sound_segments::SoundSegments;
use crate::sound_table::SoundTable;

/// The copied rendition at work.
pub(crate) struct SoundCopy<'a> {
    media: Media,
    table: SoundTable,
    coded: &'a CodedSound,
    planned: u64,
    segments: SoundSegments<'a>,
}

/// Announces the rendition.
pub(crate) fn announce(
    plan: &AudioPlan,
    rung: &AudioRung,
    coded: &CodedSound,
    replies: &Replies,
) -> Result<()> {
    let track = AudioTrack {
        channels: rung.channels,
        sample_rate: plan.sample_rate,
        config: AudioConfig::Aac(coded.asc.clone()),
        priming: coded.priming,
    };
    let init = cmaf::init_segment(&Track::Audio(track))?;
    replies.send(&Reply::Init { rendition: rung.rendition }, &init)
}

impl<'a> SoundCopy<'a> {
    /// Announces the rendition and reads the tables of its track.
    pub(crate) fn open(
        mut media: Media,
        (grid, plan): (&'a SegmentGrid, &'a AudioPlan),
        rung: &AudioRung,
        coded: &'a CodedSound,
        replies: &'a Replies,
    ) -> Result<Self> {
        announce(plan, rung, coded, replies)?;
        let table = SoundTable::read(&mut media, coded.track).map_err(CellError::Read)?;
        let end = i64::try_from(plan.coded_frames()).ok().and_then(|n| coded.first.checked_add(n));
        let table = table.filter(|table| end.is_some_and(|end| end <= table.len()));
        let table = table.ok_or_else(|| other_file("not the tables that were planned with"))?;
        let segments = SoundSegments::new(grid, plan, rung, replies);
        Ok(Self { media, table, coded, planned: plan.coded_frames(), segments })
    }

    /// Copies the frames that are over before a sample of the film.
    pub(crate) fn copy_until(&mut self, sample: u64) -> Result<()> {
        let over = sample.saturating_add(self.coded.priming.into()) / u64::from(AudioPlan::FRAME);
        for n in self.segments.total()..over.min(self.planned) {
            let n = i64::try_from(n).ok().and_then(|n| self.coded.first.checked_add(n));
            let frame = n.map(|n| self.table.get(&mut self.media, n)).transpose().map_err(CellError::Read)?;
            let frame = frame.flatten().ok_or_else(|| other_file("a frame that is not there"))?;
            self.segments.push(&frame)?;
        }
        Ok(())
    }

    /// Copies what is left.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.copy_until(u64::MAX)?;
        self.segments.finish()
    }
}
