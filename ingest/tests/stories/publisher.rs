//! A program that sends exactly the RTMP that a test wants.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than the door waits for anything.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const COMMAND: u8 = 20;

pub(crate) struct Publisher {
    stream: TcpStream,
    /// All that the door has said and no test has asked for.
    heard: BytesMut,
}

impl Publisher {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), heard: BytesMut::new() }
    }

    /// One that has shaken hands and is connected to `app`.
    pub(crate) async fn at(address: SocketAddr, app: &str) -> Self {
        let mut publisher = Self::connect(address).await;
        publisher.send(&handshake()).await;
        publisher.call(0, "connect", 1.0, &object(&[("app", &text(app)), ("capsEx", &number(1.0))])).await;
        publisher
    }

    /// One that has asked to publish with `key`.
    pub(crate) async fn with_key(address: SocketAddr, key: &str) -> Self {
        let mut publisher = Self::at(address, "live").await;
        publisher.call(0, "createStream", 2.0, &NULL).await;
        publisher.call(1, "publish", 3.0, &[&NULL[..], &text(key), &text("live")].concat()).await;
        publisher
    }

    /// One that publishes.
    pub(crate) async fn publishing(address: SocketAddr, key: &str) -> Self {
        let mut publisher = Self::with_key(address, key).await;
        publisher.until("NetStream.Publish.Start").await;
        publisher
    }

    /// Sends bytes; a door that has hung up meanwhile is none of the sender's business.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn call(&mut self, stream: u32, name: &str, transaction: f64, arguments: &[u8]) {
        let payload = [&text(name)[..], &number(transaction), arguments].concat();
        self.message(COMMAND, stream, 0, &payload).await;
    }

    pub(crate) async fn message(&mut self, kind: u8, stream: u32, timestamp: u32, payload: &[u8]) {
        self.send(&chunks(kind, stream, timestamp, payload)).await;
    }

    /// Waits until the door has said `words`, and forgets what it said up to there.
    pub(crate) async fn until(&mut self, words: &str) {
        let said = async {
            loop {
                let at = self.heard.windows(words.len()).position(|found| found == words.as_bytes());
                if let Some(at) = at {
                    let _ = self.heard.split_to(at + words.len());
                    return;
                }
                let read = self.stream.read_buf(&mut self.heard).await.unwrap();
                let heard = String::from_utf8_lossy(&self.heard);
                assert!(read > 0, "the door hung up before it said `{words}`, after {heard:?}");
            }
        };
        tokio::time::timeout(DEADLINE, said)
            .await
            .unwrap_or_else(|_| panic!("the door never said `{words}`"));
    }

    /// Waits until the door hangs up: all that it said.
    pub(crate) async fn hung_up(mut self) -> BytesMut {
        let hung_up =
            async { while self.stream.read_buf(&mut self.heard).await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(DEADLINE, hung_up).await.expect("the door hangs up");
        self.heard
    }
}

pub(crate) fn handshake() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend([7; 2 * 1536]);
    bytes
}

/// A message in chunks of 128 bytes.
pub(crate) fn chunks(kind: u8, stream: u32, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if kind < 7 { 2 } else { 4 }];
    bytes.put_uint(timestamp.into(), 3);
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_u8(kind);
    bytes.put_u32_le(stream);
    for (n, chunk) in payload.chunks(128).enumerate() {
        if n > 0 {
            bytes.push(0xc4);
        }
        bytes.extend(chunk);
    }
    bytes
}

pub(crate) const NULL: [u8; 1] = [5];

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&[2], &name(text)[..]].concat()
}

pub(crate) fn number(number: f64) -> Vec<u8> {
    [&[0], &number.to_be_bytes()[..]].concat()
}

pub(crate) fn object(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members = members.iter().flat_map(|(key, value)| [name(key), value.to_vec()].concat());
    [3].into_iter().chain(members).chain([0, 0, 9]).collect()
}

fn name(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// H.264 as a publisher sends it first, and a key frame.
pub(crate) const AVC_CONFIG: &[u8] =
    &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x0b, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x0b, 1, 0, 3, 0x68, 0xea, 0xe1];
pub(crate) const AVC_KEY: &[u8] = &[0x17, 1, 0, 0, 40, 0, 0, 0, 2, 0x65, 0x88];
/// AAC, and a frame of it.
pub(crate) const AAC_CONFIG: &[u8] = &[0xaf, 0, 0x11, 0x90];
pub(crate) const AAC_FRAME: &[u8] = &[0xaf, 1, 0x21, 0x10, 0x04];
