//! How many tokens that nobody here has seen are verified: a signature costs more than a whole
//! request, and anybody can send a bad one.
//!
//! A whole town may stand behind one address, so its budget is far above what any town's players
//! ask for, and networks can be exempt. When it is spent all the same, somebody forges; then a
//! login of which this thread has verified a grant before still has a small budget of its own, which
//! nobody else can spend: its id has 128 random bits and is nowhere but in its tokens.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use model::SessionId;
use serde::Deserialize;

use crate::config::Config;

type Budgets<K, C> = RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Unknown tokens of one known login that are verified in a second: a player renews its grant
/// every few minutes.
const OF_A_LOGIN: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Budgets that are kept before those that are full again are forgotten.
const REMEMBERED: usize = 1 << 16;

/// The budgets of addresses and logins.
pub(crate) struct Strangers<C: Clock = DefaultClock> {
    addresses: Budgets<IpAddr, C>,
    logins: Budgets<SessionId, C>,
    exempt: Vec<IpNet>,
}

impl Strangers {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with_clock(config, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Strangers<C> {
    fn with_clock(config: &Config, clock: &C) -> Self {
        let quota = Quota::per_second(config.unknown_tokens_per_s).allow_burst(config.unknown_tokens_burst);
        Self {
            addresses: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()),
            logins: RateLimiter::new(
                Quota::per_second(OF_A_LOGIN),
                HashMapStateStore::default(),
                clock.clone(),
            ),
            exempt: config.exempt_networks.clone(),
        }
    }

    /// Whether a `token` that is not remembered may be verified; `is_known` says whether a grant
    /// of a login was verified before.
    pub(crate) fn may_be_verified(
        &self,
        address: Option<IpAddr>,
        token: &str,
        is_known: impl FnOnce(SessionId) -> bool,
    ) -> bool {
        let Some(address) = address.map(|address| address.to_canonical()) else { return true };
        if self.exempt.iter().any(|network| network.contains(&address)) {
            return true;
        }
        forget_full(&self.addresses);
        if self.addresses.check_key(&household(address)).is_ok() {
            return true;
        }
        let Some(login) = claimed_login(token).filter(|login| is_known(*login)) else { return false };
        forget_full(&self.logins);
        self.logins.check_key(&login).is_ok()
    }
}

/// Bounds what a flood of addresses leaves behind.
fn forget_full<K: std::hash::Hash + Eq + Clone, C: Clock>(budgets: &Budgets<K, C>) {
    if budgets.len() > REMEMBERED {
        budgets.retain_recent();
        budgets.shrink_to_fit();
    }
}

/// What one customer of a network has: an IPv4 address, a /64 of IPv6.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// The login that a token says it belongs to, whatever that is worth.
fn claimed_login(token: &str) -> Option<SessionId> {
    #[derive(Deserialize)]
    struct Claims {
        sid: SessionId,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.sid)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn token(login: SessionId) -> String {
        let claims = format!(r#"{{"sid":"{login}","exp":1}}"#);
        format!("e30.{}.forged", URL_SAFE_NO_PAD.encode(claims))
    }

    fn strangers(clock: &FakeRelativeClock, exempt: &[&str]) -> Strangers<FakeRelativeClock> {
        let config = Config {
            unknown_tokens_per_s: NonZeroU32::new(10).unwrap(),
            unknown_tokens_burst: NonZeroU32::new(20).unwrap(),
            exempt_networks: exempt.iter().map(|network| network.parse().unwrap()).collect(),
            ..Config::default()
        };
        Strangers::with_clock(&config, clock)
    }

    #[test]
    fn an_address_has_a_budget_and_gets_it_back() {
        let clock = FakeRelativeClock::default();
        let strangers = strangers(&clock, &["10.0.0.0/8", "2001:db8:1::/48"]);
        let admitted = |address: &str| {
            let address = Some(address.parse().unwrap());
            (0..100).filter(|_| strangers.may_be_verified(address, "a.b.c", |_| true)).count()
        };
        assert_eq!(admitted("192.0.2.1"), 20);
        assert_eq!(admitted("192.0.2.1"), 0);
        assert_eq!(admitted("::ffff:192.0.2.1"), 0, "the same address, spelt otherwise");
        assert_eq!(admitted("192.0.2.2"), 20, "a neighbour feels nothing");
        assert_eq!(admitted("2001:db8::1"), 20);
        assert_eq!(admitted("2001:db8::2"), 0, "the same household");
        assert_eq!(admitted("2001:db8:0:1::1"), 20);
        assert_eq!(admitted("10.1.2.3"), 100, "an exempt network");
        assert_eq!(admitted("2001:db8:1::1"), 100);
        clock.advance(Duration::from_secs(1));
        assert_eq!(admitted("192.0.2.1"), 10);
    }

    #[test]
    fn a_known_login_is_verified_beside_a_forger() {
        let clock = FakeRelativeClock::default();
        let strangers = strangers(&clock, &[]);
        let (known, unknown) = (SessionId::from_bits(7), SessionId::from_bits(8));
        let address = Some([192, 0, 2, 1].into());
        let may = |token: &str| strangers.may_be_verified(address, token, |login| login == known);
        while may("a.b.c") {}
        assert!(!may(&token(unknown)));
        assert!(may(&token(known)) && may(&token(known)));
        assert!(!may(&token(known)), "not for ever: it may be the forger");
        assert!(!may("a"));
    }
}
