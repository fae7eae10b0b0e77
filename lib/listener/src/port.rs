use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::ListenerError;

/// Where a port comes from.
#[derive(Debug)]
pub enum Place {
    /// To be bound; `[::]` is for both families, and for IPv4 alone where the machine has no IPv6.
    At(SocketAddr),
    /// Bound and listening already, by systemd or whoever started the process.
    Inherited(TcpListener),
}

/// A port's sockets, one for each accepting thread.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<TcpListener>,
}

/// Connections that wait in the kernel for one thread; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

impl Port {
    /// Makes it ready for clients to connect; nothing is accepted yet.
    pub(crate) fn open(place: Place, threads: usize, stall_timeout: Duration) -> Result<Self, ListenerError> {
        match place {
            Place::At(address) => Self::bind(address, threads, stall_timeout)
                .or_else(|error| match without_ipv6(address, &error) {
                    Some(address) => Self::bind(address, threads, stall_timeout),
                    None => Err(error),
                })
                .map_err(|source| ListenerError::Bind { address, source }),
            Place::Inherited(socket) => {
                Self::share(&socket, threads, stall_timeout).map_err(ListenerError::Inherit)
            }
        }
    }

    fn bind(mut address: SocketAddr, threads: usize, stall_timeout: Duration) -> io::Result<Self> {
        // SO_REUSEPORT would share the port with a second copy of this program; a socket without
        // it finds out whether the port is free.
        drop(bound(address, false)?);
        let mut sockets = Vec::with_capacity(threads);
        for _ in 0..threads {
            let socket = bound(address, true)?;
            prepare(SockRef::from(&socket), stall_timeout)?;
            socket.listen(BACKLOG)?;
            let socket = TcpListener::from(socket);
            address = socket.local_addr()?;
            sockets.push(socket);
        }
        Ok(Self { address, sockets })
    }

    /// A socket that somebody else bound has no copies with SO_REUSEPORT: all threads accept from
    /// its one queue, and some wake up for nothing.
    fn share(socket: &TcpListener, threads: usize, stall_timeout: Duration) -> io::Result<Self> {
        if !SockRef::from(socket).is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
        }
        prepare(SockRef::from(socket), stall_timeout)?;
        let sockets = (0..threads).map(|_| socket.try_clone()).collect::<io::Result<_>>()?;
        Ok(Self { address: socket.local_addr()?, sockets })
    }
}

fn bound(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Whatever `net.ipv6.bindv6only` says.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn prepare(socket: SockRef<'_>, stall_timeout: Duration) -> io::Result<()> {
    // The programs that this one starts have nothing to accept.
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit both on Linux, which saves two calls for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(stall_timeout))
}

/// Where to listen instead if `error` says that the machine has no IPv6.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let is_every = address.is_ipv6() && address.ip().is_unspecified();
    // Linux: EAFNOSUPPORT without the module, EADDRNOTAVAIL with `disable_ipv6`.
    let has_none = matches!(error.raw_os_error(), Some(97 | 99));
    (is_every && has_none).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_every_address_falls_back_to_ipv4() {
        for (address, code, expected) in [
            ("[::]:8080", 97, Some("0.0.0.0:8080")),
            ("[::]:8080", 99, Some("0.0.0.0:8080")),
            ("[::]:8080", 98, None),
            ("[::1]:8080", 99, None),
            ("0.0.0.0:8080", 99, None),
        ] {
            let fallen = without_ipv6(address.parse().unwrap(), &io::Error::from_raw_os_error(code));
            assert_eq!(fallen, expected.map(|expected| expected.parse().unwrap()), "{address} {code}");
        }
    }
}
