//! What a server says to a publisher from its first byte on. Bytes in, bytes and events out; it knows
//! no socket and no clock.

use bytes::{Bytes, BytesMut};
use model::StreamKey;

use super::amf::Value;
use super::chunk::{ChunkReader, ChunkWriter, Message};
use super::command::{self, Command, Status};
use super::error::RtmpError;
use super::handshake::Handshake;
use super::message::{self, kind};

/// Something that the session has to see to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It wants to publish, with this key if what it says is one. To be answered with
    /// [`Conversation::accept`] or [`Conversation::say`] before anything else is read.
    Publish(Option<StreamKey>),
    /// An FLV tag's body,
    Audio(u32, Bytes),
    /// with its time.
    Video(u32, Bytes),
    /// It has finished.
    Finished,
    /// It wants something else; it has been told that there is no such thing here.
    Refused(&'static str),
}

/// The name under which streams are published: `rtmp://host/live/KEY`.
const APP: &str = "live";
/// What is said before anybody knows who it is, and metadata at any time.
const MAX_COMMAND: usize = 64 << 10;
/// Beside its head a packet of a feed is what a message is.
const MAX_MEDIA: usize = model::feed::MAX_FEED_PAYLOAD as usize;
/// Larger than what audio should wait for behind a key frame is no use.
const CHUNK_SIZE: u32 = 4096;
/// How much either side may send before it hears that it was received.
const WINDOW: u32 = 2_500_000;
/// `Dynamic`: a limit, if there was another one before.
const DYNAMIC: u8 = 2;
/// Message streams that one connection may make; encoders make one.
const MAX_STREAMS: u32 = 16;
/// Of what an encoder calls itself.
const MAX_ENCODER: usize = 100;
/// Chunk streams of this side.
const CONTROL: u8 = 2;
const COMMANDS: u8 = 3;

