//! tus 1.0.0 as it is written.

use std::sync::Arc;

use database::on_both_engines;
use storage::Memory;

use crate::stack::{Created, Setup, Stack, chunks, head, media, patch, post, request};

/// base64 of `fin.mp4` and `¡Fin!`.
const METADATA: &str = "filename ZmluLm1wNA==,title wqFGaW4h";

on_both_engines! {
    async fn an_upload_becomes_a_queued_video(test: &TestDatabase) {
        let in_memory = Setup { store: Some(Arc::new(Memory::default())), ..Setup::default() };
        for setup in [Setup::default(), in_memory] {
            let stack = Stack::with(test, setup).await;
            let bytes = media(300_000);
            let created =
                stack.send(post().with("Upload-Length", bytes.len()).with("Upload-Metadata", METADATA)).await;
            assert_eq!(created.status, 201);
            assert_eq!(created.field("tus-resumable"), "1.0.0");
            assert_eq!(created.field("upload-expires"), "Sat, 16 Jan 2027 08:00:00 GMT");
            assert!(!created.has("upload-offset"));
            let upload = Created::of(&created);
            let video = stack.catalog.video(upload.video).await.unwrap().unwrap();
            assert_eq!((video.title.as_str(), video.filename.as_str()), ("¡Fin!", "fin.mp4"));
            assert_eq!(stack.state(&upload).await, "uploading");

            let seen = stack.send(head(&upload.path)).await;
            assert_eq!((seen.status, seen.offset(), seen.field("upload-length")), (200, 0, "300000"));
            assert_eq!(seen.field("cache-control"), "no-store");
            assert_eq!(seen.field("cocuyo-video-id"), upload.video.to_string());
            assert_eq!(seen.field("upload-metadata"), METADATA);

            let answer = stack.send(patch(&upload.path, 0, &bytes[..100_000])).await;
            assert_eq!((answer.status, answer.offset()), (204, 100_000));
            assert!(answer.has("upload-expires"));
            assert_eq!(stack.state(&upload).await, "uploading");
            let framed = chunks(&[&bytes[100_000..150_000], &bytes[150_000..]]);
            let answer = stack.send(patch(&upload.path, 100_000, &framed).chunked()).await;
            assert_eq!((answer.status, answer.offset()), (204, 300_000));

            assert_eq!(stack.objects().await, [upload.key().to_string()]);
            assert!(stack.original(&upload).await == bytes);
            assert_eq!(stack.state(&upload).await, "queued");
            assert_eq!(stack.spooled(), [""; 0]);
            // A client that did not get the last answer asks, or sends the last of it again.
            assert_eq!(stack.offset(&upload).await, 300_000);
            let again = stack.send(patch(&upload.path, 300_000, b"")).await;
            assert_eq!((again.status, again.offset()), (204, 300_000));
        }
    }

    async fn a_creation_may_bring_bytes(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let bytes = media(10_000);
        let creation = |size: usize| {
            post().with("Upload-Length", size).with("Content-Type", "application/offset+octet-stream")
        };
        let whole = stack.send(creation(10_000).bytes(&bytes)).await;
        assert_eq!((whole.status, whole.offset()), (201, 10_000));
        assert!(stack.original(&Created::of(&whole)).await == bytes);

        let half = stack.send(creation(10_000).bytes(&bytes[..4000])).await;
        assert_eq!((half.status, half.offset()), (201, 4000));
        let upload = Created::of(&half);
        assert_eq!(stack.send(patch(&upload.path, 4000, &bytes[4000..])).await.status, 204);
        assert!(stack.original(&upload).await == bytes);

        let empty = stack.send(post().with("Upload-Length", 0)).await;
        assert_eq!(empty.status, 201);
        let upload = Created::of(&empty);
        assert_eq!((stack.state(&upload).await, stack.original(&upload).await.len()), ("queued", 0));

        let typeless = stack.send(post().with("Upload-Length", 5).bytes(b"bytes")).await;
        assert_eq!(typeless.status, 415);
        // `printf nothing | sha1sum` is another one.
        let wrong = creation(5).with("Upload-Checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").bytes(b"bytes");
        let wrong = stack.send(wrong).await;
        assert_eq!((wrong.status, wrong.offset()), (460, 0));
        assert!(wrong.has("location"), "the upload is there all the same");
    }

    async fn what_cannot_be_followed_is_refused(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(100).await;
        let path = upload.path.as_str();
        let sized = || post().with("Upload-Length", 10);
        let bytes = [7; 200];
        let unknown = "/api/v1/uploads/00000000000000000000000000";
        for (expected, code, request) in [
            (412, "tus_version", sized().without("Tus-Resumable")),
            (412, "tus_version", patch(path, 0, &bytes[..1]).with("Tus-Resumable", "0.2.2")),
            (401, "unauthenticated", sized().without("Authorization")),
            (401, "unauthenticated", head(path).by("nobody")),
            (403, "uploads_not_allowed", sized().by("viewer")),
            (404, "not_found", head(path).by("ben")),
            (404, "not_found", patch(path, 0, &bytes[..1]).by("ben")),
            (404, "not_found", request("DELETE", path).by("ben")),
            (404, "not_found", head(unknown)),
            (404, "not_found", head("/api/v1/uploads/%2e%2e%2fx")),
            (405, "method_not_allowed", request("GET", path)),
            (405, "method_not_allowed", request("PUT", "/api/v1/uploads")),
            (400, "invalid", post()),
            (400, "invalid", post().with("Upload-Length", -1)),
            (400, "invalid", post().with("Upload-Length", "18446744073709551616")),
            (400, "invalid", sized().with("Upload-Defer-Length", 1)),
            (400, "invalid", sized().with("Upload-Concat", "final;/api/v1/uploads/x")),
            (400, "invalid", sized().with("Upload-Metadata", "title !")),
            (413, "file_too_large", post().with("Upload-Length", u64::MAX)),
            (413, "file_too_large", post().with("Upload-Length", (1u64 << 30) + 1)),
            (415, "tus_body_type", patch(path, 0, &bytes[..1]).with("Content-Type", "video/mp4")),
            (400, "invalid", patch(path, 0, &bytes[..1]).without("Upload-Offset")),
            (400, "invalid", patch(path, 0, &bytes[..1]).with("Upload-Checksum", "crc32 AAAA")),
            (409, "offset_mismatch", patch(path, 1, &bytes[..1])),
            (409, "offset_mismatch", patch(path, 101, &bytes[..1])),
            (413, "longer_than_announced", patch(path, 0, &bytes)),
        ] {
            let answer = stack.send(request.clone()).await;
            assert_eq!(answer.status, expected, "{request:?} {answer:?}");
            assert_eq!(answer.field("tus-resumable"), "1.0.0");
            if !request.is_head() {
                assert!(answer.body.contains(&format!("\"code\":\"{code}\"")), "{request:?} {answer:?}");
            }
        }
        let version = stack.send(sized().without("Tus-Resumable")).await;
        assert_eq!(version.field("tus-version"), "1.0.0");
        let mismatch = stack.send(patch(path, 7, &bytes[..1])).await;
        assert_eq!(mismatch.offset(), 0, "the client learns where it is");
        assert_eq!(stack.offset(&upload).await, 0);
        assert_eq!((stack.objects().await.len(), stack.spooled().len()), (0, 0));
    }

    async fn options_tell_what_is_spoken(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let options = || request("OPTIONS", "/api/v1/uploads").without("Tus-Resumable").without("Authorization");
        let answer = stack.send(options().with("Origin", "http://cocuyo.test")).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("tus-version"), "1.0.0");
        assert_eq!(
            answer.field("tus-extension"),
            "creation,creation-with-upload,termination,checksum,expiration"
        );
        assert_eq!(answer.field("tus-checksum-algorithm"), "sha1,sha256");
        assert_eq!(answer.field("tus-max-size"), (50u64 << 30).to_string());
        assert_eq!(answer.field("access-control-allow-origin"), "http://cocuyo.test");
        let foreign = stack.send(options().with("Origin", "http://evil.test")).await;
        assert!(!foreign.has("access-control-allow-origin"));
    }

    async fn a_checksum_decides_about_its_whole_body(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(22).await;
        let sha1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
        let sha256 = "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";
        let wrong = stack.send(patch(&upload.path, 0, b"jello world").with("Upload-Checksum", sha1)).await;
        assert_eq!((wrong.status, wrong.offset()), (460, 0));
        assert_eq!(stack.offset(&upload).await, 0);
        let right = stack.send(patch(&upload.path, 0, b"hello world").with("Upload-Checksum", sha1)).await;
        assert_eq!((right.status, right.offset()), (204, 11));

        // One that is broken off is dropped whole.
        let half = patch(&upload.path, 11, b"hello").with("Upload-Checksum", sha256).announcing(11);
        let mut half = stack.open(&half).await;
        stack.until(16, async || stack.spooled_bytes(&upload)).await;
        assert_eq!(stack.offset(&upload).await, 11);
        assert_eq!((half.answer().await.status, stack.spooled_bytes(&upload)), (409, 11));
        let too_long = chunks(&[b"hello world", b"!"]);
        let too_long = patch(&upload.path, 11, &too_long).with("Upload-Checksum", sha256).chunked();
        let too_long = stack.send(too_long).await;
        assert_eq!((too_long.status, too_long.offset()), (413, 11));

        let right = stack.send(patch(&upload.path, 11, b"hello world").with("Upload-Checksum", sha256)).await;
        assert_eq!((right.status, right.offset()), (204, 22));
        assert_eq!(stack.original(&upload).await, b"hello worldhello world");
    }

    async fn a_body_that_lies_about_its_length_is_cut(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(10).await;
        let framed = chunks(&[b"01234", b"56789ABC", b"more"]);
        let answer = stack.send(patch(&upload.path, 0, &framed).chunked()).await;
        assert_eq!((answer.status, answer.offset()), (413, 10));
        assert_eq!(stack.offset(&upload).await, 10);
        assert_eq!(stack.original(&upload).await, b"0123456789");
    }

    async fn a_terminated_upload_leaves_nothing(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(10).await;
        assert_eq!(stack.send(patch(&upload.path, 0, b"01234")).await.status, 204);
        assert_eq!(stack.send(request("DELETE", &upload.path)).await.status, 204);
        for request in [head(&upload.path), request("DELETE", &upload.path), patch(&upload.path, 5, b"5")] {
            assert_eq!(stack.send(request).await.status, 404);
        }
        assert_eq!((stack.spooled().len(), stack.state(&upload).await), (0, "absent"));

        let finished = stack.create(1).await;
        stack.send(patch(&finished.path, 0, b"0")).await;
        let answer = stack.send(request("DELETE", &finished.path)).await;
        assert_eq!((answer.status, stack.state(&finished).await), (409, "queued"));
    }

    async fn a_post_may_stand_for_a_patch(test: &TestDatabase) {
        let stack = Stack::start(test).await;
        let upload = stack.create(3).await;
        let post = request("POST", &upload.path)
            .with("X-HTTP-Method-Override", "PATCH")
            .with("Content-Type", "application/offset+octet-stream")
            .with("Upload-Offset", 0)
            .bytes(b"abc");
        assert_eq!(stack.send(post).await.status, 204);
        assert_eq!(stack.original(&upload).await, b"abc");
    }
}
