//! The simple handshake: C0, C1, C2 against S0, S1, S2. Nobody's digest is checked: the complex one
//! of Flash proved nothing, and every encoder speaks this one.

use bytes::{Buf, BytesMut};

use super::error::RtmpError;

/// C1, S1, C2 and S2: a time, a version, and random bytes.
const PACKET: usize = 1536;
const VERSION: u8 = 3;

/// How far the handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// C0 and C1 are waited for,
    Hello,
    /// then C2,
    Echo,
    /// and then come chunks.
    Done,
}

impl Handshake {
    /// Takes what is there of it from `input` and puts the answer behind `output`; whether it is done.
    pub(crate) fn receive(&mut self, input: &mut &[u8], output: &mut BytesMut) -> Result<bool, RtmpError> {
        if *self == Self::Hello {
            match input.first() {
                None => return Ok(false),
                Some(&VERSION) => {}
                Some(_) => return Err(RtmpError::Malformed("version of the handshake")),
            }
            if input.len() <= PACKET {
                return Ok(false);
            }
            let (theirs, rest) = input[1..].split_at(PACKET);
            *input = rest;
            output.extend_from_slice(&[VERSION]);
            // Time and version 0 say that no digest is in it; zeros are as random as any to a client
            // that only has to give them back.
            output.resize(output.len() + PACKET, 0);
            output.extend_from_slice(theirs);
            *self = Self::Echo;
        }
        if *self == Self::Echo {
            if input.len() < PACKET {
                return Ok(false);
            }
            // Some encoders send anything.
            input.advance(PACKET);
            *self = Self::Done;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_however_it_is_cut() {
        let mut wire = vec![3];
        wire.extend((0..2 * PACKET).map(|n| (n % 251) as u8));
        wire.extend(b"chunks");
        for piece in [1, 100, 1537, 2000, wire.len()] {
            let (mut handshake, mut input, mut output) = (Handshake::Hello, Vec::new(), BytesMut::new());
            let mut done = false;
            for bytes in wire.chunks(piece) {
                input.extend_from_slice(bytes);
                let mut unread = &input[..];
                done = handshake.receive(&mut unread, &mut output).unwrap();
                input = unread.to_vec();
            }
            assert!(done && output.len() == 1 + 2 * PACKET && output[0] == 3, "in pieces of {piece}");
            assert_eq!(&output[1 + PACKET..], &wire[1..=PACKET], "what they sent comes back");
            assert_eq!(&input[..], b"chunks");
        }
    }

    #[test]
    fn half_of_it_is_waited_for_and_another_version_is_not() {
        let (mut handshake, mut output) = (Handshake::Hello, BytesMut::new());
        let mut input = &[3; PACKET][..];
        assert!(!handshake.receive(&mut input, &mut output).unwrap());
        assert!(output.is_empty() && handshake == Handshake::Hello);
        for first in [0, 6, 0x16, b'G'] {
            handshake.receive(&mut &[first][..], &mut output).unwrap_err();
        }
    }
}
