//! The PROXY protocol: a load balancer says first whom it speaks for.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};
use tokio::net::TcpStream;

/// What the first bytes of a connection say.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// A whole header of `len` bytes; `source` is absent where the proxy speaks for itself (LOCAL)
    /// or does not know (UNKNOWN).
    Whole { source: Option<SocketAddr>, len: usize },
    /// It may become a header.
    Part,
    /// It is none.
    Wrong,
}

/// The longest header of version 1, CR and LF included (section 2.1 of the specification).
const LONGEST_V1: usize = 107;

/// Version 2 has the length in two bytes, so no header is longer than 64 KiB.
const V2: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };
const V1: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: false };

fn parse(bytes: &[u8]) -> Said {
    let version_1 = bytes.first() == Some(&b'P');
    // The library looks at one byte more than the word, and at nothing before it has 15.
    if version_1 && !b"PROXY ".starts_with(&bytes[..bytes.len().min(6)]) {
        return Said::Wrong;
    }
    match ProxyHeader::parse(bytes, if version_1 { V1 } else { V2 }) {
        Ok((_, len)) if version_1 && len > LONGEST_V1 => Said::Wrong,
        Ok((header, len)) => match header.proxied_address() {
            Some(address) if address.protocol == Protocol::Datagram => Said::Wrong,
            address => Said::Whole { source: address.map(|address| address.source), len },
        },
        Err(Error::BufferTooShort) => Said::Part,
        Err(_) => Said::Wrong,
    }
}

/// Reads the header with which a connection from a trusted proxy has to begin: whom it names, and
/// what came behind it already.
pub(crate) async fn read(stream: &TcpStream) -> io::Result<(Option<SocketAddr>, Bytes)> {
    let mut bytes = BytesMut::new();
    loop {
        stream.readable().await?;
        match stream.try_read_buf(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => match parse(&bytes) {
                Said::Whole { source, len } => return Ok((source, bytes.split_off(len).freeze())),
                Said::Part => {}
                Said::Wrong => return Err(io::Error::new(io::ErrorKind::InvalidData, "not a PROXY header")),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn whole(source: Option<&str>, len: usize) -> Said {
        Said::Whole { source: source.map(|source| source.parse().unwrap()), len }
    }

    const IPV4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];

    #[test]
    fn what_version_1_says() {
        let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        let source = Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
        let unknown_too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for (text, expected) in [
            ("PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r\n", whole(Some("203.0.113.7:12345"), 42)),
            (
                "PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r\nGET / HTTP/1.1",
                whole(Some("203.0.113.7:12345"), 42),
            ),
            ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", whole(Some("[2001:db8::1]:1"), 32)),
            (longest, whole(source, longest.len())),
            ("PROXY UNKNOWN\r\n", whole(None, 15)),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", whole(None, 35)),
            (&unknown_too_long, Said::Wrong),
            ("", Said::Part),
            ("P", Said::Part),
            ("PROXY TCP4 203.0.113.7", Said::Part),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r", Said::Part),
            ("POST / HTTP/1.1", Said::Wrong),
            ("GET / HTTP/1.1\r\n", Said::Wrong),
            ("PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n", Said::Wrong),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\n\n", Said::Part),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 65536 80\r\n", Said::Wrong),
            ("PROXY TCP4 203.0.113.256 10.0.0.1 1 80\r\n", Said::Wrong),
            ("PROXY TCP4 ::1 ::1 1 80\r\n", Said::Wrong),
            ("PROXY UDP4 203.0.113.7 10.0.0.1 1 80\r\n", Said::Wrong),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
        let endless = format!("PROXY TCP4 {}", "1".repeat(200));
        assert_eq!(parse(endless.as_bytes()), Said::Wrong);
    }

    #[test]
    fn what_version_2_says() {
        let mut ipv6 = [0; 36];
        ipv6[15] = 1;
        ipv6[33] = 9;
        let with_tlv = [&IPV4[..], &[4, 0, 1, 0]].concat();
        for (bytes, expected) in [
            (version_2(0x21, 0x11, &IPV4), whole(Some("203.0.113.7:12345"), 28)),
            (version_2(0x21, 0x11, &with_tlv), whole(Some("203.0.113.7:12345"), 32)),
            (version_2(0x21, 0x21, &ipv6), whole(Some("[::1]:9"), 52)),
            (version_2(0x20, 0x00, &[]), whole(None, 16)),
            (version_2(0x20, 0x11, &IPV4), whole(None, 28)),
            (version_2(0x21, 0x00, &[]), whole(None, 16)),
            (version_2(0x21, 0x31, &[0; 216]), whole(None, 232)),
            (version_2(0x21, 0x12, &IPV4), Said::Wrong),
            // Too short for its addresses: found out with the byte behind it, or by the clock.
            ([version_2(0x21, 0x11, &IPV4[..11]), vec![b'G']].concat(), Said::Wrong),
            (version_2(0x22, 0x11, &IPV4), Said::Wrong),
            (version_2(0x11, 0x11, &IPV4), Said::Wrong),
            (version_2(0x21, 0x41, &IPV4), Said::Wrong),
            (SIGNATURE.to_vec(), Said::Part),
            (b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0".to_vec(), Said::Wrong),
        ] {
            assert_eq!(parse(&bytes), expected, "{bytes:?}");
        }
        let bytes = version_2(0x21, 0x11, &IPV4);
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), Said::Part, "{len} bytes");
        }
    }

    proptest! {
        /// Whatever a header is changed into: no panic, and never more taken than there is.
        #[test]
        fn a_changed_header_is_read_or_refused(
            version in 0..3_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            tail in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = match version {
                0 => b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 80\r\n".to_vec(),
                1 => version_2(0x21, 0x11, &IPV4),
                _ => version_2(0x21, 0x21, &[7; 48]),
            };
            bytes.extend(tail);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Said::Whole { len, .. } = parse(&bytes) {
                prop_assert!(len <= bytes.len());
                // What follows a header changes nothing about it.
                prop_assert_eq!(parse(&bytes[..len]), parse(&bytes));
            }
        }
    }
}
