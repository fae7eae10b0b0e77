//! Every route, by every bearer, under every policy.

use expect_test::expect;
use live::View;
use model::{
    AUDIENCE, AccountId, ISSUER, PublicPolicy, RenditionName, Revocation, Revoked, SessionId, Tier, Uses,
    VersionId, VideoId,
};

use super::*;
use crate::live::LiveRoute;

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
const VIDEO: VideoId = VideoId::from_bits(1);
const VERSION: VersionId = VersionId::from_bits(2);

fn grant(change: impl FnOnce(&mut Grant)) -> Grant {
    let mut grant = Grant {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: AccountId::from_bits(3),
        sid: SessionId::from_bits(4),
        tier: Tier::NONE,
        video: VIDEO,
        version: VERSION,
        height: 480,
        uses: Uses::PLAY,
        rewind_s: 0,
        rate: None,
        iat: NOW.as_seconds() - 60,
        exp: NOW.as_seconds() + 540,
    };
    change(&mut grant);
    grant
}

fn sent(change: impl FnOnce(&mut Grant)) -> Bearer {
    Bearer::Grant { grant: Arc::new(grant(change)), ambient: false }
}

fn cookie(change: impl FnOnce(&mut Grant)) -> Bearer {
    Bearer::Grant { grant: Arc::new(grant(change)), ambient: true }
}

fn revoked(what: Revoked, at: i64) -> Revocations {
    Revocations::new(&[Revocation { number: 1, revoked: what, at: Timestamp::from_seconds(at) }])
}

