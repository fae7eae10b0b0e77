//! News of a live event on the wire: what is new as JSON, and behind it the bytes of new parts.
//!
//! ```text
//! length of the JSON, 32 bits, big-endian │ JSON │ part │ part │ …
//! ```

use bytes::{Buf, Bytes};
use live::{Failure, Update};
use serde::{Deserialize, Serialize};

/// Bytes of parts in one answer; older ones are left out, and can be asked for.
const MOST: usize = 16 << 20;

/// What stands before the bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Absent if there is no such rendition.
    update: Option<Update>,
    /// The parts behind it: segment, number in it, bytes.
    parts: Vec<(u32, u32, u32)>,
}

/// News as pieces, to be sent one after the other.
pub(crate) fn pieces(mut update: Option<Update>) -> Vec<Bytes> {
    let mut parts = update.as_mut().map(|update| std::mem::take(&mut update.parts)).unwrap_or_default();
    let mut bytes = 0;
    let kept = parts.iter().rev().take_while(|(.., part)| {
        bytes += part.len();
        bytes <= MOST
    });
    parts.drain(..parts.len() - kept.count());
    let lengths = parts.iter().map(|(msn, part, bytes)| (*msn, *part, bytes.len() as u32)).collect();
    let json = serde_json::to_vec(&Head { update, parts: lengths }).expect("our documents are JSON");
    let length = Bytes::copy_from_slice(&(json.len() as u32).to_be_bytes());
    [length, json.into()].into_iter().chain(parts.into_iter().map(|(.., bytes)| bytes)).collect()
}

/// Reads news.
pub(crate) fn read(mut bytes: Bytes) -> Result<Option<Update>, Failure> {
    let length = bytes.try_get_u32()? as usize;
    if length > bytes.len() {
        return Err("news end within their head".into());
    }
    let Head { update, parts } = serde_json::from_slice(&bytes.split_to(length))?;
    let Some(mut update) = update else { return Ok(None) };
    for (msn, part, length) in parts {
        if length as usize > bytes.len() {
            return Err("news end within a part".into());
        }
        update.parts.push((msn, part, bytes.split_to(length as usize)));
    }
    if bytes.is_empty() { Ok(Some(update)) } else { Err("news go on behind their last part".into()) }
}

#[cfg(test)]
mod tests {
    use live::{Begun, OpenSegment, Part, Report};
    use model::RenditionName;

    use super::*;

    fn update(parts: Vec<(u32, u32, Bytes)>) -> Update {
        let begun = Begun { msn: 7, start: 1_260_000, init: 0, discontinuity: false, gap: false };
        let part = Part { duration: 30_000, size_bytes: 3, independent: true };
        let rendition = RenditionName::Audio { kbps: 32 };
        Update {
            closed: Vec::new(),
            open: Some(OpenSegment { begun, parts: vec![part, part] }),
            ended: false,
            reports: vec![Report { rendition, last_msn: 7, last_part: None, last_closed: Some(6) }],
            parts,
        }
    }

    fn sent(update: Option<Update>) -> Bytes {
        pieces(update).concat().into()
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let parts = vec![(7, 0, Bytes::from_static(b"abc")), (7, 1, Bytes::from_static(b"de"))];
        for update in [None, Some(update(Vec::new())), Some(update(parts))] {
            assert_eq!(read(sent(update.clone())).unwrap(), update);
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_no_news() {
        let whole = sent(Some(update(vec![(7, 0, Bytes::from_static(b"abc"))])));
        for end in 0..whole.len() {
            assert!(read(whole.slice(..end)).is_err(), "{end}");
        }
        assert!(read([&whole[..], b"x"].concat().into()).is_err());
        assert!(read(Bytes::from_static(&[0xff; 64])).is_err());
    }

    #[test]
    fn the_newest_parts_come_first_where_there_is_no_room_for_all() {
        let part = |n| (7, n, Bytes::from(vec![0; 7 << 20]));
        let read = read(sent(Some(update((0..4).map(part).collect())))).unwrap().unwrap();
        assert_eq!(read.parts.iter().map(|(_, n, _)| *n).collect::<Vec<_>>(), [2, 3]);
    }
}
