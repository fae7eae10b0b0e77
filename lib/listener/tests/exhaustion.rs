//! A process without a free descriptor; alone in its file because it takes them all.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use listener::{Body, Config, Door, Doors, Listener, full};
use tokio_util::sync::CancellationToken;

struct Hello;

impl Door for Hello {
    fn name(&self) -> &'static str {
        "hello"
    }

    fn takes(&self, _: &Method, _: &str) -> bool {
        true
    }

    fn serve(&self, _: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        async { Response::new(full("hello")) }.boxed()
    }
}

#[test]
fn the_accept_loop_survives_running_out_of_descriptors() {
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let listener = Listener::bind(&config).unwrap();
    let address = listener.address();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let run = runtime.spawn(listener.run(Doors::new([Arc::new(Hello) as Arc<dyn Door>]), stop.clone()));

    let hello = |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    // All threads are up once they answer.
    for _ in 0..16 {
        assert!(hello(&mut TcpStream::connect(address).unwrap()).unwrap().ends_with("hello"));
    }

    let mut client = {
        let mut files: Vec<File> = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        // One for the client; the kernel completes the handshake without one of the server's.
        files.pop();
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(hello(&mut client).is_err(), "answered without a descriptor");
        client
    };
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    stop.cancel();
    runtime.block_on(run).unwrap().unwrap();
}
