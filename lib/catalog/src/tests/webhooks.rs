use database::on_both_engines;

use super::events::{create, on_air};
use super::*;
use crate::{Announcement, Happened, Webhook};

fn webhook(url: &str) -> Webhook {
    Webhook { url: url.to_owned(), secret: "0123456789abcdef".to_owned() }
}

async fn due(catalog: &Catalog, now: Timestamp) -> Vec<Announcement> {
    catalog.claim_announcements(now, LEASE).await.unwrap()
}

fn said(announcements: &[Announcement]) -> Vec<(VideoId, Happened, u32)> {
    announcements.iter().map(|it| (it.video, it.happened, it.tries)).collect()
}

on_both_engines! {
    async fn an_owner_is_told_once_that_an_event_began_and_once_that_it_ended(test: &TestDatabase) {
        let catalog = open(test).await;
        catalog.set_webhook(OWNER, webhook("https://old.example/"), NOW).await.unwrap();
        catalog.set_webhook(OWNER, webhook("https://hooks.example/"), NOW).await.unwrap();
        assert_eq!(catalog.webhook_of(OWNER).await.unwrap(), Some(webhook("https://hooks.example/")));
        assert!(!format!("{:?}", webhook("u")).contains("0123"));
        let (id, turn) = on_air(&catalog, 1, NOW).await;
        let [started] = due(&catalog, NOW).await.try_into().unwrap();
        let expected = Announcement {
            video: id,
            happened: Happened::LiveStarted,
            owner: OWNER,
            title: "Evento 1".to_owned(),
            at: NOW,
            tries: 1,
            webhook: webhook("https://hooks.example/"),
        };
        assert_eq!(started, expected);
        assert_eq!(due(&catalog, NOW).await, [], "it is being told");
        catalog.announced(&started).await.unwrap();

        // Cuts are no news.
        catalog.publisher_left(id, turn, after(1)).await.unwrap();
        let key = super::events::new_event(1).key;
        let turn = catalog.admit_publisher(&key, after(2)).await.unwrap().unwrap().generation;
        catalog.event_went_live(id, turn, after(3)).await.unwrap();
        catalog.end_event(id, after(10)).await.unwrap();
        catalog.event_ended(id, Some(&version(1)), after(11)).await.unwrap();
        assert_eq!(said(&due(&catalog, after(500)).await), [(id, Happened::LiveEnded, 1)]);
        assert_eq!(said(&due(&catalog, after(530)).await), [(id, Happened::LiveEnded, 2)], "nobody said what became of it");
    }

    async fn what_did_not_arrive_is_told_again_by_one_only(test: &TestDatabase) {
        let catalog = open(test).await;
        catalog.set_webhook(OWNER, webhook("https://hooks.example/"), NOW).await.unwrap();
        on_air(&catalog, 1, NOW).await;
        let [first] = due(&catalog, NOW).await.try_into().unwrap();
        catalog.announce_again(&first, after(60)).await.unwrap();
        assert_eq!(due(&catalog, after(59)).await, []);
        let [second] = due(&catalog, after(60)).await.try_into().unwrap();
        assert_eq!(second.tries, 2);
        // Whoever was too slow changes nothing.
        catalog.announced(&first).await.unwrap();
        catalog.announce_again(&first, after(61)).await.unwrap();
        assert_eq!(due(&catalog, after(62)).await, []);
        assert_eq!(due(&catalog, after(90)).await.len(), 1);
    }

    async fn who_wants_to_hear_nothing_is_told_nothing(test: &TestDatabase) {
        let catalog = open(test).await;
        let (id, _) = on_air(&catalog, 1, NOW).await;
        catalog.set_webhook(OWNER, webhook("https://hooks.example/"), NOW).await.unwrap();
        assert_eq!(due(&catalog, NOW).await, [], "it began before");
        catalog.end_event(id, after(1)).await.unwrap();
        let unseen = create(&catalog, 2).await;
        catalog.end_event(unseen, after(2)).await.unwrap();
        catalog.remove_webhook(OWNER).await.unwrap();
        assert_eq!((catalog.webhook_of(OWNER).await.unwrap(), due(&catalog, after(3)).await), (None, vec![]));
        catalog.set_webhook(OWNER, webhook("https://hooks.example/"), NOW).await.unwrap();
        assert_eq!(due(&catalog, after(4)).await, [], "that is forgotten");
        let deleted = on_air(&catalog, 3, after(5)).await.0;
        catalog.delete_video(deleted, after(6)).await.unwrap();
        let told = said(&due(&catalog, after(7)).await);
        assert_eq!(told, [(deleted, Happened::LiveStarted, 1), (deleted, Happened::LiveEnded, 1)]);
    }
}
