//! Who may see a video and who may play it, as pure decisions.

use catalog::Video;
use listener::Problem;
use model::{ErrorKind, EventPolicy, Role, Tier, TierRights, Timestamp, VersionId};
use subscriptions::SignedIn;

use crate::problems;

/// Greater than any picture: for owners, whom no tier limits.
const UNLIMITED: u16 = 4320;

/// How somebody may play a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Playable {
    /// The version that plays.
    pub(crate) version: VersionId,
    /// By what right.
    pub(crate) right: Right,
}

/// By what right a video is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// It is free for all, and whoever asks has no session: no grant.
    Free,
    /// By a grant.
    Granted {
        /// The greatest height in pixels.
        height: u16,
        /// How far back in a live event, in seconds.
        rewind_s: u32,
        /// When the right ends, if it does.
        until: Option<Timestamp>,
    },
}

/// Why somebody may not play a video now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// They may not even know of it.
    Hidden,
    /// They would have to sign in first.
    SignedOut,
    /// Their tier is lower than this one.
    Tier(Tier),
    /// There is nothing to play yet, or nothing will be.
    NotReady,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Hidden => Self::of(ErrorKind::NotFound),
            Refused::SignedOut => Self::of(ErrorKind::Unauthenticated),
            Refused::Tier(_) => problems::tier_required(),
            Refused::NotReady => problems::not_ready(),
        }
    }
}

/// Whether `person` may change and delete the video: its owner and administrators.
pub(crate) fn may_edit(video: &Video, person: Option<&SignedIn>) -> bool {
    person.is_some_and(|person| person.account == video.owner || person.role == Role::Admin)
}

/// Whether `person` keeps the queue: moderators and administrators, for videos of anybody and of
/// any visibility.
pub(crate) fn keeps_queue(person: Option<&SignedIn>) -> bool {
    person.is_some_and(|person| matches!(person.role, Role::Moderator | Role::Admin))
}

/// Whether `person` may have videos encoded anew: administrators, since it costs the machine hours.
pub(crate) fn may_reencode(person: Option<&SignedIn>) -> bool {
    person.is_some_and(|person| person.role == Role::Admin)
}

/// Whether `person` may know of the video.
pub(crate) fn may_see(video: &Video, person: Option<&SignedIn>) -> bool {
    video.visibility.is_shared() || may_edit(video, person)
}

/// Whether `person` may play the video, and by what right.
pub(crate) fn may_play(video: &Video, person: Option<&SignedIn>) -> Result<Playable, Refused> {
    if !may_see(video, person) {
        return Err(Refused::Hidden);
    }
    let right = match person {
        _ if may_edit(video, person) => {
            Right::Granted { height: UNLIMITED, rewind_s: EventPolicy::GREATEST_DVR_S, until: None }
        }
        None if video.min_tier > Tier::NONE => return Err(Refused::SignedOut),
        None => Right::Free,
        Some(person) if person.tier < video.min_tier => return Err(Refused::Tier(video.min_tier)),
        Some(person) => Right::Granted {
            height: person.rights.greatest_height,
            rewind_s: person.rights.rewind_s,
            until: person.entitled_until,
        },
    };
    let version = video.plays().ok_or(Refused::NotReady)?;
    Ok(Playable { version, right })
}

/// The greatest height that anybody may have of an item that asks for no tier: what those
/// without a plan may see.
pub fn free_height(rights: &[TierRights; 4]) -> u16 {
    rights[0].greatest_height
}

#[cfg(test)]
pub(crate) mod tests {
    use catalog::Progress;
    use model::{AccountId, SessionId, VideoId, VideoState, Visibility};

    use super::*;

    const VERSION: VersionId = VersionId::from_bits(9);
    const UNTIL: Timestamp = Timestamp::from_seconds(99);

