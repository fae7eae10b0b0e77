use bytes::{BufMut, BytesMut};

use super::*;
use crate::rtmp::error::RtmpError;
use model::testing::mutants;

const AUDIO: u8 = 8;

fn header0(id: u8, time: u32, length: u32, kind: u8) -> Vec<u8> {
    let mut header = vec![id];
    header.put_uint(time.min(EXTENDED).into(), 3);
    header.put_uint(length.into(), 3);
    header.put_u8(kind);
    header.put_u32_le(1);
    if time >= EXTENDED {
        header.put_u32(time);
    }
    header
}

fn header1(id: u8, delta: u32, length: u32) -> Vec<u8> {
    let mut header = vec![1 << 6 | id];
    header.put_uint(delta.min(EXTENDED).into(), 3);
    header.put_uint(length.into(), 3);
    header.put_u8(AUDIO);
    if delta >= EXTENDED {
        header.put_u32(delta);
    }
    header
}

fn header2(id: u8, delta: u32) -> Vec<u8> {
    let mut header = vec![2 << 6 | id];
    header.put_uint(delta.into(), 3);
    header
}

fn header3(id: u8) -> Vec<u8> {
    vec![3 << 6 | id]
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + 1) as u8).collect()
}

/// Times and lengths of what is read from `wire`, which comes in pieces.
fn read_in(wire: &[u8], piece: usize) -> Result<Vec<(u32, usize)>, RtmpError> {
    let (mut reader, mut input, mut read) = (ChunkReader::new(1 << 20), Vec::new(), Vec::new());
    for bytes in wire.chunks(piece) {
        input.extend_from_slice(bytes);
        let mut unread = &input[..];
        while let Some(message) = reader.receive(&mut unread)? {
            assert_eq!(message.payload, body(message.payload.len()), "another message's bytes");
            read.push((message.timestamp, message.payload.len()));
        }
        input = unread.to_vec();
    }
    assert!(input.len() < 18, "only of a header something is left");
    Ok(read)
}

fn read(wire: &[u8]) -> Result<Vec<(u32, usize)>, RtmpError> {
    let whole = read_in(wire, wire.len().max(1));
    for piece in [1, 2, 5, 129] {
        assert_eq!(read_in(wire, piece), whole, "in pieces of {piece}");
    }
    whole
}

#[test]
fn every_way_to_write_chunks_is_read() {
    let (short, long) = (body(4), body(200));
    let (first, rest) = long.split_at(128);
    let late = 0x0123_4567u32;
    let late_bytes = late.to_be_bytes().to_vec();
    let two_bytes = |format: u8, number: u8| vec![format << 6, number];
    let mut wide = header0(0, 3, 4, AUDIO);
    wide.splice(0..1, [1, 0x34, 0x12]);
    for (what, wire, expected) in [
        (
            "the four formats, the last beginning a message as ffmpeg's silence does",
            [
                header0(4, 1000, 4, AUDIO),
                short.clone(),
                header1(4, 21, 4),
                short.clone(),
                header2(4, 22),
                short.clone(),
                header3(4),
                short.clone(),
                header3(4),
                short.clone(),
            ]
            .concat(),
            vec![(1000, 4), (1021, 4), (1043, 4), (1065, 4), (1087, 4)],
        ),
        (
            "an absolute time that is a delta, too",
            [header0(4, 21, 4, AUDIO), short.clone(), header3(4), short.clone()].concat(),
            vec![(21, 4), (42, 4)],
        ),
        (
            "two chunk streams that take turns",
            [
                header0(4, 10, 200, AUDIO),
                first.to_vec(),
                header0(6, 11, 200, AUDIO),
                first.to_vec(),
                header3(4),
                rest.to_vec(),
                header0(7, 12, 4, AUDIO),
                short.clone(),
                header3(6),
                rest.to_vec(),
            ]
            .concat(),
            vec![(10, 200), (12, 4), (11, 200)],
        ),
        (
            "an extended time that every chunk repeats",
            [
                header0(4, late, 200, AUDIO),
                first.to_vec(),
                header3(4),
                late_bytes.clone(),
                rest.to_vec(),
                header1(4, 20, 200),
                first.to_vec(),
                header3(4),
                rest.to_vec(),
            ]
            .concat(),
            vec![(late, 200), (late + 20, 200)],
        ),
        (
            "an extended time that no chunk repeats",
            [
                header0(4, late, 200, AUDIO),
                first.to_vec(),
                header3(4),
                rest.to_vec(),
                header1(4, 20, 4),
                short.clone(),
            ]
            .concat(),
            vec![(late, 200), (late + 20, 4)],
        ),
        (
            "an extended delta, for a message that follows it too",
            [
                header0(4, 5, 4, AUDIO),
                short.clone(),
                header1(4, EXTENDED, 4),
                short.clone(),
                header3(4),
                EXTENDED.to_be_bytes().to_vec(),
                short.clone(),
                header3(4),
                short.clone(),
            ]
            .concat(),
            vec![(5, 4), (EXTENDED + 5, 4), (2 * EXTENDED + 5, 4), (3 * EXTENDED + 5, 4)],
        ),
        (
            "a time that goes round",
            [
                header0(4, u32::MAX - 15, 4, AUDIO),
                short.clone(),
                header1(4, 0x20, 4),
                short.clone(),
                header2(4, 1),
                short.clone(),
                header3(4),
                short.clone(),
            ]
            .concat(),
            vec![(u32::MAX - 15, 4), (0x10, 4), (0x11, 4), (0x12, 4)],
        ),
        (
            "longer names of chunk streams",
            [
                [two_bytes(0, 7), header0(0, 1, 200, AUDIO)[1..].to_vec(), first.to_vec()].concat(),
                wide,
                short.clone(),
                two_bytes(3, 7),
                rest.to_vec(),
            ]
            .concat(),
            vec![(3, 4), (1, 200)],
        ),
        ("nothing in it", [header0(4, 9, 0, AUDIO), header3(4)].concat(), vec![(9, 0), (18, 0)]),
    ] {
        assert_eq!(read(&wire), Ok(expected), "{what}");
    }
}

