//! Commands, which each side calls at the other (RTMP 1.0 §7.2, enhanced RTMP 2). Pure.

use bytes::BytesMut;

use super::amf::Value;
use super::chunk::Message;
use super::error::RtmpError;
use super::message::kind;

/// A command as it comes. No `Debug`: a stream key may be in it.
pub(crate) struct Command {
    pub(crate) name: String,
    /// What its answer is to name; 0 asks for none.
    pub(crate) transaction: f64,
    /// The command object first.
    pub(crate) arguments: Vec<Value>,
}

/// What is said to a publisher about its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) level: &'static str,
    pub(crate) code: &'static str,
    pub(crate) description: String,
}

/// Codecs of enhanced RTMP that are taken in, and that the connection can say so.
const VIDEO_CODECS: [&str; 3] = ["avc1", "hvc1", "av01"];
const AUDIO_CODECS: [&str; 2] = ["mp4a", "Opus"];
/// `CanDecode` and `CanForward`.
const TAKEN: f64 = 5.0;
/// `Reconnect` of `capsEx`.
const RECONNECT: u32 = 1;
/// `Reconnect`, `ModEx` and `TimestampNanoOffset`: of several tracks only the first is taken.
const CAPABILITIES: f64 = 13.0;

impl Command {
    /// Reads a command's payload, of which `kind` says how it is written.
    pub(crate) fn read(kind: u8, payload: &[u8]) -> Result<Self, RtmpError> {
        let mut input = values(kind == kind::COMMAND_AMF3, payload)?;
        let wrong = RtmpError::Malformed("command");
        let Value::String(name) = Value::read(&mut input)? else { return Err(wrong) };
        let Value::Number(transaction) = Value::read(&mut input)? else { return Err(wrong) };
        let mut arguments = Vec::new();
        while !input.is_empty() {
            arguments.push(Value::read(&mut input)?);
        }
        Ok(Self { name, transaction, arguments })
    }

    /// An argument behind the command object.
    pub(crate) fn text(&self, number: usize) -> Option<&str> {
        self.arguments.get(number).and_then(Value::as_str)
    }

    /// A property of the command object.
    pub(crate) fn property(&self, name: &str) -> Option<&Value> {
        self.arguments.first().and_then(|object| object.get(name))
    }

    /// Whether a publisher that connects so can be asked to come back.
    pub(crate) fn can_reconnect(&self) -> bool {
        let capabilities = self.property("capsEx").and_then(Value::as_number).unwrap_or_default();
        capabilities as u32 & RECONNECT != 0
    }
}

/// What the encoder calls itself in its metadata.
pub(crate) fn encoder(kind: u8, payload: &[u8]) -> Option<String> {
    let mut input = values(kind == kind::DATA_AMF3, payload).ok()?;
    let mut value = Value::read(&mut input).ok()?;
    if value.as_str() == Some("@setDataFrame") {
        value = Value::read(&mut input).ok()?;
    }
    if value.as_str() != Some("onMetaData") {
        return None;
    }
    Value::read(&mut input).ok()?.get("encoder")?.as_str().map(str::to_owned)
}

/// Messages for AMF3 hold AMF0 behind a byte that says so; nothing else was ever defined.
fn values(is_amf3: bool, payload: &[u8]) -> Result<&[u8], RtmpError> {
    match (is_amf3, payload) {
        (false, payload) | (true, [0, payload @ ..]) => Ok(payload),
        (true, _) => Err(RtmpError::Malformed("AMF3")),
    }
}

/// A command for the other side.
pub(crate) fn call(stream: u32, name: &str, transaction: f64, arguments: &[Value]) -> Message {
    let mut payload = BytesMut::new();
    Value::from(name).write(&mut payload);
    Value::from(transaction).write(&mut payload);
    arguments.iter().for_each(|argument| argument.write(&mut payload));
    Message { kind: kind::COMMAND, stream, timestamp: 0, payload: payload.freeze() }
}

/// The answer to `connect`. What enhanced RTMP asks for is in both objects: clients look into either.
pub(crate) fn connected(connect: &Command) -> Message {
    let mut properties =
        vec![("fmsVer".to_owned(), "FMS/3,0,1,123".into()), ("capabilities".to_owned(), 31.0.into())];
    let mut information = members([
        ("level", "status"),
        ("code", "NetConnection.Connect.Success"),
        ("description", "Connection succeeded."),
    ]);
    information.push(("objectEncoding".to_owned(), 0.0.into()));
    let enhanced = enhanced(connect);
    properties.extend(enhanced.clone());
    information.extend(enhanced);
    call(0, "_result", connect.transaction, &[Value::Object(properties), Value::Object(information)])
}

