//! The configuration file: every part's own section, nested; and its effective values.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use edge::link::Credential;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::uploaders;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Takes uploads.
    Ingest,
    /// Packages videos.
    Packager,
    /// Serves streams.
    Edge,
    /// Serves the API and the pages.
    Web,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Ingest, Self::Packager, Self::Edge, Self::Web];
}

/// The whole file. Each key is explained in `docs/reference/configuration.md`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where everything of this machine lies: database, objects, spool, scratch.
    pub(crate) data: PathBuf,
    /// What this process does.
    pub(crate) roles: Vec<Role>,
    /// `sqlite://…` or `postgres://…`; a file in the data folder if absent.
    #[serde(serialize_with = "without_password")]
    pub(crate) database: Option<String>,
    /// Where `/health/live` and `/health/ready` answer.
    pub(crate) admin_listen: SocketAddr,
    /// Where the packager of this machine takes live streams; `live.sock` in the data folder if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live_socket: Option<PathBuf>,
    /// Where objects lie; a folder in the data folder if absent.
    pub(crate) storage: Option<storage::Config>,
    /// The public HTTP port.
    pub(crate) http: listener::Config,
    /// One line for each request at the public port.
    pub(crate) access_log: listener::access_log::Config,
    /// The public HTTPS port, if there is a certificate for it.
    pub(crate) https: listener::HttpsConfig,
    /// Who gives that port its certificate, if not its two files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acme: Option<acme::Config>,
    /// Uploads and live streams.
    pub(crate) ingest: ingest::Config,
    /// What one account may upload.
    pub(crate) uploads: uploaders::Config,
    /// Packaging.
    pub(crate) packager: packager::Config,
    /// Streams.
    pub(crate) edge: edge::Config,
    /// Where the origin of an edge of its own is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<edge::link::Config>,
    /// What that edge shows there.
    #[serde(skip)]
    pub(crate) fill_credential: Option<Credential>,
    /// Pages and API.
    pub(crate) web: web::Config,
    /// Telling other programs of events.
    pub(crate) webhooks: webhook::Config,
    /// Accounts and grants.
    pub(crate) subscriptions: subscriptions::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            roles: Role::ALL.to_vec(),
            database: None,
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            live_socket: None,
            storage: None,
            http: listener::Config::default(),
            access_log: listener::access_log::Config::default(),
            https: listener::HttpsConfig::default(),
            acme: None,
            ingest: ingest::Config::default(),
            uploads: uploaders::Config::default(),
            packager: packager::Config::default(),
            edge: edge::Config::default(),
            origin: None,
            fill_credential: None,
            web: web::Config::default(),
            webhooks: webhook::Config::default(),
            subscriptions: subscriptions::Config::default(),
        }
    }
}

/// A database's URL as it may be shown.
fn without_password<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let masked = url.as_deref().map(|url| match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Cannot fail: a URL that has a password can have another one.
            let _ = parsed.set_password(Some("********"));
            parsed.to_string()
        }
        Ok(parsed) => parsed.to_string(),
        Err(_) => "not a URL".to_owned(),
    });
    masked.serialize(serializer)
}

/// What the command line says over the file.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct Overrides {
    /// Configuration file (TOML); without it, every key has its default.
    #[arg(long, value_name = "FILE", env = "COCUYO_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Folder for everything this machine keeps; over the file's `data`.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data: Option<PathBuf>,
}

