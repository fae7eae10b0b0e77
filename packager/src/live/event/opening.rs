//! A feed takes its place in an event, and an event begins with its first.

use model::RenditionName;
use model::feed::{FeedOver, FeedTrack};

use super::Driver;
use crate::live::LiveError;
use crate::live::feed::Beginning;
use crate::live::format::{Format, FormatError};
use crate::live::going::{Away, Going};
use crate::live::sound::{self, SoundClock, elapsed};
use crate::live::timeline::Timeline;

impl Driver {
    /// Begins the event, or goes on with it, once the feed's beginning is clear.
    pub(super) async fn open(&mut self) -> Result<(), LiveError> {
        let Some(feed) = &self.feed else { return Ok(()) };
        let settled = self.going.as_ref().map(|going| going.picture.is_some());
        // It has no place in the playlists that players have already.
        if settled == Some(false) && feed.video.is_some() {
            tracing::warn!(video = %self.video, "a feed is refused: its event began with sound alone, and it has a picture");
            return self.let_go(FeedOver::Unsupported).await;
        }
        let Some(beginning) = feed.opening.beginning(feed.video.is_some(), settled) else { return Ok(()) };
        match self.begin(beginning).await {
            Ok(()) => self.hindered = None,
            Err(LiveError::Format(error)) => {
                tracing::warn!(video = %self.video, error = &error as &dyn std::error::Error, "a feed is refused");
                let why = match error {
                    FormatError::Unsupported { .. } => FeedOver::Unsupported,
                    FormatError::Size { .. } | FormatError::Cmaf(_) => FeedOver::Malformed,
                };
                return self.let_go(why).await;
            }
            // Each packet tries it again: it is told once, until it is something else.
            Err(error) => {
                let hindrance = Some(format!("{error:?}"));
                let is_known = self.hindered == hindrance;
                self.hindered = hindrance;
                return if is_known { Ok(()) } else { Err(error) };
            }
        }
        let packets = self.feed.as_mut().map(|feed| feed.opening.take()).unwrap_or_default();
        for packet in packets {
            self.place(&packet)?;
        }
        self.flush().await
    }

    async fn begin(&mut self, beginning: Beginning) -> Result<(), LiveError> {
        let Beginning { first, cadence, rate } = &beginning;
        let Some(feed) = &self.feed else { return Ok(()) };
        let video = feed.video.as_ref().map(|config| Format::of(config, *rate)).transpose()?;
        let audio = match &feed.audio {
            Some(config) => Some((config.clone(), Format::of(config, *rate)?)),
            None => None,
        };
        let sound_bps = feed.opening.sound_bps();
        let waited = feed.opening.lasted_since(first);
        if self.going.is_none() {
            let begun = Going::begun(&self.shared, self.video, self.version, *cadence, waited);
            self.going = Some(begun.await?);
        }
        let (Some(feed), Some(going)) = (&mut self.feed, &mut self.going) else { return Ok(()) };
        let mut changed = false;
        if let Some(format) = &video {
            let name = *going.picture.get_or_insert(RenditionName::Video { height: format.short_side() });
            if format.short_side() > name.height() {
                // Its height is what a grant is compared with.
                return Err(
                    FormatError::Unsupported { what: "a greater picture than the event began with" }.into()
                );
            }
            changed |= going.enter(name, format)?;
        }
        if let Some((config, format)) = &audio {
            let name = *going.sound.get_or_insert_with(|| sound::name(config, sound_bps));
            match going.formats.get(&name) {
                Some((_, before)) if before.timescale != format.timescale => {
                    return Err(FormatError::Unsupported {
                        what: "another sample rate than the event began with",
                    }
                    .into());
                }
                _ => changed |= going.enter(name, format)?,
            }
        }
        let away = going.away.take();
        let at = match away {
            None => 0,
            Some(Away { cut, began, since }) => {
                // Back before the packets that were kept had been sent.
                (began + elapsed(since.elapsed())).saturating_sub(waited).max(cut)
            }
        };
        if let Some(away) = away {
            going.cutter.resume(away.cut, at, changed)?;
        }
        let leader = if video.is_some() { going.picture } else { going.sound };
        if let Some(leader) = leader {
            going.cutter.set_leader(leader);
        }
        feed.first_msn = going.cutter.next_msn();
        feed.timeline = Some(match first.track {
            FeedTrack::Video => Timeline::beginning(first, at),
            FeedTrack::Audio => Timeline::beginning_with_sound(first, at),
        });
        feed.sound = audio.map(|(config, format)| SoundClock::of(&config, format.timescale));
        Ok(())
    }
}
