//! Where the HTTPS port has its certificate from: two files, or a certificate authority.

use std::sync::Arc;

use acme::Keeper;
use listener::{Certificates, Door};
use model::SystemClock;
use rand::rngs::StdRng;
use tracing::{error, info};

use crate::challenge_door::ChallengeDoor;
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::reload::Reload;

/// The certificate, and who keeps it good.
pub(crate) struct Https {
    pub(crate) certificates: Certificates,
    keeper: Option<Keeper>,
}

impl Https {
    /// What `config` asks for; nothing if there is to be no HTTPS port.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(acme) = &config.acme else {
            let certificates = Certificates::of(&config.https)?;
            return Ok(certificates.map(|certificates| Self { certificates, keeper: None }));
        };
        let keeper = Keeper::new(acme.clone(), config.data.join("acme"), Arc::new(SystemClock))?;
        Ok(Some(Self { certificates: Certificates::to_come(), keeper: Some(keeper) }))
    }

    /// Files are read anew when the operator asks. An authority's certificate of before is shown at
    /// once and kept good from now on, for which the authority needs a door.
    pub(crate) fn start(self, reload: &mut Reload, life: &Lifecycle) -> Option<Arc<dyn Door>> {
        let Self { certificates, keeper } = self;
        let Some(keeper) = keeper else {
            reload.add("certificate", move |_| Ok(certificates.reload()?));
            return None;
        };
        match keeper.certificate() {
            None => info!("HTTPS waits for its first certificate"),
            Some(kept) => {
                if let Err(error) = certificates.show(&kept.chain, &kept.private_key) {
                    error!("show the certificate of before: {:#}", anyhow::Error::from(error));
                }
            }
        }
        let door = Arc::new(ChallengeDoor(keeper.challenges()));
        let stop = life.stop();
        life.spawn("certificate", async move {
            let show = move |new: &acme::Certificate| certificates.show(&new.chain, &new.private_key);
            keeper.run(show, &mut rand::make_rng::<StdRng>(), stop).await;
            Ok(())
        });
        Some(door)
    }
}
