use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A connection between two programs that a story can cut.
///
/// While it is cut, open connections are gone and new ones are refused, as when the machine at
/// the other end is down.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    // Ends with the line.
    _relay: JoinSet<()>,
}

impl Line {
    /// A line to a port of the loopback interface.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let whole = watch::Sender::new(true);
        let mut relay = JoinSet::new();
        relay.spawn(run(listener, port, whole.subscribe()));
        Self { address, whole, _relay: relay }
    }

    /// The port at this end.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts it.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Makes it whole again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn run(mut listener: TcpListener, port: u16, mut whole: watch::Receiver<bool>) {
    let address = listener.local_addr().expect("its address");
    loop {
        let mut connections = JoinSet::new();
        while *whole.borrow() {
            tokio::select! {
                accepted = listener.accept() => {
                    let (near, _) = accepted.expect("a loopback port accepts");
                    connections.spawn(relay(near, port));
                }
                changed = whole.changed() => changed.expect("the line outlives its relay"),
            }
        }
        drop(listener);
        connections.shutdown().await;
        while !*whole.borrow() {
            whole.changed().await.expect("the line outlives its relay");
        }
        listener = TcpListener::bind(address).await.expect("the port is still ours");
    }
}

async fn relay(mut near: TcpStream, port: u16) {
    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await {
        // Either end may break off at any time.
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}
