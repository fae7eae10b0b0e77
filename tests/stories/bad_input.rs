//! Files and requests that are not what they should be.

use expect_test::expect;
use tests::{Clip, Stack, Upload, plainly};

/// Cuts the media short but keeps the index in front.
fn half_of(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_film_fails_with_a_reason_in_the_owners_language() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let film = Clip::Short.bytes();
    let without_moov = film.windows(4).position(|four| four == b"moov").map(|at| {
        let mut bytes = film.clone();
        // Not `free`: libav looks for a lost index in there, and finds it.
        bytes[at..at + 4].copy_from_slice(b"gone");
        bytes
    });
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a text", b"Esto no es una pelicula.\n".repeat(400), "not_media"),
        ("a page", b"<!doctype html><script>alert(1)</script>".to_vec(), "not_media"),
        (
            "a playlist",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n".to_vec(),
            "not_media",
        ),
        ("an ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n".to_vec(), "not_media"),
        ("a film without its index", without_moov.expect("an MP4 has a moov"), "truncated"),
        ("half a film", half_of(&film), "truncated"),
    ];
    for (what, bytes, reason) in cases {
        let video = creator.upload_bytes(what, bytes).await;
        let settled = creator.until_settled(&video).await;
        assert_eq!(
            (settled["state"].as_str(), settled["failure"]["code"].as_str()),
            (Some("failed"), Some(reason)),
            "{what}: {settled:#}"
        );
        let english = creator
            .request(reqwest::Method::GET, &format!("/api/v1/videos/{video}"))
            .header("accept-language", "en");
        let english = creator.send(english).await.json();
        let (es, en) = (settled["failure"]["text"].as_str(), english["failure"]["text"].as_str());
        assert!(es.is_some() && en.is_some() && es != en, "{what}: {es:?} {en:?}");
        creator.playback(&video).await.expect(409);
    }
    // Nothing of all that stopped the queue.
    let good = creator.upload("Bien", Clip::Short.file()).await;
    creator.until_ready(&good).await;
    // What failed left its original, for another try, and nothing else.
    expect![[r#"
        2 VIDEO/VERSION/144p/*-HASH.cmaf
        1 VIDEO/VERSION/144p/init.mp4
        2 VIDEO/VERSION/240p/*-HASH.cmaf
        1 VIDEO/VERSION/240p/init.mp4
        2 VIDEO/VERSION/360p/*-HASH.cmaf
        1 VIDEO/VERSION/360p/init.mp4
        2 VIDEO/VERSION/a32/*-HASH.cmaf
        1 VIDEO/VERSION/a32/init.mp4
        2 VIDEO/VERSION/a64/*-HASH.cmaf
        1 VIDEO/VERSION/a64/init.mp4
        1 VIDEO/VERSION/index.json
        1 VIDEO/VERSION/poster.jpg
        1 VIDEO/VERSION/thumbnail.jpg
        7 VIDEO/original
    "#]]
    .assert_eq(&stack.outline().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_the_rules_is_refused_and_loses_nothing() {
    let stack = Stack::start_with(tests::Engines::Embedded, "[ingest]\nmax_size_bytes = 1000000\n").await;
    let creator = stack.person("ana", "creator", 0).await;
    for (length, status) in
        [("1000001", 413), ("-1", 400), ("18446744073709551616", 400), ("viele", 400), ("", 400)]
    {
        assert_eq!(Upload::try_create(&creator, "x", length).await.status, status, "{length:?}");
    }
    // An empty file is an upload that is complete at once, and a video that says it is empty.
    let empty = Upload::create(&creator, "vacío", 0).await;
    let settled = creator.until_settled(&empty.video).await;
    assert_eq!(settled["failure"]["code"], "empty", "{settled:#}");

    let upload = Upload::create(&creator, "Longitud", 10).await;
    assert_eq!(upload.patch(&creator, 3, b"x".to_vec()).await.status, 409, "wrong offset");
    let lying = upload.patch(&creator, 0, b"mucho mas de diez".to_vec()).await.status;
    assert_eq!(lying, 413, "more than was declared");
    assert_eq!(upload.offset(&creator).await, 0);
    let stranger = stack.stranger();
    assert_eq!(upload.patch(&stranger, 0, b"x".to_vec()).await.status, 401);
    let other = stack.person("eva", "creator", 0).await;
    assert_eq!(upload.patch(&other, 0, b"x".to_vec()).await.status, 404);
    let viewer = stack.person("luis", "viewer", 3).await;
    assert_eq!(Upload::try_create(&viewer, "x", "10").await.status, 403);

    // A checksum that does not fit drops exactly the bytes it came with.
    let upload = Upload::create(&creator, "Suma", 4).await;
    let request = creator
        .request(reqwest::Method::PATCH, &upload.location)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", 0)
        .header("upload-checksum", "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        .header("content-type", "application/offset+octet-stream")
        .body("cuatro".as_bytes()[..4].to_vec());
    assert_eq!(creator.send(request).await.status.as_u16(), 460);
    assert_eq!(upload.offset(&creator).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_is_text_wherever_it_stands() {
    let stack = Stack::start().await;
    let creator = stack.person("ana", "creator", 0).await;
    let title = "\"A\"\n#EXTINF:1,\n'</script><script>alert(1)</script>";
    let video = creator.upload_bytes("normal", Clip::Short.bytes()).await;
    creator.until_ready(&video).await;
    let edited = creator.patch(&format!("/api/v1/videos/{video}"), serde_json::json!({"title": title})).await;
    // Control characters are refused, the rest is kept as it is.
    edited.expect(400);
    let title = title.replace('\n', " ");
    let edit = serde_json::json!({"title": title});
    let edited = creator.patch(&format!("/api/v1/videos/{video}"), edit).await.expect(200);
    assert_eq!(edited.json()["title"], title);
    creator.publish(&video, 0).await;
    for page in ["/".to_owned(), format!("/watch/{video}")] {
        let text = stack.stranger().get(&page).await.expect(200).text();
        assert!(!text.contains("<script>alert(1)"), "{page}: {text}");
    }
    let playback = creator.playback(&video).await.expect(200).json();
    let playlist =
        creator.fetch(playback["url"].as_str().expect("a url"), playback["token"].as_str()).await.expect(200);
    assert!(!playlist.text().contains("alert"), "{}", playlist.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_climbs_out_of_its_room() {
    let stack = Stack::start().await;
    let secret = stack.data().join("secret.txt");
    std::fs::write(&secret, "secreto").expect("write beside the objects");
    // Whoever may do everything may not do this either.
    let admin = stack.person("jefa", "admin", 0).await;
    let token = admin.token().expect("signed in").to_owned();
    let mut statuses = String::new();
    for path in [
        "/v/../secret.txt",
        "/v/%2e%2e/secret.txt",
        "/v/..%2fsecret.txt",
        "/v//secret.txt",
        "/v/%00/x",
        "//etc/passwd",
        "/t/x/../../secret.txt",
        "/assets/../secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%5csecret.txt",
        "/api/v1/uploads/../secret.txt",
        "/api/v1/uploads/..%2fsecret.txt",
        "/api/v1/videos/..%2f..%2fsecret.txt",
        "/api/v1/accounts/..%2f..%2fsecret.txt",
        "/api/v1/accounts/%00",
        "/watch/..%2fsecret.txt",
        "/my/videos/..%2f..%2fsecret.txt",
        "/my/videos/%2e%2e/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
    ] {
        statuses.push_str(path);
        for method in ["GET", "PATCH", "DELETE"] {
            // By hand: a client would tidy the path up before it sends it.
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 Tus-Resumable: 1.0.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                 Connection: close\r\n\r\n{{}}"
            );
            let answer = plainly(stack.address(), request.as_bytes()).await;
            statuses.push_str(&format!(" {}", answer.split(' ').nth(1).unwrap_or_default()));
            assert!(!answer.contains("secreto") && !answer.contains("root:"), "{method} {path}: {answer}");
        }
        statuses.push('\n');
    }
    // GET, PATCH, DELETE.
    expect![[r#"
        /v/../secret.txt 404 404 404
        /v/%2e%2e/secret.txt 404 404 404
        /v/..%2fsecret.txt 404 404 404
        /v//secret.txt 404 404 404
        /v/%00/x 404 404 404
        //etc/passwd 404 404 404
        /t/x/../../secret.txt 404 404 404
        /assets/../secret.txt 404 405 405
        /assets/%2e%2e/%2e%2e/secret.txt 404 405 405
        /assets/..%5csecret.txt 404 405 405
        /api/v1/uploads/../secret.txt 404 404 404
        /api/v1/uploads/..%2fsecret.txt 404 404 404
        /api/v1/videos/..%2f..%2fsecret.txt 404 404 404
        /api/v1/accounts/..%2f..%2fsecret.txt 404 404 405
        /api/v1/accounts/%00 404 404 405
        /watch/..%2fsecret.txt 404 405 405
        /my/videos/..%2f..%2fsecret.txt 404 405 405
        /my/videos/%2e%2e/secret.txt 404 404 404
        /%c0%ae%c0%ae/secret.txt 404 404 404
    "#]]
    .assert_eq(&statuses);
    assert_eq!(std::fs::read_to_string(&secret).expect("still there"), "secreto");
}
