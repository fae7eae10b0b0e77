//! What an edge heard last, on its disk: a process that starts while the origin is away goes on
//! with it. Nothing of it is secret.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::{PublicPolicy, Timestamp, VideoId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::link::documents::RevocationsDocument;

const WORD: &str = "word.json";
const POLICIES: &str = "policies.json";
/// Bytes of a file that are read: more than we write.
const MAX_FILE: u64 = 128 << 20;

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
    pub(crate) policies: Vec<(VideoId, Option<PublicPolicy>, Timestamp)>,
}

/// The folder of it.
#[derive(Debug, Clone)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn word(&self, origin: &Url) -> Option<Word> {
        self.read::<Word>(WORD).filter(|word| word.origin == *origin)
    }

    pub(crate) fn policies(&self, origin: &Url) -> Option<Policies> {
        self.read::<Policies>(POLICIES).filter(|policies| policies.origin == *origin)
    }

    pub(crate) fn keep_word(&self, word: &Word) -> io::Result<()> {
        self.write(WORD, word)
    }

    pub(crate) fn keep_policies(&self, policies: &Policies) -> io::Result<()> {
        self.write(POLICIES, policies)
    }

    /// What cannot be read is as if it was not there: the origin says it again.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.0.join(name);
        let read = || -> io::Result<T> {
            let mut bytes = Vec::new();
            File::open(&path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
            Ok(serde_json::from_slice(&bytes)?)
        };
        match read() {
            Ok(value) => Some(value),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, "cannot use `{}`; it is written anew", path.display());
                None
            }
        }
    }

    /// A power cut leaves the file as it was or as it is now.
    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let (path, temporary) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        sync_folder(&self.0)
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
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
