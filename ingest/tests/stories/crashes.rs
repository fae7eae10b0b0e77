//! A process that dies between any two steps, and stores that fail.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use database::on_both_engines;
use model::Clock;
use storage::testing::Disk;
use storage::{Flaky, Memory, ObjectStore};

use crate::stack::{Created, START, Setup, Stack, head, media, patch};

fn with(store: impl ObjectStore) -> Setup {
    Setup { store: Some(Arc::new(store)), ..Setup::default() }
}

on_both_engines! {
    async fn an_offset_is_never_more_than_the_disk_has(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(20).await;
        assert_eq!(stack.send(patch(&upload.path, 0, b"0123456789")).await.status, 204);
        let file = stack.spool.join(upload.id.to_string());

        // Written and not recorded, as when the process dies before the catalog answers.
        OpenOptions::new().append(true).open(&file).unwrap().write_all(b"rubbish").unwrap();
        let stack = stack.restart(Setup::default()).await;
        assert_eq!(stack.offset(&upload).await, 10);

        // A disk that lost what it had promised.
        OpenOptions::new().write(true).open(&file).unwrap().set_len(4).unwrap();
        assert_eq!(stack.offset(&upload).await, 4);
        assert_eq!(stack.send(patch(&upload.path, 4, b"4567")).await.offset(), 8);
        assert_eq!(stack.offset(&upload).await, 8);
        assert_eq!(stack.send(patch(&upload.path, 8, b"89ABCDEFGHIJ")).await.offset(), 20);
        assert_eq!(stack.original(&upload).await, b"0123456789ABCDEFGHIJ");
    }
}

/// Makes an upload whose bytes are all recorded, and whose request then failed.
async fn whole_but_open(stack: &Stack) -> Created {
    let upload = stack.create(5).await;
    let answer = stack.send(patch(&upload.path, 0, b"01234")).await;
    assert_eq!((answer.status, answer.offset()), (503, 5), "{answer:?}");
    assert_eq!(stack.state(&upload).await, "uploading");
    upload
}

on_both_engines! {
    async fn a_client_that_asks_again_closes_the_object(test: &TestDatabase) {
        // The store refuses, or it stores and its answer is lost.
        for store in [Flaky::new(Memory::default(), 1), Flaky::losing_answers(Memory::default(), 1)] {
            let stack = Stack::with(test, with(store)).await;
            let upload = whole_but_open(&stack).await;
            stack.until(200, async || stack.send(head(&upload.path)).await.status).await;
            assert_eq!(stack.offset(&upload).await, 5);
            assert_eq!(stack.state(&upload).await, "queued");
            stack.until(5, async || stack.original_if_there(&upload).await).await;
            assert_eq!(stack.spooled(), [""; 0]);
        }
    }

    async fn the_next_process_closes_the_object(test: &TestDatabase) {
        // It died before the store had the bytes, or after that and before the catalog knew.
        for store in [Flaky::new(Memory::default(), 1), Flaky::losing_answers(Memory::default(), 1)] {
            let store: Arc<dyn ObjectStore> = Arc::new(store);
            let setup = || Setup { store: Some(store.clone()), ..Setup::default() };
            let stack = Stack::with(test, setup()).await;
            let upload = whole_but_open(&stack).await;
            let mut stack = stack.restart(setup()).await;
            let mut finished = 0;
            for _ in 0..3 {
                finished += stack.ingest.recover().await.unwrap();
                stack = stack.restart(setup()).await;
            }
            assert_eq!((finished, stack.state(&upload).await), (1, "queued"));
            stack.until(5, async || stack.original_if_there(&upload).await).await;
            assert_eq!((stack.offset(&upload).await, stack.spooled().len()), (5, 0));
            assert_eq!(stack.ingest.recover().await.unwrap(), 0);
        }
    }

    async fn the_next_process_forgets_what_is_no_more(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let (finished, deleted, open) = (stack.create(5).await, stack.create(5).await, stack.create(5).await);
        assert_eq!(stack.send(patch(&finished.path, 0, b"01234")).await.status, 204);
        for upload in [&deleted, &open] {
            assert_eq!(stack.send(patch(&upload.path, 0, b"01")).await.status, 204);
        }
        // It died before the spool forgot; and a video was deleted while its bytes came in.
        std::fs::write(stack.spool.join(finished.id.to_string()).with_extension("closing"), "").unwrap();
        stack.catalog.delete_video(deleted.video, stack.clock.now()).await.unwrap();
        // Dated by the machine, whose clock is behind the test's.
        for upload in [&deleted, &open] {
            let file = OpenOptions::new().append(true).open(stack.spool.join(upload.id.to_string())).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_millis(START.as_millis() as u64)).unwrap();
        }
        let stack = stack.restart(Setup::default()).await;
        assert_eq!(stack.ingest.recover().await.unwrap(), 0);
        assert_eq!(sorted(stack.spooled()), sorted([&open, &deleted].map(|upload| upload.id.to_string()).into()));
        stack.clock.advance(Duration::from_secs(3600));
        assert_eq!(stack.ingest.recover().await.unwrap(), 0);
        assert_eq!(stack.spooled(), [open.id.to_string()]);
        assert_eq!(stack.original(&finished).await, b"01234");
        assert_eq!(stack.send(patch(&deleted.path, 2, b"234")).await.status, 404);
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

on_both_engines! {
    async fn a_video_deleted_in_mid_upload_ends_its_request(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(10).await;
        let mut under_way = stack.open(&patch(&upload.path, 0, b"01234").announcing(10)).await;
        stack.until(5, async || stack.spooled_bytes(&upload)).await;
        stack.catalog.delete_video(upload.video, stack.clock.now()).await.unwrap();
        under_way.write(b"56789").await;
        assert_eq!(under_way.answer().await.status, 404);
        assert_eq!((stack.spooled().len(), stack.objects().await.len()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let Some(mut disk) = Disk::new(64) else { return };
    let bytes = media(300_000);
    let mut stack = Stack::on_disk(disk.path()).await;
    let finished = stack.create(300_000).await;
    assert_eq!(stack.send(patch(&finished.path, 0, &bytes)).await.status, 204);
    let upload = stack.create(300_000).await;
    // A cut after every answer, and one in the middle of the third body.
    for acknowledged in [100_000, 200_000, 200_000] {
        let offset = stack.offset(&upload).await as usize;
        let mut _under_way = None;
        let body = &bytes[offset..200_000.max(offset + 50_000).min(offset + 100_000)];
        if offset < 200_000 {
            let answer = stack.send(patch(&upload.path, offset as u64, body)).await;
            assert_eq!((answer.status, answer.offset()), (204, acknowledged));
        } else {
            _under_way = Some(stack.open(&patch(&upload.path, 200_000, body).announcing(100_000)).await);
            stack.until(250_000, async || stack.spooled_bytes(&upload)).await;
        }
        disk = disk.cut_power();
        stack = Stack::on_disk(disk.path()).await;
        assert_eq!(stack.offset(&upload).await, acknowledged);
    }
    assert_eq!(stack.send(patch(&upload.path, 200_000, &bytes[200_000..])).await.status, 204);
    for upload in [&upload, &finished] {
        assert!(stack.original(upload).await == bytes);
        assert_eq!(stack.state(upload).await, "queued");
    }
}
