use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::pace::Floor;

/// Both ends of a connection: the one that is gathered, and its client's.
async fn connection() -> (Gathered, tokio::net::TcpStream, Crowd) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let floor = Floor { bytes_per_s: 0, window: Duration::from_secs(1) };
    let crowd = Crowd::new();
    (Gathered::new(Stream::new(server, bytes::Bytes::new(), floor), crowd.clone()), client, crowd)
}

fn is_gathered(stream: &Gathered) -> bool {
    matches!(stream.socket, Socket::Unwatched(_))
}

#[test]
fn the_more_there_are_the_rarer_they_are_looked_at() {
    for (members, ms) in [(0, 10), (1, 10), (15, 10), (100, 66), (300, 200), (400, 200), (u32::MAX, 200)] {
        assert_eq!(period(members, 7_500).as_millis(), ms, "{members}");
        assert_eq!(period(members, MUCH).as_millis(), 10, "{members}");
    }
}

#[tokio::test]
async fn looks_fall_on_few_moments_and_never_into_the_past() {
    let crowd = Crowd::new();
    for micros in [0, 1, 4_999, 5_000, 5_001, 1_234_567, 90 * 24 * 3600 * 1_000_000] {
        let now = crowd.began + Duration::from_micros(micros);
        let next = crowd.next_look(now, 0);
        assert!(next > now && next <= now + 3 * GRID, "{micros}: {:?}", next - now);
        assert_eq!((next - crowd.began).as_nanos() % GRID.as_nanos(), 0, "{micros}");
    }
}

#[tokio::test]
async fn all_that_was_sent_is_read_in_its_order() {
    let (mut stream, mut client, crowd) = connection().await;
    let sent: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
    let sender = async {
        for piece in sent.chunks(777) {
            client.write_all(piece).await.unwrap();
        }
        // Its end comes behind what it sent.
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let receiver = async {
        let (mut came, mut turned_at) = (Vec::new(), None);
        while stream.read_buf(&mut came).await.unwrap() > 0 {
            if is_gathered(&stream) {
                turned_at.get_or_insert(came.len());
            }
        }
        assert_eq!(crowd.members.load(Ordering::Relaxed), 1);
        // More than the kernel takes at once.
        stream.write_all(&came).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
        (came, turned_at)
    };
    let (answer, (came, turned_at)) = tokio::join!(sender, receiver);
    assert!(came == sent, "{} bytes of {}", came.len(), sent.len());
    assert!(answer == sent, "{} bytes of {}", answer.len(), sent.len());
    assert!(turned_at.is_some_and(|at| at > HANDSHAKE), "{turned_at:?}");
    assert_eq!(crowd.members.load(Ordering::Relaxed), 0, "it has left the crowd");
}

#[tokio::test]
async fn a_handshake_is_not_made_to_wait() {
    let (mut stream, mut client, _) = connection().await;
    client.write_all(&vec![7; HANDSHAKE]).await.unwrap();
    stream.read_exact(&mut vec![0; HANDSHAKE]).await.unwrap();
    assert!(!is_gathered(&stream));
    client.write_all(b"more").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    client.write_all(b"more").await.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    assert!(is_gathered(&stream));
}

#[tokio::test]
async fn a_connection_that_is_reset_is_an_error() {
    let (mut stream, mut client, _) = connection().await;
    client.write_all(&vec![7; HANDSHAKE + 1]).await.unwrap();
    stream.read_exact(&mut vec![0; HANDSHAKE + 1]).await.unwrap();
    client.write_all(b"unread").await.unwrap();
    stream.read_exact(&mut [0; 3]).await.unwrap();
    stream.write_all(b"unread, too").await.unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    let mut rest = Vec::new();
    let error = stream.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
