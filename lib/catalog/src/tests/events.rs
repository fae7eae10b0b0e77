use database::on_both_engines;
use model::{
    Air, Chapter, ErrorKind, EventPolicy, EventState, LetGo, PublishRefusal, Revoked, StreamKeyHash, Tier,
    VideoState, Visibility,
};

use super::*;
use crate::{Admitted, Event, EventEdit, NewEvent, Page, Video, VideoEdit};

fn key(n: u64) -> StreamKeyHash {
    format!("{n:064x}").parse().unwrap()
}

/// Event `n` is published with key `n`, and grows version `n`.
pub(super) fn new_event(n: u64) -> NewEvent {
    NewEvent {
        video: video_id(n.into()),
        version: VersionId::from_bits(n.into()),
        owner: OWNER,
        title: format!("Evento {n}"),
        description: "En directo".to_owned(),
        visibility: Visibility::Public,
        min_tier: Tier::NONE,
        starts_at: Some(after(60 * n)),
        policy: EventPolicy::default(),
        key: key(n),
    }
}

pub(super) async fn create(catalog: &Catalog, n: u64) -> VideoId {
    catalog.create_event(&new_event(n), NOW).await.unwrap().1.video
}

async fn admit(catalog: &Catalog, n: u64, now: Timestamp) -> Admitted {
    catalog.admit_publisher(&key(n), now).await.unwrap().unwrap()
}

/// Event `n` with somebody who publishes, on air since `now`.
pub(super) async fn on_air(catalog: &Catalog, n: u64, now: Timestamp) -> (VideoId, u64) {
    let id = create(catalog, n).await;
    let generation = admit(catalog, n, now).await.generation;
    catalog.event_went_live(id, generation, now).await.unwrap();
    (id, generation)
}

async fn event(catalog: &Catalog, id: VideoId) -> Event {
    catalog.event(id).await.unwrap().unwrap().1
}

async fn video(catalog: &Catalog, id: VideoId) -> Video {
    catalog.video(id).await.unwrap().unwrap()
}

fn refused<T: std::fmt::Debug>(answer: crate::error::Result<T>) -> ErrorKind {
    answer.unwrap_err().kind()
}

