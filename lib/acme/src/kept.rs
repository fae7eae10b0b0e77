//! The account and the certificate on the disk, for this user only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::certificate::Certificate;
use crate::error::AcmeError;

/// An account with an authority.
#[derive(Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) directory: Url,
    pub(crate) contacts: Vec<String>,
    pub(crate) credentials: AccountCredentials,
}

/// The folder of both.
#[derive(Debug)]
pub(crate) struct Kept(PathBuf);

impl Kept {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(crate) fn account(&self) -> Option<Account> {
        read(&self.account_file())
    }

    pub(crate) fn keep_account(&self, account: &Account) -> Result<(), AcmeError> {
        self.write(self.account_file(), account)
    }

    pub(crate) fn certificate(&self) -> Option<Certificate> {
        read(&self.certificate_file())
    }

    pub(crate) fn keep_certificate(&self, certificate: &Certificate) -> Result<(), AcmeError> {
        self.write(self.certificate_file(), certificate)
    }

    /// The authority does not know the account any more: the next one is a new one.
    pub(crate) fn forget_account(&self) -> Result<(), AcmeError> {
        let file = self.account_file();
        std::fs::remove_file(&file).map_err(|source| AcmeError::Keep { file, source })
    }

    fn account_file(&self) -> PathBuf {
        self.0.join("account.json")
    }

    fn certificate_file(&self) -> PathBuf {
        self.0.join("certificate.json")
    }

    fn write(&self, file: PathBuf, value: &impl Serialize) -> Result<(), AcmeError> {
        write(&self.0, &file, value).map_err(|source| AcmeError::Keep { file, source })
    }
}

/// What `file` holds. What cannot be read is as if it was not there.
fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    let read = std::fs::read(file).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    match read {
        Ok(value) => Some(value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(%error, "cannot use `{}`; it is made anew", file.display());
            None
        }
    }
}

/// A power cut leaves the file as it was or as it is now.
fn write(folder: &Path, file: &Path, value: &impl Serialize) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = file.with_extension("new");
    let mut opened =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    opened.write_all(&serde_json::to_vec(value)?)?;
    opened.sync_all()?;
    std::fs::rename(&temporary, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_is_for_this_user_only_and_rubbish_is_nothing() {
        let home = tempfile::tempdir().unwrap();
        let kept = Kept::in_folder(home.path().join("acme"));
        assert_eq!(kept.certificate(), None);
        let certificate = Certificate {
            directory: "https://ca.example/directory".parse().unwrap(),
            chain: "chain".to_owned(),
            private_key: "key".to_owned(),
        };
        kept.keep_certificate(&certificate).unwrap();
        assert_eq!(kept.certificate(), Some(certificate));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&kept.0), mode(&kept.certificate_file())), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&kept.0).unwrap().count(), 1);

        std::fs::write(kept.certificate_file(), "rubbish").unwrap();
        assert_eq!(kept.certificate(), None);
    }
}
