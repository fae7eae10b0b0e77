//! Stories over real databases of both engines.

use std::time::Duration;

use database::testing::TestDatabase;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use model::{
    AUDIENCE, AccountId, Grant, ISSUER, PublishLimits, Revoked, Role, Tier, TierRights, Timestamp, Uses,
    VersionId, VideoId,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{
    Account, AccountChange, Config, EdgeName, Entitlement, NewAccount, Scope, Sent, SentSubject, SignIn,
    Subscriptions, SubscriptionsError, foreign_grant, player_grant,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);
const PASSWORD: &str = "correct horse";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Site {
    people: Subscriptions,
    rng: StdRng,
}

impl Site {
    async fn open(test: &TestDatabase) -> Self {
        let people = Subscriptions::open(test.open().await, Config::default()).await.unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        people.rotate_keys(NOW, &mut rng).await.unwrap();
        Self { people, rng }
    }

    async fn change(
        &mut self,
        account: AccountId,
        change: AccountChange,
    ) -> Result<Account, SubscriptionsError> {
        self.people.change_account(account, change, NOW, &mut self.rng).await
    }

    async fn account(&mut self, username: &str, role: Role, tier: u8) -> AccountId {
        let new = NewAccount {
            username: username.into(),
            password: PASSWORD.into(),
            role,
            tier: Tier::try_from(tier).unwrap(),
        };
        self.people.create_account(new, NOW, &mut self.rng).await.unwrap()
    }

    async fn sign_in_at(
        &mut self,
        username: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<SignIn, SubscriptionsError> {
        self.people.sign_in(username, password.into(), now, &mut self.rng).await
    }

    async fn sign_in(&mut self, username: &str) -> SignIn {
        self.sign_in_at(username, PASSWORD, NOW).await.unwrap()
    }

    async fn is_signed_in(&self, sign_in: &SignIn, now: Timestamp) -> bool {
        self.people.signed_in(sign_in.token.as_str(), now).await.unwrap().is_some()
    }

    async fn revoked(&self, now: Timestamp) -> Vec<Revoked> {
        self.people.revocations(now).await.unwrap().into_iter().map(|it| it.revoked).collect()
    }
}

fn scope(until: Option<Timestamp>) -> Scope {
    Scope {
        video: VideoId::from_bits(1),
        version: VersionId::from_bits(2),
        duration_ms: 60_000,
        height: 720,
        uses: Uses::PLAY,
        rewind_s: 0,
        until,
        revoked_at: None,
    }
}

/// Reads a token as an edge would, with the keys that `jwks` tells.
fn verify(jwks: &str, token: &str) -> Option<Grant> {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(jwks).unwrap();
    let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
    let key = DecodingKey::from_jwk(set.find(&kid)?).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[ISSUER]);
    rules.validate_exp = false;
    jsonwebtoken::decode(token, &key, &rules).ok().map(|data| data.claims)
}

database::on_both_engines! {
    async fn a_person_signs_in_is_known_and_signs_out(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        assert!(site.people.has_no_accounts().await.unwrap());
        let ana = site.account("Ana", Role::Creator, 2).await;
        assert!(!site.people.has_no_accounts().await.unwrap());
        let session = site.sign_in(" ANA").await;
        let known = site.people.signed_in(session.token.as_str(), NOW).await.unwrap().unwrap();
        assert_eq!((known.account, known.session, known.username.as_str()), (ana, session.session, "ana"));
        assert_eq!((known.role, known.rights), (Role::Creator, TierRights::DEFAULTS[2]));
        for other in ["", "x", &session.token.as_str()[1..], &format!("{} ", session.token.as_str())] {
            assert_eq!(site.people.signed_in(other, NOW).await.unwrap(), None, "{other:?}");
        }
        site.people.sign_out(session.session, NOW).await.unwrap();
        site.people.sign_out(session.session, NOW).await.unwrap();
        assert!(!site.is_signed_in(&session, NOW).await);
        assert_eq!(site.revoked(NOW).await, [Revoked::Session(session.session)]);
    }

    async fn rows_hold_neither_passwords_nor_tokens(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 0).await;
        let session = site.sign_in("ana").await;
        use sea_orm::EntityTrait;
        let accounts = crate::accounts::Entity::find().all(site.people.database.read()).await.unwrap();
        let sessions = crate::sessions::Entity::find().all(site.people.database.read()).await.unwrap();
        let text = format!("{accounts:?}{sessions:?}");
        assert!(!text.contains(PASSWORD) && !text.contains(session.token.as_str()), "{text}");
        assert!(text.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    }

    async fn a_session_ends_without_visits_and_lives_on_with_them(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 0).await;
        let (idle, busy) = (site.sign_in("ana").await, site.sign_in("ana").await);
        let mut now = NOW;
        for _ in 0..8 {
            now = now + DAY * 20;
            assert!(site.is_signed_in(&busy, now).await, "at {now}");
        }
        assert!(!site.is_signed_in(&idle, now).await);
        assert!(!site.is_signed_in(&busy, NOW + DAY * 180).await, "not even a busy one lives for ever");
    }

    async fn signing_in_and_out_for_ever_is_slowed_down(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 0).await;
        site.account("berta", Role::Viewer, 0).await;
        let first = site.sign_in("ana").await;
        for second in 1..30 {
            let now = NOW + Duration::from_secs(second);
            let session = site.sign_in_at("ana", PASSWORD, now).await.unwrap();
            site.people.sign_out(session.session, now).await.unwrap();
            assert!(!site.is_signed_in(&session, now).await);
        }
        assert_eq!(site.revoked(NOW).await.len(), 29);
        let refused = site.sign_in_at("ana", PASSWORD, NOW + Duration::from_secs(60)).await.unwrap_err();
        let SubscriptionsError::TooManySessions { wait } = refused else { panic!("{refused:?}") };
        assert_eq!(wait, Duration::from_secs(15 * 60 - 60));
        assert!(site.is_signed_in(&first, NOW).await, "who is in stays in");
        site.sign_in("berta").await;
        let later = NOW + Duration::from_secs(15 * 60);
        site.sign_in_at("ana", PASSWORD, later).await.unwrap();
        let one_more = site.sign_in_at("ana", PASSWORD, later).await.unwrap_err();
        assert!(matches!(one_more, SubscriptionsError::TooManySessions { .. }), "{one_more:?}");
    }

    async fn names_are_unique_and_passwords_have_a_length(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 0).await;
        let mut register = async |username: &str, password: &str| {
            site.people.register(username.into(), password.into(), NOW, &mut site.rng).await.unwrap_err()
        };
        assert!(matches!(register("ANA ", PASSWORD).await, SubscriptionsError::UsernameTaken));
        assert!(matches!(register("ana\u{200b}", PASSWORD).await, SubscriptionsError::Username(_)));
        assert!(matches!(register("admin", PASSWORD).await, SubscriptionsError::Username(_)));
        assert!(matches!(register("berta", "short").await, SubscriptionsError::Password(_)));
        // Operators may give reserved names.
        site.account("admin", Role::Admin, 0).await;
        let names: Vec<_> =
            site.people.accounts(None, 10).await.unwrap().into_iter().map(|it| it.username).collect();
        assert_eq!(names, ["admin", "ana"]);
        assert_eq!(site.people.accounts(Some("admin"), 10).await.unwrap().len(), 1);
    }

    async fn strangers_learn_nothing_and_are_slowed_down(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 0).await;
        for name in ["ana", "nobody"] {
            for _ in 0..10 {
                let error = site.sign_in_at(name, "wrong password", NOW).await.unwrap_err();
                assert!(matches!(error, SubscriptionsError::WrongCredentials), "{name}: {error}");
            }
            let error = site.sign_in_at(name, "wrong password", NOW).await.unwrap_err();
            let SubscriptionsError::TooManyAttempts { wait } = error else { panic!("{name}: {error}") };
            assert_eq!(wait, MINUTE / 2, "{name}");
        }
        assert!(site.sign_in_at("ana", PASSWORD, NOW).await.is_err(), "not even with the right one");
        assert!(site.sign_in_at("ana", PASSWORD, NOW + MINUTE).await.is_ok());
        assert!(site.sign_in_at("ana", "wrong password", NOW + MINUTE).await.is_err());
        assert!(site.sign_in_at("ana", PASSWORD, NOW + MINUTE).await.is_ok(), "the count began anew");
    }

    async fn trying_at_once_does_not_try_more(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 0).await;
        let tries = (0..30).map(|seed| {
            let people = site.people.clone();
            async move {
                people.sign_in("ana", "wrong password".into(), NOW, &mut StdRng::seed_from_u64(seed)).await
            }
        });
        let (mut wrong, mut refused) = (0, 0);
        for answer in futures::future::join_all(tries).await {
            match answer.unwrap_err() {
                SubscriptionsError::WrongCredentials => wrong += 1,
                SubscriptionsError::TooManyAttempts { .. } => refused += 1,
                other => panic!("{other}"),
            }
        }
        // Those in the hasher when the tenth is counted are counted as well.
        let at_once = Config::default().hashes_at_once;
        assert!((10..10 + at_once).contains(&wrong), "{wrong} tried, {refused} refused");
    }

    async fn what_takes_rights_away_revokes_grants(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("root1", Role::Admin, 0).await;
        let ana = site.account("ana", Role::Viewer, 1).await;
        let (here, there) = (site.sign_in("ana").await, site.sign_in("ana").await);
        let people = site.people.clone();

        people.set_tier(ana, Tier::ALL[3], Some(NOW + DAY), NOW).await.unwrap();
        let known = people.signed_in(here.token.as_str(), NOW).await.unwrap().unwrap();
        assert_eq!((known.tier, known.entitled_until), (Tier::ALL[3], Some(NOW + DAY)));
        let known = people.signed_in(here.token.as_str(), NOW + DAY).await.unwrap().unwrap();
        assert_eq!((known.tier, known.rights), (Tier::NONE, TierRights::DEFAULTS[0]));

        people.set_password(ana, "a new password".into(), Some(here.session), NOW, &mut site.rng).await.unwrap();
        assert!(site.is_signed_in(&here, NOW).await && !site.is_signed_in(&there, NOW).await);
        assert!(site.sign_in_at("ana", PASSWORD, NOW).await.is_err());

        let creator = AccountChange { role: Some(Role::Creator), ..Default::default() };
        assert_eq!(site.change(ana, creator).await.unwrap().role, Role::Creator);
        assert!(site.is_signed_in(&here, NOW).await);
        people.disable_account(ana, NOW).await.unwrap();
        assert!(!site.is_signed_in(&here, NOW).await);
        assert!(site.sign_in_at("ana", "a new password", NOW).await.is_err());
        site.change(ana, AccountChange { disabled: Some(false), ..Default::default() }).await.unwrap();
        assert!(!site.is_signed_in(&here, NOW).await, "its sessions are gone");
        assert!(site.sign_in_at("ana", "a new password", NOW).await.is_ok());

        let revocations = people.revocations(NOW).await.unwrap();
        let [one] = revocations.as_slice() else { panic!("one line is enough: {revocations:?}") };
        // Of one moment, each a second behind the one before; the first two seconds ahead.
        let fifth = Timestamp::from_seconds(NOW.as_seconds() + 6);
        assert_eq!((one.revoked, one.at), (Revoked::Account(ana), fifth));
        assert_eq!(people.revocations(NOW + DAY * 9).await.unwrap(), [], "all grants of then are over");
    }

    async fn the_last_administrator_stays(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        let (one, two) = (site.account("one", Role::Admin, 0).await, site.account("two", Role::Admin, 0).await);
        let viewer = AccountChange { role: Some(Role::Viewer), ..Default::default() };
        site.people.disable_account(one, NOW).await.unwrap();
        for refused in [
            site.people.disable_account(two, NOW).await,
            site.change(two, viewer.clone()).await.map(drop),
        ] {
            assert!(matches!(refused, Err(SubscriptionsError::LastAdministrator)), "{refused:?}");
        }
        site.change(one, AccountChange { disabled: Some(false), ..Default::default() }).await.unwrap();
        site.change(two, viewer).await.unwrap();
    }

    async fn a_grant_verifies_with_the_public_keys_and_with_nothing_else(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        site.account("ana", Role::Viewer, 1).await;
        let session = site.sign_in("ana").await;
        let known = site.people.signed_in(session.token.as_str(), NOW).await.unwrap().unwrap();
        let grant = player_grant(&known.bearer(), &scope(None), NOW);
        let token = site.people.sign_grant(&grant).await.unwrap();
        let jwks = site.people.jwks().await.unwrap();
        assert_eq!(verify(&jwks, &token), Some(grant));
        assert!(!jwks.contains("\"d\""), "no private part: {jwks}");

        let elsewhere = TestDatabase::sqlite().await;
        let other = Subscriptions::open(elsewhere.open().await, Config::default()).await.unwrap();
        other.rotate_keys(NOW, &mut StdRng::seed_from_u64(8)).await.unwrap();
        assert_eq!(verify(&other.jwks().await.unwrap(), &token), None, "another site's keys");
        // Another key under the same id.
        let ours: serde_json::Value = serde_json::from_str(&jwks).unwrap();
        let mut theirs: serde_json::Value = serde_json::from_str(&other.jwks().await.unwrap()).unwrap();
        theirs["keys"][0]["kid"] = ours["keys"][0]["kid"].clone();
        assert_eq!(verify(&theirs.to_string(), &token), None);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let changed = signed.replacen(&signed[signed.len() - 4..], "AAAA", 1);
        assert_eq!(verify(&jwks, &format!("{changed}.{signature}")), None);
        assert_eq!(verify(&jwks, &format!("{signed}.")), None);
    }

    async fn grants_outlive_the_rotation_of_their_key(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        let people = site.people.clone();
        site.account("ana", Role::Viewer, 1).await;
        let session = site.sign_in("ana").await;
        let known = people.signed_in(session.token.as_str(), NOW).await.unwrap().unwrap();
        let grant = foreign_grant(&known.bearer(), &scope(None), NOW);
        let first = people.sign_grant(&grant).await.unwrap();
        let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();

        people.rotate_keys(NOW + DAY * 29, &mut site.rng).await.unwrap();
        assert_eq!(kid(&people.sign_grant(&grant).await.unwrap()), kid(&first), "published, not used");
        let told = people.jwks().await.unwrap();
        people.rotate_keys(NOW + DAY * 30, &mut site.rng).await.unwrap();
        let second = people.sign_grant(&grant).await.unwrap();
        assert_ne!(kid(&second), kid(&first));
        assert!(verify(&told, &second).is_some(), "edges knew the key before it signed");
        assert!(verify(&people.jwks().await.unwrap(), &first).is_some());
        people.rotate_keys(NOW + DAY * 38, &mut site.rng).await.unwrap();
        assert!(verify(&people.jwks().await.unwrap(), &first).is_none(), "forgotten when its grants are over");
    }

    async fn processes_that_start_together_share_one_key(test: &TestDatabase) {
        let open = async || Subscriptions::open(test.open().await, Config::default()).await.unwrap();
        let (one, two) = (open().await, open().await);
        let (mut a, mut b) = (StdRng::seed_from_u64(1), StdRng::seed_from_u64(2));
        let (first, second) = tokio::join!(one.rotate_keys(NOW, &mut a), two.rotate_keys(NOW, &mut b));
        first.unwrap();
        second.unwrap();
        assert_eq!(one.jwks().await.unwrap().matches("\"kid\"").count(), 1);
    }

    async fn who_may_broadcast_and_how_much_is_asked_each_time(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        let (ana, eva) = (site.account("ana", Role::Creator, 2).await, site.account("eva", Role::Viewer, 3).await);
        let of = |tier: usize| Some(TierRights::DEFAULTS[tier].publish);
        assert_eq!(site.people.publish_limits(ana, NOW).await.unwrap(), of(2));
        assert_eq!(site.people.publish_limits(eva, NOW).await.unwrap(), None, "she only watches");
        assert_eq!(site.people.publish_limits(AccountId::from_bits(9), NOW).await.unwrap(), None);
        let paid = Entitlement { tier: Tier::ALL[3], until: Some(NOW + DAY) };
        site.change(ana, AccountChange { entitlement: Some(paid), ..Default::default() }).await.unwrap();
        assert_eq!(site.people.publish_limits(ana, NOW).await.unwrap(), of(3));
        assert_eq!(site.people.publish_limits(ana, NOW + DAY).await.unwrap(), of(0), "it was paid until then");
        let less = PublishLimits { bitrate_kbps: 100, short_side: 144, duration_s: 5 };
        site.people.set_tier_rights(TierRights { publish: less, ..TierRights::DEFAULTS[3] }).await.unwrap();
        assert_eq!(site.people.publish_limits(ana, NOW).await.unwrap(), Some(less));
        site.change(ana, AccountChange { disabled: Some(true), ..Default::default() }).await.unwrap();
        assert_eq!(site.people.publish_limits(ana, NOW).await.unwrap(), None);
    }

    async fn rights_are_the_operators_data(test: &TestDatabase) {
        let site = Site::open(test).await;
        assert_eq!(site.people.tier_rights().await.unwrap(), TierRights::DEFAULTS);
        let publish = PublishLimits { bitrate_kbps: 500, short_side: 240, duration_s: 60 };
        let changed = TierRights { greatest_height: 360, ads: false, publish, ..TierRights::DEFAULTS[0] };
        site.people.set_tier_rights(changed).await.unwrap();
        assert_eq!(site.people.tier_rights().await.unwrap()[0], changed);
        assert_eq!(Site::open(test).await.people.tier_rights().await.unwrap()[0], changed, "opening keeps it");
    }

    async fn a_report_of_bytes_is_counted_once(test: &TestDatabase) {
        let site = Site::open(test).await;
        let (ana, film) = (SentSubject::Account(AccountId::from_bits(1)), SentSubject::Video(VideoId::from_bits(1)));
        let sent = |subject, day, bytes| Sent { subject, day, bytes };
        let day = 19_675;
        let first = [sent(ana, day, 100), sent(film, day, 130)];
        for (sender, number, report) in [
            ("havana/1", 1, &first[..]),
            ("havana/1", 1, &first),
            ("havana/1", 2, &[sent(ana, day, 5), sent(ana, day + 1, 7)]),
            ("havana/1", 1, &[sent(ana, day, 1000)]),
            ("havana/2", 1, &[sent(film, day, 20)]),
        ] {
            site.people.count_sent(sender, number, report, NOW).await.unwrap();
        }
        let read = async |subject, day| site.people.sent(subject, day).await.unwrap();
        assert_eq!([read(ana, day).await, read(film, day).await, read(ana, day + 1).await], [105, 150, 7]);
        site.people.count_sent("havana/1", 3, &[], NOW + 401 * DAY).await.unwrap();
        assert_eq!([read(ana, day).await, read(ana, day + 1).await], [0, 7], "what is old is forgotten");
    }

    async fn an_edge_is_enrolled_until_its_time_or_its_credential_is_over(test: &TestDatabase) {
        let mut site = Site::open(test).await;
        let name: EdgeName = "havana".parse().unwrap();
        let mut enrol = async |now| site.people.enrol_edge(&name, 90 * DAY, now, &mut site.rng).await;
        let first = enrol(NOW).await.unwrap();
        assert!(matches!(enrol(NOW).await, Err(SubscriptionsError::EdgeEnrolled)));

        let edge = async || site.people.edges().await.unwrap().into_iter().next().unwrap();
        assert_eq!(edge().await.name, name);
        assert!(edge().await.presents(first.as_str()) && !edge().await.presents("fill_other"));
        assert!(edge().await.is_good(NOW) && !edge().await.is_good(NOW + 90 * DAY));

        site.people.revoke_edge(&name, NOW).await.unwrap();
        assert!(!edge().await.is_good(NOW));
        assert!(matches!(site.people.revoke_edge(&name, NOW).await, Err(SubscriptionsError::NoEdge)));
        let second = enrol(NOW).await.unwrap();
        assert!(edge().await.presents(second.as_str()) && !edge().await.presents(first.as_str()));
        let third = enrol(NOW + 90 * DAY).await.unwrap();
        assert!(edge().await.presents(third.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_moves_to_the_other_engine() {
    let (small, large) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    let mut site = Site::open(&small).await;
    let ana = site.account("ana", Role::Admin, 2).await;
    for n in 0..3 {
        site.account(&format!("viewer{n}"), Role::Viewer, 0).await;
    }
    let session = site.sign_in("ana").await;
    let known = site.people.signed_in(session.token.as_str(), NOW).await.unwrap().unwrap();
    let token = site.people.sign_grant(&player_grant(&known.bearer(), &scope(None), NOW)).await.unwrap();
    site.people.set_tier(ana, Tier::ALL[3], None, NOW).await.unwrap();
    site.people.set_tier_rights(TierRights { ads: true, ..TierRights::DEFAULTS[3] }).await.unwrap();

    let edge = site.people.enrol_edge(&"havana".parse().unwrap(), DAY, NOW, &mut site.rng).await.unwrap();

    let moved = Site::open(&large).await;
    site.people.copy_to(&moved.people).await.unwrap();
    assert!(moved.is_signed_in(&session, NOW).await);
    assert!(verify(&moved.people.jwks().await.unwrap(), &token).is_some());
    let before = site.people.revocations(NOW).await.unwrap();
    assert_eq!(moved.people.revocations(NOW).await.unwrap(), before);
    assert_eq!(moved.people.accounts(None, 10).await.unwrap(), site.people.accounts(None, 10).await.unwrap());
    assert_eq!(moved.people.tier_rights().await.unwrap(), site.people.tier_rights().await.unwrap());
    moved.people.set_tier(ana, Tier::NONE, None, NOW).await.unwrap();
    let after = moved.people.revocations(NOW).await.unwrap();
    assert!(after.len() == 1 && after[0].number > before[0].number, "numbers go on: {after:?}");
    assert!(moved.people.edges().await.unwrap()[0].presents(edge.as_str()));
    let again = site.people.copy_to(&moved.people).await.unwrap_err();
    assert!(matches!(again, SubscriptionsError::TargetNotEmpty), "{again}");
}
