//! IPv4, IPv6, and sockets that somebody else bound.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use listener::{Config, Listener, Place};
use tokio::net::TcpStream;

use crate::fixture::{CLOSE, read_to_end, send, start, start_on};

async fn ask(address: impl Into<SocketAddr>, path: &str) -> String {
    let mut client = TcpStream::connect(address.into()).await.unwrap();
    send(&mut client, &format!("GET {path} HTTP/1.1\r\n{CLOSE}")).await;
    read_to_end(&mut client).await
}

#[tokio::test]
async fn one_port_serves_both_families_and_shows_ipv4_as_it_is() {
    let running = start(|config| config.listen = (Ipv6Addr::UNSPECIFIED, 0).into());
    let port = running.address.port();
    let peer = ask((Ipv4Addr::LOCALHOST, port), "/peer").await;
    assert!(peer.contains("\r\n\r\n127.0.0.1:"), "{peer}");
    if running.address.is_ipv4() || TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let peer = ask((Ipv6Addr::LOCALHOST, port), "/peer").await;
    assert!(peer.contains("\r\n\r\n[::1]:"), "{peer}");
}

#[tokio::test]
async fn all_threads_accept_from_an_inherited_socket() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let running = start_on(
        |config| config.threads = Some(2.try_into().unwrap()),
        |door| Arc::new(door),
        // The fixture's own port is of no use here.
        |bound| {
            drop(bound);
            let config = Config { threads: Some(2.try_into().unwrap()), ..Config::default() };
            Listener::open(Place::Inherited(socket), &config).unwrap()
        },
    );
    assert_eq!(running.address, address);
    for _ in 0..16 {
        assert!(ask(address, "/").await.ends_with("hello"));
    }
    running.stop.cancel();
    running.run.await.unwrap().unwrap();
}

#[test]
fn a_socket_that_does_not_listen_is_refused() {
    let connected = {
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        std::net::TcpStream::connect(listening.local_addr().unwrap()).unwrap()
    };
    let socket = TcpListener::from(std::os::fd::OwnedFd::from(connected));
    let error = Listener::open(Place::Inherited(socket), &Config::default()).unwrap_err();
    assert_eq!(error.to_string(), "listen on the inherited socket");
}
