use std::fmt;

/// A person's public name: 3 to 32 of `a`–`z`, `0`–`9`, `.`, `_` and `-`, beginning with a letter,
/// with no two signs in a row and none at the end.
///
/// ASCII only, and lower case only: two names that look alike are the same name, and a name can
/// stand in a path, a mention or a log line as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(String);

/// A text that cannot be a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a username has 3 to 32 letters a-z, digits, or single `.`, `_`, `-` between them")]
pub struct InvalidUsername;

const LENGTH: std::ops::RangeInclusive<usize> = 3..=32;

/// Names that would pass for the site itself or for one of its pages; an operator may still give
/// them out.
const RESERVED: &[&str] = &[
    "about",
    "account",
    "accounts",
    "admin",
    "administrador",
    "administrator",
    "anonymous",
    "api",
    "assets",
    "ayuda",
    "cocuyo",
    "contact",
    "embed",
    "entrar",
    "help",
    "live",
    "login",
    "logout",
    "moderador",
    "moderator",
    "null",
    "official",
    "oficial",
    "origin",
    "root",
    "salir",
    "search",
    "settings",
    "signin",
    "signup",
    "soporte",
    "staff",
    "static",
    "studio",
    "subir",
    "support",
    "system",
    "undefined",
    "upload",
    "uploads",
    "video",
    "videos",
    "watch",
    "webmaster",
    "whip",
];

impl Username {
    /// Reads what a person typed: spaces around it and the case of its letters don't count.
    pub fn parse(typed: &str) -> Result<Self, InvalidUsername> {
        let name = typed.trim_matches(' ').to_ascii_lowercase();
        let is_sign = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
        let bytes = name.as_bytes();
        let fits = LENGTH.contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && !bytes.last().copied().is_some_and(is_sign)
            && bytes.iter().all(|&byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_sign(byte))
            && !bytes.windows(2).any(|pair| is_sign(pair[0]) && is_sign(pair[1]));
        if fits { Ok(Self(name)) } else { Err(InvalidUsername) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name could pass for the site itself, so that nobody may take it by themselves.
    pub fn is_reserved(&self) -> bool {
        RESERVED.binary_search(&self.as_str()).is_ok()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_look_alike_are_one_name() {
        for typed in ["ana", "Ana", "  ANA ", "ana "] {
            assert_eq!(Username::parse(typed).unwrap().as_str(), "ana", "{typed:?}");
        }
    }

    #[test]
    fn odd_names_are_refused() {
        let long = "a".repeat(33);
        for typed in [
            "",
            "ab",
            "1ana",
            "_ana",
            "ana_",
            "a..b",
            "a.-b",
            "an a",
            "ana\u{200b}",
            "аna",
            "ana\n",
            "%61na",
            "../ana",
            "ana/b",
            "añil",
            "ana\0",
            &long,
        ] {
            assert_eq!(Username::parse(typed), Err(InvalidUsername), "{typed:?}");
        }
    }

    #[test]
    fn the_reserved_names_are_sorted_and_well_formed() {
        assert!(RESERVED.is_sorted(), "binary search needs it");
        for name in RESERVED {
            assert!(Username::parse(name).unwrap().is_reserved(), "{name}");
        }
        assert!(!Username::parse("ana.perez-2").unwrap().is_reserved());
    }

    proptest! {
        #[test]
        fn a_name_is_its_own_normal_form(typed in "[ a-zA-Z0-9._ñ\u{200b}-]{0,36}") {
            if let Ok(name) = Username::parse(&typed) {
                prop_assert_eq!(Username::parse(name.as_str()), Ok(name));
            }
        }
    }
}