fn word(decision: Decision) -> String {
    match decision {
        Decision::Allowed(Right::Granted(grant)) => format!("own {}", grant.height),
        Decision::Allowed(Right::Public { height, .. }) => format!("all {height}"),
        Decision::Refused(ErrorKind::Unauthenticated) => "401".to_owned(),
        Decision::Refused(ErrorKind::Forbidden) => "403".to_owned(),
        Decision::Refused(ErrorKind::NotFound) => "404".to_owned(),
        Decision::Refused(ErrorKind::TooMany) => "429".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A number for each kind of resource: a new one does not compile until it is here, and then the
/// table below fails until it has a line.
const fn kind(resource: Resource) -> usize {
    match resource {
        Resource::Multivariant => 0,
        Resource::Playlist(_) => 1,
        Resource::Init(..) => 2,
        Resource::Segment(..) => 3,
        Resource::Mp4(_) => 4,
        Resource::Poster => 5,
        Resource::Thumbnail => 6,
        Resource::IFrames(_) => 7,
        Resource::Live(live) => 8 + live.number(),
    }
}
const KINDS: usize = 8 + LiveRoute::NAMES.len();

#[test]
fn who_may_have_what() {
    let picture = |height| RenditionName::Video { height };
    let sound = RenditionName::Audio { kbps: 64 };
    // Routes of one column are decided alike; that they are is what the loop below checks.
    let columns: [(&str, &[Resource]); 7] = [
        (
            "multivariant",
            &[
                Resource::Multivariant,
                Resource::Playlist(sound),
                Resource::Segment(sound, 3),
                Resource::Mp4(picture(144)),
                Resource::Mp4(picture(360)),
                Resource::Live(LiveRoute::Multivariant(View::Low)),
                Resource::Live(LiveRoute::Multivariant(View::Saver)),
                Resource::Live(LiveRoute::Playlist(View::Normal, sound)),
                Resource::Live(LiveRoute::Part(sound, 7, 0)),
            ],
        ),
        ("poster", &[Resource::Poster]),
        (
            "480p",
            &[
                Resource::Playlist(picture(480)),
                Resource::IFrames(picture(480)),
                Resource::Init(picture(480), 0),
                Resource::Init(picture(480), 1),
                Resource::Segment(picture(480), 0),
                Resource::Live(LiveRoute::Playlist(View::Low, picture(480))),
                Resource::Live(LiveRoute::Playlist(View::Normal, picture(480))),
                Resource::Live(LiveRoute::Playlist(View::Saver, picture(480))),
                Resource::Live(LiveRoute::Init(picture(480), 0)),
                Resource::Live(LiveRoute::Segment(picture(480), 7)),
                Resource::Live(LiveRoute::Part(picture(480), 7, 0)),
                Resource::Live(LiveRoute::Joined(picture(480), 7, 9)),
            ],
        ),
        ("480p file", &[Resource::Mp4(picture(361)), Resource::Mp4(picture(480))]),
        (
            "1080p",
            &[
                Resource::Playlist(picture(1080)),
                Resource::IFrames(picture(1080)),
                Resource::Init(picture(1080), 0),
                Resource::Init(picture(1080), 7),
                Resource::Segment(picture(1080), 0),
                Resource::Live(LiveRoute::Playlist(View::Low, picture(1080))),
                Resource::Live(LiveRoute::Playlist(View::Normal, picture(1080))),
                Resource::Live(LiveRoute::Playlist(View::Saver, picture(1080))),
                Resource::Live(LiveRoute::Init(picture(1080), 0)),
                Resource::Live(LiveRoute::Segment(picture(1080), 7)),
                Resource::Live(LiveRoute::Part(picture(1080), 7, 0)),
                Resource::Live(LiveRoute::Joined(picture(1080), 7, 9)),
            ],
        ),
        ("1080p file", &[Resource::Mp4(picture(1080))]),
        ("thumbnail", &[Resource::Thumbnail]),
    ];
    let mut missing: Vec<_> = (0..KINDS).collect();
    missing.retain(|number| !columns.iter().any(|(_, all)| all.iter().any(|one| kind(*one) == *number)));
    assert!(missing.is_empty(), "resources without a line: {missing:?}");
    let policy = |version, listed, height| {
        Some(PublicPolicy { video: VIDEO, version, also: Vec::new(), listed, height, rewind_s: 0 })
    };
    let policies = [
        ("absent or private", None),
        ("unlisted, gated", policy(VERSION, false, None)),
        ("listed, gated", policy(VERSION, true, None)),
        ("listed, free to 480", policy(VERSION, true, Some(480))),
        ("another version is current", policy(VersionId::from_bits(9), true, Some(480))),
    ];
    let none = Revocations::default();
    let account = revoked(Revoked::Account(AccountId::from_bits(3)), NOW.as_seconds() - 30);
    let earlier = revoked(Revoked::Account(AccountId::from_bits(3)), NOW.as_seconds() - 61);
    let session = revoked(Revoked::Session(SessionId::from_bits(4)), NOW.as_seconds() - 60);
    let version = revoked(Revoked::Version(VERSION), NOW.as_seconds());
    let bearers: Vec<(&str, Bearer, &Revocations)> = vec![
        ("nobody", Bearer::Nobody, &none),
        ("forged", Bearer::Forged { ambient: false }, &none),
        ("forged cookie", Bearer::Forged { ambient: true }, &none),
        ("unheard", Bearer::Unheard { ambient: false }, &none),
        ("unheard cookie", Bearer::Unheard { ambient: true }, &none),
        ("480", sent(|_| ()), &none),
        ("480 cookie", cookie(|_| ()), &none),
        ("1080", sent(|grant| grant.height = 1080), &none),
        ("480, to keep", sent(|grant| grant.uses = Uses::PLAY.with(Use::Download)), &none),
        ("no use", sent(|grant| grant.uses = Uses::default()), &none),
        ("expired", sent(|grant| grant.exp = NOW.as_seconds() - 30), &none),
        ("expired cookie", cookie(|grant| grant.exp = NOW.as_seconds() - 30), &none),
        ("in leeway", sent(|grant| grant.exp = NOW.as_seconds() - 29), &none),
        ("other video", sent(|grant| grant.video = VideoId::from_bits(8)), &none),
        ("other version", sent(|grant| grant.version = VersionId::from_bits(8)), &none),
        ("other cookie", cookie(|grant| grant.video = VideoId::from_bits(8)), &none),
        ("account revoked", sent(|_| ()), &account),
        ("revoked, then renewed", sent(|_| ()), &earlier),
        ("session revoked", sent(|_| ()), &session),
        ("version revoked", sent(|_| ()), &version),
    ];

    let mut table = String::new();
    for (policy_name, policy) in &policies {
        table.push_str(&format!("{policy_name}\n"));
        for (bearer_name, bearer, revocations) in &bearers {
            table.push_str(&format!("  {bearer_name:22}"));
            for (column, resources) in &columns {
                let cells: Vec<_> = resources
                    .iter()
                    .map(|resource| {
                        let route = Route { video: VIDEO, version: VERSION, resource: *resource };
                        word(match by_grant(&route, bearer, revocations, NOW) {
                            Decision::AskPolicy(otherwise) => by_policy(
                                &route,
                                Answer { policy: policy.clone(), asked: NOW },
                                revocations,
                                otherwise,
                            ),
                            settled => settled,
                        })
                    })
                    .collect();
                assert!(cells.windows(2).all(|pair| pair[0] == pair[1]), "{bearer_name} {column} {cells:?}");
                table.push_str(&format!(" {column} {:8}", cells[0]));
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
    }
    expect![[r#"
        absent or private
          nobody                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged cookie          multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          unheard                multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          unheard cookie         multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          480                    multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          480 cookie             multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          1080                   multivariant own 1080 poster own 1080 480p own 1080 480p file 403      1080p own 1080 1080p file 403      thumbnail own 1080
          480, to keep           multivariant own 480  poster own 480  480p own 480  480p file own 480  1080p 403      1080p file 403      thumbnail own 480
          no use                 multivariant 403      poster 403      480p 403      480p file 403      1080p 403      1080p file 403      thumbnail 403
          expired                multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          expired cookie         multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          in leeway              multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          other video            multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other version          multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other cookie           multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          account revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          revoked, then renewed  multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          session revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          version revoked        multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
        unlisted, gated
          nobody                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged cookie          multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          unheard                multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          unheard cookie         multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          480                    multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          480 cookie             multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          1080                   multivariant own 1080 poster own 1080 480p own 1080 480p file 403      1080p own 1080 1080p file 403      thumbnail own 1080
          480, to keep           multivariant own 480  poster own 480  480p own 480  480p file own 480  1080p 403      1080p file 403      thumbnail own 480
          no use                 multivariant 403      poster 403      480p 403      480p file 403      1080p 403      1080p file 403      thumbnail 403
          expired                multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          expired cookie         multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          in leeway              multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          other video            multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other version          multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other cookie           multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          account revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          revoked, then renewed  multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          session revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          version revoked        multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
        listed, gated
          nobody                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail all 0
          forged                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged cookie          multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail all 0
          unheard                multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          unheard cookie         multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail all 0
          480                    multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          480 cookie             multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          1080                   multivariant own 1080 poster own 1080 480p own 1080 480p file 403      1080p own 1080 1080p file 403      thumbnail own 1080
          480, to keep           multivariant own 480  poster own 480  480p own 480  480p file own 480  1080p 403      1080p file 403      thumbnail own 480
          no use                 multivariant 403      poster 403      480p 403      480p file 403      1080p 403      1080p file 403      thumbnail all 0
          expired                multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          expired cookie         multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail all 0
          in leeway              multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          other video            multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other version          multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other cookie           multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail all 0
          account revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          revoked, then renewed  multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          session revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          version revoked        multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
        listed, free to 480
          nobody                 multivariant all 480  poster all 480  480p all 480  480p file 401      1080p 401      1080p file 401      thumbnail all 0
          forged                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged cookie          multivariant all 480  poster all 480  480p all 480  480p file 401      1080p 401      1080p file 401      thumbnail all 0
          unheard                multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          unheard cookie         multivariant all 480  poster all 480  480p all 480  480p file 429      1080p 429      1080p file 429      thumbnail all 0
          480                    multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          480 cookie             multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          1080                   multivariant own 1080 poster own 1080 480p own 1080 480p file 403      1080p own 1080 1080p file 403      thumbnail own 1080
          480, to keep           multivariant own 480  poster own 480  480p own 480  480p file own 480  1080p 403      1080p file 403      thumbnail own 480
          no use                 multivariant all 480  poster all 480  480p all 480  480p file 403      1080p 403      1080p file 403      thumbnail all 0
          expired                multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          expired cookie         multivariant all 480  poster all 480  480p all 480  480p file 401      1080p 401      1080p file 401      thumbnail all 0
          in leeway              multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          other video            multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other version          multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other cookie           multivariant all 480  poster all 480  480p all 480  480p file 404      1080p 404      1080p file 404      thumbnail all 0
          account revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          revoked, then renewed  multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          session revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          version revoked        multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
        another version is current
          nobody                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged                 multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          forged cookie          multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          unheard                multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          unheard cookie         multivariant 429      poster 429      480p 429      480p file 429      1080p 429      1080p file 429      thumbnail 429
          480                    multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          480 cookie             multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          1080                   multivariant own 1080 poster own 1080 480p own 1080 480p file 403      1080p own 1080 1080p file 403      thumbnail own 1080
          480, to keep           multivariant own 480  poster own 480  480p own 480  480p file own 480  1080p 403      1080p file 403      thumbnail own 480
          no use                 multivariant 403      poster 403      480p 403      480p file 403      1080p 403      1080p file 403      thumbnail 403
          expired                multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          expired cookie         multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          in leeway              multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          other video            multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other version          multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          other cookie           multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
          account revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          revoked, then renewed  multivariant own 480  poster own 480  480p own 480  480p file 403      1080p 403      1080p file 403      thumbnail own 480
          session revoked        multivariant 401      poster 401      480p 401      480p file 401      1080p 401      1080p file 401      thumbnail 401
          version revoked        multivariant 404      poster 404      480p 404      480p file 404      1080p 404      1080p file 404      thumbnail 404
    "#]].assert_eq(&table);
}

#[test]
fn a_grant_for_another_item_is_refused_without_asking_anybody() {
    let route = Route { video: VIDEO, version: VERSION, resource: Resource::Multivariant };
    let bearer = sent(|grant| grant.video = VideoId::from_bits(8));
    let decision = by_grant(&route, &bearer, &Revocations::default(), NOW);
    assert_eq!(decision, Decision::Refused(ErrorKind::NotFound));
}

#[test]
fn a_right_reaches_back_as_far_as_it_says() {
    let granted = |uses, rewind_s| {
        Right::Granted(Arc::new(grant(|grant| (grant.uses, grant.rewind_s) = (uses, rewind_s)))).rewind_s()
    };
    assert_eq!(granted(Uses::PLAY, 1800), 0);
    assert_eq!(granted(Uses::PLAY.with(Use::Rewind), 1800), 1800);
    assert_eq!(Right::Public { height: 480, rewind_s: 60, asked: NOW }.rewind_s(), 60);
}

fn free(version: VersionId, also: Vec<VersionId>) -> PublicPolicy {
    PublicPolicy { video: VIDEO, version, also, listed: true, height: Some(480), rewind_s: 0 }
}

#[test]
fn a_version_that_was_replaced_is_as_free_as_the_one_in_its_place() {
    let route = Route {
        video: VIDEO,
        version: VERSION,
        resource: Resource::Segment(RenditionName::Video { height: 480 }, 3),
    };
    let decide = |also| {
        let answer = Answer { policy: Some(free(VersionId::from_bits(9), also)), asked: NOW };
        word(by_policy(&route, answer, &Revocations::default(), ErrorKind::Unauthenticated))
    };
    assert_eq!(decide(vec![VersionId::from_bits(8)]), "401");
    assert!(decide(vec![VersionId::from_bits(8), VERSION]).starts_with("all"));
}

#[test]
fn what_was_revoked_after_the_policy_was_asked_for_is_not_free() {
    let policy = Some(free(VERSION, Vec::new()));
    let revoked = revoked(Revoked::Version(VERSION), NOW.as_seconds());
    for resource in [Resource::Multivariant, Resource::Thumbnail] {
        let route = Route { video: VIDEO, version: VERSION, resource };
        let decide = |asked| {
            let otherwise = ErrorKind::Unauthenticated;
            word(by_policy(&route, Answer { policy: policy.clone(), asked }, &revoked, otherwise))
        };
        assert_eq!(decide(NOW), "401", "{resource:?}");
        assert!(decide(NOW + std::time::Duration::from_millis(1)).starts_with("all"), "{resource:?}");
    }
}
