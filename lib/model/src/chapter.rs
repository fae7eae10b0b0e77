use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A place in a film that has a name: it lasts until the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    /// Where it begins, in milliseconds from the film's beginning, or from that of the event.
    pub start_ms: u64,
    /// What it is called, on one line.
    pub title: String,
}

impl Chapter {
    /// A film has at most so many.
    pub const MOST: usize = 100;
    /// A title has at most so many characters.
    pub const LONGEST_TITLE: usize = 100;

    /// The chapters of a film of which only these stretches are left, which are in order: each
    /// begins with what is left of it, and where nothing is left it is gone.
    #[must_use]
    pub fn within(chapters: Vec<Self>, stretches: &[Range<u64>]) -> Vec<Self> {
        let left_before = |ms: u64| -> u64 {
            let before = |stretch: &Range<u64>| ms.clamp(stretch.start, stretch.end) - stretch.start;
            stretches.iter().map(before).sum()
        };
        let mut next_ms = left_before(u64::MAX);
        let mut left = Vec::with_capacity(chapters.len());
        for chapter in chapters.into_iter().rev() {
            let start_ms = left_before(chapter.start_ms);
            if start_ms < next_ms {
                next_ms = start_ms;
                left.push(Self { start_ms, ..chapter });
            }
        }
        left.reverse();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(chapters: &[(u64, &str)], stretches: &[Range<u64>]) -> Vec<(u64, String)> {
        let chapter =
            |(start_ms, title): &(u64, &str)| Chapter { start_ms: *start_ms, title: (*title).into() };
        let left = Chapter::within(chapters.iter().map(chapter).collect(), stretches);
        left.into_iter().map(|chapter| (chapter.start_ms, chapter.title)).collect()
    }

    #[test]
    fn a_chapter_begins_with_what_is_left_of_it() {
        let all = [(0, "a"), (10, "b"), (20, "c"), (30, "d")];
        // Pairs of where a stretch begins and ends.
        type Case<'a> = (&'a str, &'a [(u64, u64)], &'a [(u64, &'a str)]);
        let cases: [Case<'_>; 7] = [
            ("all of it", &[(0, 40)], &all),
            ("trimmed within chapters", &[(15, 25)], &[(0, "b"), (5, "c")]),
            ("trimmed where chapters begin", &[(10, 30)], &[(0, "b"), (10, "c")]),
            ("an outage within one", &[(0, 12), (18, 40)], &[(0, "a"), (10, "b"), (14, "c"), (24, "d")]),
            (
                "an outage over a beginning",
                &[(0, 15), (25, 40)],
                &[(0, "a"), (10, "b"), (15, "c"), (20, "d")],
            ),
            ("an outage over all of one", &[(0, 10), (20, 40)], &[(0, "a"), (10, "c"), (20, "d")]),
            ("nothing is left", &[], &[]),
        ];
        for (name, stretches, expected) in cases {
            let stretches: Vec<_> = stretches.iter().map(|(start, end)| *start..*end).collect();
            let expected: Vec<_> = expected.iter().map(|(ms, title)| (*ms, (*title).to_owned())).collect();
            assert_eq!(within(&all, &stretches), expected, "{name}");
        }
        let whole = std::slice::from_ref(&(0..9));
        assert_eq!(within(&[(5, "late")], whole), [(5, "late".to_owned())], "before the first there is none");
    }
}
