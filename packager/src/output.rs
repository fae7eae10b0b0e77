//! What a cell has sent so far of the chunks that it was asked for.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cmaf::GrowingIndex;
use model::RenditionName;
use model::cell::Reply;

use crate::rendition::{Fault, Piece, RenditionWriter, Stretch};
use crate::verify::Breach;

/// One chunk of each of some renditions, over the same segments: stored and committed together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Whether it ends the stretch of film that was asked for.
    pub(crate) is_last: bool,
    /// The chunks. A rendition that ends before has none.
    pub(crate) pieces: Vec<Piece>,
}

/// Some renditions over some chunks.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    growing: &'a GrowingIndex,
    renditions: Vec<RenditionWriter<'a>>,
    /// What is still to come or not yet handed out, in order.
    stretches: VecDeque<Stretch>,
}

impl<'a> Output<'a> {
    /// Nothing yet of `stretches`; chunks are put together in `folder`.
    pub(crate) fn new(
        growing: &'a GrowingIndex,
        renditions: &[RenditionName],
        stretches: Vec<Stretch>,
        folder: &'a Path,
    ) -> Self {
        let writer = |name: &RenditionName| RenditionWriter::new(growing, *name, &stretches, folder);
        Self { growing, renditions: renditions.iter().map(writer).collect(), stretches: stretches.into() }
    }

    /// Takes an init or a segment; gives the chunks that it completed.
    pub(crate) async fn take(&mut self, reply: Reply, payload: &Bytes) -> Result<Vec<Batch>, Fault> {
        match reply {
            Reply::Init { rendition } => self.rendition(rendition)?.open(payload)?,
            Reply::Segment { rendition, number } => {
                self.rendition(rendition)?.push(number, payload).await?;
            }
            other => return Err(Breach::new(format!("said {other:?} while encoding")).into()),
        }
        Ok(std::iter::from_fn(|| self.completed()).collect())
    }

    /// Whether all is in that was asked for.
    pub(crate) fn check_whole(&self) -> Result<(), Breach> {
        match self.stretches.front() {
            None => Ok(()),
            Some(Stretch { segments, .. }) => {
                let at: Vec<_> = self.renditions.iter().map(|one| (one.name(), one.next())).collect();
                Err(Breach::new(format!("ended before {segments:?} was whole, at {at:?}")))
            }
        }
    }

    /// How much of the film, from its beginning, every rendition has got past.
    pub(crate) fn position(&self) -> Duration {
        let grid = &self.growing.plan.grid;
        let next = self.renditions.iter().filter_map(RenditionWriter::next).min();
        let frame = next.map_or(grid.frames, |next| grid.start(next).min(grid.frames));
        Duration::from_secs_f64(grid.seconds(frame))
    }

    /// Where what was asked for, and is not complete yet, ends in the film.
    pub(crate) fn end(&self) -> Duration {
        let grid = &self.growing.plan.grid;
        let last = self.stretches.back().map_or(0, |stretch| stretch.segments.end);
        Duration::from_secs_f64(grid.seconds(grid.start(last).min(grid.frames)))
    }

    /// The next stretch that every rendition has got past; those that are there are passed over.
    fn completed(&mut self) -> Option<Batch> {
        loop {
            let Range { end, .. } = self.stretches.front()?.segments;
            if !self.renditions.iter().all(|rendition| rendition.has_reached(end)) {
                return None;
            }
            let stretch = self.stretches.pop_front()?;
            if !stretch.is_there {
                let pieces = self.renditions.iter_mut().filter_map(|rendition| rendition.take(end)).collect();
                return Some(Batch { is_last: self.stretches.is_empty(), pieces });
            }
        }
    }

    fn rendition(&mut self, name: RenditionName) -> Result<&mut RenditionWriter<'a>, Breach> {
        let found = self.renditions.iter_mut().find(|rendition| rendition.name() == name);
        found.ok_or_else(|| Breach::new(format!("{name} was not asked for")))
    }
}

#[cfg(test)]
mod tests;
