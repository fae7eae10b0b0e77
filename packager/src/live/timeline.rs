use model::feed::{FEED_TIMESCALE, FeedTrack, Packet};

use super::lane::Frame;

/// Where the clock of a feed stands on the clock of its event.
///
/// The event's clock begins with the first picture and goes on for ever; each feed has its own,
/// which may begin anywhere and jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// Event time minus feed time.
    offset: i64,
    /// How much later than decoded the first key frame was shown. Decode times are moved by it, so
    /// that segments begin with a picture that is shown when the segment begins.
    delay: i64,
    /// The time of its first packet, and the last ones of its tracks, to see jumps.
    first: i64,
    video: Option<i64>,
    audio: Option<i64>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is a frame at this time of the event, in ticks of a feed.
    At(Frame),
    /// It is from before the feed's beginning, goes back a little, or is on the clock that the other
    /// track had before it jumped: it is left out.
    Early,
    /// Its time has nothing to do with the last one.
    Jump,
}

/// Times that differ more than this from the last one of their track have jumped.
const JUMP: i64 = 10 * FEED_TIMESCALE as i64;
/// Times that go back more than this have jumped, too.
const BACK: i64 = FEED_TIMESCALE as i64;

/// Whether the time of a packet has nothing to do with that of the one before it.
pub(crate) fn has_jumped(last: i64, now: i64) -> bool {
    now - last > JUMP || last - now > BACK
}

impl Timeline {
    /// A feed whose first key frame is shown at `at` on the event's clock.
    pub(crate) fn beginning(key: &Packet, at: u64) -> Self {
        let delay = i64::from(key.cts_offset);
        let offset = at.cast_signed() - (key.dts + delay);
        Self { offset, delay, first: key.dts, video: None, audio: None }
    }

    /// A feed of sound alone, whose first packet plays at `at`.
    pub(crate) fn beginning_with_sound(first: &Packet, at: u64) -> Self {
        let offset = at.cast_signed() - first.dts;
        Self { offset, delay: 0, first: first.dts, video: None, audio: None }
    }

    /// Event time minus feed time, of what is shown and heard.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    /// Where `packet` belongs.
    pub(crate) fn place(&mut self, packet: &Packet) -> Placed {
        let (own, other) = match packet.track {
            FeedTrack::Video => (&mut self.video, self.audio),
            FeedTrack::Audio => (&mut self.audio, self.video),
        };
        match *own {
            Some(last) if has_jumped(last, packet.dts) => return Placed::Jump,
            // Equal times are for decoders to sort out; times that go back are of no use.
            Some(last) if packet.dts < last => return Placed::Early,
            None if (packet.dts - other.unwrap_or(self.first)).abs() > JUMP => return Placed::Early,
            _ => *own = Some(packet.dts),
        }
        let delay = if packet.track == FeedTrack::Video { self.delay } else { 0 };
        let Ok(time) = u64::try_from(packet.dts + self.offset + delay) else { return Placed::Early };
        let cts_offset = packet.cts_offset - i32::try_from(delay).unwrap_or(0);
        Placed::At(Frame { time, cts_offset, key: packet.key, data: packet.data.clone() })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn packet(track: FeedTrack, dts: i64, cts_offset: i32) -> Packet {
        Packet { track, dts, cts_offset, key: true, data: Bytes::from_static(b"x") }
    }

    #[test]
    fn the_first_key_frame_is_shown_when_its_segment_begins() {
        let key = packet(FeedTrack::Video, 1_000_000, 6000);
        let mut timeline = Timeline::beginning(&key, 180_000);
        let Placed::At(frame) = timeline.place(&key) else { panic!() };
        assert_eq!((frame.time, frame.cts_offset), (180_000, 0));
        // A picture that is shown before it in the order of decoding comes out with an earlier time.
        let Placed::At(frame) = timeline.place(&packet(FeedTrack::Video, 1_003_000, 3000)) else { panic!() };
        assert_eq!((frame.time, frame.cts_offset), (183_000, -3000));
        // Sound that plays with the key frame has its time.
        let Placed::At(frame) = timeline.place(&packet(FeedTrack::Audio, 1_006_000, 0)) else { panic!() };
        assert_eq!(frame.time, 180_000);
    }

    #[test]
    fn what_is_early_is_left_out_and_jumps_are_told() {
        let mut timeline = Timeline::beginning(&packet(FeedTrack::Video, 0, 0), 0);
        assert_eq!(timeline.place(&packet(FeedTrack::Audio, -10, 0)), Placed::Early);
        for (dts, expected) in [(0, true), (3000, true), (2999, false), (3000, true), (6000, true)] {
            let placed = timeline.place(&packet(FeedTrack::Video, dts, 0));
            assert_eq!(matches!(placed, Placed::At(_)), expected, "{dts}: {placed:?}");
        }
        for dts in [1 << 33, -(1i64 << 33), 6000 + JUMP + 1, 6000 - BACK - 1] {
            assert_eq!(timeline.place(&packet(FeedTrack::Video, dts, 0)), Placed::Jump, "{dts}");
        }
        assert!(matches!(timeline.place(&packet(FeedTrack::Video, 9000, 0)), Placed::At(_)));
    }

    #[test]
    fn a_track_that_has_not_jumped_yet_waits_until_it_has() {
        for jump in [JUMP + 1, -JUMP - 1, 1 << 33, -(1i64 << 33)] {
            let mut timeline = Timeline::beginning(&packet(FeedTrack::Video, jump, 0), 900_000);
            // What both had before, of which some was kept with the new beginning.
            for track in [FeedTrack::Audio, FeedTrack::Video] {
                assert_eq!(timeline.place(&packet(track, 0, 0)), Placed::Early, "{jump}");
            }
            for track in [FeedTrack::Video, FeedTrack::Audio] {
                let placed = timeline.place(&packet(track, jump + 3000, 0));
                assert!(matches!(placed, Placed::At(Frame { time: 903_000, .. })), "{jump}: {placed:?}");
            }
        }
    }
}
