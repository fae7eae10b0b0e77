use crate::{Position, Timing};

/// The delivery directives of a playlist's query (§6.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directives {
    /// `_HLS_msn`, and with it `_HLS_part`: what must be listed before the answer is given.
    pub until: Option<(u32, Option<u32>)>,
    /// `_HLS_skip`: whether the client knows the older segments.
    pub skip: Option<Skip>,
}

/// How a delta update may be made (§6.2.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// `YES`: segments.
    Segments,
    /// `v2`: segments and date ranges, of which there are none.
    AndDateRanges,
}

/// A query that says something with `_HLS_` that cannot be meant: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery directive makes no sense")]
pub struct InvalidDirectives;

/// What becomes of a request for a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It is answered with what there is.
    Now,
    /// It waits.
    Wait,
    /// It asks for what is too far ahead: 400.
    TooFar,
}

impl Directives {
    /// Reads a query. What does not begin with `_HLS_` is somebody else's.
    ///
    /// # Errors
    /// Numbers that are none, a part without a segment, a directive that stands twice.
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidDirectives> {
        let (mut msn, mut part, mut skip) = (None, None, None);
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let twice = match name {
                "_HLS_msn" => msn.replace(number(value)?).is_some(),
                "_HLS_part" => part.replace(number(value)?).is_some(),
                "_HLS_skip" => skip.replace(value).is_some(),
                _ => false,
            };
            if twice {
                return Err(InvalidDirectives);
            }
        }
        let until = match (msn, part) {
            (None, None) => None,
            (None, Some(_)) => return Err(InvalidDirectives),
            (Some(msn), part) => Some((msn, part)),
        };
        let skip = match skip {
            None => None,
            Some("YES") => Some(Skip::Segments),
            Some("v2") => Some(Skip::AndDateRanges),
            Some(_) => return Err(InvalidDirectives),
        };
        Ok(Self { until, skip })
    }

    /// The same for a playlist that lists no parts.
    #[must_use]
    pub fn without_parts(self) -> Self {
        Self { until: self.until.map(|(msn, _)| (msn, None)), ..self }
    }

    /// Decides about a request when its rendition is at `position`, behind a segment with so many
    /// parts (§6.2.5.2).
    pub fn decide(&self, position: Position, parts_of_previous: u32, ended: bool, timing: &Timing) -> Reload {
        let Some((msn, part)) = self.until else { return Reload::Now };
        // A part that a closed segment does not have means the first one of the next.
        let is_beyond = |part| parts_of_previous > 0 && part >= parts_of_previous;
        let (msn, part) = match part {
            Some(part) if msn.checked_add(1) == Some(position.msn) && is_beyond(part) => {
                (position.msn, Some(0))
            }
            part => (msn, part),
        };
        if ended || position.has(msn, part) {
            return Reload::Now;
        }
        // "Last" is the last segment that is listed, also with only some of its parts.
        let last = if position.parts > 0 { position.msn } else { position.msn.saturating_sub(1) };
        if msn > last.saturating_add(2) {
            return Reload::TooFar;
        }
        // A part that the segment will never have means the first one of the next, so only what is
        // further ahead than that of the segment that grows is too far.
        let ahead = match (part, timing.part_target_ms) {
            (Some(part), Some(target_ms)) if msn == position.msn && part > position.parts => {
                let limit = if target_ms < 1000 { 3000 / target_ms.max(1) } else { 3 };
                let per_segment = timing.target_duration_s * 1000 / target_ms.max(1) + 1;
                part - position.parts > limit && part > per_segment
            }
            _ => false,
        };
        if ahead { Reload::TooFar } else { Reload::Wait }
    }
}

fn number(digits: &str) -> Result<u32, InvalidDirectives> {
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten().ok_or(InvalidDirectives)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::TIMING;

    #[test]
    fn a_query_is_understood_or_refused() {
        let good = |query, until, skip| {
            assert_eq!(Directives::parse(query), Ok(Directives { until, skip }), "{query:?}");
        };
        good(None, None, None);
        good(Some(""), None, None);
        good(Some("a=b&_hls_msn=x"), None, None);
        good(Some("_HLS_msn=0"), Some((0, None)), None);
        good(Some("_HLS_msn=12&_HLS_part=3"), Some((12, Some(3))), None);
        good(Some("_HLS_part=3&_HLS_skip=YES&_HLS_msn=12"), Some((12, Some(3))), Some(Skip::Segments));
        good(Some("_HLS_skip=v2"), None, Some(Skip::AndDateRanges));
        for query in [
            "_HLS_part=0",
            "_HLS_msn=",
            "_HLS_msn=-1",
            "_HLS_msn=+1",
            "_HLS_msn=4294967296",
            "_HLS_msn=1&_HLS_msn=1",
            "_HLS_msn=1&_HLS_part=x",
            "_HLS_skip=NO",
            "_HLS_skip",
        ] {
            assert_eq!(Directives::parse(Some(query)), Err(InvalidDirectives), "{query}");
        }
    }

    #[test]
    fn a_reload_waits_for_what_will_be() {
        let at = |msn, parts| Position { msn, parts };
        let cases = [
            // nothing asked for
            (None, at(5, 2), Reload::Now),
            // listed
            (Some((4, None)), at(5, 0), Reload::Now),
            (Some((5, Some(1))), at(5, 2), Reload::Now),
            (Some((4, Some(5))), at(5, 0), Reload::Now),
            (Some((3, Some(99))), at(5, 0), Reload::Now),
            // beyond the last part of the closed segment, which is the first of the next
            (Some((4, Some(6))), at(5, 0), Reload::Wait),
            (Some((4, Some(99))), at(5, 0), Reload::Wait),
            (Some((4, Some(99))), at(5, 1), Reload::Now),
            // the next part, the next segment, the first part of the next
            (Some((5, Some(2))), at(5, 2), Reload::Wait),
            (Some((5, None)), at(5, 2), Reload::Wait),
            (Some((5, Some(6))), at(5, 2), Reload::Wait),
            (Some((6, Some(0))), at(5, 5), Reload::Wait),
            (Some((7, None)), at(5, 1), Reload::Wait),
            // too far
            (Some((8, None)), at(5, 1), Reload::TooFar),
            (Some((7, None)), at(5, 0), Reload::TooFar),
            (Some((5, Some(14))), at(5, 2), Reload::TooFar),
            (Some((u32::MAX, Some(u32::MAX))), at(5, 2), Reload::TooFar),
        ];
        for (until, position, expected) in cases {
            let directives = Directives { until, skip: None };
            let decide = |ended| directives.decide(position, 6, ended, &TIMING);
            assert_eq!(decide(false), expected, "{until:?} at {position:?}");
            assert_eq!(decide(true), Reload::Now, "ended, {until:?}");
        }
        // A segment of which no parts are known, a gap perhaps, has whatever is asked for.
        let directives = Directives { until: Some((4, Some(0))), skip: None };
        assert_eq!(directives.decide(at(5, 0), 0, false, &TIMING), Reload::Now);
    }

    #[test]
    fn without_parts_whole_segments_are_waited_for() {
        let directives = Directives { until: Some((5, Some(0))), skip: None };
        let position = Position { msn: 5, parts: 2 };
        assert_eq!(directives.decide(position, 6, false, &TIMING), Reload::Now);
        assert_eq!(directives.without_parts().decide(position, 6, false, &TIMING), Reload::Wait);
    }
}