impl Config {
    /// Reads the file that the command line names, if any, and puts the overrides over it.
    ///
    /// The environment holds secrets only: `COCUYO_DATABASE` is the database's URL with its
    /// password, `COCUYO_S3_SECRET_ACCESS_KEY` the bucket's, `COCUYO_ORIGIN_CREDENTIAL`
    /// what an edge of its own shows at its origin's door.
    pub(crate) fn load(overrides: &Overrides) -> anyhow::Result<Self> {
        let mut config = match &overrides.config {
            Some(file) => Self::read(file)?,
            None => Self::default(),
        };
        if let Some(data) = &overrides.data {
            config.data = data.clone();
        }
        if let Ok(url) = std::env::var("COCUYO_DATABASE") {
            config.database = Some(url);
        }
        if let (Some(storage::Config::S3(s3)), Ok(secret)) =
            (&mut config.storage, std::env::var("COCUYO_S3_SECRET_ACCESS_KEY"))
        {
            s3.secret_access_key = storage::Secret::new(secret);
        }
        if let Some(origin) = &config.origin {
            config.fill_credential = fill_credential(origin)?;
        }
        config.validate()?;
        Ok(config)
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("read `{}`", file.display()))?;
        toml::from_str(&text).map_err(|error| {
            // One line that names the key and the place; toml's own message spans several.
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            anyhow::anyhow!("`{}` line {line}: {}", file.display(), error.message().replace('\n', " "))
        })
    }

    fn validate(&self) -> anyhow::Result<()> {
        if self.roles.is_empty() {
            bail!("`roles` is empty: name at least one of ingest, packager, edge, web");
        }
        if let Some(acme) = &self.acme {
            acme.validate()?;
            if self.https.certificate.is_some() || self.https.private_key.is_some() {
                bail!(
                    "the certificate is in files or from `[acme]`, not both: remove `https.certificate` and `https.private_key`, or `[acme]`"
                );
            }
        }
        Ok(())
    }

    /// Where the origin is and what to show there, if this process is an edge of its own: with the
    /// role `edge` alone and an `[origin]`.
    pub(crate) fn own_edge(&self) -> anyhow::Result<Option<(Url, Credential)>> {
        let Some(origin) = self.origin.as_ref().filter(|_| self.roles == [Role::Edge]) else {
            return Ok(None);
        };
        if self.database.is_some() {
            bail!("an edge of its own has no database: remove `database` or COCUYO_DATABASE, or `[origin]`");
        }
        if self.storage.is_none() {
            bail!("an edge of its own needs `[storage]`: where the origin's objects lie");
        }
        let Some(credential) = &self.fill_credential else {
            bail!("an edge of its own needs COCUYO_ORIGIN_CREDENTIAL or `origin.credential_file`");
        };
        Ok(Some((origin.address.clone(), credential.clone())))
    }

    /// The database's URL.
    pub(crate) fn database_url(&self) -> String {
        self.database.clone().unwrap_or_else(|| database::sqlite_url(&self.data.join("cocuyo.db")))
    }

    /// Where live streams go from the doors to the packager.
    pub(crate) fn live_socket(&self) -> PathBuf {
        self.live_socket.clone().unwrap_or_else(|| self.data.join("live.sock"))
    }

    /// The object store.
    pub(crate) fn storage(&self) -> storage::Config {
        self.storage.clone().unwrap_or_else(|| storage::Config::Folder(self.data.join("objects")))
    }

    /// Whether this process has `role`.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What an edge of its own shows at its origin's door: from the environment, else from the file
/// that the configuration names.
fn fill_credential(origin: &edge::link::Config) -> anyhow::Result<Option<Credential>> {
    if let Ok(text) = std::env::var("COCUYO_ORIGIN_CREDENTIAL") {
        return Ok(Some(text.parse().context("use COCUYO_ORIGIN_CREDENTIAL")?));
    }
    let Some(file) = &origin.credential_file else { return Ok(None) };
    let read = || format!("read `{}`", file.display());
    let text = std::fs::read_to_string(file).with_context(read)?;
    Ok(Some(text.parse().with_context(read)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cocuyo.toml");
        std::fs::write(&file, text).unwrap();
        Config::read(&file).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_file_and_line() {
        let message = refused("data = \"x\"\n[http]\nlissten = \"0.0.0.0:1\"\n");
        assert!(message.contains("cocuyo.toml` line 3: unknown field `lissten`"), "{message}");
        assert!(!message.contains('\n'));
    }

    #[test]
    fn the_shipped_file_shows_every_key_with_its_default() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/cocuyo.toml");
        let mut shipped = Config::read(Path::new(file)).unwrap();
        assert_eq!(shipped.data, Path::new("/var/lib/cocuyo"));
        shipped.data = Config::default().data;
        assert_eq!(toml::to_string(&shipped).unwrap(), toml::to_string(&Config::default()).unwrap());
        // A key that the file leaves out would have its default all the same: each must be there.
        let text = std::fs::read_to_string(file).unwrap();
        for line in toml::to_string(&Config::default()).unwrap().lines().filter(|line| line.contains('=')) {
            let key = line.split(' ').next().unwrap();
            assert!(text.lines().any(|shown| shown.starts_with(&format!("{key} ="))), "`{key}` is not shown");
        }
    }
}
