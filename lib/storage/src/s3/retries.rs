//! How many times a request is repeated, against a server that follows a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use bytes::Bytes;
use model::{ErrorKind, ObjectKey, VideoId};

use super::{BODY_TRIES, S3, TRIES};
use crate::{ObjectStore, Operation, S3Config, Secret};

const KEY: ObjectKey = ObjectKey::Original { video: VideoId::from_bits(1) };

#[derive(Debug, Clone, Copy)]
enum Answer {
    Whole,
    Busy,
    BreaksOff,
}

impl Answer {
    const fn text(self) -> &'static str {
        match self {
            Self::Whole => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nbytes",
            Self::Busy => {
                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Self::BreaksOff => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nby",
        }
    }
}

/// A store on a server that, once the store is open, gives these answers, one a connection; and
/// the methods of the requests that arrive.
async fn scripted(answers: impl Iterator<Item = Answer> + Send + 'static) -> (S3, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (sender, methods) = mpsc::channel();
    thread::spawn(move || {
        for (answer, stream) in iter::once(Answer::Whole).chain(answers).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let method = method_of_request(&stream);
            if sender.send(method.clone()).is_err() {
                return;
            }
            let text = answer.text();
            let head = text.find("\r\n\r\n").unwrap() + 4;
            stream.write_all(if method == "HEAD" { &text[..head] } else { text }.as_bytes()).unwrap();
        }
    });
    let config = S3Config {
        endpoint,
        region: "us-east-1".to_owned(),
        bucket: "bucket".to_owned(),
        access_key_id: "key".to_owned(),
        secret_access_key: Secret::new("hush"),
        prefix: String::new(),
    };
    let store = S3::open(&config).await.unwrap();
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["HEAD"]);
    (store, methods)
}

/// Reads the request to its end.
fn method_of_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let head: Vec<String> =
        reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    reader.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
    head[0].split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_busy_server_and_a_body_that_breaks_off_are_tried_again() {
    use Answer::{BreaksOff, Busy, Whole};

    let (store, methods) = scripted([Busy, Busy, Whole, Busy, Busy, BreaksOff, Whole].into_iter()).await;
    store.put(&KEY, Bytes::from_static(b"bytes")).await.unwrap();
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["PUT"; 3]);
    assert_eq!(store.get(&KEY).await.unwrap(), "bytes");
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["GET"; 4]);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_given_up() {
    let (store, methods) = scripted(iter::repeat(Answer::Busy)).await;
    let error = store.put(&KEY, Bytes::from_static(b"bytes")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Operation::Put));
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["PUT"; TRIES as usize]);
}

#[tokio::test]
async fn a_body_that_always_breaks_off_is_given_up() {
    let (store, methods) = scripted(iter::repeat(Answer::BreaksOff)).await;
    let error = store.get(&KEY).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Operation::Get));
    assert_eq!(methods.try_iter().collect::<Vec<_>>(), ["GET"; BODY_TRIES as usize]);
}
