//! A film's pictures, decoded one after the other from its beginning or from any moment.

use ffmpeg_next::decoder::Opened;
use ffmpeg_next::{Error, Packet, Rational};

use crate::damage::Damage;
use crate::error::Result;
use crate::grid::Seconds;
use crate::input::{Input, Next};
use crate::libav::Picture;

/// Packets in which a key frame must turn up behind the place that was sought.
const MAX_SOUGHT: u32 = 5000;

/// An opened film and the decoder of its picture.
pub(crate) struct Reel<'a> {
    input: Input,
    stream: u32,
    time_base: Rational,
    decoder: Opened,
    threads: &'static str,
    damage: &'a Damage,
    /// The key frame that was found, not decoded yet.
    found: Option<Packet>,
    /// Packets of the stream that are read and not decoded.
    skipped: u64,
    ended: bool,
}

/// Where decoding starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyFrame {
    /// When it is shown.
    pub(crate) at: Seconds,
    /// A moment before which the next earlier key frame is to be looked for.
    pub(crate) before: Seconds,
}

impl<'a> Reel<'a> {
    /// Opens the decoder of a stream; `threads` is what libav takes for its number.
    pub(crate) fn open(
        mut input: Input,
        stream: u32,
        threads: &'static str,
        damage: &'a Damage,
    ) -> Result<Self> {
        input.read_only(stream);
        let found = input.stream(stream)?;
        let (decoder, time_base) = (input.decoder(&found, threads)?, found.time_base());
        Ok(Self { input, stream, time_base, decoder, threads, damage, found: None, skipped: 0, ended: false })
    }

    /// Back to the beginning.
    pub(crate) fn restart(self) -> Result<Self> {
        let Self { input, stream, decoder, threads, damage, .. } = self;
        drop(decoder);
        Self::open(input.restart()?, stream, threads, damage)
    }

    /// Back to the beginning, but decoding starts two key frames before a moment: for formats that
    /// do not find it by themselves. Packets are read twice, which is a small part of decoding them.
    pub(crate) fn restart_before(self, moment: Seconds) -> Result<Self> {
        let base = (self.time_base.numerator(), self.time_base.denominator());
        let mut reel = self.restart()?;
        let (mut count, mut keys) = (0, [0; 2]);
        loop {
            let packet = match reel.input.next()? {
                Next::Packet(packet) if packet.stream() == reel.stream as usize => packet,
                Next::Packet(_) | Next::Damaged => continue,
                Next::End => break,
            };
            // What is decoded behind the moment is shown behind it.
            let is_behind = |ticks| moment.is_before(Seconds::of(ticks, base.0, base.1));
            if packet.dts().is_some_and(is_behind) {
                break;
            }
            if packet.is_key() && packet.pts().or(packet.dts()).is_some_and(|ticks| !is_behind(ticks)) {
                keys = [keys[1], count];
            }
            count += 1;
        }
        let mut reel = reel.restart()?;
        reel.skipped = keys[0];
        Ok(reel)
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// Goes to the last key frame at or before a moment, or to a later one: not all formats know
    /// where key frames are. None when there is no more.
    pub(crate) fn seek(&mut self, moment: Seconds) -> Result<Option<KeyFrame>> {
        self.decoder.flush();
        (self.found, self.skipped, self.ended) = (None, 0, false);
        let base = (self.time_base.numerator(), self.time_base.denominator());
        if !self.input.seek(self.stream, moment.in_ticks(base.0, base.1))? {
            return Ok(None);
        }
        for _ in 0..MAX_SOUGHT {
            let packet = match self.input.next()? {
                Next::Packet(packet) => packet,
                Next::Damaged => continue,
                Next::End => return Ok(None),
            };
            if packet.stream() != self.stream as usize || !packet.is_key() {
                continue;
            }
            let Some(at) = packet.pts().or(packet.dts()) else { continue };
            let before = packet.dts().unwrap_or(at).min(at).saturating_sub(1);
            self.found = Some(packet);
            let seconds = |ticks| Seconds::of(ticks, base.0, base.1);
            return Ok(Some(KeyFrame { at: seconds(at), before: seconds(before) }));
        }
        Ok(None)
    }

    /// The next picture in the order in which they are shown; none behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Picture>> {
        loop {
            let mut picture = Picture::empty();
            match self.decoder.receive_frame(picture.frame()) {
                Ok(()) => {
                    self.damage.count(picture.is_damaged());
                    return Ok(Some(picture));
                }
                Err(Error::Eof) => return Ok(None),
                Err(Error::Other { errno: libc::EAGAIN }) if self.ended => return Ok(None),
                Err(Error::Other { errno: libc::EAGAIN }) => self.feed()?,
                // Each call takes a packet's worth of damage out of the decoder, so this ends.
                Err(_) => self.damage.count(true),
            }
        }
    }

    /// When a picture is shown and when it is no longer, as far as anybody can tell.
    pub(crate) fn times(&self, picture: &Picture) -> Option<(Seconds, Seconds)> {
        let seconds = |ticks| Seconds::of(ticks, self.time_base.numerator(), self.time_base.denominator());
        let pts = picture.timestamp()?;
        Some((seconds(pts), seconds(pts.saturating_add(picture.duration()))))
    }

    /// Gives the decoder a packet, or tells it that there are no more.
    fn feed(&mut self) -> Result<()> {
        let packet = match self.found.take() {
            Some(packet) => packet,
            None => match self.input.next()? {
                Next::Packet(packet) if packet.stream() == self.stream as usize => {
                    if self.skipped > 0 {
                        self.skipped -= 1;
                        return Ok(());
                    }
                    packet
                }
                Next::Packet(_) => return Ok(()),
                Next::Damaged => {
                    self.damage.count(self.skipped == 0);
                    return Ok(());
                }
                Next::End => {
                    // The end itself cannot fail in a way that matters: what was decoded is kept.
                    let _ = self.decoder.send_eof();
                    self.ended = true;
                    return Ok(());
                }
            },
        };
        self.damage.count(packet.is_corrupt());
        self.damage.count(self.decoder.send_packet(&packet).is_err());
        Ok(())
    }
}
