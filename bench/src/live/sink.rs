//! Takes what ingest brings and throws it away: a packager that costs nothing.

use std::path::Path;

use anyhow::Context;
use bytes::BytesMut;
use model::feed::{FeedAnswer, FeedMessage, read_frame, write_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::Bench;

/// Runs until dropped.
#[derive(Debug)]
pub(super) struct Sink(JoinHandle<()>);

/// Bytes that are read at once.
const READ: usize = 64 << 10;

impl Sink {
    /// Listens at `socket`.
    pub(super) fn start(bench: &Bench, socket: &Path) -> anyhow::Result<Self> {
        let _inside = bench.runtime.enter();
        let listener = UnixListener::bind(socket).context("listen for feeds")?;
        Ok(Self(bench.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A feed that ends is no concern of the sink's.
                tokio::spawn(async move { drop(swallow(stream).await) });
            }
        })))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn swallow(mut stream: UnixStream) -> anyhow::Result<()> {
    let mut input = BytesMut::new();
    while read_frame::<FeedMessage>(&mut input)?.is_none() {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
    let mut answer = BytesMut::new();
    write_frame(&FeedAnswer::Accepted, b"", &mut answer)?;
    stream.write_all(&answer).await?;
    let mut nowhere = vec![0; READ];
    while stream.read(&mut nowhere).await? > 0 {}
    Ok(())
}
