use model::cell::Ratio;
use model::feed::{FEED_TIMESCALE, FeedAnswer, FeedConfig, FeedOver, FeedTrack, Packet};
use tokio::sync::mpsc;

use super::cadence::Cadence;
use super::health::Pulse;
use super::sound::SoundClock;
use super::timeline::{Timeline, has_jumped};

/// One publisher's connection, as its event sees it.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Which connection to the socket brings it.
    pub(crate) connection: u64,
    /// The publisher's turn.
    pub(crate) generation: u64,
    /// What its program calls itself.
    pub(crate) encoder: String,
    /// The greatest short side that its picture may have.
    pub(crate) short_side: u16,
    pub(crate) answers: mpsc::Sender<FeedAnswer>,
    pub(crate) video: Option<FeedConfig>,
    pub(crate) audio: Option<FeedConfig>,
    /// Its publisher sends further tracks, which are left out.
    pub(crate) has_others: bool,
    /// Packets of which it is not clear yet where they belong.
    pub(crate) opening: Opening,
    /// Where its clock stands, once that is clear,
    pub(crate) timeline: Option<Timeline>,
    /// and with which of the event's segments it begins.
    pub(crate) first_msn: u32,
    pub(crate) sound: Option<SoundClock>,
    pub(crate) pulse: Pulse,
}

impl Feed {
    pub(crate) fn new(
        connection: u64,
        generation: u64,
        encoder: String,
        short_side: u16,
        answers: mpsc::Sender<FeedAnswer>,
    ) -> Self {
        Self {
            connection,
            generation,
            encoder,
            short_side,
            answers,
            video: None,
            audio: None,
            has_others: false,
            opening: Opening::default(),
            timeline: None,
            first_msn: 0,
            sound: None,
            pulse: Pulse::default(),
        }
    }

    /// Takes a configuration; whether it is another one than before.
    pub(crate) fn configure(&mut self, config: FeedConfig) -> bool {
        let known = match config.track() {
            FeedTrack::Video => &mut self.video,
            FeedTrack::Audio => &mut self.audio,
        };
        known.replace(config) != *known
    }

    /// Tells the publisher that it is let go. Whoever does not listen is gone already.
    pub(crate) fn over(&self, why: FeedOver) {
        let _ = self.answers.try_send(FeedAnswer::Over(why));
    }
}

/// The packets with which a feed begins, until it is known how often its key frames come.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    packets: Vec<Packet>,
    bytes: usize,
}

/// Where a feed begins.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// Its first packet that is of use.
    pub(crate) first: Packet,
    /// What an event has that begins with it.
    pub(crate) cadence: Cadence,
    /// Pictures in a second.
    pub(crate) rate: Ratio,
}

/// More than a group of pictures may have: ten seconds at 50 Mbit/s.
const MAX_OPENING: usize = 64 << 20;
/// Sound without pictures for so long is sound alone.
const SOUND_ALONE: i64 = 2 * FEED_TIMESCALE as i64;

impl Opening {
    /// Takes a packet; `false` when it is too much. When its time jumps, what there is of its track is of
    /// no use.
    pub(crate) fn push(&mut self, packet: Packet) -> bool {
        let mut of_track = self.packets.iter().rev().filter(|one| one.track == packet.track);
        if of_track.next().is_some_and(|last| has_jumped(last.dts, packet.dts)) {
            self.packets.retain(|one| one.track != packet.track);
            self.bytes = self.packets.iter().map(|one| one.data.len()).sum();
        }
        self.bytes += packet.data.len();
        self.packets.push(packet);
        self.bytes <= MAX_OPENING
    }

    /// All packets, in order.
    pub(crate) fn take(&mut self) -> Vec<Packet> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }

    /// The beginning, once it is clear. In an event that has begun its cadence is `settled`, and so is
    /// whether it has a picture: then the first key frame will do.
    pub(crate) fn beginning(&self, has_picture: bool, settled: Option<bool>) -> Option<Beginning> {
        let key = self.first_key().filter(|_| has_picture).cloned();
        let sound = || {
            let first = self.first_of_sound_alone(has_picture)?.clone();
            Some(Beginning { first, cadence: Cadence::SOUND, rate: Ratio::new(1, 1) })
        };
        match settled {
            Some(true) if key.is_some() => {
                Some(Beginning { first: key?, cadence: Cadence::SOUND, rate: Ratio::new(30, 1) })
            }
            Some(_) => sound(),
            None => match self.cadence() {
                Some((cadence, rate)) => Some(Beginning { first: key?, cadence, rate }),
                None => sound(),
            },
        }
    }

    /// Ticks from `first` to the last packet of its track: the other's clock may be another one still.
    pub(crate) fn lasted_since(&self, first: &Packet) -> u64 {
        let last = self.packets.iter().rev().find(|last| last.track == first.track);
        let last = last.map_or(first.dts, |last| last.dts);
        u64::try_from(last - first.dts).unwrap_or(0)
    }

    /// The first picture that can be decoded.
    pub(crate) fn first_key(&self) -> Option<&Packet> {
        self.pictures().find(|packet| packet.key)
    }

    /// The first packet, when it is clear that there is only sound.
    pub(crate) fn first_of_sound_alone(&self, has_picture: bool) -> Option<&Packet> {
        let (first, last) = (self.packets.first()?, self.packets.last()?);
        let is_alone = !has_picture && self.pictures().next().is_none();
        (is_alone && last.dts - first.dts >= SOUND_ALONE).then_some(first)
    }

    /// The cadence of the pictures, once it is clear, and their rate.
    pub(crate) fn cadence(&self) -> Option<(Cadence, Ratio)> {
        let pictures: Vec<&Packet> = self.pictures().skip_while(|packet| !packet.key).collect();
        let (first, last) = (pictures.first()?, pictures.last()?);
        let second = pictures.iter().skip(1).position(|packet| packet.key).map(|place| place + 1);
        let ticks = |to: &Packet| u64::try_from(to.dts - first.dts).unwrap_or(0);
        let group = second.map(|place| ticks(pictures[place]));
        let counted = second.unwrap_or(pictures.len() - 1).max(1) as u64;
        let frame = group.unwrap_or_else(|| ticks(last)) / counted;
        Some((Cadence::decide(group, ticks(last), frame)?, rate(frame)))
    }

    /// Bits per second of the sound.
    pub(crate) fn sound_bps(&self) -> u64 {
        let sound = || self.packets.iter().filter(|packet| packet.track == FeedTrack::Audio);
        let bytes: usize = sound().map(|packet| packet.data.len()).sum();
        let span = sound().last().zip(sound().next()).map_or(0, |(last, first)| last.dts - first.dts);
        let span = u64::try_from(span).unwrap_or(0).max(1);
        bytes as u64 * 8 * u64::from(FEED_TIMESCALE) / span
    }

    fn pictures(&self) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(|packet| packet.track == FeedTrack::Video)
    }
}

