//! Clients that are cut off, come back, or stall.

use std::time::{Duration, Instant};

use database::on_both_engines;
use database::testing::TestDatabase;

use crate::stack::{Setup, Stack, head, media, patch};

on_both_engines! {
    async fn what_came_before_the_cut_is_kept(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let bytes = media(500_000);
        let upload = stack.create(500_000).await;
        drop(stack.open(&patch(&upload.path, 0, &bytes[..200_000]).announcing(500_000)).await);
        stack.until(200_000, async || stack.spooled_bytes(&upload)).await;
        assert_eq!(stack.offset(&upload).await, 200_000);
        assert_eq!(stack.send(patch(&upload.path, 200_000, &bytes[200_000..])).await.status, 204);
        assert!(stack.original(&upload).await == bytes);
    }

    async fn nobody_is_locked_out_by_their_own_dead_connection(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let bytes = media(400_000);
        let upload = stack.create(400_000).await;
        // Half open: it sends no more and does not end.
        let mut dead = stack.open(&patch(&upload.path, 0, &bytes[..100_000]).announcing(400_000)).await;
        stack.until(100_000, async || stack.spooled_bytes(&upload)).await;

        let asked = Instant::now();
        assert_eq!(stack.offset(&upload).await, 100_000);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        let answer = dead.answer().await;
        assert_eq!((answer.status, answer.offset()), (409, 100_000));

        // A stranger overtakes nobody; the newest of the owner's goes on.
        let mut dead =
            stack.open(&patch(&upload.path, 100_000, &bytes[100_000..150_000]).announcing(300_000)).await;
        stack.until(150_000, async || stack.spooled_bytes(&upload)).await;
        assert_eq!(stack.send(head(&upload.path).by("ben")).await.status, 404);
        assert_eq!(stack.send(patch(&upload.path, 150_000, b"x").by("ben")).await.status, 404);
        dead.write(&bytes[150_000..160_000]).await;
        stack.until(160_000, async || stack.spooled_bytes(&upload)).await;
        let answer = stack.send(patch(&upload.path, 160_000, &bytes[160_000..])).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(dead.answer().await.status, 409);
        assert!(stack.original(&upload).await == bytes);
    }

    async fn of_many_at_once_each_byte_is_taken_once(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let bytes = media(64_000);
        for _ in 0..10 {
            let upload = stack.create(64_000).await;
            let all = futures::future::join_all((0..4).map(|_| stack.send(patch(&upload.path, 0, &bytes)))).await;
            let statuses: Vec<_> = all.iter().map(|answer| answer.status).collect();
            assert!(statuses.iter().all(|status| [204, 409, 413].contains(status)), "{statuses:?}");
            let offset = stack.offset(&upload).await;
            if offset < 64_000 {
                let rest = &bytes[offset as usize..];
                assert_eq!(stack.send(patch(&upload.path, offset, rest)).await.status, 204);
            }
            assert!(stack.original(&upload).await == bytes);
        }
    }

    async fn a_stalled_body_is_ended_and_kept(test: &TestDatabase) {
        let mut setup = Setup::default();
        setup.config.idle_timeout_s = 1;
        let stack = Stack::with(test, setup).await;
        let upload = stack.create(10).await;
        let mut stalled = stack.open(&patch(&upload.path, 0, b"01234").announcing(10)).await;
        let answer = stalled.answer().await;
        assert_eq!((answer.status, answer.offset()), (503, 5));
        assert!(answer.body.contains("\"stalled\""), "{answer:?}");
        assert_eq!(stack.offset(&upload).await, 5);
    }

    async fn a_server_that_stops_keeps_what_came(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(10).await;
        let mut under_way = stack.open(&patch(&upload.path, 0, b"01234").announcing(10)).await;
        stack.until(5, async || stack.spooled_bytes(&upload)).await;
        stack.ingest.close().await;
        let answer = under_way.answer().await;
        assert_eq!((answer.status, answer.offset()), (503, 5));
        assert!(answer.has("retry-after"));
        let stack = stack.restart(Setup::default()).await;
        assert_eq!(stack.offset(&upload).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_bodies() {
    const UPLOADS: usize = 200;
    const SENT: usize = 3 << 20;
    let test = &TestDatabase::sqlite().await;
    let stack = Stack::start(test).await;
    let bytes = media(SENT);
    let mut uploads = Vec::new();
    for _ in 0..UPLOADS {
        uploads.push(stack.create(2 * SENT as u64).await);
    }
    let before = resident_bytes();
    let mut connections = Vec::new();
    for upload in &uploads {
        connections.push(stack.open(&patch(&upload.path, 0, &bytes).announcing(2 * SENT)).await);
    }
    let spooled = || {
        let sizes = std::fs::read_dir(&stack.spool).unwrap();
        sizes.map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    stack.until((UPLOADS * SENT) as u64, async || spooled()).await;
    let each = resident_bytes().saturating_sub(before) / UPLOADS as u64;
    assert!(each <= 1 << 20, "{each} bytes for each upload");
}

/// The resident set of this process, client and server.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}
