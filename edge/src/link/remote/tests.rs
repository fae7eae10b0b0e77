//! An origin that does not do what it should.

use std::net::SocketAddr;

use model::{Revoked, SystemClock};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::*;

const VIDEO: VideoId = VideoId::from_bits(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers every connection with `answer` and closes it; what it was sent comes back.
async fn server(answer: String) -> (SocketAddr, watch::Receiver<Vec<String>>, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, heard) = watch::channel(Vec::new());
    let served = TaskTracker::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 64 << 10];
            let count = stream.read(&mut head).await.unwrap();
            asked.send_modify(|asked| asked.push(String::from_utf8_lossy(&head[..count]).into_owned()));
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, heard, AbortOnDropHandle::new(served))
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn open(address: SocketAddr, folder: &TempDir) -> RemoteOrigin {
    RemoteOrigin::open(
        format!("http://{address}").parse().unwrap(),
        "fill_secret".parse().unwrap(),
        folder.path().join("origin"),
        Arc::new(SystemClock),
        Handle::current(),
        &mut StdRng::seed_from_u64(1),
    )
    .unwrap()
}

async fn policy_from(answer: String) -> (Result<Option<PublicPolicy>, BoxError>, Vec<String>) {
    let (address, heard, _served) = server(answer).await;
    let folder = TempDir::new().unwrap();
    let origin = open(address, &folder);
    let answer = tokio::time::timeout(PATIENCE, origin.policy(VIDEO)).await.expect("it does not hang");
    let heard = heard.borrow().clone();
    (answer, heard)
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_no_answer() {
    let ours = json(VIDEO, "");
    let (good, heard) = policy_from(answer("200 OK", &ours)).await;
    assert_eq!(good.unwrap().unwrap().video, VIDEO);
    assert!(heard[0].starts_with(&format!("GET /origin/v1/policy/{VIDEO} HTTP/1.1\r\n")), "{heard:?}");
    assert!(heard[0].contains("authorization: Bearer fill_secret\r\n"), "{heard:?}");
    let (none, _) = policy_from(answer("200 OK", r#"{"policy":null}"#)).await;
    assert_eq!(none.unwrap(), None);
    let bad = [
        answer("200 OK", ""),
        answer("200 OK", "<html>"),
        answer("200 OK", "null"),
        answer("200 OK", &json(VideoId::from_bits(2), "")),
        answer("200 OK", &json(VIDEO, r#","embargo":true"#)),
        answer("404 Not Found", r#"{"policy":null}"#),
        answer("500 Internal Server Error", &ours),
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{".to_owned(),
        "SSH-2.0-OpenSSH\r\n".to_owned(),
        String::new(),
    ];
    for bad in bad {
        assert!(policy_from(bad.clone()).await.0.is_err(), "{bad}");
    }
}

fn json(video: VideoId, more: &str) -> String {
    let version = VersionId::from_bits(3);
    format!(
        r#"{{"policy":{{"video":"{video}","version":"{version}","also":[],"listed":true,"height":360}}{more}}}"#
    )
}

#[tokio::test]
async fn the_credential_goes_to_one_address() {
    let (elsewhere, heard, _served) = server(answer("200 OK", &json(VIDEO, ""))).await;
    let head = format!("302 Found\r\nLocation: http://{elsewhere}/origin/v1/policy/{VIDEO}");
    let (redirected, _) = policy_from(answer(&head, "")).await;
    assert!(matches!(redirected.unwrap_err().downcast_ref(), Some(LinkError::Status(StatusCode::FOUND))));
    assert!(heard.borrow().is_empty(), "{heard:?}");

    let folder = TempDir::new().unwrap();
    let open = |address: &str| {
        RemoteOrigin::open(
            address.parse().unwrap(),
            "fill_secret".parse().unwrap(),
            folder.path().to_owned(),
            Arc::new(SystemClock),
            Handle::current(),
            &mut StdRng::seed_from_u64(1),
        )
    };
    for address in
        ["ftp://host", "file:///etc", "https://host/path", "https://user:pw@host", "http://host/?a=1"]
    {
        assert!(matches!(open(address), Err(LinkError::Address)), "{address}");
    }
}

#[tokio::test]
async fn it_begins_with_what_was_heard_before_and_says_when_it_is_refused() {
    let folder = TempDir::new().unwrap();
    let (address, _, _served) = server(answer("401 Unauthorized", "")).await;
    let revoked = Revoked::Version(VersionId::from_bits(9));
    let revocation = Revocation { number: 4, revoked, at: SystemClock.now() };
    let disk = Disk::open(folder.path().join("origin")).unwrap();
    let origin: Url = format!("http://{address}").parse().unwrap();
    let document = RevocationsDocument {
        list: "list".to_owned(),
        number: 4,
        whole: true,
        revocations: vec![revocation],
    };
    disk.keep_word(&Word { origin: origin.clone(), jwks: "{}".to_owned(), revocations: document }).unwrap();
    let policy = PublicPolicy {
        video: VIDEO,
        version: VersionId::from_bits(3),
        also: Vec::new(),
        listed: true,
        height: None,
        rewind_s: 0,
    };
    let policies = vec![(policy, Timestamp::from_millis(7))];
    disk.keep_policies(&Policies { origin, policies: policies.clone() }).unwrap();

    let remote = open(address, &folder);
    assert_eq!(remote.not_ready(), None);
    let remembered = remote.remembered().unwrap();
    assert_eq!((remembered.jwks.as_str(), remembered.policies), ("{}", policies));
    assert_eq!(remembered.revocations, [revocation]);
    let followed = remote.clone();
    let stop = CancellationToken::new();
    let following = AbortOnDropHandle::new(TaskTracker::new().spawn({
        let stop = stop.clone();
        async move { followed.follow(stop).await }
    }));
    let refused = tokio::time::timeout(PATIENCE, remote.jwks()).await.expect("it does not hang").unwrap_err();
    assert!(matches!(refused.downcast_ref(), Some(LinkError::Unauthenticated)), "{refused}");
    assert!(remote.not_ready().is_some_and(|reason| reason.contains("refuses")));
    stop.cancel();
    following.await.unwrap();
    // A report that will never be taken is not sent for ever.
    let want = Want { video: VIDEO, version: VersionId::from_bits(3), lane: None, segment: 0 };
    tokio::time::timeout(PATIENCE, remote.want(want)).await.expect("it does not hang").unwrap_err();
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_not_taken_for_keys() {
    let folder = TempDir::new().unwrap();
    let (address, _, _served) = server(answer("200 OK", "<html>welcome</html>")).await;
    let remote = open(address, &folder);
    let followed = remote.clone();
    let stop = CancellationToken::new();
    let _follower =
        AbortOnDropHandle::new(TaskTracker::new().spawn(async move { followed.follow(stop).await }));
    let refused = tokio::time::timeout(PATIENCE, remote.jwks()).await.expect("it does not hang").unwrap_err();
    assert!(matches!(refused.downcast_ref(), Some(LinkError::Away)), "{refused}");
    assert!(remote.not_ready().is_some() && remote.remembered().is_none());
}
