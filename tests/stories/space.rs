//! Disks that are full, and memory that is not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tests::{Clip, Engines, Stack, TINY, Upload, film, until};

/// A small file system of its own; needs root, as CI has it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).expect("make the mount point");
        let options = format!("size={size}");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).ok()?;
        Some(Self(path.to_owned()))
    }
}

impl SmallDisk {
    fn grow(&self, size: &str) {
        let options = format!("size={size}");
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT, Some(options.as_str()))
            .expect("grow the small disk");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_answer_and_playback_goes_on() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let spool = home.path().join("spool");
    let Some(_disk) = SmallDisk::at(&spool, "4m") else {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    };
    // The reserve would refuse every upload on so small a disk before it is full.
    let stack = Stack::start_in(home, Engines::Embedded, "[ingest]\nkeep_free_bytes = 0\n").await;
    let creator = stack.person("ana", "creator", 0).await;
    let small = Clip::Short.bytes();
    assert!(small.len() < 3 << 20, "the clip fits on the small disk");
    let video = creator.upload_bytes("Cabe", small).await;
    let ready = creator.until_ready(&video).await;
    creator.publish(&video, 1).await;

    // More than the disk could ever hold is refused before a byte is sent.
    assert_eq!(Upload::try_create(&creator, "Nunca cabe", "100000000").await.status.as_u16(), 507);
    // What would have fitted does not any more, because somebody else fills the disk.
    let bytes = vec![7u8; 3 << 20];
    let upload = Upload::create(&creator, "No cabe", bytes.len() as u64).await;
    let filler = spool.join("filler");
    std::fs::write(&filler, vec![0u8; 2 << 20]).expect("fill the disk");
    assert_eq!(upload.patch(&creator, 0, bytes.clone()).await.status.as_u16(), 507);
    let offset = upload.offset(&creator).await;
    assert!(offset <= 2 << 20, "{offset} bytes on what was left of the disk");

    let playback = creator.playback(&video).await.expect(200).json();
    let segment = format!("/v/{video}/{}/144p/0.m4s", ready["version"].as_str().expect("a version"));
    assert_eq!(creator.fetch(&segment, playback["token"].as_str()).await.status, 200);

    // Room again: the same upload goes on where it was.
    std::fs::remove_file(&filler).expect("make room");
    upload.patch(&creator, offset, bytes[offset as usize..].to_vec()).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_waits_for_room_to_work_in() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let scratch = home.path().join("scratch");
    // Locks and folders find room, a chunk does not.
    let Some(disk) = SmallDisk::at(&scratch, "48k") else {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    };
    let stack = Stack::start_in(home, Engines::Embedded, "").await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Sin sitio", TINY.file()).await;
    until("the disk to be full", Duration::from_secs(60), || async {
        let log = stack.log();
        if log.contains("use the scratch folder: No space left") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(creator.video(&video).await["state"], "packaging");

    disk.grow("64m");
    creator.until_ready(&video).await;
    film::assert_whole(&stack, &creator, &video, 20).await;
    let left: Vec<_> = std::fs::read_dir(&scratch).expect("read the scratch folder").collect();
    assert!(left.is_empty(), "{left:?}");
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_uploads_at_once_take_little_memory() {
    const UPLOADS: usize = 200;
    let extra = "[uploads]\nmax_open = 500\nmax_total_bytes = 1000000000000\n";
    let stack = Stack::start_with(Engines::Embedded, extra).await;
    let creator = stack.person("ana", "creator", 0).await;
    let before = stack.memory();
    let chunk = 8 << 20;
    let mut uploads = Vec::new();
    for _ in 0..UPLOADS {
        // Larger than what is sent, so that none completes.
        uploads.push(Upload::create(&creator, "Uno de muchos", chunk + 1).await);
    }
    // All are open and halfway at the same time, then all go on.
    let mut senders = Vec::new();
    let mut answers = Vec::new();
    for upload in &uploads {
        let (sender, pieces) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
        let stream =
            futures::stream::unfold(pieces, |mut p| async { p.recv().await.map(|piece| (piece, p)) });
        let request = creator
            .request(reqwest::Method::PATCH, &upload.location)
            .header("tus-resumable", "1.0.0")
            .header("upload-offset", 0)
            .header("content-type", "application/offset+octet-stream")
            .body(reqwest::Body::wrap_stream(stream));
        answers.push(tokio::spawn(creator.clone().send_owned(request)));
        senders.push(sender);
    }
    let piece = bytes::Bytes::from(vec![1u8; 1 << 20]);
    let mut peak = 0;
    for _ in 0..8 {
        for sender in &senders {
            sender.send(Ok(piece.clone())).await.expect("the upload goes on");
        }
        peak = peak.max(stack.memory());
    }
    drop(senders);
    for answer in answers {
        answer.await.expect("the client does not panic").expect(204);
    }
    let each = peak.saturating_sub(before) / UPLOADS as u64;
    assert!(each <= 1 << 20, "{each} bytes of memory for each upload");
}
