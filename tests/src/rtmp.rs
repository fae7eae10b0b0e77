//! What a program that publishes says to a door for RTMP.

use std::io;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a chunk, at first and when another number was said: OBS has this one.
const FIRST_CHUNK_SIZE: usize = 128;
pub(crate) const CHUNK_SIZE: usize = 4096;
/// The number of the protocol's version, and bytes of each packet of its handshake.
const VERSION: u8 = 3;
const PACKET: usize = 1536;

/// Connects to `HOST:PORT` and asks to publish with this key in `live`.
///
/// # Errors
/// When it is refused or hung up on, with what was said.
pub async fn publish(address: &str, key: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut hello = vec![VERSION];
    hello.resize(1 + PACKET, 0);
    stream.write_all(&hello).await?;
    let mut answer = vec![0; 1 + 2 * PACKET];
    stream.read_exact(&mut answer).await?;
    let mut out = answer[1..=PACKET].to_vec();
    out.extend(message(2, 1, 0, 0, &(CHUNK_SIZE as u32).to_be_bytes(), FIRST_CHUNK_SIZE));
    let mut connect = [text("connect"), number(1.0), vec![3]].concat();
    let url = format!("rtmp://{address}/live");
    for (name, value) in [("app", "live"), ("flashVer", "FMLE/3.0 (compatible; tests)"), ("tcUrl", &url)] {
        connect.put_u16(name.len() as u16);
        connect.put_slice(name.as_bytes());
        connect.extend(text(value));
    }
    connect.put_slice(&[0, 0, 9]);
    // The first stream of a connection is called 1 by everybody.
    for (stream, call) in [
        (0, connect),
        (0, [text("createStream"), number(2.0), vec![5]].concat()),
        (1, [text("publish"), number(3.0), vec![5], text(key), text("live")].concat()),
    ] {
        out.extend(message(3, 20, 0, stream, &call, CHUNK_SIZE));
    }
    stream.write_all(&out).await?;
    let mut heard = Vec::new();
    loop {
        let is_over = stream.read_buf(&mut heard).await? == 0;
        let said = String::from_utf8_lossy(&heard);
        if said.contains("NetStream.Publish.Start") {
            return Ok(stream);
        }
        if is_over || said.contains("NetStream.Publish.") || said.contains("Rejected") {
            let shown: String = said.chars().filter(|char| !char.is_control()).collect();
            return Err(io::Error::other(format!("refused: {shown}")));
        }
    }
}

/// A message in chunks of `chunk_size`, the first with its whole header (RTMP 1.0 §5.3.1).
pub(crate) fn message(
    chunk_stream: u8,
    kind: u8,
    at: u32,
    stream: u32,
    body: &[u8],
    chunk_size: usize,
) -> Vec<u8> {
    const EXTENDED: u32 = 0xff_ffff;
    let mut out = vec![chunk_stream];
    out.put_uint(at.min(EXTENDED).into(), 3);
    out.put_uint(body.len() as u64, 3);
    out.put_u8(kind);
    out.put_u32_le(stream);
    for (n, chunk) in body.chunks(chunk_size).enumerate() {
        if n > 0 {
            out.put_u8(0xc0 | chunk_stream);
        }
        if at >= EXTENDED {
            out.put_u32(at);
        }
        out.put_slice(chunk);
    }
    out
}

fn text(text: &str) -> Vec<u8> {
    let mut out = vec![2];
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
    out
}

fn number(number: f64) -> Vec<u8> {
    [&[0][..], &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut() {
        let out = message(3, 20, 0, 0, &[7; 300], 128);
        assert_eq!(out.len(), 12 + 300 + 2);
        assert_eq!((out[12 + 128], out[12 + 257]), (0xc3, 0xc3));
    }
}
