//! Uploads to a real S3 server, with the rows in PostgreSQL as such an installation has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::UploadPart;
use database::testing::TestDatabase;
use model::{Clock, SystemClock};
use storage::testing::SeaweedFs;
use storage::{Flaky, ObjectStore, S3};

use crate::stack::{Created, DEADLINE, Setup, Stack, head, media, patch, request};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_travel_while_bytes_come_in() {
    let test = &TestDatabase::postgres().await;
    let server = SeaweedFs::start();
    let store = S3::open(&server.config("uploads")).await.unwrap();
    let stack = Stack::with(test, Setup { store: Some(Arc::new(store)), ..Setup::default() }).await;
    let bytes = media(20 * MIB);
    let upload = stack.create(bytes.len() as u64).await;
    let shipped = async || {
        let parts = stack.catalog.upload_parts(upload.id).await.unwrap();
        parts.iter().map(|part| part.size_bytes as usize).sum::<usize>()
    };

    // One long body: parts go while it is still coming.
    let mut under_way = stack.open(&patch(&upload.path, 0, &bytes[..17 * MIB]).announcing(20 * MIB)).await;
    stack.until(16 * MIB, shipped).await;
    assert_eq!(stack.objects().await, [""; 0], "nothing is to be seen before the end");
    under_way.write(&bytes[17 * MIB..]).await;
    let answer = under_way.answer().await;
    assert_eq!((answer.status, answer.offset()), (204, 20 * MIB as u64));
    assert_eq!(stack.objects().await, [upload.key().to_string()]);
    assert!(stack.original(&upload).await == bytes);
    assert_eq!((stack.state(&upload).await, stack.spooled().len()), ("queued", 0));

    // What the store has can be promised even where the spool is gone.
    let upload = stack.create(bytes.len() as u64).await;
    assert_eq!(stack.send(patch(&upload.path, 0, &bytes[..9 * MIB])).await.status, 204);
    let shipped = async || stack.catalog.upload_parts(upload.id).await.unwrap().len();
    stack.until(1, shipped).await;
    std::fs::remove_file(stack.spool.join(upload.id.to_string())).unwrap();
    assert_eq!(stack.offset(&upload).await, 8 * MIB as u64);
    assert_eq!(stack.send(patch(&upload.path, 8 * MIB as u64, &bytes[8 * MIB..])).await.status, 204);
    assert!(stack.original(&upload).await == bytes);

    // A small one needs no parts; a terminated one leaves none.
    let small = stack.create(3).await;
    assert_eq!(stack.send(patch(&small.path, 0, b"abc")).await.status, 204);
    assert_eq!(stack.original(&small).await, b"abc");
    let upload = stack.create(bytes.len() as u64).await;
    assert_eq!(stack.send(patch(&upload.path, 0, &bytes[..9 * MIB])).await.status, 204);
    let shipped = async || stack.catalog.upload_parts(upload.id).await.unwrap().len();
    stack.until(1, shipped).await;
    assert_eq!(unfinished(&stack).await, 1);
    assert_eq!(stack.send(request("DELETE", &upload.path)).await.status, 204);
    assert_eq!(unfinished(&stack).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_the_store_drops_come_from_the_spool_again() {
    let test = &TestDatabase::postgres().await;
    let server = SeaweedFs::start();
    let direct = S3::open(&server.config("dropped")).await.unwrap();
    let bytes = media(18 * MIB);
    let parts =
        async |stack: &Stack, upload: &Created| stack.catalog.upload_parts(upload.id).await.unwrap().len();

    // In the middle of the upload: the next part finds out.
    let store = S3::open(&server.config("dropped")).await.unwrap();
    let stack = Stack::with(test, Setup { store: Some(Arc::new(store)), ..Setup::default() }).await;
    let upload = stack.create(bytes.len() as u64).await;
    assert_eq!(stack.send(patch(&upload.path, 0, &bytes[..9 * MIB])).await.status, 204);
    stack.until(1, async || parts(&stack, &upload).await).await;
    drop_parts(&direct).await;
    assert_eq!(stack.offset(&upload).await, 9 << 20);
    assert_eq!(stack.send(patch(&upload.path, 9 << 20, &bytes[9 * MIB..])).await.status, 204);
    assert!(stack.original(&upload).await == bytes);
    assert_eq!((unfinished(&stack).await, stack.spooled().len()), (0, 0));

    // What the spool has not, or has behind a gap, is not promised any more.
    let upload = stack.create(bytes.len() as u64).await;
    assert_eq!(stack.send(patch(&upload.path, 0, &bytes[..9 * MIB])).await.status, 204);
    stack.until(1, async || parts(&stack, &upload).await).await;
    std::fs::remove_file(stack.spool.join(upload.id.to_string())).unwrap();
    assert_eq!(stack.offset(&upload).await, 8 << 20);
    assert_eq!(stack.send(patch(&upload.path, 8 << 20, &bytes[8 * MIB..12 * MIB])).await.status, 204);
    drop_parts(&direct).await;
    let answer = stack.send(patch(&upload.path, 12 << 20, &bytes[12 * MIB..])).await;
    assert_eq!((answer.status, answer.offset()), (409, 0));
    assert_eq!(stack.send(patch(&upload.path, 0, &bytes)).await.status, 204);
    assert!(stack.original(&upload).await == bytes);

    // When all of them are there and the object was not made of them.
    // A moment, which the next HEAD ends: on a busy machine it may take some tries to meet it.
    let deadline = Instant::now() + DEADLINE;
    let (stack, upload) = 'met: loop {
        assert!(Instant::now() < deadline, "the moment was never met");
        let store = Flaky::new(S3::open(&server.config("dropped")).await.unwrap(), 1);
        let stack = Stack::with(test, Setup { store: Some(Arc::new(store)), ..Setup::default() }).await;
        let upload = stack.create(bytes.len() as u64).await;
        assert_eq!(stack.send(patch(&upload.path, 0, &bytes)).await.status, 503);
        while stack.send(head(&upload.path)).await.status == 503 {
            if parts(&stack, &upload).await == 3 {
                break 'met (stack, upload);
            }
            assert!(Instant::now() < deadline, "it is never complete");
        }
    };
    drop_parts(&direct).await;
    stack.until(200, async || stack.send(head(&upload.path)).await.status).await;
    assert_eq!(stack.state(&upload).await, "queued");
    assert!(direct.get(&upload.key()).await.unwrap() == bytes);
}

/// As a rule of the bucket does it.
async fn drop_parts(store: &S3) {
    let store = store.parts().unwrap();
    for begun in store.unfinished_parts().await.unwrap() {
        store.abort_parts(&begun.name.parse().unwrap(), &begun.token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_refuses_for_ever_is_given_up_when_its_time_is_over() {
    let test = &TestDatabase::postgres().await;
    let server = SeaweedFs::start();
    let store = S3::open(&server.config("refused")).await.unwrap();
    let stack = Stack::with(test, Setup { store: Some(Arc::new(store)), ..Setup::default() }).await;
    let bytes = media(10 * MIB);
    let upload = stack.create(bytes.len() as u64).await;
    assert_eq!(stack.send(patch(&upload.path, 0, &bytes[..9 * MIB])).await.status, 204);
    stack.until(1, async || stack.catalog.upload_parts(upload.id).await.unwrap().len()).await;
    // The store knows another part by this number.
    let token = stack.catalog.upload(upload.id).await.unwrap().unwrap().parts_token.unwrap();
    let part = UploadPart { number: 1, size_bytes: 8 << 20, tag: "\"another\"".to_owned() };
    stack.catalog.add_upload_part(upload.id, &token, part).await.unwrap();
    let answer = stack.send(patch(&upload.path, 9 << 20, &bytes[9 * MIB..])).await;
    assert_eq!((answer.status, answer.offset()), (500, 10 << 20), "{answer:?}");
    assert_eq!(stack.ingest.expire(stack.clock.now()).await.unwrap(), 0);
    stack.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(stack.ingest.expire(stack.clock.now()).await.unwrap(), 1);
    assert_eq!((stack.state(&upload).await, stack.spooled().len()), ("absent", 0));
    assert_eq!((unfinished(&stack).await, stack.objects().await.len()), (0, 0));
}

async fn unfinished(stack: &Stack) -> usize {
    stack.store.parts().unwrap().unfinished_parts().await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_deleted_video_are_forgotten_after_a_day() {
    let test = &TestDatabase::postgres().await;
    let server = SeaweedFs::start();
    let store = S3::open(&server.config("strays")).await.unwrap();
    let stack = Stack::with(test, Setup { store: Some(Arc::new(store)), ..Setup::default() }).await;
    let bytes = media(9 * MIB);
    let (open, deleted) = (stack.create(20 << 20).await, stack.create(20 << 20).await);
    for upload in [&open, &deleted] {
        assert_eq!(stack.send(patch(&upload.path, 0, &bytes)).await.status, 204);
        stack.until(1, async || stack.catalog.upload_parts(upload.id).await.unwrap().len()).await;
    }
    // The parts are dated by the clock of their server, not by the test's.
    let now = SystemClock.now();
    stack.catalog.delete_video(deleted.video, now).await.unwrap();
    let soon = |hours: u64| now + Duration::from_secs(hours * 3600);
    assert_eq!(unfinished(&stack).await, 2);
    stack.ingest.expire(soon(23)).await.unwrap();
    assert_eq!(unfinished(&stack).await, 2);
    stack.ingest.expire(soon(25)).await.unwrap();
    assert_eq!(unfinished(&stack).await, 1);
    assert_eq!(stack.offset(&open).await, 9 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_loses_nothing() {
    let test = &TestDatabase::postgres().await;
    let server = SeaweedFs::start();
    let bytes = media(18 * MIB);
    for loses_answers in [false, true] {
        let store = S3::open(&server.config("flaky")).await.unwrap();
        let store: Arc<dyn ObjectStore> = match loses_answers {
            false => Arc::new(Flaky::new(store, 1)),
            true => Arc::new(Flaky::losing_answers(store, 1)),
        };
        let stack = Stack::with(test, Setup { store: Some(store), ..Setup::default() }).await;
        let upload = stack.create(bytes.len() as u64).await;
        for (i, piece) in bytes.chunks(6 * MIB).enumerate() {
            let answer = stack.send(patch(&upload.path, (i * 6 * MIB) as u64, piece)).await;
            assert_eq!(answer.status, if i == 2 { 503 } else { 204 }, "{answer:?}");
        }
        // Each try comes one step further.
        stack.until(200, async || stack.send(head(&upload.path)).await.status).await;
        assert_eq!(stack.state(&upload).await, "queued");
        let whole = async || stack.store.get(&upload.key()).await.is_ok_and(|found| found == bytes);
        stack.until(true, whole).await;
        assert_eq!(stack.spooled(), [""; 0]);
    }
}