    pub(crate) fn video(visibility: Visibility, min_tier: u8) -> Video {
        let t = Timestamp::from_seconds(1);
        Video {
            id: VideoId::from_bits(1),
            owner: AccountId::from_bits(1),
            title: "t".into(),
            description: String::new(),
            filename: "f".into(),
            size_bytes: 1,
            visibility,
            min_tier: Tier::try_from(min_tier).unwrap(),
            state: VideoState::Ready { version: VERSION, at: t },
            progress: Progress::default(),
            progress_at: None,
            queue_place: None,
            priority: 0,
            created_at: t,
            updated_at: t,
            published_at: None,
            chapters: Vec::new(),
            duration_ms: Some(6000),
            renditions: Vec::new(),
            unfinished: Vec::new(),
            has_stills: true,
            reencode: None,
            trim: None,
        }
    }

    fn person(account: u128, role: Role, tier: u8) -> SignedIn {
        SignedIn {
            account: AccountId::from_bits(account),
            session: SessionId::from_bits(5),
            username: "somebody".into(),
            role,
            tier: Tier::try_from(tier).unwrap(),
            entitled_until: (tier > 0).then_some(UNTIL),
            rights: TierRights::DEFAULTS[usize::from(tier)],
            revoked_at: None,
        }
    }

    #[test]
    fn visibility_and_tier_decide_for_everybody_but_owners_and_administrators() {
        use Visibility::{Draft, Private, Public, Unlisted};
        let (owner, stranger) = (person(1, Role::Creator, 0), person(2, Role::Creator, 0));
        let (moderator, admin) = (person(3, Role::Moderator, 0), person(4, Role::Admin, 0));
        let (basic, best) = (person(5, Role::Viewer, 1), person(6, Role::Viewer, 3));
        let granted = |height, rewind_s, until| Ok(Right::Granted { height, rewind_s, until });
        let all = granted(UNLIMITED, EventPolicy::GREATEST_DVR_S, None);
        let cases = [
            (Draft, 0, Some(&owner), all),
            (Draft, 0, Some(&admin), all),
            (Draft, 0, Some(&moderator), Err(Refused::Hidden)),
            (Draft, 0, Some(&best), Err(Refused::Hidden)),
            (Draft, 0, None, Err(Refused::Hidden)),
            (Private, 3, Some(&owner), all),
            (Private, 0, Some(&stranger), Err(Refused::Hidden)),
            (Unlisted, 0, None, Ok(Right::Free)),
            (Unlisted, 1, None, Err(Refused::SignedOut)),
            (Public, 0, None, Ok(Right::Free)),
            (Public, 0, Some(&stranger), granted(480, 0, None)),
            (Public, 0, Some(&basic), granted(720, 1800, Some(UNTIL))),
            (Public, 1, None, Err(Refused::SignedOut)),
            (Public, 1, Some(&stranger), Err(Refused::Tier(Tier::ALL[1]))),
            (Public, 1, Some(&basic), granted(720, 1800, Some(UNTIL))),
            (Public, 2, Some(&basic), Err(Refused::Tier(Tier::ALL[2]))),
            (Public, 2, Some(&best), granted(4320, 86400, Some(UNTIL))),
            (Public, 3, Some(&owner), all),
        ];
        for (visibility, min_tier, person, expected) in cases {
            let right = may_play(&video(visibility, min_tier), person).map(|playable| playable.right);
            assert_eq!(right, expected, "{visibility}, tier {min_tier}, {person:?}");
        }
    }

    #[test]
    fn what_is_not_ready_is_refused_as_such_to_those_who_might_play_it() {
        let queued = VideoState::Queued { since: Timestamp::from_seconds(1) };
        let waiting = Video { state: queued, ..video(Visibility::Public, 1) };
        let (basic, none) = (person(5, Role::Viewer, 1), person(2, Role::Viewer, 0));
        assert_eq!(may_play(&waiting, Some(&basic)), Err(Refused::NotReady));
        assert_eq!(may_play(&waiting, Some(&none)), Err(Refused::Tier(Tier::ALL[1])));
    }

    #[test]
    fn what_is_still_being_made_plays_by_the_same_rights() {
        let at = Timestamp::from_seconds(1);
        let growing = |plays| Video {
            state: VideoState::Packaging { since: at, plays },
            ..video(Visibility::Public, 0)
        };
        assert_eq!(may_play(&growing(None), None), Err(Refused::NotReady));
        let playable = Playable { version: VERSION, right: Right::Free };
        assert_eq!(may_play(&growing(Some(VERSION)), None), Ok(playable));
    }
}
