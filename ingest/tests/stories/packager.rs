//! A packager that notes what it is told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use model::VideoId;
use model::feed::{
    FEED_TIMESCALE, FeedAnswer, FeedConfig, FeedMessage, FeedOver, FeedTrack, Packet, read_frame, write_frame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::rtmp_door::until;

/// One connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) video: Option<VideoId>,
    pub(crate) generation: u64,
    pub(crate) encoder: String,
    pub(crate) configs: Vec<FeedConfig>,
    pub(crate) packets: Vec<Packet>,
    /// Kinds of tracks of which there are more.
    pub(crate) others: Vec<FeedTrack>,
    /// It was said that the publisher has finished.
    pub(crate) finished: bool,
    /// The connection is at its end.
    pub(crate) gone: bool,
}

impl Heard {
    pub(crate) fn of(&self, track: FeedTrack) -> Vec<&Packet> {
        self.packets.iter().filter(|packet| packet.track == track).collect()
    }

    /// From the first packet of a track to its last, in milliseconds.
    pub(crate) fn span_ms(&self, track: FeedTrack) -> i64 {
        let of = self.of(track);
        of.last().unwrap().dts.saturating_sub(of[0].dts) * 1000 / i64::from(FEED_TIMESCALE)
    }
}

#[derive(Debug)]
pub(crate) struct Packager {
    socket: PathBuf,
    heard: Arc<Mutex<Vec<Heard>>>,
    over: Arc<Mutex<Option<FeedOver>>>,
    tasks: Option<JoinSet<()>>,
}

impl Packager {
    pub(crate) fn at(socket: &Path) -> Self {
        let (heard, over) = (Arc::default(), Arc::default());
        let mut packager = Self { socket: socket.to_owned(), heard, over, tasks: None };
        packager.start();
        packager
    }

    pub(crate) fn start(&mut self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (heard, over) = (Arc::clone(&self.heard), Arc::clone(&self.over));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(hear(stream, Arc::clone(&heard), Arc::clone(&over)));
            }
        });
        self.tasks = Some(tasks);
    }

    /// As when it dies: all its sockets are closed.
    pub(crate) async fn kill(&mut self) {
        self.tasks.take().unwrap().shutdown().await;
        std::fs::remove_file(&self.socket).unwrap();
    }

    /// From now on it answers each message with this.
    pub(crate) fn answer(&self, over: FeedOver) {
        *self.over.lock().unwrap() = Some(over);
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until connection `number` is as it should be.
    pub(crate) async fn until(&self, number: usize, what: &str, is: impl Fn(&Heard) -> bool) -> Heard {
        until(what, || {
            let heard = self.heard();
            let found = heard.get(number).filter(|heard| is(heard)).cloned();
            let counts: Vec<_> = heard
                .iter()
                .map(|heard| (heard.configs.len(), heard.packets.len(), heard.finished, heard.gone))
                .collect();
            found.ok_or_else(|| format!("{counts:?}"))
        })
        .await
    }
}

async fn hear(mut stream: UnixStream, all: Arc<Mutex<Vec<Heard>>>, over: Arc<Mutex<Option<FeedOver>>>) {
    let number = {
        let mut all = all.lock().unwrap();
        all.push(Heard::default());
        all.len() - 1
    };
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    loop {
        while let Some((message, payload)) = read_frame::<FeedMessage>(&mut input).unwrap() {
            if matches!(message, FeedMessage::Begin { .. }) {
                write_frame(&FeedAnswer::Accepted, b"", &mut output).unwrap();
            }
            note(&mut all.lock().unwrap()[number], message, payload);
            if let Some(over) = *over.lock().unwrap() {
                write_frame(&FeedAnswer::Over(over), b"", &mut output).unwrap();
            }
            let _ = stream.write_all_buf(&mut output).await;
            output.clear();
        }
        if stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
            continue;
        }
        all.lock().unwrap()[number].gone = true;
        return;
    }
}

fn note(heard: &mut Heard, message: FeedMessage, data: Bytes) {
    match message {
        FeedMessage::Begin { video, generation, encoder, .. } => {
            (heard.video, heard.generation, heard.encoder) = (Some(video), generation, encoder);
        }
        FeedMessage::Config(config) => heard.configs.push(config),
        FeedMessage::Packet { track, dts, cts_offset, key } => {
            heard.packets.push(Packet { track, dts, cts_offset, key, data });
        }
        FeedMessage::Others { track } => heard.others.push(track),
        FeedMessage::End => heard.finished = true,
    }
}
