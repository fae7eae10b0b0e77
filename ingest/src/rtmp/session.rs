//! One publisher, from its first byte to its last.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use model::StreamKey;
use model::feed::FeedTrack;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::conversation::{Conversation, Event};
use super::door::Inner;
use super::ended::Ended;
use super::publishing::Publishing;
use super::read::Read;
use crate::live::Denied;

/// How long the handshake may take, and then all that comes before `publish`.
const HELLO: Duration = Duration::from_secs(10);
/// How long a publisher may send neither sound nor picture: its TCP may be half open.
const IDLE: Duration = Duration::from_secs(10);
/// How long it may take to find out whose a key is.
const ADMISSION: Duration = Duration::from_secs(2);
/// How long a publisher may take nothing of what is said to it.
const STALL: Duration = Duration::from_secs(5);
/// How long it may go on sending when it was told that it is over: a connection that is closed with
/// bytes unread is reset, and what was said never heard. ffmpeg reads one message for each ten packets that it
/// sends, and has half a dozen to read before this one.
const LINGER: Duration = Duration::from_secs(3);

/// Serves the publisher at the other end of `stream` until its end.
pub(super) async fn serve<S>(mut stream: S, address: IpAddr, door: &Inner, seated: impl Send) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session::new(address, door);
    let ended = session.run(&mut stream, seated).await;
    match &ended {
        Ended::Stopping => session.conversation.ask_to_come_back(),
        ended => {
            if let Some(status) = ended.status() {
                session.conversation.say(&status);
            }
        }
    }
    let publishing = session.publishing.take();
    let reason = ended.reason();
    match publishing.is_some() || ended.is_remarkable() {
        true => tracing::info!(%address, reason, "a publisher's connection ends: {ended}"),
        false => tracing::debug!(%address, reason, "a publisher's connection ends: {ended}"),
    }
    let said = async {
        if !session.conversation.output().is_empty() && session.flush(&mut stream).await.is_ok() {
            part(&mut stream).await;
        }
    };
    let left = async {
        if let Some(publishing) = publishing {
            publishing.leave(&ended).await;
        }
    };
    tokio::join!(said, left);
    ended
}

/// Ends the connection, so that what was said last is heard.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let unread = async {
        stream.shutdown().await?;
        while !Read::from(stream).await?.is_empty() {}
        std::io::Result::Ok(())
    };
    let _ = timeout(LINGER, unread).await;
}

struct Session<'a> {
    door: &'a Inner,
    address: IpAddr,
    conversation: Conversation,
    /// What was read of something that is not there as a whole.
    rest: Vec<u8>,
    /// When it has to have said or sent something.
    deadline: Instant,
    publishing: Option<Publishing>,
}

impl<'a> Session<'a> {
    fn new(address: IpAddr, door: &'a Inner) -> Self {
        let deadline = Instant::now() + HELLO;
        let (conversation, rest) = (Conversation::new(), Vec::new());
        Self { door, address, conversation, rest, deadline, publishing: None }
    }

