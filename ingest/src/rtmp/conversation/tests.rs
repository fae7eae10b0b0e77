use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use model::testing::mutants;

/// A publisher's side, whose messages are in chunks of 128 bytes.
fn message(kind: u8, stream: u32, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut wire = BytesMut::new();
    let message = Message { kind, stream, timestamp, payload: Bytes::copy_from_slice(payload) };
    ChunkWriter::new().send(4, &message, &mut wire);
    wire.to_vec()
}

fn call(stream: u32, name: &str, transaction: f64, arguments: &[Value]) -> Vec<u8> {
    message(kind::COMMAND, stream, 0, &command::call(stream, name, transaction, arguments).payload)
}

fn hello() -> Vec<u8> {
    let mut wire = vec![3];
    wire.resize(1 + 2 * 1536, 0);
    wire.extend(call(
        0,
        "connect",
        1.0,
        &[Value::object([("app", "live".into()), ("flashVer", "OBS".into())])],
    ));
    wire
}

fn key() -> StreamKey {
    StreamKey::generate(&mut StdRng::seed_from_u64(1))
}

/// All that an encoder says before its first picture.
fn opening() -> Vec<u8> {
    let name = Value::from(key().expose().as_str());
    [
        hello(),
        call(0, "releaseStream", 2.0, &[Value::Null, name.clone()]),
        call(0, "FCPublish", 3.0, &[Value::Null, name.clone()]),
        call(0, "createStream", 4.0, &[Value::Null]),
        call(1, "publish", 5.0, &[Value::Null, name, "live".into()]),
    ]
    .concat()
}

/// What the door says, after the handshake, as commands' names and the text of their last argument.
fn said(conversation: &mut Conversation) -> Vec<(u8, String, String)> {
    let output = conversation.output().split();
    let mut output = &output[..];
    if output.first() == Some(&3) && output.len() > 3072 {
        output = &output[3073..];
    }
    let mut reader = ChunkReader::new(1 << 20);
    let mut said = Vec::new();
    while let Some(message) = reader.receive(&mut output).unwrap() {
        if message.kind == kind::SET_CHUNK_SIZE {
            reader.set_chunk_size(message::number(&message.payload).unwrap()).unwrap();
        }
        if message.kind != kind::COMMAND {
            said.push((message.kind, String::new(), String::new()));
            continue;
        }
        let command = Command::read(message.kind, &message.payload).unwrap();
        let code = command.arguments.last().and_then(|last| last.get("code")).and_then(Value::as_str);
        said.push((message.kind, command.name, code.unwrap_or_default().to_owned()));
    }
    said
}

#[test]
fn an_encoder_is_led_to_its_stream() {
    let mut conversation = Conversation::new();
    assert_eq!(conversation.receive(&mut &opening()[..]), Ok(Some(Event::Publish(Some(key())))));
    assert_eq!(conversation.encoder(), "OBS");
    let kinds: Vec<_> = said(&mut conversation).into_iter().map(|(kind, name, _)| (kind, name)).collect();
    let result = || (20, "_result".to_owned());
    let control = |kind| (kind, String::new());
    let expected = [control(5), control(6), control(1), result(), result(), result(), result()];
    assert_eq!(kinds, expected);
    conversation.accept();
    let started = (20, "onStatus".to_owned(), "NetStream.Publish.Start".to_owned());
    // The writer's chunks are larger now than a new reader expects; these messages are short.
    assert_eq!(said(&mut conversation), [(4, String::new(), String::new()), started]);
    let media = [message(kind::AUDIO, 1, 5, b"sound"), message(kind::VIDEO, 1, 7, b"picture")].concat();
    let mut input = &media[..];
    assert_eq!(conversation.receive(&mut input), Ok(Some(Event::Audio(5, "sound".into()))));
    assert_eq!(conversation.receive(&mut input), Ok(Some(Event::Video(7, "picture".into()))));
    let finish = call(0, "FCUnpublish", 6.0, &[Value::Null]);
    assert_eq!(conversation.receive(&mut &finish[..]), Ok(Some(Event::Finished)));
}

