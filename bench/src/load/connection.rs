//! One connection of the load client, down to the byte.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

/// A kept HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// Where plain bodies would go; the kernel fills none of it.
    nowhere: Vec<MaybeUninit<u8>>,
    /// Where deciphered ones go.
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

/// The head of an answer, and what came with it.
#[derive(Debug)]
pub(crate) struct Head {
    /// Its status.
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) len: u64,
    /// Those that were read already.
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// To `address`, from the loopback address `from`; by TLS, if there is a configuration for it.
    pub(crate) fn open(
        address: SocketAddr,
        from: Ipv4Addr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        // A server that hangs must not hang the measurement.
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        if from != Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into())?;
        }
        socket.connect(&address.into()).with_context(|| format!("connect to {address}"))?;
        let stream = match tls {
            None => Stream::Plain(socket),
            Some(config) => {
                let session = ClientConnection::new(Arc::clone(config), address.ip().into())?;
                Stream::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        };
        Ok(Self { stream, nowhere: Vec::new(), scratch: Vec::new() })
    }

    /// Sends a request and reads the head of its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> anyhow::Result<Head> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(request)?,
            Stream::Tls(stream) => stream.write_all(request)?,
        }
        let mut buffer = [0; 2048];
        let mut filled = 0;
        loop {
            let more = self.read(&mut buffer[filled..])?;
            ensure!(more > 0, "the server hung up");
            filled += more;
            if let Some(head) = Head::parse(&buffer[..filled])? {
                return Ok(head);
            }
            ensure!(filled < buffer.len(), "a head of more than {filled} bytes");
        }
    }

    /// Reads what is missing of the body.
    pub(crate) fn read_body(&mut self, head: &mut Head) -> anyhow::Result<()> {
        let mut had = head.body.len();
        head.body.resize(usize::try_from(head.len)?, 0);
        while had < head.body.len() {
            let more = self.read(&mut head.body[had..])?;
            ensure!(more > 0, "a body is cut short");
            had += more;
        }
        Ok(())
    }

    /// Lets what is missing of the body come and go.
    pub(crate) fn drop_body(&mut self, head: &Head) -> anyhow::Result<()> {
        let mut missing = head.len - head.body.len() as u64;
        match self.stream {
            Stream::Plain(_) => self.nowhere.resize_with(8 << 20, MaybeUninit::uninit),
            Stream::Tls(_) => self.scratch.resize(32 << 10, 0),
        }
        while missing > 0 {
            let dropped = match &mut self.stream {
                Stream::Plain(socket) => {
                    let window = self.nowhere.len().min(usize::try_from(missing)?);
                    let flags = libc::MSG_TRUNC | libc::MSG_WAITALL;
                    socket.recv_with_flags(&mut self.nowhere[..window], flags)?
                }
                Stream::Tls(stream) => {
                    let window = self.scratch.len().min(usize::try_from(missing)?);
                    stream.read(&mut self.scratch[..window])?
                }
            };
            ensure!(dropped > 0, "a body is cut short");
            missing -= dropped as u64;
        }
        Ok(())
    }

    /// Whether the server has let it stand; for a plain one that is not being answered to.
    pub(crate) fn is_open(&self) -> bool {
        let socket = match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &stream.sock,
        };
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let seen = socket.recv_with_flags(&mut [MaybeUninit::uninit()], flags);
        seen.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Ends it at once, so that its port is free again.
    pub(crate) fn reset(self) -> anyhow::Result<()> {
        if let Stream::Plain(socket) = &self.stream {
            socket.set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Head {
    /// The head in what was read so far, if all of it is there.
    fn parse(read: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&read[..end])?;
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.context("no HTTP/1.1")?.parse()?;
        let mut headers = text.lines().filter_map(|line| line.split_once(':'));
        let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let len = length.context("an answer without length")?.1.trim().parse()?;
        let body = read[end + 4..].to_vec();
        ensure!(body.len() as u64 <= len, "more than was asked for");
        Ok(Some(Self { status, len, body }))
    }

    /// That it is a success.
    pub(crate) fn succeeded(&self) -> anyhow::Result<()> {
        ensure!(self.status == 200, "the server says {}", self.status);
        Ok(())
    }
}
