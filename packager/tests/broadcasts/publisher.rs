//! A publisher as ingest brings it: frames on the packager's socket, with times of its own.
#![expect(clippy::unwrap_used, reason = "test support, outside any test function")]

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use catalog::Admitted;
use model::feed::{FeedAnswer, FeedConfig, FeedMessage, FeedOver, FeedTrack, read_frame, write_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// What x264 says of 1280×720 pixels, and of 640×360.
pub(crate) const P720: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xb4, 0x02, 0x80, 0x2d,
    0xd8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x47, 0x8c, 0x19, 0x50, 0x01, 0x00,
    0x04, 0x68, 0xef, 0x0f, 0xcb, 0xfd, 0xf8, 0xf8, 0x00,
];
pub(crate) const P360: &[u8] = &[
    0x01, 0x64, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x64, 0x00, 0x1e, 0xac, 0xb4, 0x05, 0x01, 0x7f,
    0xcb, 0x80, 0x88, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x01, 0xe4, 0x78, 0xb1, 0x75, 0x01,
    0x00, 0x04, 0x68, 0xef, 0x0f, 0xcb, 0xfd, 0xf8, 0xf8, 0x00,
];

/// Thirty pictures a second, a key frame every two, and AAC at 48 kHz.
pub(crate) struct Publisher {
    stream: UnixStream,
    read: BytesMut,
    /// The next picture, and the next frame of sound; each feed begins where it likes.
    picture: i64,
    sound: i64,
    /// How many pictures were sent.
    pub(crate) sent: u64,
    /// From one key frame to the next.
    pub(crate) group: i64,
}

impl Publisher {
    /// Comes with a turn, and is let in.
    pub(crate) async fn begin(socket: &Path, turn: &Admitted, avcc: &[u8]) -> Self {
        Self::limited(socket, turn, avcc, u16::MAX).await
    }

    /// The same, with a picture whose short side may be so long.
    pub(crate) async fn limited(socket: &Path, turn: &Admitted, avcc: &[u8], short_side: u16) -> Self {
        Self::of(socket, turn, Some(FeedConfig::H264 { avcc: avcc.to_vec() }), short_side).await
    }

    /// The same, with sound alone.
    pub(crate) async fn of_sound(socket: &Path, turn: &Admitted) -> Self {
        Self::of(socket, turn, None, u16::MAX).await
    }

    async fn of(socket: &Path, turn: &Admitted, picture: Option<FeedConfig>, short_side: u16) -> Self {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let mut stream = loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => break stream,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let begin = FeedMessage::Begin {
            video: turn.video,
            version: turn.version,
            generation: turn.generation,
            encoder: "a test".to_owned(),
            short_side,
        };
        let sound = FeedConfig::Aac { asc: vec![0x11, 0x90] };
        let mut bytes = BytesMut::new();
        for message in [begin].into_iter().chain(picture.into_iter().chain([sound]).map(FeedMessage::Config))
        {
            write_frame(&message, &[], &mut bytes).unwrap();
        }
        stream.write_all(&bytes).await.unwrap();
        let mut publisher = Self { stream, read: BytesMut::new(), picture: 0, sound: 0, sent: 0, group: 60 };
        assert_eq!(publisher.answer().await, Some(FeedAnswer::Accepted));
        publisher
    }

    /// Sends so many times two seconds, as fast as they are taken.
    pub(crate) async fn send(&mut self, groups: u32) {
        for _ in 0..groups * 60 {
            let at = self.picture * 3000;
            let key = self.picture % self.group == 0;
            let picture = self.picture as u8;
            self.packet(FeedTrack::Video, at, key, vec![picture; if key { 9000 } else { 2000 }]).await;
            self.picture += 1;
            self.sent += 1;
            self.sound_until(at + 3000).await;
        }
    }

    /// Sends so many seconds of sound without a picture.
    pub(crate) async fn send_sound(&mut self, seconds: i64) {
        self.sound_until(self.sound * 1920 + seconds * 90_000).await;
    }

    async fn sound_until(&mut self, end: i64) {
        while self.sound * 1920 < end {
            let at = self.sound * 1920 / 90 * 90;
            self.packet(FeedTrack::Audio, at, true, vec![self.sound as u8; 300]).await;
            self.sound += 1;
        }
    }

    /// Says that other pictures follow.
    pub(crate) async fn configure(&mut self, avcc: &[u8]) {
        let mut bytes = BytesMut::new();
        let message = FeedMessage::Config(FeedConfig::H264 { avcc: avcc.to_vec() });
        write_frame(&message, &[], &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Sends one packet.
    pub(crate) async fn packet(&mut self, track: FeedTrack, dts: i64, key: bool, data: Vec<u8>) {
        let mut bytes = BytesMut::new();
        let message = FeedMessage::Packet { track, dts, cts_offset: 0, key };
        write_frame(&message, &data, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// What the packager says next; `None` when it says nothing more.
    pub(crate) async fn answer(&mut self) -> Option<FeedAnswer> {
        loop {
            if let Some((answer, rest)) = read_frame::<FeedAnswer>(&mut self.read).unwrap() {
                assert_eq!(rest, Bytes::new());
                return Some(answer);
            }
            if self.stream.read_buf(&mut self.read).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// Waits to be told that it is over, and why.
    pub(crate) async fn until_over(&mut self) -> FeedOver {
        match self.answer().await {
            Some(FeedAnswer::Over(why)) => why,
            other => panic!("told {other:?}"),
        }
    }
}
