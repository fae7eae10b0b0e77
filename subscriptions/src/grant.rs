use std::time::Duration;

use model::{AUDIENCE, AccountId, Grant, ISSUER, SessionId, Tier, Timestamp, Use, Uses, VersionId, VideoId};

/// How long a grant of our own player lives; it renews at half of it.
pub const PLAYER_LIFE: Duration = Duration::from_secs(10 * 60);

/// Who will bear a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The account,
    pub account: AccountId,
    /// signed in as this session.
    pub session: SessionId,
    /// The tier it has now; a label for metrics.
    pub tier: Tier,
    /// When the account's grants were last revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What a grant is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The video,
    pub video: VideoId,
    /// and the version of it.
    pub version: VersionId,
    /// How long it plays, in milliseconds.
    pub duration_ms: u64,
    /// The greatest height in pixels.
    pub height: u16,
    /// What it may be used for.
    pub uses: Uses,
    /// How far back in a live event, in seconds.
    pub rewind_s: u32,
    /// When the right to it ends: the entitlement's end, or `None` for owners and free items.
    pub until: Option<Timestamp>,
    /// The last moment at which grants for the version may have been revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A grant for a player that can ask for another one: ten minutes.
pub fn player_grant(bearer: &Bearer, scope: &Scope, now: Timestamp) -> Grant {
    grant(bearer, scope, PLAYER_LIFE, now)
}

/// A grant for a player that only has a URL (VLC, a television), as long as any may live: six
/// hours, or one and a half times the film if that is longer.
pub fn foreign_grant(bearer: &Bearer, scope: &Scope, now: Timestamp) -> Grant {
    grant(bearer, scope, Grant::longest_life(scope.duration_ms), now)
}

fn grant(bearer: &Bearer, scope: &Scope, life: Duration, now: Timestamp) -> Grant {
    let end = scope.until.map_or(now + life, |until| until.min(now + life));
    Grant {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: bearer.account,
        sid: bearer.session,
        tier: bearer.tier,
        video: scope.video,
        version: scope.version,
        height: scope.height,
        uses: if scope.rewind_s > 0 { scope.uses.with(Use::Rewind) } else { scope.uses },
        rewind_s: scope.rewind_s,
        rate: None,
        iat: issued_at(bearer.revoked_at.max(scope.revoked_at), now),
        exp: end.as_seconds(),
    }
}

/// The `iat` of a grant made at `now`, in seconds, after a revocation at `revoked_at`.
///
/// A token counts whole seconds, and everything issued up to the revocation's moment is void; so
/// a grant made in the very second of a revocation, but behind it, is dated to the next second.
fn issued_at(revoked_at: Option<Timestamp>, now: Timestamp) -> i64 {
    revoked_at.map_or(now.as_seconds(), |revoked| now.as_seconds().max(revoked.as_seconds() + 1))
}

/// The moment to write for a revocation made at `now`, when the last one of the same thing was at
/// `earlier`: at or after `now`, and not before any grant that was made in between.
pub fn revocation_moment(earlier: Option<Timestamp>, now: Timestamp) -> Timestamp {
    earlier.map_or(now, |earlier| now.max(Timestamp::from_seconds(earlier.as_seconds() + 1)))
}

/// How far ahead of its making a grant may be dated: behind a revocation of its version, which in turn
/// may have come behind another within its second.
const AHEAD: Duration = Duration::from_secs(2);