/// Pictures a second from how long one lasts on average: a usual rate where it is nearly that.
fn rate(frame: u64) -> Ratio {
    const USUAL: [(u32, u32); 9] = [
        (24_000, 1001),
        (24, 1),
        (25, 1),
        (30_000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60_000, 1001),
        (60, 1),
    ];
    let frame = frame.max(1);
    let ticks = u64::from(FEED_TIMESCALE);
    let nearest = USUAL
        .into_iter()
        .min_by_key(|(num, den)| (ticks * u64::from(*den) / u64::from(*num)).abs_diff(frame));
    match nearest {
        // Times are rounded to milliseconds, so an average over a group is exact to a few ticks.
        Some((num, den)) if (ticks * u64::from(den) / u64::from(num)).abs_diff(frame) <= frame / 100 => {
            Ratio { num, den }
        }
        _ => Ratio { num: u32::try_from((ticks + frame / 2) / frame).unwrap_or(1).max(1), den: 1 },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn packet(track: FeedTrack, ms: i64, key: bool) -> Packet {
        Packet { track, dts: ms * 90, cts_offset: 0, key, data: Bytes::from_static(&[0; 100]) }
    }

    #[test]
    fn the_first_group_of_pictures_says_how_the_event_goes() {
        let mut opening = Opening::default();
        opening.push(packet(FeedTrack::Video, 0, false));
        opening.push(packet(FeedTrack::Video, 33, true));
        assert_eq!(opening.first_key().unwrap().dts, 33 * 90);
        for n in 1..60 {
            assert_eq!(opening.cadence(), None);
            opening.push(packet(FeedTrack::Video, 33 + n * 100 / 3, false));
        }
        opening.push(packet(FeedTrack::Video, 2033, true));
        let (cadence, rate) = opening.cadence().unwrap();
        assert_eq!((cadence.target_duration_s, cadence.part_target_ms), (2, Some(350)));
        assert_eq!(rate, Ratio { num: 30, den: 1 });
    }

    #[test]
    fn a_beginning_that_jumps_begins_anew() {
        for jump in [95_443_717, -95_443_717, 10_500] {
            let mut opening = Opening::default();
            opening.push(packet(FeedTrack::Video, 0, true));
            opening.push(packet(FeedTrack::Audio, 0, true));
            opening.push(packet(FeedTrack::Video, 33, false));
            for n in 0..=60 {
                opening.push(packet(FeedTrack::Video, jump + n * 100 / 3, n % 60 == 0));
                // The sound is late.
                let late = if n < 10 { 0 } else { jump };
                opening.push(packet(FeedTrack::Audio, late + n * 100 / 3, true));
            }
            let beginning = opening.beginning(true, None).unwrap();
            assert_eq!((beginning.first.dts, beginning.cadence.target_duration_s), (jump * 90, 2), "{jump}");
            assert_eq!(opening.lasted_since(&beginning.first), 180_000, "{jump}");
            assert!((20_000..30_000).contains(&opening.sound_bps()), "{jump}: {}", opening.sound_bps());
        }
    }

    #[test]
    fn rates_are_the_usual_ones_or_what_they_are() {
        let cases = [
            (3000, 30, 1),
            (3003, 30_000, 1001),
            (3600, 25, 1),
            (3750, 24, 1),
            (1500, 60, 1),
            (9000, 10, 1),
            (0, 90_000, 1),
        ];
        for (frame, num, den) in cases {
            assert_eq!(rate(frame), Ratio { num, den }, "{frame}");
        }
    }

    #[test]
    fn sound_alone_is_known_after_a_while() {
        let mut opening = Opening::default();
        for n in 0..94 {
            opening.push(packet(FeedTrack::Audio, n * 1024 / 48, true));
        }
        assert_eq!(opening.first_of_sound_alone(false), None);
        opening.push(packet(FeedTrack::Audio, 2006, true));
        assert!(opening.first_of_sound_alone(false).is_some());
        assert!(opening.first_of_sound_alone(true).is_none());
        assert!((37_000..39_000).contains(&opening.sound_bps()), "{}", opening.sound_bps());
    }
}
