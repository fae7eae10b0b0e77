use std::net::TcpListener;
use std::ops::Range;

use rand::RngExt;

/// From where ports are taken: not from where the kernel takes those that nobody named.
const PORTS: Range<u16> = 10_000..32_000;

/// Ports of loopback for servers that are yet to be started.
///
/// # Panics
///
/// If there are none.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let mut random = rand::rng();
    // All are held until all are known, so that they differ.
    let held = [(); N].map(|()| {
        let mut tries = std::iter::repeat_with(|| random.random_range(PORTS)).take(1000);
        tries.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).expect("a free port")
    });
    held.map(|listener| listener.local_addr().expect("its address").port())
}