#[test]
fn what_is_no_chunk_ends_it() {
    let first = body(128);
    let many: Vec<u8> = (0..65)
        .flat_map(|id| [vec![0, id], header0(0, 0, 200, AUDIO)[1..].to_vec(), first.clone()].concat())
        .collect();
    for (wire, expected) in [
        (header1(4, 1, 4), RtmpError::Malformed("chunk stream without a beginning")),
        (header3(4), RtmpError::Malformed("chunk stream without a beginning")),
        (
            [header0(4, 0, 200, AUDIO), first.clone(), header1(4, 1, 4)].concat(),
            RtmpError::Malformed("message within a message"),
        ),
        (header0(4, 0, (1 << 20) + 1, AUDIO), RtmpError::TooMuch("message")),
        (many, RtmpError::TooMuch("chunk streams")),
    ] {
        assert_eq!(read(&wire), Err(expected));
    }
}

#[test]
fn unfinished_messages_are_bounded_together() {
    let mut reader = ChunkReader::new(1000);
    reader.set_chunk_size(999).unwrap();
    for id in 4..6 {
        let input = [header0(id, 0, 1000, AUDIO), body(999)].concat();
        assert_eq!(reader.receive(&mut &input[..]), Ok(None));
    }
    let input = [header0(6, 0, 1000, AUDIO), body(10)].concat();
    assert_eq!(reader.receive(&mut &input[..]), Err(RtmpError::TooMuch("unfinished messages")));
}

#[test]
fn a_message_that_is_given_up_is_forgotten() {
    let mut reader = ChunkReader::new(1000);
    for _ in 0..100 {
        let input = [header0(4, 1, 900, AUDIO), body(128)].concat();
        assert_eq!(reader.receive(&mut &input[..]), Ok(None));
        reader.abort(4);
        reader.abort(9);
        let input = [header0(4, 7, 4, AUDIO), body(4)].concat();
        let message = reader.receive(&mut &input[..]).unwrap().unwrap();
        assert_eq!((message.timestamp, &message.payload[..]), (7, &body(4)[..]));
    }
}

#[test]
fn chunk_sizes_have_bounds() {
    let mut reader = ChunkReader::new(1000);
    for size in [0, 1, 127, 1 << 31, u32::MAX] {
        reader.set_chunk_size(size).unwrap_err();
    }
    for size in [128, 4096, 10_000_000, (1 << 31) - 1] {
        reader.set_chunk_size(size).unwrap();
    }
}

#[test]
fn what_is_written_is_read() {
    let mut writer = ChunkWriter::new();
    for size in [128, 4096] {
        writer.set_chunk_size(size);
        let (mut reader, mut wire) = (ChunkReader::new(1 << 20), BytesMut::new());
        reader.set_chunk_size(size).unwrap();
        for length in [0, 1, 128, 129, 5000] {
            let message = Message { kind: 20, stream: 1, timestamp: 0, payload: body(length).into() };
            writer.send(3, &message, &mut wire);
            let written = wire.split();
            let mut unread = &written[..];
            assert_eq!(reader.receive(&mut unread), Ok(Some(message)));
            assert!(unread.is_empty());
        }
    }
}

#[test]
fn damaged_chunks_are_read_or_refused() {
    let long = body(500);
    let mut wire = header0(4, 0x0100_0000, 500, AUDIO);
    for (n, chunk) in long.chunks(128).enumerate() {
        if n > 0 {
            wire.extend(header3(4));
            wire.extend(0x0100_0000u32.to_be_bytes());
        }
        wire.extend(chunk);
    }
    wire.extend([header2(4, 20), long[..128].to_vec(), header0(6, 9, 4, AUDIO), body(4)].concat());
    mutants(&wire, 20_000, |mutant| {
        let (mut reader, mut input) = (ChunkReader::new(1 << 16), mutant);
        while let Ok(Some(message)) = reader.receive(&mut input) {
            assert!(message.payload.len() <= mutant.len());
        }
    });
}
