use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};
use url::Url;

/// Which store keeps the objects: exactly one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Config {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket on S3 or a server that speaks it.
    S3(S3Config),
}

/// A bucket on S3 or a server that speaks it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// Where the server is, for example `http://127.0.0.1:8333`.
    pub endpoint: Url,
    /// The region that requests are signed for; most servers but Amazon's ignore it.
    #[serde(default = "default_region")]
    pub region: String,
    /// The bucket; made if it is not there.
    pub bucket: String,
    /// Name of the credentials.
    pub access_key_id: String,
    /// Secret of the credentials.
    pub secret_access_key: Secret,
    /// Stands before the name of every object, so that installations can share a bucket; for
    /// example `cocuyo/`.
    #[serde(default)]
    pub prefix: String,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// A text that no log and no printed configuration shows.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("********")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S3: &str = r#"
        [s3]
        endpoint = "http://127.0.0.1:8333"
        bucket = "cocuyo"
        access_key_id = "key"
        secret_access_key = "hush"
    "#;

    #[test]
    fn a_configuration_names_one_store() {
        let folder: Config = toml::from_str(r#"folder = "/srv/objects""#).unwrap();
        assert!(matches!(folder, Config::Folder(path) if path.as_os_str() == "/srv/objects"));
        let s3: Config = toml::from_str(S3).unwrap();
        assert!(matches!(s3, Config::S3(s3) if s3.region == "us-east-1" && s3.prefix.is_empty()));
        assert!(toml::from_str::<Config>("").is_err());
        assert!(toml::from_str::<Config>(&format!("folder = \"/srv\"\n{S3}")).is_err());
        let unknown = toml::from_str::<Config>(&format!("{S3}\nsecret = 1")).unwrap_err();
        assert!(unknown.to_string().contains("unknown field `secret`"), "{unknown}");
    }

    #[test]
    fn the_secret_is_not_printed() {
        let config: Config = toml::from_str(S3).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        assert!(!toml::to_string(&config).unwrap().contains("hush"));
    }
}
