//! The words that owners give their videos.

use crate::{WebError, problems};

const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 5000;

/// A title as it is kept: without spaces around it, on one line.
pub(crate) fn title(typed: &str) -> Result<String, WebError> {
    line(typed, MAX_TITLE).ok_or_else(|| problems::invalid_title().into())
}

/// What is typed, if it is one line of text of 1 to `most` characters, without spaces around it.
pub(crate) fn line(typed: &str, most: usize) -> Option<String> {
    let line = typed.trim();
    let fits = (1..=most).contains(&line.chars().count()) && !line.chars().any(is_unseen);
    fits.then(|| line.to_owned())
}

/// A description as it is kept: without spaces around it, line ends as they are written here.
pub(crate) fn description(typed: &str) -> Result<String, WebError> {
    let text = typed.trim().replace("\r\n", "\n");
    let fits = text.chars().count() <= MAX_DESCRIPTION
        && !text.chars().any(|character| is_unseen(character) && !matches!(character, '\n' | '\t'));
    if fits { Ok(text) } else { Err(problems::invalid_description().into()) }
}

/// Control characters, and those that turn the direction of the text around them.
fn is_unseen(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_line_of_text() {
        let quoted = r#"  El "mejor" <b>título</b> & más 🎬 "#;
        assert_eq!(title(quoted).unwrap(), quoted.trim());
        assert!(title(&"ñ".repeat(200)).is_ok());
        for typed in ["", "   ", "two\nlines", "nul\0", "turned \u{202e}gpj.exe", &"x".repeat(201)] {
            assert_eq!(title(typed).unwrap_err().problem().code, "invalid_title", "{typed:?}");
        }
    }

    #[test]
    fn descriptions_have_lines_and_a_length() {
        assert_eq!(description(" a\r\nb\tc\n").unwrap(), "a\nb\tc");
        assert_eq!(description("").unwrap(), "");
        for typed in ["nul\0", "\u{1b}[31m", &"x".repeat(5001)] {
            assert!(description(typed).is_err(), "{typed:?}");
        }
    }
}
