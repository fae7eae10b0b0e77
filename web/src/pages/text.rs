//! The words of the pages: one catalogue per language, shared with the scripts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use listener::Language;

type Catalogue = BTreeMap<String, String>;

static ES: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../../messages/es.json")));
static EN: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../../messages/en.json")));

fn read(json: &str) -> Catalogue {
    serde_json::from_str(json).expect("a test reads both catalogues")
}

fn catalogue(language: Language) -> &'static Catalogue {
    match language {
        Language::Es => &ES,
        Language::En => &EN,
    }
}

/// The text under `key`. A key that is missing shows itself: ugly, never fatal.
pub(crate) fn say(language: Language, key: &str) -> &str {
    catalogue(language).get(key).map_or(key, String::as_str)
}

/// The text under `key` with each `{name}` filled in. A value is text, never a pattern.
pub(crate) fn fill(language: Language, key: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut filled = String::new();
    let mut rest = say(language, key);
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = behind.split_once('}') else { break };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            filled.push_str(&value.to_string());
        }
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn both_languages_have_the_same_keys_and_the_same_blanks() {
        assert_eq!(ES.keys().collect::<Vec<_>>(), EN.keys().collect::<Vec<_>>());
        for (key, text) in ES.iter() {
            assert_eq!(placeholders(text), placeholders(&EN[key]), "{key}");
            assert!(!text.trim().is_empty() && !EN[key].trim().is_empty(), "{key}");
        }
    }

    #[test]
    fn every_key_that_a_template_says_exists() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for call in ["say(\"", "fill(\""] {
                for part in text.split(call).skip(1) {
                    let key = part.split('"').next().unwrap();
                    assert!(ES.contains_key(key), "{key}");
                    count += 1;
                }
            }
        }
        assert!(count > 40, "{count} keys found: the templates moved");
    }

    #[test]
    fn values_are_text_and_never_patterns() {
        let filled = fill(Language::Es, "watch_by", &[("owner", &"{owner} {title}")]);
        assert_eq!(filled, "De {owner} {title}");
        assert_eq!(fill(Language::En, "plan_badge", &[("tier", &2)]), "Plan 2");
        assert_eq!(say(Language::Es, "no_such_key"), "no_such_key");
    }
}
