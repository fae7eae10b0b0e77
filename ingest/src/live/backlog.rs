//! What a feed's packager does not have yet, and what it would need if it began anew. Bounded in
//! bytes and in time; pure.

use std::collections::VecDeque;
use std::time::Duration;

use model::feed::{FeedConfig, FeedTrack, Packet};

use super::Item;

/// Bytes of packets that are kept, whatever they are.
const MAX_BYTES: usize = 16 << 20;
/// How far behind a packager may be before a key frame is jumped to,
const MAX_BEHIND: Duration = Duration::from_secs(4);
/// and how far when there is none to jump to.
const MAX_BEHIND_WITHOUT_KEY: Duration = Duration::from_secs(14);

/// The items since the last key frame, and those that are still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The configurations that hold before the first item: of video, of audio.
    configs: [Option<FeedConfig>; 2],
    /// Of which kinds there were further tracks before it.
    others: [Option<FeedTrack>; 2],
    /// Each with when it came.
    items: VecDeque<(Duration, Item)>,
    /// How many of them the packager was sent.
    sent: usize,
    bytes: usize,
    /// Where the last key frame of video is.
    key: Option<usize>,
    has_video: bool,
    /// No picture can be decoded before the next key frame.
    needs_key: bool,
    dropped: u64,
}

impl Backlog {
    /// Takes an item that came at `now`, counted from any moment.
    pub(crate) fn push(&mut self, item: Item, now: Duration) {
        if let Item::Packet(packet) = &item {
            if packet.track == FeedTrack::Video {
                self.has_video = true;
                self.needs_key &= !packet.key;
                if self.needs_key {
                    self.dropped += 1;
                    return;
                }
                if packet.key {
                    self.key = Some(self.items.len());
                }
            }
            self.bytes += packet.data.len();
        }
        self.items.push_back((now, item));
        self.forget_sent(now);
        self.shed(now);
    }

    /// The next item to be sent.
    pub(crate) fn next(&mut self) -> Option<&Item> {
        let (_, item) = self.items.get(self.sent)?;
        self.sent += 1;
        Some(item)
    }

    /// All is to be sent again, to a packager that knows nothing, and [`Backlog::configs`] before it.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
        let first = self.items.iter().map(|(_, item)| item).find(|item| is_picture(item));
        // The rest of a group of pictures whose beginning is gone.
        if first.is_some_and(|first| !is_key(first)) {
            self.drop_pictures();
        }
    }

    /// What holds before the first item.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &FeedConfig> {
        self.configs.iter().flatten()
    }

    /// Of which kinds there were further tracks before the first item.
    pub(crate) fn others(&self) -> impl Iterator<Item = FeedTrack> {
        self.others.iter().flatten().copied()
    }

    /// Packets that were dropped since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets what was sent and lies before the last key frame, or before the last seconds where there
    /// is none.
    fn forget_sent(&mut self, now: Duration) {
        while self.sent > 0 {
            let (came, _) = self.items[0];
            let is_needed = match self.key {
                Some(key) => key == 0,
                None => now.saturating_sub(came) <= MAX_BEHIND,
            };
            if is_needed && self.bytes <= MAX_BYTES {
                return;
            }
            self.pop();
        }
    }

    /// Drops what has waited too long.
    fn shed(&mut self, now: Duration) {
        let behind = self.items.get(self.sent).map_or(Duration::ZERO, |(came, _)| now.saturating_sub(*came));
        if behind <= MAX_BEHIND && self.bytes <= MAX_BYTES {
            return;
        }
        // To the last key frame, if it is ahead of what is being sent.
        while self.key.is_some_and(|key| key > self.sent) {
            self.drop_first();
        }
        if behind > MAX_BEHIND_WITHOUT_KEY || self.bytes > MAX_BYTES {
            while !self.items.is_empty() {
                self.drop_first();
            }
            self.needs_key = self.has_video;
        }
    }

    /// Drops the first item; counts it if the packager never had it.
    fn drop_first(&mut self) {
        let was_sent = self.sent > 0;
        if self.pop() && !was_sent {
            self.dropped += 1;
        }
    }

    /// Removes the first item; whether it was a packet.
    fn pop(&mut self) -> bool {
        let Some((_, item)) = self.items.pop_front() else { return false };
        self.sent = self.sent.saturating_sub(1);
        self.key = self.key.and_then(|key| key.checked_sub(1));
        match item {
            Item::Packet(packet) => {
                self.bytes -= packet.data.len();
                true
            }
            Item::Config(config) => {
                let place = config.track() as usize;
                self.configs[place] = Some(config);
                false
            }
            Item::Others(track) => {
                self.others[track as usize] = Some(track);
                false
            }
        }
    }

    fn drop_pictures(&mut self) {
        let next_key = self.items.iter().position(|(_, item)| is_key(item)).unwrap_or(self.items.len());
        self.needs_key = next_key == self.items.len();
        let mut place = 0;
        let (mut dropped, mut bytes) = (0, 0);
        self.items.retain(|(_, item)| {
            let is_dropped = place < next_key && is_picture(item);
            place += 1;
            if let (true, Item::Packet(packet)) = (is_dropped, item) {
                dropped += 1;
                bytes += packet.data.len();
            }
            !is_dropped
        });
        self.dropped += dropped;
        self.bytes -= bytes;
        self.key = self.items.iter().rposition(|(_, item)| is_key(item));
    }
}

fn is_picture(item: &Item) -> bool {
    matches!(item, Item::Packet(Packet { track: FeedTrack::Video, .. }))
}

fn is_key(item: &Item) -> bool {
    matches!(item, Item::Packet(Packet { track: FeedTrack::Video, key: true, .. }))
}

#[cfg(test)]
mod tests;