/// One connection's.
#[derive(Debug)]
pub(crate) struct Conversation {
    handshake: Handshake,
    reader: ChunkReader,
    writer: ChunkWriter,
    output: BytesMut,
    /// Messages in one of which the first is not read yet, and the time that they count from.
    aggregate: Option<(Message, Option<u32>)>,
    is_connected: bool,
    can_reconnect: bool,
    encoder: String,
    /// How many message streams it has made.
    streams: u32,
    /// The one that it wants to publish in, or does.
    publishing: Option<u32>,
    /// Bytes that were received, modulo 2^32, how many of them it knows of, and when it is to know.
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl Conversation {
    pub(crate) fn new() -> Self {
        Self {
            handshake: Handshake::Hello,
            reader: ChunkReader::new(MAX_COMMAND),
            writer: ChunkWriter::new(),
            output: BytesMut::new(),
            aggregate: None,
            is_connected: false,
            can_reconnect: false,
            encoder: String::new(),
            streams: 0,
            publishing: None,
            received: 0,
            acknowledged: 0,
            window: WINDOW,
        }
    }

    /// What is to be sent.
    pub(crate) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether the handshake is over.
    pub(crate) fn has_begun(&self) -> bool {
        self.handshake == Handshake::Done
    }

    /// What the publisher's program calls itself.
    pub(crate) fn encoder(&self) -> &str {
        &self.encoder
    }

    /// Takes what there is of `input` up to the next event.
    ///
    /// # Errors
    ///
    /// When it cannot go on; there is nothing to be said then.
    pub(crate) fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Event>, RtmpError> {
        let before = input.len();
        let event = self.next_event(input);
        self.received = self.received.wrapping_add((before - input.len()) as u32);
        if self.has_begun() && self.received.wrapping_sub(self.acknowledged) >= self.window {
            self.acknowledged = self.received;
            self.send(CONTROL, &message::control(kind::ACKNOWLEDGEMENT, &self.received.to_be_bytes()));
        }
        event
    }

    fn next_event(&mut self, input: &mut &[u8]) -> Result<Option<Event>, RtmpError> {
        if !self.handshake.receive(input, &mut self.output)? {
            return Ok(None);
        }
        loop {
            let message = match &mut self.aggregate {
                Some((aggregate, base)) => message::unpack(aggregate, base)?,
                None => None,
            };
            let message = match message {
                Some(message) => message,
                None => {
                    self.aggregate = None;
                    match self.reader.receive(input)? {
                        Some(message) => message,
                        None => return Ok(None),
                    }
                }
            };
            if let Some(event) = self.hear(message)? {
                return Ok(Some(event));
            }
        }
    }

    /// The publisher may publish.
    pub(crate) fn accept(&mut self) {
        self.reader.allow(MAX_MEDIA);
        let stream = self.publishing.unwrap_or_default();
        self.send(CONTROL, &message::stream_begin(stream));
        self.say(&Status::started());
    }

    /// Says how it stands.
    pub(crate) fn say(&mut self, status: &Status) {
        self.send(COMMANDS, &command::on_status(self.publishing.unwrap_or_default(), status));
    }

    /// Asks it to come back, if it understands that.
    pub(crate) fn ask_to_come_back(&mut self) {
        if self.can_reconnect {
            self.send(COMMANDS, &command::on_status(0, &Status::come_back()));
        }
    }

    fn hear(&mut self, message: Message) -> Result<Option<Event>, RtmpError> {
        let Message { kind, timestamp, ref payload, .. } = message;
        match kind {
            kind::AUDIO => return Ok(self.publishing.map(|_| Event::Audio(timestamp, message.payload))),
            kind::VIDEO => return Ok(self.publishing.map(|_| Event::Video(timestamp, message.payload))),
            kind::COMMAND | kind::COMMAND_AMF3 if payload.len() > MAX_COMMAND => {
                return Err(RtmpError::TooMuch("command"));
            }
            kind::COMMAND | kind::COMMAND_AMF3 => {
                return self.obey(message.stream, Command::read(kind, payload)?);
            }
            kind::DATA | kind::DATA_AMF3 if payload.len() <= MAX_COMMAND => {
                if let Some(encoder) = command::encoder(kind, payload) {
                    self.encoder = printable(&encoder);
                }
            }
            kind::SET_CHUNK_SIZE => self.reader.set_chunk_size(message::number(payload)?)?,
            kind::ABORT => self.reader.abort(message::number(payload)?),
            // 0 would have every byte acknowledged.
            kind::WINDOW_SIZE => match message::number(payload)? {
                0 => {}
                window => self.window = window.max(CHUNK_SIZE),
            },
            kind::USER_CONTROL => {
                if let Some(pong) = message::pong(payload) {
                    self.send(CONTROL, &pong);
                }
            }
            kind::AGGREGATE => self.aggregate = Some((message, None)),
            _ => {}
        }
        Ok(None)
    }

    fn obey(&mut self, stream: u32, command: Command) -> Result<Option<Event>, RtmpError> {
        let transaction = command.transaction;
        match command.name.as_str() {
            "connect" => return Ok(self.connect(&command)),
            _ if !self.is_connected => return Err(RtmpError::Malformed("command before `connect`")),
            "createStream" => {
                self.streams += 1;
                if self.streams > MAX_STREAMS {
                    return Err(RtmpError::TooMuch("message streams"));
                }
                self.result(transaction, f64::from(self.streams).into());
            }
            "publish" => return self.publish(stream, &command).map(Some),
            "play" | "play2" => {
                let status =
                    Status::error("NetStream.Play.Failed", "Nothing is played here; watch on the page.");
                self.send(COMMANDS, &command::on_status(stream, &status));
                return Ok(Some(Event::Refused("play")));
            }
            "FCUnpublish" | "deleteStream" | "closeStream" if self.publishing.is_some() => {
                return Ok(Some(Event::Finished));
            }
            "getStreamLength" => self.result(transaction, 0.0.into()),
            // `releaseStream`, `FCPublish`, `_checkbw`: some wait for an answer, nobody for a certain one.
            _ if transaction != 0.0 => self.result(transaction, Value::Undefined),
            _ => {}
        }
        Ok(None)
    }

    fn connect(&mut self, command: &Command) -> Option<Event> {
        let app = command.property("app").and_then(Value::as_str).unwrap_or_default();
        let app = app.split_once('?').map_or(app, |(app, _)| app);
        if app.trim_matches('/') != APP {
            let description = "Publish to rtmp://HOST/live with the stream key as the stream's name.";
            let failed = command::failed(command.transaction, "NetConnection.Connect.Rejected", description);
            self.send(COMMANDS, &failed);
            return Some(Event::Refused("application"));
        }
        self.is_connected = true;
        self.can_reconnect = command.can_reconnect();
        let program = command.property("flashVer").and_then(Value::as_str).unwrap_or_default();
        self.encoder = printable(program);
        let [a, b, c, d] = WINDOW.to_be_bytes();
        self.send(CONTROL, &message::control(kind::WINDOW_SIZE, &[a, b, c, d]));
        self.send(CONTROL, &message::control(kind::PEER_BANDWIDTH, &[a, b, c, d, DYNAMIC]));
        self.send(CONTROL, &message::control(kind::SET_CHUNK_SIZE, &CHUNK_SIZE.to_be_bytes()));
        self.writer.set_chunk_size(CHUNK_SIZE);
        self.send(COMMANDS, &command::connected(command));
        None
    }

    fn publish(&mut self, stream: u32, command: &Command) -> Result<Event, RtmpError> {
        if stream == 0 || stream > self.streams || self.publishing.is_some() {
            return Err(RtmpError::Malformed("`publish` in no stream of its own"));
        }
        self.publishing = Some(stream);
        let name = command.text(1).unwrap_or_default();
        // What some services want behind the key is of no use here.
        let name = name.split_once('?').map_or(name, |(name, _)| name);
        Ok(Event::Publish(name.trim().parse().ok()))
    }

    fn result(&mut self, transaction: f64, value: Value) {
        self.send(COMMANDS, &command::call(0, "_result", transaction, &[Value::Null, value]));
    }

    fn send(&mut self, chunk_stream: u8, message: &Message) {
        self.writer.send(chunk_stream, message, &mut self.output);
    }
}

/// What of a stranger's text may be shown and logged.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_ENCODER).collect()
}

#[cfg(test)]
mod tests;
