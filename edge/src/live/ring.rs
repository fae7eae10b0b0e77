//! The bytes of a rendition's last parts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::media::Media;

/// Segments whose parts are kept: what a playlist lists, three target durations, and what must be
/// there for as long again behind it (§6.2.2).
const SEGMENTS: u32 = 8;
/// Bytes of one ring.
const MOST: u64 = 32 << 20;
/// Segments whose parts stay, however little room there is: those that are fetched right now.
const LEAST: u32 = 1;

/// How many bytes all rings have and may have.
pub(super) struct Room {
    used: AtomicU64,
    most: u64,
}

impl Room {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), most })
    }

    fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.most
    }
}

/// Parts in order. What has left it can be asked for where it came from.
pub(super) struct Ring {
    parts: VecDeque<((u32, u32), Media)>,
    bytes: u64,
    room: Arc<Room>,
}

impl Ring {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { parts: VecDeque::new(), bytes: 0, room }
    }

    /// Takes part `part` of segment `msn`, unless it has that or a later one.
    pub(super) fn push(&mut self, msn: u32, part: u32, bytes: Bytes) {
        if self.parts.back().is_some_and(|(last, _)| *last >= (msn, part)) {
            return;
        }
        self.take(bytes.len() as u64);
        self.parts.push_back(((msn, part), Media::of(bytes)));
        while let Some(((first, _), media)) = self.parts.front() {
            let (age, len) = (msn - first, media.bytes.len() as u64);
            let is_kept = age < SEGMENTS && self.bytes <= MOST && !self.room.is_full();
            if is_kept || age <= LEAST {
                return;
            }
            self.parts.pop_front();
            self.give(len);
        }
    }

    /// The part, if it is here.
    pub(super) fn get(&self, msn: u32, part: u32) -> Option<&Media> {
        let place = self.parts.binary_search_by_key(&(msn, part), |(key, _)| *key).ok()?;
        self.parts.get(place).map(|(_, media)| media)
    }

    fn take(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.room.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&mut self, bytes: u64) {
        self.bytes -= bytes;
        self.room.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_last_segments_and_no_more_bytes_than_there_is_room_for() {
        let room = Room::new(1000);
        let mut ring = Ring::new(Arc::clone(&room));
        let part = |len: usize| Bytes::from(vec![0; len]);
        for msn in 0..20 {
            for n in 0..6 {
                ring.push(msn, n, part(1));
            }
        }
        assert!(ring.get(12, 0).is_some() && ring.get(19, 5).is_some());
        assert!(ring.get(11, 5).is_none() && ring.get(19, 6).is_none());
        // Once more, or an older one, is nothing.
        ring.push(19, 5, part(7));
        ring.push(3, 0, part(7));
        assert_eq!(room.used.load(Ordering::Relaxed), 48);
        // Long parts take the place of older ones, but not of what is fetched right now.
        let mut other = Ring::new(Arc::clone(&room));
        for msn in 0..6 {
            other.push(msn, 0, part(400));
        }
        assert!(other.get(4, 0).is_some() && other.get(5, 0).is_some() && other.get(3, 0).is_none());
        drop(other);
        assert_eq!(room.used.load(Ordering::Relaxed), 48);
        drop(ring);
        assert_eq!(room.used.load(Ordering::Relaxed), 0);
    }
}
