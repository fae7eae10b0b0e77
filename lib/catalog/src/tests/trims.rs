use database::on_both_engines;
use model::{Chapter, ErrorKind, VideoState, Visibility};

use super::*;
use crate::{NewClip, Trim, Trimmed, VideoEdit, Work};

pub(super) fn id(n: u128) -> VersionId {
    VersionId::from_bits(n)
}

pub(super) fn trim(from: u128) -> Trim {
    Trim { from: id(from), ms: 4000..20_000 }
}

pub(super) fn trimmed(n: u128) -> NewVersion {
    NewVersion {
        version: id(n),
        duration_ms: 16_000,
        stretches: Some(std::iter::once(4000..20_000).collect()),
        ..version(n)
    }
}

fn chapters(all: &[(u64, &str)]) -> Vec<Chapter> {
    all.iter().map(|(start_ms, title)| Chapter { start_ms: *start_ms, title: (*title).to_owned() }).collect()
}

pub(super) async fn video(catalog: &Catalog, id: VideoId) -> crate::Video {
    catalog.video(id).await.unwrap().unwrap()
}

async fn set_chapters(catalog: &Catalog, id: VideoId, all: &[(u64, &str)]) {
    let edit = VideoEdit { chapters: Some(chapters(all)), ..VideoEdit::default() };
    catalog.edit_video(id, edit, NOW).await.unwrap();
}

