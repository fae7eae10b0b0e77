//! What an edge heard last, on its disk: a process that starts while the origin is away goes on
//! with it. Nothing of it is secret.

use std::io;
use std::path::PathBuf;

use model::{PublicPolicy, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::kept;
use crate::link::documents::RevocationsDocument;

const WORD: &str = "word.json";
const POLICIES: &str = "policies.json";

/// Keys and revocations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    /// Whose word it is: that of another origin is worth nothing.
    pub(crate) origin: Url,
    pub(crate) jwks: String,
    pub(crate) revocations: RevocationsDocument,
}

/// Public policies that were asked for lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policies {
    pub(crate) origin: Url,
    pub(crate) policies: Vec<(PublicPolicy, Timestamp)>,
}

/// The folder of it.
#[derive(Debug, Clone)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        kept::make_folder(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn word(&self, origin: &Url) -> Option<Word> {
        kept::read(&self.0.join(WORD)).filter(|word: &Word| word.origin == *origin)
    }

    pub(crate) fn policies(&self, origin: &Url) -> Option<Policies> {
        kept::read(&self.0.join(POLICIES)).filter(|policies: &Policies| policies.origin == *origin)
    }

    pub(crate) fn keep_word(&self, word: &Word) -> io::Result<()> {
        kept::write(&self.0.join(WORD), word)
    }

    pub(crate) fn keep_policies(&self, policies: &Policies) -> io::Result<()> {
        kept::write(&self.0.join(POLICIES), policies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_unless_it_is_anothers_or_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let ours: Url = "https://cocuyo.example".parse().unwrap();
        let disk = Disk::open(folder.path().join("origin")).unwrap();
        assert_eq!(disk.word(&ours), None);
        let document =
            RevocationsDocument { list: "list".to_owned(), number: 3, whole: true, revocations: Vec::new() };
        let word = Word { origin: ours.clone(), jwks: "{}".to_owned(), revocations: document };
        disk.keep_word(&word).unwrap();
        assert_eq!(disk.word(&ours).as_ref(), Some(&word));
        assert_eq!(disk.word(&"https://other.example".parse().unwrap()), None);
        std::fs::write(folder.path().join("origin").join(WORD), "{").unwrap();
        assert_eq!(disk.word(&ours), None);
        disk.keep_word(&word).unwrap();
        assert_eq!(disk.word(&ours), Some(word));
    }
}
