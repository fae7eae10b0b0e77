//! The chapters that owners give their videos: as the API has them, and as a form does, one on each
//! line (`0:00 Intro`).

use listener::Language;
use model::Chapter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pages::text;
use crate::words;
use crate::{WebError, problems};

/// A place in a video that has a name: it lasts until the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "Chapter")]
pub(crate) struct ChapterView {
    /// Where it begins, in milliseconds from the beginning of the film, or of the event.
    pub(crate) start_ms: u64,
    /// 1 to 100 characters on one line.
    pub(crate) title: String,
}

/// What is wrong with a chapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It does not begin with a time.
    Time,
    /// It has no title, one that is too long, or one that is not text.
    Title,
    /// It begins no later than the one before it.
    Order,
    /// The film is over by then.
    BehindEnd,
    /// It is one too many.
    TooMany,
}

/// The first chapter, or line, of which something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    pub(crate) place: usize,
    pub(crate) flaw: Flaw,
}

impl Fault {
    /// What is wrong, in a sentence that `intro` begins: of a line or of a chapter.
    pub(crate) fn sentence(self, intro: &str, language: Language) -> String {
        let key = match self.flaw {
            Flaw::Time => "chapters_time",
            Flaw::Title => "chapters_title",
            Flaw::Order => "chapters_order",
            Flaw::BehindEnd => "chapters_behind_end",
            Flaw::TooMany => "chapters_too_many",
        };
        text::fill(language, intro, &[("n", &self.place), ("why", &text::say(language, key))])
    }
}

impl From<Fault> for WebError {
    fn from(fault: Fault) -> Self {
        problems::invalid_chapters(fault, "chapters_place").into()
    }
}

/// Chapters as they are kept. `length_ms` is how long the film is, where it is known.
pub(crate) fn checked(given: Vec<ChapterView>, length_ms: Option<u64>) -> Result<Vec<Chapter>, Fault> {
    check((1..).zip(given.into_iter().map(|ChapterView { start_ms, title }| (start_ms, title))), length_ms)
}

/// The chapters of a form, in which empty lines are nothing.
pub(crate) fn typed(text: &str, length_ms: Option<u64>) -> Result<Vec<Chapter>, Fault> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |(place, line): (usize, &str)| {
        let line = line.trim();
        let (clock, title) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let start_ms = read_clock(clock).ok_or(Fault { place, flaw: Flaw::Time })?;
        Ok((place, (start_ms, title.to_owned())))
    };
    check(lines.map(read).collect::<Result<Vec<_>, _>>()?, length_ms)
}

/// Chapters as a form has them.
pub(crate) fn lines(chapters: &[Chapter]) -> String {
    chapters.iter().map(|chapter| format!("{} {}\n", clock(chapter.start_ms), chapter.title)).collect()
}

/// What viewers are shown of a film's chapters: those that are in it.
pub(crate) fn shown(chapters: &[Chapter], length_ms: Option<u64>) -> Vec<ChapterView> {
    let within = chapters.iter().filter(|chapter| length_ms.is_none_or(|length| chapter.start_ms < length));
    within
        .map(|Chapter { start_ms, title }| ChapterView { start_ms: *start_ms, title: title.clone() })
        .collect()
}

fn check(
    given: impl IntoIterator<Item = (usize, (u64, String))>,
    length_ms: Option<u64>,
) -> Result<Vec<Chapter>, Fault> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for (place, (start_ms, title)) in given {
        let fault = |flaw| Err(Fault { place, flaw });
        if chapters.len() == Chapter::MOST {
            return fault(Flaw::TooMany);
        }
        if chapters.last().is_some_and(|before| before.start_ms >= start_ms) {
            return fault(Flaw::Order);
        }
        if start_ms >= length_ms.unwrap_or(LONGEST_MS) {
            return fault(Flaw::BehindEnd);
        }
        let Some(title) = words::line(&title, Chapter::LONGEST_TITLE) else { return fault(Flaw::Title) };
        chapters.push(Chapter { start_ms, title });
    }
    Ok(chapters)
}

/// As long as a film may be of which the length is not known yet: a week.
const LONGEST_MS: u64 = 7 * 24 * 3600 * 1000;

/// Reads `1:02:03`, `62:03` or `62:03.5`, to a thousandth at most.
pub(crate) fn read_clock(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let number = |text: &str| {
        let is_number = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    let parts: Vec<u64> = whole.split(':').map(number).collect::<Option<_>>()?;
    let seconds = match parts[..] {
        [minutes, seconds] if seconds < 60 => minutes * 60 + seconds,
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => (hours * 60 + minutes) * 60 + seconds,
        _ => return None,
    };
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 3)?;
    Some(seconds * 1000 + number(fraction)? * 10u64.pow(3 - places))
}

/// The same, written; thousandths only where there are some.
fn clock(ms: u64) -> String {
    let (whole, ms) = (crate::pages::clock(ms), ms % 1000);
    if ms == 0 { whole } else { format!("{whole}.{ms:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_and_written() {
        let typed_text = "0:00 Intro\r\n\n  1:05.5   La  entrevista \n62:03 «Fin»\n";
        let chapters = typed(typed_text, None).unwrap();
        let starts: Vec<_> = chapters.iter().map(|chapter| chapter.start_ms).collect();
        assert_eq!(starts, [0, 65_500, 3_723_000]);
        let written = lines(&chapters);
        assert_eq!(written, "0:00 Intro\n1:05.500 La  entrevista\n1:02:03 «Fin»\n");
        assert_eq!(typed(&written, None).unwrap(), chapters);
        assert_eq!(typed(" \n\n", None).unwrap(), []);
    }

    #[test]
    fn the_first_line_that_is_wrong_is_named() {
        let many: String = (0..101).map(|n| format!("{n}:00 x\n")).collect();
        let long = format!("0:00 {}", "x".repeat(101));
        let cases = [
            ("Intro", 1, Flaw::Time),
            ("0:00 a\n\n1:60 b", 3, Flaw::Time),
            ("0:00 a\n1:2:3:4 b", 2, Flaw::Time),
            ("-1:00 a", 1, Flaw::Time),
            ("12 a", 1, Flaw::Time),
            ("1:0x a", 1, Flaw::Time),
            ("0:00.x a", 1, Flaw::Time),
            ("0:00.5000 a", 1, Flaw::Time),
            ("0:00. a", 1, Flaw::Time),
            ("99999999999:00 a", 1, Flaw::Time),
            ("0:00", 1, Flaw::Title),
            (&long, 1, Flaw::Title),
            ("0:00 a\u{202e}b", 1, Flaw::Title),
            ("0:10 a\n0:10 b", 2, Flaw::Order),
            ("0:10 a\n0:05 b", 2, Flaw::Order),
            ("0:00 a\n1:00 b", 2, Flaw::BehindEnd),
        ];
        for (text, place, flaw) in cases {
            assert_eq!(typed(text, Some(60_000)), Err(Fault { place, flaw }), "{text:?}");
        }
        assert_eq!(typed(&many, None), Err(Fault { place: 101, flaw: Flaw::TooMany }));
        assert!(typed("0:59.999 a", Some(60_000)).is_ok());
        let far = checked(vec![ChapterView { start_ms: u64::MAX, title: "a".into() }], None);
        assert_eq!(far, Err(Fault { place: 1, flaw: Flaw::BehindEnd }));
    }
}