on_both_engines! {
    async fn an_event_is_a_video_from_announcement_to_shelf(test: &TestDatabase) {
        let catalog = open(test).await;
        let id = create(&catalog, 1).await;
        let scheduled = video(&catalog, id).await;
        assert_eq!(scheduled.state, VideoState::Event { since: NOW, plays: None });
        assert_eq!((scheduled.title.as_str(), scheduled.stage().as_str()), ("Evento 1", "scheduled"));
        assert_eq!(catalog.public_policy(id, &FREE).await.unwrap(), None, "nothing plays");
        assert_eq!(catalog.public_videos(&Page::default()).await.unwrap().items, []);

        let turn = admit(&catalog, 1, after(1)).await;
        let expected = Admitted { video: id, version: version(1).version, owner: OWNER, generation: 1, began: None };
        assert_eq!(turn, expected);
        assert_eq!(event(&catalog, id).await.state, EventState::Scheduled, "nothing is to be seen yet");
        let live = catalog.event_went_live(id, 1, after(3)).await.unwrap();
        assert_eq!(live.state, EventState::Live { since: after(3), air: Air::On { since: after(3) } });
        let shown = video(&catalog, id).await;
        assert_eq!((shown.plays(), shown.published_at), (Some(version(1).version), Some(after(3))));
        assert_eq!(catalog.public_videos(&Page::default()).await.unwrap().items, [shown]);
        let policy = catalog.public_policy(id, &FREE).await.unwrap().unwrap();
        assert_eq!((policy.version, policy.height, policy.rewind_s), (version(1).version, Some(480), 0));
        let generous = model::TierRights { rewind_s: 3600, ..FREE };
        assert_eq!(catalog.public_policy(id, &generous).await.unwrap().unwrap().rewind_s, 3600);
        let much = model::TierRights { rewind_s: u32::MAX, ..FREE };
        assert_eq!(catalog.public_policy(id, &much).await.unwrap().unwrap().rewind_s, 12 * 3600);

        assert!(catalog.is_live_and_shared(id).await.unwrap());
        assert!(catalog.publisher_left(id, 1, after(50)).await.unwrap());
        assert!(catalog.is_live_and_shared(id).await.unwrap(), "it goes on");
        let away = event(&catalog, id).await;
        assert_eq!(away.state, EventState::Live { since: after(3), air: Air::Away { since: after(50) } });
        let back = admit(&catalog, 1, after(60)).await;
        assert_eq!((back.generation, back.began), (2, Some(after(3))));
        let live = catalog.event_went_live(id, 2, after(61)).await.unwrap();
        assert_eq!(live.state, EventState::Live { since: after(3), air: Air::On { since: after(61) } });

        let ended = catalog.end_event(id, after(100)).await.unwrap();
        assert!(!catalog.is_live_and_shared(id).await.unwrap());
        assert_eq!(ended.state, EventState::Ended { began: Some(after(3)), at: after(100) });
        assert_eq!(video(&catalog, id).await.plays(), Some(version(1).version), "its end is still watched");
        assert_eq!(catalog.end_event(id, after(101)).await.unwrap(), ended, "asked again, nothing changes");
        let open: Vec<_> = catalog.events_on_air().await.unwrap();
        assert_eq!(open, [ended], "the packager still has it to do");

        // Twenty seconds were lost, and what was to come never did.
        let names = [(0, "Intro"), (40_000, "Entrevista"), (70_000, "Música")];
        let chapters = names.map(|(start_ms, title)| Chapter { start_ms, title: title.to_owned() });
        let edit = VideoEdit { chapters: Some(chapters.to_vec()), ..VideoEdit::default() };
        catalog.edit_video(id, edit, after(102)).await.unwrap();
        let shelf = NewVersion { stretches: Some(vec![0..30_000, 50_000..70_000]), ..version(1) };
        catalog.event_ended(id, Some(&shelf), after(105)).await.unwrap();
        catalog.event_ended(id, Some(&shelf), after(106)).await.unwrap();
        let ready = video(&catalog, id).await;
        assert_eq!(ready.state, VideoState::Ready { version: version(1).version, at: after(105) });
        assert_eq!((ready.renditions, ready.duration_ms), (version(1).renditions, Some(61_234)));
        let kept = [(0, "Intro"), (30_000, "Entrevista")];
        let kept = kept.map(|(start_ms, title)| Chapter { start_ms, title: title.to_owned() });
        assert_eq!(ready.chapters, kept);
        assert_eq!(catalog.events_on_air().await.unwrap(), []);
        assert_eq!(refused(catalog.event_ended(id, None, after(107)).await), ErrorKind::Conflict);
        assert_eq!(event(&catalog, id).await.state.began(), Some(after(3)));
    }

    async fn why_a_publisher_was_let_go_is_told_until_the_next_one_is_on_air(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, first) = on_air(&catalog, 1, NOW).await;
        assert_eq!(event(&catalog, id).await.let_go, None);
        // The packager may have said before that it is gone.
        assert!(catalog.publisher_left(id, first, after(1)).await.unwrap());
        catalog.publisher_let_go(id, first, LetGo::TooLarge).await.unwrap();
        assert_eq!(event(&catalog, id).await.let_go, Some(LetGo::TooLarge));
        // It comes back by itself, and is let go again.
        let second = admit(&catalog, 1, after(2)).await.generation;
        assert_eq!(event(&catalog, id).await.let_go, Some(LetGo::TooLarge));
        catalog.publisher_let_go(id, first, LetGo::Silent).await.unwrap();
        assert_eq!(event(&catalog, id).await.let_go, Some(LetGo::TooLarge), "of a turn that is over");
        catalog.event_went_live(id, second, after(3)).await.unwrap();
        assert_eq!(event(&catalog, id).await.let_go, None);
    }

    async fn chapters_behind_the_end_are_gone_when_it_is_known(test: &TestDatabase) {
        let catalog = open(test).await;
        let named = |all: &[(u64, &str)]| -> Vec<Chapter> {
            all.iter().map(|(start_ms, title)| Chapter { start_ms: *start_ms, title: (*title).to_owned() }).collect()
        };
        let chapters = Some(named(&[(0, "Intro"), (61_000, "Adiós"), (61_234, "Nunca"), (90_000, "Jamás")]));
        let edit = VideoEdit { chapters, ..VideoEdit::default() };
        // An event without outages, and an upload that was not probed yet.
        let (event, _) = on_air(&catalog, 1, NOW).await;
        catalog.edit_video(event, edit.clone(), after(10)).await.unwrap();
        catalog.event_ended(event, Some(&version(1)), after(62)).await.unwrap();
        let upload = queue(&catalog, 2).await;
        catalog.edit_video(upload, edit, after(63)).await.unwrap();
        let job = claim(&catalog, after(64)).await.unwrap();
        catalog.publish(job.id, job.attempt, &super::version(2), after(65)).await.unwrap();
        for id in [event, upload] {
            assert_eq!(video(&catalog, id).await.chapters, named(&[(0, "Intro"), (61_000, "Adiós")]));
        }
    }

    async fn of_two_publishers_the_later_one_has_the_turn(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, first) = on_air(&catalog, 1, NOW).await;
        assert!(!catalog.publishers_heard(&[(id, first)], after(5)).await.unwrap().is_empty());
        let second = admit(&catalog, 1, after(6)).await.generation;
        assert!(second > first);
        assert!(catalog.publishers_heard(&[(id, first)], after(7)).await.unwrap().is_empty());
        assert!(!catalog.publisher_left(id, first, after(8)).await.unwrap(), "that changes nothing");
        assert_eq!(refused(catalog.event_went_live(id, first, after(9)).await), ErrorKind::Conflict);
        assert!(!catalog.publishers_heard(&[(id, second)], after(10)).await.unwrap().is_empty());
        assert_eq!(event(&catalog, id).await.heard_at, Some(after(10)));
        let live = EventState::Live { since: NOW, air: Air::On { since: NOW } };
        assert_eq!(event(&catalog, id).await.state, live, "it was on air all the time");
        assert!(catalog.publisher_left(id, second, after(11)).await.unwrap());
        assert!(!catalog.publisher_left(id, second, after(12)).await.unwrap());
        assert!(catalog.publishers_heard(&[(id, second)], after(12)).await.unwrap().is_empty());
        assert_eq!(refused(catalog.event_went_live(id, second, after(13)).await), ErrorKind::Conflict);
    }

    async fn of_many_publishers_it_is_known_whose_turn_is_not_over(test: &TestDatabase) {
        let catalog = open(test).await;
        let mut turns = Vec::new();
        for n in 1..=4 {
            turns.push(on_air(&catalog, n, NOW).await);
        }
        let [first, second, third, fourth] = turns[..] else { panic!("{turns:?}") };
        admit(&catalog, 2, after(6)).await;
        catalog.end_event(third.0, after(7)).await.unwrap();
        let unknown = (VideoId::from_bits(77), 1);
        let asked = [first, second, third, unknown, fourth, (fourth.0, fourth.1 + 1)];
        let going = catalog.publishers_heard(&asked, after(8)).await.unwrap();
        assert_eq!(going, [first, fourth].map(|turn| (turn, OWNER)).into());
        let heard = async |id| event(&catalog, id).await.heard_at;
        assert_eq!((heard(first.0).await, heard(fourth.0).await), (Some(after(8)), Some(after(8))));
        assert_eq!(heard(second.0).await, Some(after(6)), "another publisher's");
        assert_eq!(catalog.publishers_heard(&[], after(9)).await.unwrap(), [].into());
    }

    async fn many_publishers_at_once_get_turns_of_their_own(test: &TestDatabase) {
        let catalog = open(test).await;
        let id = create(&catalog, 1).await;
        let key = key(1);
        let all = futures::future::join_all((0..5).map(|_| catalog.admit_publisher(&key, NOW))).await;
        let mut turns: Vec<_> = all.into_iter().map(|turn| turn.unwrap().unwrap().generation).collect();
        turns.sort_unstable();
        assert_eq!(turns, [1, 2, 3, 4, 5]);
        assert_eq!(event(&catalog, id).await.generation, 5);
    }

    async fn a_publisher_is_refused_for_a_reason(test: &TestDatabase) {
        let catalog = open(test).await;
        let refusal = async |n, now| catalog.admit_publisher(&key(n), now).await.unwrap().unwrap_err();
        assert_eq!(refusal(1, NOW).await, PublishRefusal::UnknownKey);
        let id = create(&catalog, 1).await;
        for s in 0..6 {
            admit(&catalog, 1, after(s)).await;
        }
        assert_eq!(refusal(1, after(6)).await, PublishRefusal::TooOften, "five of them took over");
        assert_eq!(event(&catalog, id).await.generation, 6, "who was let in last goes on");
        assert!(!catalog.publishers_heard(&[(id, 6)], after(7)).await.unwrap().is_empty());
        admit(&catalog, 1, after(61)).await;

        // Who comes back after it left, or was not heard of, takes over from nobody.
        let other = create(&catalog, 2).await;
        for s in 0..20 {
            let turn = admit(&catalog, 2, after(s)).await.generation;
            assert!(catalog.publisher_left(other, turn, after(s)).await.unwrap());
        }
        for n in 1..20 {
            admit(&catalog, 2, after(30 * n)).await;
        }

        catalog.end_event(id, after(62)).await.unwrap();
        assert_eq!(refusal(1, after(70)).await, PublishRefusal::EventEnded);
        assert!(catalog.publishers_heard(&[(id, 7)], after(70)).await.unwrap().is_empty());
        catalog.delete_video(other, after(700)).await.unwrap();
        assert_eq!(refusal(2, after(701)).await, PublishRefusal::UnknownKey);
        assert_eq!(catalog.event_of_key(&key(2)).await.unwrap(), None);
    }

    async fn another_key_ends_the_feed_and_the_old_key(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, turn) = on_air(&catalog, 1, NOW).await;
        let rotated = catalog.rotate_key(id, key(9), after(5)).await.unwrap();
        assert_eq!(rotated.state, EventState::Live { since: NOW, air: Air::Away { since: after(5) } });
        assert!(catalog.publishers_heard(&[(id, turn)], after(6)).await.unwrap().is_empty());
        assert_eq!(catalog.admit_publisher(&key(1), after(6)).await.unwrap(), Err(PublishRefusal::UnknownKey));
        assert_eq!(catalog.event_of_key(&key(1)).await.unwrap(), None);
        assert_eq!(catalog.event_of_key(&key(9)).await.unwrap().unwrap().video, id);
        assert!(admit(&catalog, 9, after(7)).await.generation > turn);
        catalog.end_event(id, after(8)).await.unwrap();
        assert_eq!(refused(catalog.rotate_key(id, key(8), after(9)).await), ErrorKind::Conflict);
        assert_eq!(refused(catalog.rotate_key(video_id(9), key(8), after(9)).await), ErrorKind::NotFound);
    }

    async fn an_event_of_which_nothing_is_kept_ends_honestly(test: &TestDatabase) {
        let catalog = open(test).await;
        let unseen = create(&catalog, 1).await;
        admit(&catalog, 1, NOW).await;
        catalog.end_event(unseen, after(1)).await.unwrap();
        assert_eq!(video(&catalog, unseen).await.state, VideoState::Ended { at: after(1) });
        assert_eq!(catalog.events_on_air().await.unwrap(), []);
        assert_eq!(refused(catalog.event_ended(unseen, Some(&version(1)), after(2)).await), ErrorKind::Conflict);

        let (unrecorded, _) = on_air(&catalog, 2, NOW).await;
        let edit = EventEdit { record: Some(false), ..EventEdit::default() };
        catalog.edit_event(unrecorded, edit, after(1)).await.unwrap();
        assert_eq!(refused(catalog.event_ended(unrecorded, Some(&version(2)), after(2)).await), ErrorKind::Conflict);
        assert_eq!(event(&catalog, unrecorded).await.state.as_str(), "live", "that changed nothing");
        catalog.event_ended(unrecorded, None, after(3)).await.unwrap();
        catalog.event_ended(unrecorded, None, after(4)).await.unwrap();
        let gone = video(&catalog, unrecorded).await;
        assert_eq!((gone.state, gone.stage().as_str()), (VideoState::Ended { at: after(3) }, "ended"));
        let ended = EventState::Ended { began: Some(NOW), at: after(3) };
        assert_eq!(event(&catalog, unrecorded).await.state, ended);
        assert_eq!(catalog.public_policy(unrecorded, &FREE).await.unwrap(), None);
        assert_eq!(catalog.public_videos(&Page::default()).await.unwrap().items, []);
        assert_eq!(refused(catalog.retry_video(unrecorded, after(5)).await), ErrorKind::Conflict);
    }

    async fn only_the_version_that_grew_is_put_on_the_shelf(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, _) = on_air(&catalog, 1, NOW).await;
        catalog.end_event(id, after(1)).await.unwrap();
        assert_eq!(refused(catalog.event_ended(id, Some(&version(2)), after(2)).await), ErrorKind::Conflict);
        assert_eq!(refused(catalog.cancel_video(id, after(2)).await), ErrorKind::Conflict);
        catalog.event_ended(id, Some(&version(1)), after(3)).await.unwrap();
        let upload = publish(&catalog, 5).await;
        assert_eq!(refused(catalog.event_ended(upload, Some(&version(5)), after(4)).await), ErrorKind::NotFound);
    }

    async fn an_event_is_edited_like_its_video(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, _) = on_air(&catalog, 1, NOW).await;
        let edit = EventEdit {
            video: VideoEdit { title: Some("Otro".to_owned()), min_tier: Some(Tier::ALL[1]), ..VideoEdit::default() },
            starts_at: Some(None),
            dvr_s: Some(0),
            record: None,
        };
        let (video, event) = catalog.edit_event(id, edit, after(1)).await.unwrap();
        assert_eq!((video.title.as_str(), video.min_tier), ("Otro", Tier::ALL[1]));
        assert_eq!((event.starts_at, event.policy), (None, EventPolicy { dvr_s: 0, record: true }));
        let revocations = catalog.revocations(after(2)).await.unwrap();
        assert_eq!(revocations.iter().map(|line| line.revoked).collect::<Vec<_>>(), [Revoked::Version(event.version)]);
        catalog.end_event(id, after(3)).await.unwrap();
        let late = EventEdit { record: Some(false), ..EventEdit::default() };
        assert_eq!(refused(catalog.edit_event(id, late, after(4)).await), ErrorKind::Conflict);
        let title = VideoEdit { title: Some("Repetición".to_owned()), ..VideoEdit::default() };
        let edit = EventEdit { video: title, ..EventEdit::default() };
        assert_eq!(catalog.edit_event(id, edit, after(5)).await.unwrap().0.title, "Repetición");
    }

    async fn events_are_found_by_their_owner_and_announced_to_everybody(test: &TestDatabase) {
        let catalog = open(test).await;
        for n in [3, 1, 2] {
            create(&catalog, n).await;
        }
        let (live, _) = on_air(&catalog, 9, NOW).await;
        let hidden = NewEvent { visibility: Visibility::Unlisted, ..new_event(4) };
        catalog.create_event(&hidden, NOW).await.unwrap();
        let some_day = NewEvent { starts_at: None, ..new_event(5) };
        catalog.create_event(&some_day, NOW).await.unwrap();
        publish(&catalog, 20).await;
        let ids = |events: &[(Video, Event)]| {
            events.iter().map(|(video, event)| (assert_eq!(video.id, event.video), video.id).1).collect::<Vec<_>>()
        };
        let public = catalog.public_events(NOW).await.unwrap();
        assert_eq!(ids(&public), [live, video_id(1), video_id(2), video_id(3)]);
        let much_later = catalog.public_events(after(7 * 3600)).await.unwrap();
        assert_eq!(ids(&much_later), [live], "the others did not begin");
        let first = catalog.events_of(OWNER, &Page { limit: 4, cursor: None }).await.unwrap();
        let rest = catalog.events_of(OWNER, &Page { limit: 4, cursor: first.next.clone() }).await.unwrap();
        assert_eq!([ids(&first.items), ids(&rest.items)].concat(), [9, 5, 4, 3, 2, 1].map(video_id));
        let stranger = AccountId::from_bits(2);
        assert_eq!(catalog.events_of(stranger, &Page::default()).await.unwrap().items, []);
    }

    async fn an_owner_has_a_hundred_open_events_at_most(test: &TestDatabase) {
        let catalog = open(test).await;
        for n in 1..=100 {
            create(&catalog, n).await;
        }
        assert_eq!(refused(catalog.create_event(&new_event(101), NOW).await), ErrorKind::TooMany);
        catalog.end_event(video_id(1), after(1)).await.unwrap();
        create(&catalog, 101).await;
    }

    async fn a_deleted_event_lets_its_publisher_go_and_waits_for_its_packager(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, turn) = on_air(&catalog, 1, NOW).await;
        let known = catalog.known_video(id).await.unwrap().unwrap();
        assert!(known.names(version(1).version) && !known.has_original());
        catalog.delete_video(id, after(1)).await.unwrap();
        assert!(catalog.publishers_heard(&[(id, turn)], after(2)).await.unwrap().is_empty());
        assert_eq!(catalog.events_on_air().await.unwrap(), []);
        assert_eq!(catalog.event(id).await.unwrap(), None);
        assert_eq!(refused(catalog.event_ended(id, Some(&version(1)), after(2)).await), ErrorKind::NotFound);
        assert!(!catalog.known_video(id).await.unwrap().unwrap().names(version(1).version));
        let revoked = catalog.revocations(after(2)).await.unwrap();
        assert_eq!(revoked.iter().map(|line| line.revoked).collect::<Vec<_>>(), [Revoked::Version(version(1).version)]);
        assert!(!catalog.forget_video(id, after(60)).await.unwrap(), "its packager may still write");
        assert!(catalog.forget_video(id, after(61)).await.unwrap());
        let unpublished = create(&catalog, 2).await;
        catalog.delete_video(unpublished, after(1)).await.unwrap();
        assert!(catalog.forget_video(unpublished, after(1)).await.unwrap());
    }

    async fn the_census_names_what_was_on_air(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, _) = on_air(&catalog, 1, NOW).await;
        catalog.event_ended(id, Some(&version(1)), after(1)).await.unwrap();
        let (gone, _) = on_air(&catalog, 2, NOW).await;
        catalog.event_ended(gone, None, after(1)).await.unwrap();
        let known = catalog.known_videos(None).await.unwrap();
        assert!(known[0].names(version(1).version) && !known[0].has_original());
        assert!(!known[1].names(version(2).version) && !known[1].has_original());
    }
}
