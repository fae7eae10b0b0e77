use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Timestamp};
use rand::{Rng, RngExt};
use tokio_util::sync::CancellationToken;

use crate::certificate::Certificate;
use crate::challenges::Challenges;
use crate::client::Client;
use crate::config::Config;
use crate::error::{AcmeError, BoxError};
use crate::kept::Kept;
use crate::order;
use crate::renewal::{Failed, Term, due};

/// The longest sleep: a clock that was set, or a machine that slept, is noticed after it.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// Keeps a certificate good for as long as it runs.
#[derive(Debug)]
pub struct Keeper {
    config: Config,
    kept: Kept,
    client: Client,
    challenges: Challenges,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    /// A keeper by `config`, with its files in `folder`; nobody is asked and nothing is written yet.
    ///
    /// # Errors
    ///
    /// [`AcmeError::Config`] as [`Config::validate`]; [`AcmeError::Roots`] if the file that
    /// `ca_certificate` names cannot be used.
    pub fn new(config: Config, folder: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, AcmeError> {
        config.validate()?;
        let client = Client::new(config.ca_certificate.as_deref())?;
        Ok(Self { config, kept: Kept::in_folder(folder), client, challenges: Challenges::default(), clock })
    }

    /// What the plain HTTP port has to answer.
    pub fn challenges(&self) -> Challenges {
        self.challenges.clone()
    }

    /// The certificate of before; perhaps it is over, or for other names.
    pub fn certificate(&self) -> Option<Certificate> {
        self.kept.certificate()
    }

    /// Gets a certificate when there is none, and a new one in time, until `stop`. Each is given to
    /// `show`; while none can be had, the old one goes on being shown.
    pub async fn run<E>(
        self,
        show: impl Fn(&Certificate) -> Result<(), E>,
        rng: &mut impl Rng,
        stop: CancellationToken,
    ) where
        E: Error + Send + Sync + 'static,
    {
        // One that cannot be shown is as good as none.
        let kept = self.certificate().filter(|kept| show(kept).is_ok());
        let mut term = kept.and_then(|kept| self.term(&kept));
        let mut failed: Option<Failed> = None;
        let mut said = String::new();
        let mut chance: f64 = rng.random();
        loop {
            let wait = due(term, failed, chance).since(self.clock.now()).min(LOOK_AGAIN);
            if !wait.is_zero() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => continue,
                }
            }
            let ordered = tokio::select! {
                () = stop.cancelled() => return,
                ordered = self.order(&show) => ordered,
            };
            chance = rng.random();
            match ordered {
                Ok(ordered) => {
                    term = Some(ordered);
                    failed = None;
                    said.clear();
                    self.tell(ordered, due(term, failed, chance));
                }
                Err(error) => {
                    failed = Some(Failed::again(failed, error.failure(), self.clock.now()));
                    // Each reason once, however often it is in the way.
                    let topic = error.topic();
                    if topic != said {
                        tracing::warn!(error = &error as &dyn Error, "no new certificate; it is tried again");
                        said = topic;
                    }
                }
            }
        }
    }

    /// The term of a certificate, if it is one that would be ordered.
    fn term(&self, certificate: &Certificate) -> Option<Term> {
        let facts = certificate.facts().ok()?;
        let is_ours = certificate.directory == self.config.directory && facts.cover(&self.config.domains);
        is_ours.then_some(facts.term)
    }

    async fn order<E>(&self, show: &impl Fn(&Certificate) -> Result<(), E>) -> Result<Term, AcmeError>
    where
        E: Error + Send + Sync + 'static,
    {
        let ordered = match self.ask().await {
            // The authority has forgotten us, and takes us in again.
            Err(error) if error.is_unknown_account() => {
                self.kept.forget_account()?;
                self.ask().await
            }
            ordered => ordered,
        };
        let certificate = ordered?;
        let term = self.term(&certificate).ok_or_else(|| AcmeError::Issued("not what was ordered".into()))?;
        show(&certificate).map_err(|error| AcmeError::Issued(BoxError::from(error)))?;
        // It is good all the same, and another one would not be kept either.
        if let Err(error) = self.kept.keep_certificate(&certificate) {
            tracing::error!(error = &error as &dyn Error, "the next start will order another certificate");
        }
        // The next order must not follow at once, and another after that.
        if due(Some(term), None, 0.0) <= self.clock.now() {
            return Err(AcmeError::Issued("by this machine's clock it is over or soon will be".into()));
        }
        Ok(term)
    }

    async fn ask(&self) -> Result<Certificate, AcmeError> {
        let account = order::account(&self.client, &self.config, &self.kept).await?;
        order::order(&account, &self.config, &self.challenges).await
    }

    fn tell(&self, term: Term, renewal: Timestamp) {
        let names: Vec<_> = self.config.domains.iter().map(|domain| domain.as_str()).collect();
        let days = |moment: Timestamp| moment.since(self.clock.now()).as_secs() / (24 * 3600);
        tracing::info!(
            "a new certificate for {} is shown: good for {} days, renewed in {} days",
            names.join(", "),
            days(term.until),
            days(renewal)
        );
    }
}
