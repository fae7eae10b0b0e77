//! A viewer that is two connections of this program, one for picture and one for sound: each waits for the
//! next part, fetches it, and plays it on a clock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::listing::{Listing, query};

/// What viewers count together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Answers,
    pub(super) answers: AtomicU64,
    /// bytes of their bodies,
    pub(super) bytes: AtomicU64,
    /// times when there was nothing to play,
    pub(super) stalls: AtomicU64,
    /// and connections that failed.
    pub(super) failures: AtomicU64,
}

/// Follows one rendition until aborted.
pub(super) async fn follow(address: String, folder: String, tally: Arc<Tally>) {
    if let Err(error) = play(&address, &folder, &tally).await
        && tally.failures.fetch_add(1, Ordering::Relaxed) == 0
    {
        crate::report::say(format!("a viewer failed: {error:#}"));
    }
}

async fn play(address: &str, folder: &str, tally: &Tally) -> anyhow::Result<()> {
    let mut line = Line { stream: TcpStream::connect(address).await?, input: BytesMut::new() };
    line.stream.set_nodelay(true)?;
    let mut listing = line.playlist(folder, "", tally).await?;
    let mut clock = Playing { hold_back: listing.hold_back_s, buffered: 0.0, since: None };
    let mut next = listing.hint.context("a part is made")?;
    loop {
        listing = line.playlist(folder, &query(next, true), tally).await?;
        for ((msn, part), seconds) in listing.parts.iter().filter(|(place, _)| *place >= next) {
            line.get(&format!("{folder}{msn}.{part}.m4s"), tally).await?;
            if clock.arrived(*seconds, Instant::now()) {
                tally.stalls.fetch_add(1, Ordering::Relaxed);
            }
        }
        next = listing.hint.context("a part is made")?;
    }
}

/// What a player has, and what it has played.
struct Playing {
    hold_back: f64,
    buffered: f64,
    since: Option<Instant>,
}

impl Playing {
    /// So many seconds of film are there; whether they came too late.
    fn arrived(&mut self, seconds: f64, now: Instant) -> bool {
        let is_late = self.since.is_some_and(|since| (now - since).as_secs_f64() > self.buffered);
        self.buffered += seconds;
        match self.since {
            None if self.buffered >= self.hold_back => self.since = Some(now),
            // It goes on as far behind as it began.
            Some(_) if is_late => {
                self.since =
                    now.checked_sub(Duration::from_secs_f64((self.buffered - self.hold_back).max(0.0)));
            }
            _ => {}
        }
        is_late
    }
}

/// A kept connection.
struct Line {
    stream: TcpStream,
    input: BytesMut,
}

impl Line {
    async fn playlist(&mut self, folder: &str, query: &str, tally: &Tally) -> anyhow::Result<Listing> {
        let body = self.get(&format!("{folder}playlist.m3u8{query}"), tally).await?;
        Ok(Listing::read(std::str::from_utf8(&body)?))
    }

    async fn get(&mut self, path: &str, tally: &Tally) -> anyhow::Result<BytesMut> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let (head, length) = loop {
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the server hung up");
            if let Some(found) = head(&self.input).with_context(|| format!("ask for {path}"))? {
                break found;
            }
        };
        self.input.advance(head);
        while self.input.len() < length {
            self.input.reserve(length - self.input.len());
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "the server hung up");
        }
        tally.answers.fetch_add(1, Ordering::Relaxed);
        tally.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(self.input.split_to(length))
    }
}

/// Lengths of head and body, once the head is there.
fn head(input: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&input[..end])?;
    ensure!(text.starts_with("HTTP/1.1 200"), "{}", text.lines().next().unwrap_or_default());
    let mut headers = text.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(Some((end + 4, length.context("an answer has a length")?.1.trim().parse()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_a_stall_once() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut playing = Playing { hold_back: 1.0, buffered: 0.0, since: None };
        assert!(!playing.arrived(0.5, at(0)) && !playing.arrived(0.5, at(500)));
        assert!(!playing.arrived(0.5, at(1400)), "a second was there at 0.5 s");
        assert!(playing.arrived(0.5, at(2100)), "and half a second more");
        assert!(!playing.arrived(0.5, at(3000)), "it is a second behind again");
    }
}