/// [`revocation_moment`] of an account or a session: at or after the date of every grant that it was
/// given, also of those that are dated ahead because their version had just been revoked.
pub(crate) fn revocation_of_bearer(earlier: Option<Timestamp>, now: Timestamp) -> Timestamp {
    revocation_moment(earlier, now + AHEAD)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_400);

    fn bearer(revoked_at: Option<Timestamp>) -> Bearer {
        Bearer {
            account: AccountId::from_bits(1),
            session: SessionId::from_bits(2),
            tier: Tier::ALL[1],
            revoked_at,
        }
    }

    fn scope(duration_ms: u64, until: Option<Timestamp>) -> Scope {
        Scope {
            video: VideoId::from_bits(3),
            version: VersionId::from_bits(4),
            duration_ms,
            height: 720,
            uses: Uses::PLAY,
            rewind_s: 0,
            until,
            revoked_at: None,
        }
    }

    fn life(grant: &Grant) -> i64 {
        grant.exp - NOW.as_seconds()
    }

    #[test]
    fn grants_live_as_long_as_their_player_needs() {
        let hour = 3_600_000;
        assert_eq!(life(&player_grant(&bearer(None), &scope(9 * hour, None), NOW)), 600);
        assert_eq!(life(&foreign_grant(&bearer(None), &scope(hour, None), NOW)), 6 * 3600);
        assert_eq!(life(&foreign_grant(&bearer(None), &scope(6 * hour, None), NOW)), 9 * 3600);
        assert!(life(&foreign_grant(&bearer(None), &scope(u64::MAX, None), NOW)) > 0);
    }

    #[test]
    fn no_grant_outlives_what_was_paid_for() {
        let until = NOW + Duration::from_millis(90_999);
        for grant in [
            player_grant(&bearer(None), &scope(1, Some(until)), NOW),
            foreign_grant(&bearer(None), &scope(1, Some(until)), NOW),
        ] {
            assert!(Timestamp::from_seconds(grant.exp) <= until, "{grant:?}");
            assert!(grant.exp >= until.as_seconds(), "{grant:?}");
        }
    }

    #[test]
    fn within_one_second_a_revocation_voids_what_came_before_it_and_nothing_after() {
        let ms = |ms| NOW + Duration::from_millis(ms);
        let first = player_grant(&bearer(None), &scope(1, None), ms(0));
        let revoked = revocation_moment(None, ms(1));
        let second = player_grant(&bearer(Some(revoked)), &scope(1, None), ms(2));
        assert!(first.issued_at() <= revoked && second.issued_at() > revoked);
        let again = revocation_moment(Some(revoked), ms(3));
        let third = player_grant(&bearer(Some(again)), &scope(1, None), ms(4));
        assert!(second.issued_at() <= again && third.issued_at() > again);
        // A version's revocation counts like an account's.
        let of_version = Scope { revoked_at: Some(revoked), ..scope(1, None) };
        assert!(player_grant(&bearer(None), &of_version, ms(2)).issued_at() > revoked);
        // Long after, both are simply the present.
        assert_eq!(revocation_moment(Some(revoked), ms(5000)), ms(5000));
        assert_eq!(
            player_grant(&bearer(Some(revoked)), &scope(1, None), ms(5000)).iat,
            ms(5000).as_seconds()
        );
    }

    #[test]
    fn an_account_is_revoked_for_what_is_dated_ahead_too() {
        let ms = |ms| NOW + Duration::from_millis(ms);
        let version = revocation_moment(Some(revocation_moment(None, ms(0))), ms(1));
        let scope = Scope { revoked_at: Some(version), ..scope(1, None) };
        let ahead = player_grant(&bearer(None), &scope, ms(2));
        assert!(ahead.issued_at() > ms(3));
        let revoked = revocation_of_bearer(None, ms(3));
        assert!(ahead.issued_at() <= revoked);
        assert!(player_grant(&bearer(Some(revoked)), &scope, ms(4)).issued_at() > revoked);
    }

    proptest! {
        /// Plays and revocations at any moments, also several in one second: each revocation voids
        /// every grant before it and none behind it.
        #[test]
        fn a_revocation_parts_grants_by_their_order(steps in vec((0u64..700, any::<bool>()), 1..40)) {
            let (mut now, mut revoked, mut granted) = (NOW, None, Vec::new());
            for (ms, is_revocation) in steps {
                now = now + Duration::from_millis(ms);
                if is_revocation {
                    let at = revocation_moment(revoked, now);
                    prop_assert!(at >= now);
                    prop_assert!(granted.iter().all(|issued| *issued <= at), "{granted:?} {at}");
                    revoked = Some(at);
                } else {
                    let issued = player_grant(&bearer(revoked), &scope(1, None), now).issued_at();
                    prop_assert!(revoked.is_none_or(|at| issued > at), "{issued} {revoked:?}");
                    granted.push(issued);
                }
            }
        }

        #[test]
        fn no_grant_outlives_its_right(duration_ms: u64, left in 0u64..1_000_000_000) {
            let until = NOW + Duration::from_millis(left);
            for grant in [player_grant, foreign_grant] {
                let grant = grant(&bearer(None), &scope(duration_ms, Some(until)), NOW);
                prop_assert!(Timestamp::from_seconds(grant.exp) <= until);
            }
        }
    }
}
