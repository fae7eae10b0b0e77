//! What one account may have, and what the disk can take.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use catalog::UploadLimits;
use database::on_both_engines;
use futures::future::join_all;
use model::Clock;

use crate::stack::{Setup, Stack, head, media, patch, post};

fn limited(limits: UploadLimits) -> Setup {
    Setup { limits, ..Setup::default() }
}

on_both_engines! {
    async fn a_limit_cannot_be_raced(test: &TestDatabase) {
        let limits = UploadLimits { max_size_bytes: 100, max_open: 50, max_total_bytes: 100 };
        let stack = Stack::with(test, limited(limits)).await;
        let answers = join_all((0..20).map(|_| stack.send(post().with("Upload-Length", 40)))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses[..2], [201; 2]);
        assert_eq!(statuses[2..], [429; 18]);
        assert!(
            answers.iter().any(|answer| answer.body.contains("\"quota_exceeded\"") && answer.has("retry-after"))
        );
        // Another account has its own.
        assert_eq!(stack.send(post().with("Upload-Length", 40).by("ben")).await.status, 201);
    }

    async fn open_uploads_are_counted_until_they_end(test: &TestDatabase) {
        let limits = UploadLimits { max_size_bytes: 100, max_open: 2, max_total_bytes: 1000 };
        let stack = Stack::with(test, limited(limits)).await;
        let (first, second) = (stack.create(3).await, stack.create(3).await);
        let refused = stack.send(post().with("Upload-Length", 3)).await;
        assert_eq!(refused.status, 429);
        assert!(refused.body.contains("\"too_many_uploads\""), "{refused:?}");
        assert_eq!(stack.send(patch(&first.path, 0, b"abc")).await.status, 204);
        stack.create(3).await;
        assert_eq!(stack.send(crate::stack::request("DELETE", &second.path)).await.status, 204);
        stack.create(3).await;
        assert_eq!(stack.send(post().with("Upload-Length", 101)).await.status, 413);
    }

    async fn an_upload_that_nobody_continues_is_given_up(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let (idle, active, finished) = (stack.create(10).await, stack.create(10).await, stack.create(3).await);
        assert_eq!(stack.send(patch(&idle.path, 0, b"01234")).await.status, 204);
        assert_eq!(stack.send(patch(&finished.path, 0, b"abc")).await.status, 204);
        stack.clock.advance(Duration::from_secs(20 * 3600));
        assert_eq!(stack.send(patch(&active.path, 0, b"01234")).await.status, 204);
        assert_eq!(stack.ingest.expire(stack.clock.now()).await.unwrap(), 0);
        stack.clock.advance(Duration::from_secs(5 * 3600));
        assert_eq!(stack.ingest.expire(stack.clock.now()).await.unwrap(), 2);
        assert_eq!(stack.send(head(&idle.path)).await.status, 404);
        assert_eq!((stack.state(&idle).await, stack.state(&finished).await), ("absent", "queued"));
        assert_eq!(stack.offset(&active).await, 5);
        assert_eq!(stack.spooled(), [active.id.to_string()]);
        assert_eq!(stack.original(&finished).await, b"abc");
    }

    async fn a_nearly_full_disk_takes_no_new_upload(test: &TestDatabase) {
        let mut setup = Setup::default();
        setup.config.keep_free_bytes = u64::MAX / 2;
        let stack = Stack::with(test, setup).await;
        let answer = stack.send(post().with("Upload-Length", 1)).await;
        assert_eq!(answer.status, 507);
        assert!(answer.body.contains("\"no_space\""), "{answer:?}");
    }

    async fn a_full_disk_is_an_answer(test: &TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let Some(_disk) = SmallDisk::mount(folder.path(), "4m") else {
            eprintln!("skipped: only root may mount a small file system");
            return;
        };
        let stack = Stack::with(test, Setup { spool: Some(folder.path().join("spool")), ..Setup::default() }).await;
        let bytes = media(3 << 20);
        let upload = stack.create(bytes.len() as u64).await;
        let hog = folder.path().join("hog");
        std::fs::write(&hog, vec![0; 2 << 20]).unwrap();
        let answer = stack.send(patch(&upload.path, 0, &bytes)).await;
        assert_eq!(answer.status, 507, "{answer:?}");
        let offset = stack.offset(&upload).await;
        assert!(offset <= 2 << 20 && offset == answer.offset(), "{offset} {answer:?}");
        std::fs::remove_file(&hog).unwrap();
        assert_eq!(stack.send(patch(&upload.path, offset, &bytes[offset as usize..])).await.status, 204);
        assert!(stack.original(&upload).await == bytes);
    }

    async fn a_disk_that_fills_up_meanwhile_keeps_its_reserve(test: &TestDatabase) {
        const MIB: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let Some(_disk) = SmallDisk::mount(folder.path(), "64m") else {
            eprintln!("skipped: only root may mount a small file system");
            return;
        };
        let mut setup = Setup { spool: Some(folder.path().join("spool")), ..Setup::default() };
        setup.config.keep_free_bytes = 24 * MIB;
        let stack = Stack::with(test, setup).await;
        let bytes = media(36 << 20);
        let upload = stack.create(bytes.len() as u64).await;
        let hog = folder.path().join("hog");
        std::fs::write(&hog, vec![0; 20 << 20]).unwrap();
        // It ends within what is taken in between two looks; with a checksum all of it is taken back.
        let checked = patch(&upload.path, 0, &bytes).with("Upload-Checksum", "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        for (request, least, most) in [(checked, 0, 0), (patch(&upload.path, 0, &bytes), 20 * MIB, 30 * MIB)] {
            let answer = stack.send(request).await;
            assert_eq!(answer.status, 507, "{answer:?}");
            let offset = stack.offset(&upload).await;
            assert!((least..=most).contains(&offset) && offset == answer.offset(), "{offset} {answer:?}");
        }
        let offset = stack.offset(&upload).await;
        let answer = stack.send(patch(&upload.path, offset, &bytes[offset as usize..][..1])).await;
        assert_eq!((answer.status, answer.offset()), (507, offset), "nor does it begin");
        std::fs::remove_file(&hog).unwrap();
        assert_eq!(stack.send(patch(&upload.path, offset, &bytes[offset as usize..])).await.status, 204);
        assert!(stack.original(&upload).await == bytes);
    }
}

struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path, size: &str) -> Option<Self> {
        let size = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
