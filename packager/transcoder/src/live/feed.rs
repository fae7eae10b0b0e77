//! Packets from standard input, each to the lane of its track.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use model::cell::live::{LiveInput, LivePlan};
use model::cell::{FrameLengths, decode_head};
use model::feed::{FeedTrack, MAX_FEED_PAYLOAD};

/// Packets that wait for a lane. Little: what waits in the packager can be left out, what waits here
/// cannot. Sound has more, so that a slow picture does not hold it up at once.
const PICTURES: usize = 4;
const SOUNDS: usize = 64;

/// A packet of the feed.
#[derive(Debug)]
pub(crate) struct Fed {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) key: bool,
    pub(crate) idr: bool,
    pub(crate) data: Vec<u8>,
}

/// Where the lanes get their packets from; it ends with the feed.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) video: Receiver<Fed>,
    pub(crate) audio: Receiver<Fed>,
}

/// The other end.
pub(crate) struct Feeder {
    video: Option<SyncSender<Fed>>,
    audio: Option<SyncSender<Fed>>,
}

/// Both ends, for the tracks of which something is made.
pub(crate) fn channel(plan: &LivePlan) -> (Feeder, Feed) {
    let (to_video, video) = sync_channel(PICTURES);
    let (to_audio, audio) = sync_channel(SOUNDS);
    let to_video = plan.video.is_some().then_some(to_video);
    let to_audio = plan.audio.is_some().then_some(to_audio);
    (Feeder { video: to_video, audio: to_audio }, Feed { video, audio })
}

impl Feeder {
    /// Reads until the feed is over. A lane that has failed ends it for the other, too: whoever is
    /// served by a half would wait for the rest.
    ///
    /// # Errors
    /// The end of the input: whoever feeds is gone. What is no message.
    pub(crate) fn run(self, from: &mut impl Read) -> io::Result<()> {
        loop {
            let (input, data) = read(from)?;
            let LiveInput::Packet { track, dts, cts_offset, key, idr } = input else { return Ok(()) };
            let lane = match track {
                FeedTrack::Video => &self.video,
                FeedTrack::Audio => &self.audio,
            };
            let pts = dts.saturating_add(cts_offset.into());
            let fed = Fed { dts, pts, key, idr, data };
            if lane.as_ref().is_some_and(|lane| lane.send(fed).is_err()) {
                return Ok(());
            }
        }
    }
}

fn read(from: &mut impl Read) -> io::Result<(LiveInput, Vec<u8>)> {
    let mut lengths = [0; FrameLengths::SIZE];
    from.read_exact(&mut lengths)?;
    let lengths = FrameLengths::parse(lengths).map_err(io::Error::other)?;
    if lengths.payload > MAX_FEED_PAYLOAD {
        return Err(io::Error::other("a packet over the limit"));
    }
    let mut head = vec![0; lengths.head as usize];
    from.read_exact(&mut head)?;
    let mut payload = vec![0; lengths.payload as usize];
    from.read_exact(&mut payload)?;
    Ok((decode_head(&head).map_err(io::Error::other)?, payload))
}