pub(super) fn refused<T: std::fmt::Debug>(result: crate::error::Result<T>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

on_both_engines! {
    async fn a_trim_takes_the_place_of_the_version_it_is_made_of_and_can_be_undone(test: &TestDatabase) {
        let catalog = open(test).await;
        let film = publish(&catalog, 1).await;
        let names = [(0, "Antes"), (3000, "Empieza"), (30_000, "Final")];
        set_chapters(&catalog, film, &names).await;
        assert_eq!(refused(catalog.undo_trim(film, after(1)).await), (ErrorKind::Conflict, "there is nothing to undo".into()));
        catalog.start_trim(film, id(2), &trim(1), after(1)).await.unwrap();
        let shown = video(&catalog, film).await;
        assert_eq!(shown.version(), Some(id(1)), "all of it plays meanwhile");
        let under_way = Trimmed { ms: 4000..20_000, is_under_way: true, undo_until: None };
        assert_eq!(shown.trim, Some(under_way));
        assert!(catalog.known_video(film).await.unwrap().unwrap().names(id(2)), "its objects are spared");
        assert_eq!(refused(catalog.start_trim(film, id(3), &trim(1), after(1)).await).0, ErrorKind::Conflict);

        let job = claim(&catalog, after(2)).await.unwrap();
        assert_eq!(job.work, Work::Trim { version: id(2) });
        assert_eq!(catalog.trim(id(2)).await.unwrap(), Some(trim(1)));
        catalog.publish(job.id, job.attempt, &trimmed(2), after(3)).await.unwrap();
        catalog.publish(job.id, job.attempt, &trimmed(2), after(3)).await.unwrap();
        let shown = video(&catalog, film).await;
        assert_eq!(shown.state, VideoState::Ready { version: id(2), at: after(3) });
        assert_eq!((shown.duration_ms, shown.chapters), (Some(16_000), chapters(&[(0, "Empieza")])));
        let until = catalog.played_until(film, id(1)).await.unwrap();
        let done = Trimmed { ms: 4000..20_000, is_under_way: false, undo_until: until };
        assert!(until.is_some());
        assert_eq!(shown.trim, Some(done));

        catalog.undo_trim(film, after(4)).await.unwrap();
        let shown = video(&catalog, film).await;
        assert_eq!((shown.version(), shown.trim, shown.duration_ms), (Some(id(1)), None, Some(61_234)));
        assert_eq!(shown.chapters, chapters(&names));
        assert_eq!(catalog.played_until(film, id(1)).await.unwrap(), None);
        assert!(catalog.played_until(film, id(2)).await.unwrap().is_some(), "who watches it goes on");
        assert_eq!(refused(catalog.undo_trim(film, after(5)).await).0, ErrorKind::Conflict);

        // What is not kept any more cannot be had again.
        catalog.start_trim(film, id(4), &trim(1), after(6)).await.unwrap();
        let job = claim(&catalog, after(6)).await.unwrap();
        catalog.publish(job.id, job.attempt, &trimmed(4), after(6)).await.unwrap();
        let late = after(6) + Duration::from_secs(30 * 3600);
        assert_eq!(refused(catalog.undo_trim(film, late).await).1, "there is nothing to undo");
        let gone = catalog.outlived_versions(late).await.unwrap();
        assert_eq!(gone.len(), 2);
        for (_, version) in gone {
            catalog.forget_version(version, late).await.unwrap();
        }
        catalog.delete_video(film, late).await.unwrap();
        assert!(catalog.forget_video(film, late + Duration::from_secs(60)).await.unwrap());
    }

    async fn a_film_is_trimmed_twice_and_both_can_be_undone(test: &TestDatabase) {
        let catalog = open(test).await;
        let film = publish(&catalog, 1).await;
        for (from, to) in [(1, 2), (2, 3)] {
            catalog.start_trim(film, id(to), &trim(from), after(1)).await.unwrap();
            let job = claim(&catalog, after(2)).await.unwrap();
            catalog.publish(job.id, job.attempt, &trimmed(to), after(3)).await.unwrap();
            assert_eq!(video(&catalog, film).await.version(), Some(id(to)));
        }
        for playing in [2, 1] {
            catalog.undo_trim(film, after(4)).await.unwrap();
            assert_eq!(video(&catalog, film).await.version(), Some(id(playing)));
        }
        assert_eq!(refused(catalog.undo_trim(film, after(5)).await).0, ErrorKind::Conflict);
    }

    async fn a_list_tells_of_each_film_how_it_was_trimmed(test: &TestDatabase) {
        let catalog = open(test).await;
        let mut films = Vec::new();
        for n in 1..=4 {
            films.push(publish(&catalog, n).await);
        }
        for (film, from, to) in [(0, 1, 11), (1, 2, 12), (0, 11, 21)] {
            catalog.start_trim(films[film], id(to), &trim(from), after(1)).await.unwrap();
            let job = claim(&catalog, after(2)).await.unwrap();
            catalog.publish(job.id, job.attempt, &trimmed(to), after(3)).await.unwrap();
        }
        // Trimmed before, and to be trimmed again; never before; undone; not at all.
        catalog.start_trim(films[0], id(31), &Trim { from: id(21), ms: 0..8000 }, after(4)).await.unwrap();
        catalog.start_trim(films[2], id(33), &trim(3), after(4)).await.unwrap();
        catalog.undo_trim(films[1], after(4)).await.unwrap();
        let listed = catalog.videos_of(OWNER, &crate::Page::default()).await.unwrap().items;
        let told = |film: usize| listed.iter().find(|video| video.id == films[film]).unwrap().trim.clone();
        let under_way = |ms| Some(Trimmed { ms, is_under_way: true, undo_until: None });
        assert_eq!([told(0), told(2)], [under_way(0..8000), under_way(4000..20_000)]);
        assert_eq!([told(1), told(3)], [None, None]);
        catalog.cancel_video(films[0], after(5)).await.unwrap();
        let until = catalog.played_until(films[0], id(11)).await.unwrap();
        let done = Trimmed { ms: 4000..20_000, is_under_way: false, undo_until: until };
        assert_eq!(video(&catalog, films[0]).await.trim, Some(done));
    }

    async fn a_trim_that_fails_or_is_cancelled_leaves_the_film_as_it_was(test: &TestDatabase) {
        let catalog = open(test).await;
        let film = publish(&catalog, 1).await;
        let stale = refused(catalog.start_trim(film, id(2), &trim(9), NOW).await);
        assert_eq!(stale, (ErrorKind::Conflict, "the video is not ready".into()));
        catalog.start_trim(film, id(2), &trim(1), NOW).await.unwrap();
        catalog.cancel_video(film, after(1)).await.unwrap();
        let shown = video(&catalog, film).await;
        assert_eq!((shown.version(), shown.trim), (Some(id(1)), None));
        assert!(!catalog.known_video(film).await.unwrap().unwrap().names(id(2)));
        assert_eq!(claim(&catalog, after(2)).await, None);

        catalog.start_trim(film, id(3), &trim(1), after(3)).await.unwrap();
        for crash in 0..3 {
            let job = claim(&catalog, after(100 * (crash + 1))).await.unwrap();
            catalog.fail_job(job.id, job.attempt, crate::JobFailure::Crashed, after(100 * (crash + 1))).await.unwrap();
        }
        let shown = video(&catalog, film).await;
        assert_eq!((shown.version(), shown.trim), (Some(id(1)), None));
        assert_eq!(claim(&catalog, after(9999)).await, None);
    }

    async fn a_clip_is_ready_when_it_comes_to_be(test: &TestDatabase) {
        let catalog = open(test).await;
        let (event, _) = events::on_air(&catalog, 1, NOW).await;
        let clip = NewClip {
            video: video_id(7),
            event,
            owner: OWNER,
            title: "El gol".to_owned(),
            visibility: Visibility::Public,
            min_tier: model::Tier::ALL[1],
        };
        // It counts like an upload of what it takes.
        let room = 3 * 123_456;
        assert_eq!(refused(catalog.create_clip(&clip, &version(7), room - 1, after(5)).await).0, ErrorKind::TooMany);
        let made = catalog.create_clip(&clip, &version(7), room, after(5)).await.unwrap();
        assert_eq!(made.size_bytes, room);
        let another = NewClip { video: video_id(9), ..clip.clone() };
        assert_eq!(refused(catalog.create_clip(&another, &version(9), room, after(5)).await).0, ErrorKind::TooMany);
        let limits = crate::UploadLimits { max_total_bytes: room + SIZE - 1, ..NO_LIMITS };
        assert_eq!(refused(catalog.create_upload(new_upload(5), &limits, after(5)).await).0, ErrorKind::TooMany);
        assert_eq!(made.state, VideoState::Ready { version: id(7), at: after(5) });
        assert_eq!((made.published_at, made.duration_ms), (Some(after(5)), Some(61_234)));
        let known = catalog.known_video(made.id).await.unwrap().unwrap();
        assert!(!known.has_original() && known.names(id(7)));
        assert_eq!(claim(&catalog, after(6)).await, None, "nothing is to be done");
        catalog.delete_video(event, after(7)).await.unwrap();
        let late = NewClip { video: video_id(8), ..clip };
        assert_eq!(refused(catalog.create_clip(&late, &version(8), u64::MAX, after(8)).await).0, ErrorKind::NotFound);
        assert_eq!(video(&catalog, made.id).await.version(), Some(id(7)), "it outlives the event");
    }
}
