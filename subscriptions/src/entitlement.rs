use model::{Tier, Timestamp};

/// What an account has paid for, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entitlement {
    /// The tier that was given.
    pub tier: Tier,
    /// When it ends; `None` for a tier without an end.
    pub until: Option<Timestamp>,
}

impl Entitlement {
    /// No plan, for ever.
    pub const NONE: Self = Self { tier: Tier::NONE, until: None };

    /// What of it holds at `now`: the tier to its last millisecond, and no plan from then on.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self.until {
            Some(until) if now >= until => Self::NONE,
            _ if self.tier == Tier::NONE => Self::NONE,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_paid_tier_ends_with_its_time_and_not_before() {
        let paid = Entitlement { tier: Tier::ALL[2], until: Some(ms(1000)) };
        assert_eq!(paid.at(ms(999)), paid);
        assert_eq!(paid.at(ms(1000)), Entitlement::NONE);
        let given = Entitlement { tier: Tier::ALL[3], until: None };
        assert_eq!(given.at(ms(i64::MAX)), given);
        let nothing = Entitlement { tier: Tier::NONE, until: Some(ms(1000)) };
        assert_eq!(nothing.at(ms(0)), Entitlement::NONE);
    }
}
