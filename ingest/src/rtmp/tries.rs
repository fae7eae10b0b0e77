//! Wrong keys. Whoever guesses at 128 random bits finds nothing; this keeps the guesses from the
//! catalog. There is no account yet, so it goes by address, far above what a campus mistypes, and
//! networks can be exempt.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

/// Wrong keys of one household: a minute's worth at once.
const PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// Households that are kept before those that have their budget back are forgotten.
const REMEMBERED: usize = 1 << 16;

type Budgets<C> = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The budgets of wrong keys.
#[derive(Debug)]
pub(crate) struct Tries<C: Clock = DefaultClock> {
    clock: C,
    budgets: Budgets<C>,
    /// For whom there is none.
    exempt: Vec<IpNet>,
    /// Households without one, and until when.
    spent: Mutex<HashMap<IpAddr, C::Instant>>,
}

impl Tries {
    pub(crate) fn new(exempt: Vec<IpNet>) -> Self {
        Self::with_clock(exempt, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Tries<C> {
    fn with_clock(exempt: Vec<IpNet>, clock: C) -> Self {
        let quota = Quota::per_minute(PER_MINUTE);
        let budgets = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { clock, budgets, exempt, spent: Mutex::default() }
    }

    /// Whether a key from `address` is looked at.
    pub(crate) fn may_try(&self, address: IpAddr) -> bool {
        let now = self.clock.now();
        self.spent().get(&household(address)).is_none_or(|until| *until <= now)
    }

    /// A key from `address` was wrong.
    pub(crate) fn failed(&self, address: IpAddr) {
        let canonical = address.to_canonical();
        if self.exempt.iter().any(|network| network.contains(&canonical)) {
            return;
        }
        let (household, now) = (household(address), self.clock.now());
        if self.budgets.len() > REMEMBERED {
            self.budgets.retain_recent();
        }
        if let Err(not_until) = self.budgets.check_key(&household) {
            let wait: Duration = not_until.wait_time_from(now);
            let mut spent = self.spent();
            if spent.len() > REMEMBERED {
                spent.retain(|_, until| *until > now);
            }
            spent.insert(household, now + wait.into());
        }
    }

    fn spent(&self) -> MutexGuard<'_, HashMap<IpAddr, C::Instant>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A household has 2^64 addresses of IPv6.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn wrong_keys_are_looked_at_up_to_a_number() {
        let clock = FakeRelativeClock::default();
        let exempt = ["10.0.0.0/8", "2001:db8:1::/48"].map(|network| network.parse().unwrap());
        let tries = Tries::with_clock(exempt.to_vec(), clock.clone());
        let looked_at = |address: &str| {
            let address = address.parse().unwrap();
            let try_once = || tries.may_try(address).then(|| tries.failed(address)).is_some();
            (0..200).filter(|_| try_once()).count()
        };
        // The first that is over the budget is looked at, too: only then is it known to be wrong.
        assert_eq!(looked_at("192.0.2.1"), 61);
        assert_eq!(looked_at("::ffff:192.0.2.1"), 0, "the same address, spelt otherwise");
        assert_eq!((looked_at("192.0.2.2"), looked_at("2001:db8::1")), (61, 61));
        assert_eq!(looked_at("2001:db8::2"), 0, "the same household");
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:1::1"] {
            assert_eq!(looked_at(address), 200, "of an exempt network");
        }
        assert!(!tries.may_try([192, 0, 2, 1].into()), "its right key waits as well");
        clock.advance(Duration::from_secs(10));
        assert!(tries.may_try([192, 0, 2, 1].into()));
        assert!((10..13).contains(&looked_at("192.0.2.1")));
    }
}
