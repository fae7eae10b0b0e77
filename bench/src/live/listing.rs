//! What a playlist of a live event says to who loads it again and again.

/// A place in an event: a segment, and a part of it.
pub(super) type Place = (u64, u64);

/// A media playlist, as far as clients here look at it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Listing {
    /// Parts with something in them, and how long they are in seconds.
    pub(super) parts: Vec<(Place, f64)>,
    /// Seconds of whole segments with something in them,
    pub(super) segments_s: f64,
    /// and the number behind the last one.
    pub(super) next_msn: u64,
    /// The part that is made now.
    pub(super) hint: Option<Place>,
    /// What players stay behind.
    pub(super) hold_back_s: f64,
    /// The event is over.
    pub(super) ended: bool,
}

impl Listing {
    /// Reads `text`, leniently: judging it is the checker's business.
    pub(super) fn read(text: &str) -> Self {
        let mut listing = Self::default();
        let mut segment_s = None;
        let mut is_gap = false;
        for line in text.lines() {
            if let Some(part) = line.strip_prefix("#EXT-X-PART:") {
                let place = attribute(part, "URI=\"").and_then(place);
                let seconds = attribute(part, "DURATION=").and_then(|word| word.parse().ok());
                if let (Some(place), Some(seconds)) = (place, seconds)
                    && !part.contains("GAP=YES")
                {
                    listing.parts.push((place, seconds));
                }
            } else if let Some(hint) = line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART") {
                listing.hint = attribute(hint, "URI=\"").and_then(place);
            } else if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                listing.next_msn += first.parse::<u64>().unwrap_or_default();
            } else if let Some(skip) = line.strip_prefix("#EXT-X-SKIP:") {
                let skipped = attribute(skip, "SKIPPED-SEGMENTS=").and_then(|word| word.parse::<u64>().ok());
                listing.next_msn += skipped.unwrap_or_default();
            } else if let Some(control) = line.strip_prefix("#EXT-X-SERVER-CONTROL:") {
                let back = attribute(control, "PART-HOLD-BACK=").and_then(|word| word.parse().ok());
                listing.hold_back_s = back.unwrap_or_default();
            } else if let Some(seconds) = line.strip_prefix("#EXTINF:") {
                segment_s = seconds.split(',').next().and_then(|word| word.parse::<f64>().ok());
            } else if line == "#EXT-X-GAP" {
                is_gap = true;
            } else if line == "#EXT-X-ENDLIST" {
                listing.ended = true;
            } else if !line.starts_with('#') && !line.is_empty() {
                listing.next_msn += 1;
                if !std::mem::take(&mut is_gap) {
                    listing.segments_s += segment_s.take().unwrap_or_default();
                }
            }
        }
        listing
    }

    /// The last part.
    pub(super) fn last(&self) -> Option<Place> {
        self.parts.last().map(|(place, _)| *place)
    }

    /// Seconds that a player could play.
    pub(super) fn seconds(&self) -> f64 {
        // Parts of segments that are listed whole, too, count once.
        let open = self.parts.iter().filter(|((msn, _), _)| *msn >= self.next_msn);
        self.segments_s + open.map(|(_, seconds)| seconds).sum::<f64>()
    }
}

/// The query of a reload that is answered when this is there.
pub(super) fn query((msn, part): Place, skip: bool) -> String {
    format!("?_HLS_msn={msn}&_HLS_part={part}{}", if skip { "&_HLS_skip=YES" } else { "" })
}

fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let rest = &list[list.find(name)? + name.len()..];
    rest.split(['"', ',']).next()
}

fn place(uri: &str) -> Option<Place> {
    let (msn, part) = uri.strip_suffix(".m4s")?.split_once('.')?;
    Some((msn.parse().ok()?, part.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playlist_is_read_as_far_as_it_matters() {
        let text = "#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05,HOLD-BACK=6.0\n\
            #EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXTINF:2.0,\n5.m4s\n\
            #EXT-X-GAP\n#EXTINF:2.0,\n6.m4s\n#EXT-X-PART:DURATION=0.33333,URI=\"7.0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.33333,URI=\"7.1.m4s\",GAP=YES\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"7.2.m4s\"\n";
        let listing = Listing::read(text);
        assert_eq!((listing.next_msn, listing.hint, listing.last()), (7, Some((7, 2)), Some((7, 0))));
        assert_eq!((listing.hold_back_s, listing.ended), (1.05, false));
        assert!((listing.seconds() - 2.33333).abs() < 1e-9);
        assert_eq!(query((7, 2), true), "?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES");
    }
}
