use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE};

/// A language that the product speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// Spanish, the language of its people and the one to fall back on.
    #[default]
    Es,
    /// English.
    En,
}

impl Language {
    /// The tag for `Content-Language` and `lang` attributes (RFC 5646).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::En => "en",
        }
    }

    /// The language of whoever sent these headers: the one they chose (cookie `lang`), else the
    /// one that their browser prefers, else Spanish.
    pub fn of(headers: &HeaderMap) -> Self {
        cookie(headers, "lang").and_then(Self::of_tag).unwrap_or_else(|| {
            headers
                .get(ACCEPT_LANGUAGE)
                .and_then(|value| value.to_str().ok())
                .and_then(Self::preferred)
                .unwrap_or_default()
        })
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        [Self::Es, Self::En].into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// RFC 9110 §12.5.4: the known language of the greatest weight, the first of equals.
    fn preferred(list: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for item in list.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::of_tag) else { continue };
            let weight = parts
                .find_map(|parameter| parameter.strip_prefix("q="))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            if weight > 0.0 && best.is_none_or(|(greatest, _)| weight > greatest) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

/// The value of the cookie `name`, if exactly one was sent.
///
/// Two cookies of one name (a parent domain's beside ours) are no cookie: whoever planted the
/// other one must not choose.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_language_comes_before_the_preferred_one() {
        let cases = [
            (None, None, Language::Es),
            (Some("en"), None, Language::En),
            (Some("en-US,en;q=0.9,es;q=0.8"), None, Language::En),
            (Some("en;q=0.3, es-CU;q=0.8"), None, Language::Es),
            (Some("fr, de;q=0.9, en;q=0.1"), None, Language::En),
            (Some("en;q=0"), None, Language::Es),
            (Some("en;q=x, *"), None, Language::Es),
            (Some("es"), Some("lang=en"), Language::En),
            (Some("en"), Some("a=b; lang=es; c=d"), Language::Es),
            (Some("en"), Some("lang=xx"), Language::En),
            (Some("es"), Some("lang=en; lang=es"), Language::Es),
        ];
        for (accept, cookies, expected) in cases {
            let mut headers = HeaderMap::new();
            accept.map(|value| headers.insert(ACCEPT_LANGUAGE, value.parse().unwrap()));
            cookies.map(|value| headers.insert(COOKIE, value.parse().unwrap()));
            assert_eq!(Language::of(&headers), expected, "{accept:?} {cookies:?}");
        }
    }
}