/// What is taken in, in the words in which the client says what it may send.
fn enhanced(connect: &Command) -> Vec<(String, Value)> {
    let map = |codecs: &[&str]| {
        Value::Object(codecs.iter().map(|&codec| (codec.to_owned(), TAKEN.into())).collect())
    };
    let list = || Value::Array(VIDEO_CODECS.iter().chain(&AUDIO_CODECS).map(|&codec| codec.into()).collect());
    let said = [
        ("fourCcList", list()),
        ("videoFourCcInfoMap", map(&VIDEO_CODECS)),
        ("audioFourCcInfoMap", map(&AUDIO_CODECS)),
        ("capsEx", CAPABILITIES.into()),
    ];
    let asked = said.into_iter().filter(|(name, _)| connect.property(name).is_some());
    asked.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Another answer than the one that was hoped for.
pub(crate) fn failed(transaction: f64, code: &str, description: &str) -> Message {
    let information = members([("level", "error"), ("code", code), ("description", description)]);
    call(0, "_error", transaction, &[Value::Null, Value::Object(information)])
}

/// How it stands with a stream.
pub(crate) fn on_status(stream: u32, status: &Status) -> Message {
    let information =
        members([("level", status.level), ("code", status.code), ("description", &status.description)]);
    call(stream, "onStatus", 0.0, &[Value::Null, Value::Object(information)])
}

fn members<const N: usize>(members: [(&str, &str); N]) -> Vec<(String, Value)> {
    members.map(|(name, text)| (name.to_owned(), text.into())).into()
}

impl Status {
    pub(crate) fn error(code: &'static str, description: impl Into<String>) -> Self {
        Self { level: "error", code, description: description.into() }
    }

    /// The stream may begin.
    pub(crate) fn started() -> Self {
        let description = "Publishing has started.".to_owned();
        Self { level: "status", code: "NetStream.Publish.Start", description }
    }

    /// This server stops, and the publisher may come back at once.
    pub(crate) fn come_back() -> Self {
        let description = "The server is restarted.".to_owned();
        Self { level: "status", code: "NetConnection.Connect.ReconnectRequest", description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::testing::mutants;

    fn command(message: &Message) -> Command {
        Command::read(message.kind, &message.payload).unwrap()
    }

    fn connect(properties: Vec<(String, Value)>) -> Message {
        call(0, "connect", 1.0, &[Value::Object(properties)])
    }

    #[test]
    fn only_what_was_asked_for_is_answered() {
        let plain = command(&connected(&command(&connect(members([("app", "live")])))));
        assert_eq!((plain.name.as_str(), plain.transaction), ("_result", 1.0));
        assert_eq!(plain.property("capsEx"), None);
        let mut properties = members([("app", "live")]);
        properties.push(("videoFourCcInfoMap".to_owned(), Value::object([("*", 4.0.into())])));
        properties.push(("capsEx".to_owned(), 3.0.into()));
        let asked = command(&connect(properties));
        assert!(asked.can_reconnect() && !plain.can_reconnect());
        let answer = command(&connected(&asked));
        for object in &answer.arguments {
            assert_eq!(object.get("capsEx"), Some(&CAPABILITIES.into()));
            let map = object.get("videoFourCcInfoMap").unwrap();
            assert_eq!((map.get("hvc1"), map.get("vp09")), (Some(&TAKEN.into()), None));
            assert_eq!(object.get("fourCcList"), None);
        }
    }

    #[test]
    fn a_command_for_amf3_is_one_of_amf0_behind_a_zero() {
        let message = call(0, "createStream", 2.0, &[Value::Null]);
        let wrapped = [&[0], &message.payload[..]].concat();
        let read = Command::read(kind::COMMAND_AMF3, &wrapped).unwrap();
        assert_eq!((read.name.as_str(), read.transaction), ("createStream", 2.0));
        assert!(Command::read(kind::COMMAND_AMF3, &message.payload).is_err());
        assert!(Command::read(kind::COMMAND, b"\x05").is_err());
    }

    #[test]
    fn the_encoder_is_named_in_the_metadata() {
        let metadata = Value::object([("width", 640.0.into()), ("encoder", "Lavf59.27.100".into())]);
        let mut payload = BytesMut::new();
        for value in ["@setDataFrame".into(), "onMetaData".into(), metadata] {
            value.write(&mut payload);
        }
        let found = Some("Lavf59.27.100".to_owned());
        assert_eq!(encoder(kind::DATA, &payload), found);
        let at = payload.iter().position(|&byte| byte == b'o').unwrap() - 3;
        assert_eq!(encoder(kind::DATA, &payload[at..]), found);
        assert_eq!(encoder(kind::DATA_AMF3, &[&[0], &payload[..]].concat()), found);
        assert_eq!(encoder(kind::DATA, b"\x02\0\x04what"), None);
        mutants(&payload, 5000, |mutant| drop(encoder(kind::DATA, mutant)));
        mutants(&connect(members([("app", "live")])).payload, 5000, |mutant| {
            drop(Command::read(kind::COMMAND, mutant));
        });
    }
}
