//! One account and one order, from the first question to the certificate.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};

use crate::certificate::Certificate;
use crate::challenges::Challenges;
use crate::client::Client;
use crate::config::Config;
use crate::error::AcmeError;
use crate::kept::{self, Kept};

/// For the authority to look at all names from everywhere, and then to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// The account of before, or a new one.
pub(crate) async fn account(client: &Client, config: &Config, kept: &Kept) -> Result<Account, AcmeError> {
    let builder = Account::builder_with_http(Box::new(client.clone()));
    let contacts = config.contacts();
    let same =
        |account: &kept::Account| account.directory == config.directory && account.contacts == contacts;
    if let Some(account) = kept.account().filter(same) {
        return builder.from_credentials(account.credentials).await.map_err(asked("find the authority"));
    }
    let shown: Vec<&str> = contacts.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &shown,
        terms_of_service_agreed: config.terms_agreed,
        only_return_existing: false,
    };
    let made = builder.create(&new, config.directory.as_str().to_owned(), None).await;
    let (account, credentials) = made.map_err(asked("register with the authority"))?;
    kept.keep_account(&kept::Account { directory: config.directory.clone(), contacts, credentials })?;
    Ok(account)
}

/// Orders a certificate for all names, and answers the authority's challenges meanwhile.
pub(crate) async fn order(
    account: &Account,
    config: &Config,
    challenges: &Challenges,
) -> Result<Certificate, AcmeError> {
    let mut domains = config.domains.clone();
    domains.sort();
    domains.dedup();
    let names: Vec<_> = domains.into_iter().map(|domain| Identifier::Dns(domain.into())).collect();
    let order = account.new_order(&NewOrder::new(&names)).await;
    let mut order = order.map_err(asked("order a certificate"))?;
    prove(&mut order, challenges).await?;
    let private_key = order.finalize().await.map_err(asked("ask for the signature"))?;
    let chain = order.poll_certificate(&PATIENCE).await.map_err(asked("fetch the certificate"))?;
    Ok(Certificate { directory: config.directory.clone(), chain, private_key })
}

/// Shows for each name that it is served here, unless the authority remembers.
async fn prove(order: &mut Order, challenges: &Challenges) -> Result<(), AcmeError> {
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(asked("read what is to be proved"))?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
            let source = "the authority does not offer `http-01`".into();
            return Err(AcmeError::Prove { domain, source });
        };
        // Before the authority is told to look.
        open.push(challenges.open(&challenge.token, challenge.key_authorization().as_str()));
        challenge.set_ready().await.map_err(asked("ask for the proof"))?;
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) => Err(why_not(order).await.unwrap_or_else(|| {
            asked("ask for the proof")(Error::Str("the order was given up without a reason"))
        })),
        Err(error @ Error::Api(_)) => {
            Err(why_not(order).await.unwrap_or_else(|| asked("ask for the proof")(error)))
        }
        Err(error) => Err(asked("wait for the proof")(error)),
    }
}

/// What the authority says that it saw.
async fn why_not(order: &mut Order) -> Option<AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // What is known is of before the proof.
        authorization.refresh().await.ok()?;
        let seen = authorization.challenges.iter().find_map(|challenge| challenge.error.clone());
        if let Some(problem) = seen {
            let domain = authorization.identifier().to_string();
            return Some(AcmeError::Prove { domain, source: problem.into() });
        }
    }
    None
}

fn asked(step: &'static str) -> impl Fn(Error) -> AcmeError {
    move |source| AcmeError::Ask { step, source }
}
