//! When to order. Pure: time and chance are arguments.

use std::time::Duration;

use model::Timestamp;

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// What became of an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The authority could not be reached.
    Away,
    /// The authority said no, or we could not do our part.
    Refused,
}

/// Attempts that failed one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) times: u32,
    pub(crate) last: Failure,
    pub(crate) at: Timestamp,
}

impl Failed {
    /// One more.
    pub(crate) fn again(before: Option<Self>, last: Failure, at: Timestamp) -> Self {
        Self { times: before.map_or(0, |failed| failed.times).saturating_add(1), last, at }
    }
}

/// The moment to order: at two thirds of the certificate's life, at once without one, and some time
/// after a failure. `chance` is from 0 up to 1, and keeps many servers from coming all at once.
pub(crate) fn due(term: Option<Term>, failed: Option<Failed>, chance: f64) -> Timestamp {
    let renewal = term.map_or(Timestamp::default(), |Term { from, until }| {
        let life = until.since(from);
        // A thirtieth is three days of the usual ninety.
        from + life * 2 / 3 + (life / 30).mul_f64(chance)
    });
    let again = failed.map_or(Timestamp::default(), |failed| failed.at + pause(failed, chance));
    renewal.max(again)
}

/// How long to let the authority alone. Let's Encrypt takes five proofs that fail in an hour: the
/// pauses after a refusal make four of them in the first, and fewer later.
fn pause(Failed { times, last, .. }: Failed, chance: f64) -> Duration {
    let (first, factor, longest) = match last {
        Failure::Away => (5, 2_u64, 3600),
        Failure::Refused => (120, 3, 6 * 3600),
    };
    let seconds = factor.saturating_pow(times.saturating_sub(1)).saturating_mul(first).min(longest);
    Duration::from_secs(seconds).mul_f64(1.0 + chance / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn days(from: i64, until: i64) -> Option<Term> {
        Some(Term { from: Timestamp::from_seconds(from * DAY), until: Timestamp::from_seconds(until * DAY) })
    }

    fn failed(times: u32, last: Failure, at: i64) -> Option<Failed> {
        Some(Failed { times, last, at: Timestamp::from_seconds(at) })
    }

    #[test]
    fn orders_are_due() {
        use Failure::{Away, Refused};
        for (term, failed, chance, expected) in [
            // Without a certificate at once, then after pauses that grow.
            (None, None, 0.9, 0),
            (None, failed(1, Away, 1000), 0.0, 1005),
            (None, failed(2, Away, 1000), 0.0, 1010),
            (None, failed(4, Away, 1000), 0.0, 1040),
            (None, failed(4, Away, 1000), 0.5, 1045),
            (None, failed(40, Away, 1000), 0.0, 4600),
            (None, failed(1, Refused, 1000), 0.0, 1120),
            (None, failed(2, Refused, 1000), 0.0, 1360),
            (None, failed(3, Refused, 1000), 0.0, 2080),
            (None, failed(u32::MAX, Refused, 1000), 0.0, 1000 + 6 * 3600),
            // With one at two thirds of its life, or up to a thirtieth later.
            (days(0, 90), None, 0.0, 60 * DAY),
            (days(0, 90), None, 0.5, 61 * DAY + DAY / 2),
            (days(10, 16), None, 0.0, 14 * DAY),
            // A renewal that failed is tried again while the old one is good, and after its end.
            (days(0, 90), failed(1, Away, 60 * DAY), 0.0, 60 * DAY + 5),
            (days(0, 90), failed(1, Refused, 95 * DAY), 0.0, 95 * DAY + 120),
            // A term that ends before it begins is over.
            (days(90, 0), None, 0.5, 90 * DAY),
        ] {
            let due = due(term, failed, chance);
            assert_eq!(due, Timestamp::from_seconds(expected), "{term:?} {failed:?} {chance}");
        }
    }

    #[test]
    fn failures_are_counted_whatever_they_are() {
        let at = Timestamp::from_seconds(7);
        let first = Failed::again(None, Failure::Away, at);
        assert_eq!(first, Failed { times: 1, last: Failure::Away, at });
        let second = Failed::again(Some(first), Failure::Refused, at);
        assert_eq!(second, Failed { times: 2, last: Failure::Refused, at });
    }
}
