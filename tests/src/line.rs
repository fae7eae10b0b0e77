use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    sent: Sent,
    // Ends with the line.
    _relay: JoinSet<()>,
}

/// What went from the near end to the far one.
type Sent = Arc<Mutex<Vec<u8>>>;

impl Line {
    /// A line to a port of the loopback interface.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let whole = watch::Sender::new(true);
        let mut relay = JoinSet::new();
        let sent = Sent::default();
        relay.spawn(run(listener, port, whole.subscribe(), Arc::clone(&sent)));
        Self { address, whole, sent, _relay: relay }
    }

    /// The port at this end.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every byte that has gone to the far end so far.
    pub fn sent(&self) -> Vec<u8> {
        self.sent.lock().expect("no holder panics").clone()
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

async fn run(mut listener: TcpListener, port: u16, mut whole: watch::Receiver<bool>, sent: Sent) {
    let address = listener.local_addr().expect("its address");
    loop {
        let mut connections = JoinSet::new();
        while *whole.borrow() {
            tokio::select! {
                accepted = listener.accept() => {
                    let (near, _) = accepted.expect("a loopback port accepts");
                    connections.spawn(relay(near, port, Arc::clone(&sent)));
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

async fn relay(near: TcpStream, port: u16, sent: Sent) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let there = async {
        let mut bytes = vec![0; 64 << 10];
        // Either end may break off at any time.
        while let Ok(count @ 1..) = from_near.read(&mut bytes).await {
            sent.lock().expect("no holder panics").extend(&bytes[..count]);
            if to_far.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = to_far.shutdown().await;
    };
    let back = async {
        let _ = tokio::io::copy(&mut from_far, &mut to_near).await;
        let _ = to_near.shutdown().await;
    };
    tokio::join!(there, back);
}
