use model::{AccountId, SessionId, VersionId};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn account(id: u128, at: Timestamp) -> Revocation {
    Revocation { number: 0, revoked: Revoked::Account(AccountId::from_bits(id)), at }
}

fn ids(document: &RevocationsDocument) -> Vec<Revoked> {
    document.revocations.iter().map(|revocation| revocation.revoked).collect()
}

#[test]
fn who_follows_a_list_hears_each_line_once() {
    let mut list = List::new("first".to_owned());
    let (nothing, is_news) = list.since("", 0);
    assert!(is_news && nothing.whole && nothing.revocations.is_empty(), "a stranger gets even an empty list");
    assert!(!list.since("first", 0).1);

    let (a, b) = (account(1, NOW), account(2, NOW));
    list.see(&[a, b]);
    let (both, is_news) = list.since("first", 0);
    assert_eq!((is_news, both.whole, both.number, ids(&both)), (true, false, 2, vec![a.revoked, b.revoked]));
    list.see(&[a, b]);
    assert!(!list.since("first", 2).1, "the same once more is no news");

    // Seen again up to a later moment; one that comes late, with an earlier moment, counts too.
    let later = account(1, NOW + Duration::from_secs(1));
    let late = account(3, NOW - Duration::from_secs(60));
    list.see(&[b, later, late]);
    let (news, _) = list.since("first", 2);
    assert_eq!(ids(&news), [later.revoked, late.revoked]);
    assert_eq!(news.revocations[0].at, later.at);
}

#[test]
fn who_knows_another_list_or_too_much_of_this_one_gets_it_whole() {
    let mut list = List::new("second".to_owned());
    list.see(&[account(1, NOW)]);
    for (name, number) in [("first", 1), ("", 0), ("second", 7)] {
        let (whole, is_news) = list.since(name, number);
        assert!(is_news && whole.whole && whole.revocations.len() == 1, "{name} {number}: {whole:?}");
    }
}

#[test]
fn what_was_void_stays_void_until_it_is_too_old_to_matter() {
    let mut copy = Copy::default();
    let mut list = List::new("before".to_owned());
    list.see(&[account(1, NOW), account(2, NOW)]);
    copy.learn(list.since("", 0).0, NOW);
    assert_eq!(copy.reach(), ("before", 2));
    // The database was restored to where it knew of the first only.
    let mut restored = List::new("after".to_owned());
    restored.see(&[account(1, NOW)]);
    copy.learn(restored.since("before", 2).0, NOW);
    assert_eq!((copy.reach(), copy.all().len()), (("after", 1), 2));
    copy.learn(restored.since("after", 1).0, NOW + CONCERNS);
    assert!(copy.all().is_empty());
}

fn any_revocation() -> impl Strategy<Value = Revocation> {
    let revoked = (0..3u8, 0..6u128).prop_map(|(kind, id)| match kind {
        0 => Revoked::Account(AccountId::from_bits(id)),
        1 => Revoked::Session(SessionId::from_bits(id)),
        _ => Revoked::Version(VersionId::from_bits(id)),
    });
    (revoked, 0..1000u64).prop_map(|(revoked, ms)| Revocation {
        number: 0,
        revoked,
        at: NOW + Duration::from_millis(ms),
    })
}

proptest! {
    /// Rows come in any order; a reader that looks now and then knows in the end what the rows say.
    #[test]
    fn a_copy_is_what_the_rows_say(rows in vec((any_revocation(), any::<bool>()), 0..60)) {
        let (mut list, mut copy, mut all) = (List::new("list".to_owned()), Copy::default(), Vec::new());
        for (row, looks) in rows {
            all.push(row);
            list.see(&all);
            if looks {
                let (name, number) = copy.reach();
                let told = list.since(name, number).0;
                copy.learn(told, NOW);
            }
        }
        let (name, number) = copy.reach();
        let told = list.since(name, number).0;
        copy.learn(told, NOW);
        let mut until: HashMap<Revoked, Timestamp> = HashMap::new();
        for row in &all {
            let at = until.entry(row.revoked).or_insert(row.at);
            *at = (*at).max(row.at);
        }
        let copied: HashMap<_, _> = copy.all().iter().map(|it| (it.revoked, it.at)).collect();
        prop_assert_eq!(copied, until);
    }
}