#[test]
fn an_aggregate_is_what_is_in_it() {
    let mut conversation = Conversation::new();
    conversation.receive(&mut &opening()[..]).unwrap();
    conversation.accept();
    let tags = b"\x08\0\0\x03\0\0\x10\0\0\0\0one\0\0\0\x0e\x09\0\0\x03\0\0\x25\0\0\0\0two\0\0\0\x0e";
    let aggregate = message(kind::AGGREGATE, 1, 1000, tags);
    let mut input = &aggregate[..];
    assert_eq!(conversation.receive(&mut input), Ok(Some(Event::Audio(1000, "one".into()))));
    assert_eq!(conversation.receive(&mut input), Ok(Some(Event::Video(1021, "two".into()))));
    assert_eq!(conversation.receive(&mut input), Ok(None));
}

#[test]
fn what_was_received_is_acknowledged_in_windows() {
    let mut conversation = Conversation::new();
    conversation.receive(&mut &opening()[..]).unwrap();
    conversation.accept();
    said(&mut conversation);
    let window = |size: u32| message(kind::WINDOW_SIZE, 0, 0, &size.to_be_bytes());
    let media = message(kind::AUDIO, 1, 0, &[0; 1000]);
    let acknowledged = |conversation: &mut Conversation, count: usize| {
        let media = media.repeat(count);
        let mut input = &media[..];
        while conversation.receive(&mut input).unwrap().is_some() {}
        said(conversation).len()
    };
    conversation.receive(&mut &window(0)[..]).unwrap();
    assert_eq!(acknowledged(&mut conversation, 1000), 0);
    conversation.receive(&mut &window(10_000)[..]).unwrap();
    said(&mut conversation);
    assert!((90..=101).contains(&acknowledged(&mut conversation, 1000)));
    // Every byte is too often.
    conversation.receive(&mut &window(1)[..]).unwrap();
    assert!(acknowledged(&mut conversation, 1000) < 251);
}

#[test]
fn what_comes_too_early_or_twice_is_refused() {
    let publish = || call(1, "publish", 5.0, &[Value::Null, "x".into()]);
    let create = || call(0, "createStream", 2.0, &[Value::Null]);
    for (what, wire) in [
        ("a stream before `connect`", [&hello()[..3073], &create()].concat()),
        ("no stream", [hello(), publish()].concat()),
        ("the connection's own", [hello(), create(), call(0, "publish", 5.0, &[Value::Null])].concat()),
        ("too many streams", [hello(), create().repeat(17)].concat()),
        ("a long command", [hello(), message(kind::COMMAND, 0, 0, &vec![5; (64 << 10) + 1])].concat()),
    ] {
        assert!(Conversation::new().receive(&mut &wire[..]).is_err(), "{what}");
    }
    let mut conversation = Conversation::new();
    let wire = [opening(), publish()].concat();
    let mut input = &wire[..];
    assert!(conversation.receive(&mut input).unwrap().is_some());
    conversation.accept();
    assert!(conversation.receive(&mut input).is_err());
}

#[test]
fn a_key_is_read_with_what_some_put_around_it_and_never_shown() {
    let key = key().expose();
    for (name, is_key) in [
        (key.clone(), true),
        (format!(" {key} "), true),
        (format!("{key}?token=1"), true),
        (format!("{key}/x"), false),
        (String::new(), false),
    ] {
        let mut conversation = Conversation::new();
        let create = call(0, "createStream", 2.0, &[Value::Null]);
        let publish = call(1, "publish", 5.0, &[Value::Null, name.as_str().into()]);
        let wire = [hello(), create, publish].concat();
        let Some(Event::Publish(found)) = conversation.receive(&mut &wire[..]).unwrap() else {
            panic!("{name}")
        };
        assert_eq!(found.is_some(), is_key, "{name}");
        assert!(!format!("{found:?} {conversation:?}").contains(&key));
    }
}

#[test]
fn damaged_conversations_are_followed_or_ended() {
    let mut wire = opening();
    for n in 0..5 {
        wire.extend(message(kind::VIDEO, 1, n, &[n as u8; 200]));
    }
    wire.extend(message(kind::AGGREGATE, 1, 9, b"\x08\0\0\x03\0\0\x10\0\0\0\0one\0\0\0\x0e"));
    let begun = &wire[3073..];
    mutants(begun, 20_000, |mutant| {
        let mut conversation = Conversation::new();
        let wire = [&wire[..3073], mutant].concat();
        let mut input = &wire[..];
        while let Ok(Some(event)) = conversation.receive(&mut input) {
            if let Event::Publish(_) = event {
                conversation.accept();
            }
        }
        assert!(conversation.output().len() < 64 << 10);
    });
}
