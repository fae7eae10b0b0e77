//! Where ingest brings feeds: a Unix socket, one connection for each.

use std::path::Path;

use bytes::BytesMut;
use model::feed::{FeedAnswer, FeedMessage, FeedOver, read_frame, write_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::Input;
use super::{Live, LiveError};

/// Answers that a publisher's connection may leave unread.
const ANSWERS: usize = 8;

/// Opens the socket; one that a killed process left is taken over.
pub(crate) fn open(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// Takes feeds until told to stop.
pub(crate) async fn accept(live: &Live, listener: UnixListener, stop: &CancellationToken) {
    for connection in 0.. {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tracker, live, stop) = (live.tracker().clone(), live.clone(), stop.clone());
                tracker.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        served = serve(live, stream, connection, &stop) => if let Err(error) = served {
                            tracing::warn!(error = &error as &dyn std::error::Error, "a feed was cut");
                        },
                    }
                });
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "accept a feed");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(
    live: Live,
    stream: UnixStream,
    connection: u64,
    stop: &CancellationToken,
) -> Result<(), LiveError> {
    let (mut from, to) = stream.into_split();
    let mut bytes = BytesMut::with_capacity(64 << 10);
    let Some((first, _)) = next(&mut from, &mut bytes).await? else { return Ok(()) };
    let FeedMessage::Begin { video, version, generation, encoder, short_side } = first else {
        return Err(LiveError::Feed("it does not begin"));
    };
    let (answers, replies) = mpsc::channel(ANSWERS);
    live.tracker().spawn(answer(to, replies));
    let Some(inputs) = live.inputs(video, version, stop).await? else {
        let _ = answers.send(FeedAnswer::Over(FeedOver::EventEnded)).await;
        return Ok(());
    };
    let begun = Input::Begin { connection, generation, encoder, short_side, answers };
    if inputs.send(begun).await.is_err() {
        return Ok(());
    }
    let read = async {
        while let Some((message, payload)) = next(&mut from, &mut bytes).await? {
            if inputs.send(Input::Said { connection, message, payload }).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let ended = read.await;
    let _ = inputs.send(Input::Gone { connection }).await;
    ended
}

/// The next frame; `None` at the end.
async fn next(
    from: &mut OwnedReadHalf,
    bytes: &mut BytesMut,
) -> Result<Option<(FeedMessage, bytes::Bytes)>, LiveError> {
    loop {
        if let Some(frame) = read_frame(bytes)? {
            return Ok(Some(frame));
        }
        if from.read_buf(bytes).await.map_err(LiveError::Socket)? == 0 {
            return Ok(None);
        }
    }
}

async fn answer(mut to: OwnedWriteHalf, mut replies: mpsc::Receiver<FeedAnswer>) {
    let mut bytes = BytesMut::new();
    while let Some(reply) = replies.recv().await {
        bytes.clear();
        let written = write_frame(&reply, &[], &mut bytes);
        if written.is_err() || to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