    async fn run<S>(&mut self, stream: &mut S, seated: impl Send) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut seated = Some(seated);
        let door = self.door;
        let mut stopping = pin!(door.stop.cancelled());
        // It is set anew when it has gone off, not at each of a hundred packets in a second.
        let mut alarm = pin!(sleep_until(self.deadline));
        loop {
            if self.next_deadline() < alarm.deadline() {
                alarm.as_mut().reset(self.next_deadline());
            }
            let read = tokio::select! {
                biased;
                () = &mut stopping => Err(Ended::Stopping),
                ended = over(&mut self.publishing) => Err(ended),
                read = Read::from(stream) => read.map_err(Ended::from),
                () = &mut alarm => match self.is_out_of_time(Instant::now()) {
                    Some(ended) => Err(ended),
                    None => {
                        alarm.as_mut().reset(self.next_deadline());
                        continue;
                    }
                }
            };
            let heard = match read {
                Ok(read) => self.hear(&read, &mut seated).await,
                Err(ended) => Err(ended),
            };
            if let Err(ended) = heard {
                return ended;
            }
            if let Err(error) = self.flush(stream).await {
                return error.into();
            }
        }
    }

    /// When it is to be looked at, whatever it says until then.
    fn next_deadline(&self) -> Instant {
        self.publishing.as_ref().map_or(self.deadline, |publishing| self.deadline.min(publishing.until()))
    }

    /// How it ends by the clock, if it does.
    fn is_out_of_time(&self, now: Instant) -> Option<Ended> {
        match &self.publishing {
            Some(publishing) if now >= publishing.until() => Some(Ended::TooLong),
            Some(_) => (now >= self.deadline).then_some(Ended::Idle),
            None => (now >= self.deadline).then_some(Ended::Slow),
        }
    }

    /// Sees to everything that was read.
    async fn hear(&mut self, read: &[u8], seated: &mut Option<impl Send>) -> Result<(), Ended> {
        if read.is_empty() {
            return Err(Ended::Gone);
        }
        let now = Instant::now();
        if let Some(publishing) = &mut self.publishing {
            publishing.count(read.len(), now, self.door)?;
        }
        let mut whole = std::mem::take(&mut self.rest);
        let mut unheard = match whole.is_empty() {
            true => read,
            false => {
                whole.extend_from_slice(read);
                &whole
            }
        };
        loop {
            let had_begun = self.conversation.has_begun();
            let event = self.conversation.receive(&mut unheard)?;
            if self.conversation.has_begun() && !had_begun {
                self.deadline = now + HELLO;
            }
            match event {
                None => {
                    self.rest = unheard.to_vec();
                    if let Some(publishing) = &self.publishing {
                        publishing.send();
                    }
                    return Ok(());
                }
                Some(Event::Publish(key)) => {
                    self.publish(key).await?;
                    // Those who may publish do not count among the strangers.
                    drop(seated.take());
                }
                Some(Event::Audio(timestamp, body)) => self.tag(FeedTrack::Audio, timestamp, body, now)?,
                Some(Event::Video(timestamp, body)) => self.tag(FeedTrack::Video, timestamp, body, now)?,
                Some(Event::Finished) => return Err(Ended::Finished),
                Some(Event::Refused(what)) => return Err(Ended::Refused(what)),
            }
        }
    }

    async fn publish(&mut self, key: Option<StreamKey>) -> Result<(), Ended> {
        let door = self.door;
        if !door.tries.may_try(self.address) {
            return Err(Ended::TooManyTries);
        }
        let admission = async {
            let key = key.ok_or(Denied::Key)?.hash();
            let asked = door.publishers.admit(key, self.address, door.clock.now());
            timeout(ADMISSION, asked).await.unwrap_or(Err(Denied::Unavailable))
        };
        let admitted = admission.await.inspect_err(|denied| {
            if *denied == Denied::Key {
                door.tries.failed(self.address);
            }
        })?;
        self.publishing = Some(Publishing::new(admitted, door));
        self.conversation.accept();
        self.deadline = Instant::now() + IDLE;
        tracing::info!(video.id = %admitted.video, generation = admitted.generation, address = %self.address,
            encoder = self.conversation.encoder(), "a program publishes into event `{}`", admitted.video);
        Ok(())
    }

    fn tag(&mut self, track: FeedTrack, timestamp: u32, body: Bytes, now: Instant) -> Result<(), Ended> {
        // The conversation has none before it was told that somebody may publish.
        let Some(publishing) = &mut self.publishing else { return Ok(()) };
        if publishing.tag(track, timestamp, body, now, self.conversation.encoder(), self.door)? {
            self.deadline = now + IDLE;
        }
        Ok(())
    }

    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> std::io::Result<()> {
        let output = self.conversation.output();
        if output.is_empty() {
            return Ok(());
        }
        let written = async {
            stream.write_all_buf(output).await?;
            stream.flush().await
        };
        timeout(STALL, written).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }
}

async fn over(publishing: &mut Option<Publishing>) -> Ended {
    match publishing {
        Some(publishing) => publishing.over().await,
        None => std::future::pending().await,
    }
}
