use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address; port 0 takes a free one, `[::]` serves IPv4 too.
    pub listen: SocketAddr,
    /// Accepting threads, each with a runtime and a socket of its own; one per core if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,
    /// Connections at once, HTTP and HTTPS together; further ones wait in the kernel's queue. Keep
    /// it below the process's limit of open files.
    pub max_connections: NonZeroUsize,
    /// Seconds for a request's head to arrive, and for an idle connection to stay open.
    pub header_timeout_s: NonZeroUsize,
    /// Seconds after which a connection that takes none of what is sent to it is closed.
    pub stall_timeout_s: NonZeroUsize,
    /// Bytes a second that a client takes at least, on average over the time above in which it is
    /// waited for; 0 asks for nothing.
    pub min_bytes_per_s: u32,
    /// Seconds that answers under way have to finish when the process stops.
    pub drain_s: u32,
    /// Networks of proxies that begin each connection with a PROXY header, version 1 or 2.
    pub proxy_protocol_from: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        let nonzero = |number| NonZeroUsize::new(number).expect("a default is not 0");
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080)),
            threads: None,
            max_connections: nonzero(8192),
            header_timeout_s: nonzero(30),
            stall_timeout_s: nonzero(120),
            min_bytes_per_s: 1024,
            drain_s: 20,
            proxy_protocol_from: Vec::new(),
        }
    }
}

impl Config {
    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_s.get() as u64)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_secs(self.stall_timeout_s.get() as u64)
    }
}

/// The HTTPS port beside the plain one, with the same limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpsConfig {
    /// The address; nothing listens there without a certificate, or somebody who gets one.
    pub listen: SocketAddr,
    /// The certificate with the chain behind it, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PathBuf>,
}

impl Default for HttpsConfig {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8443));
        Self { listen, certificate: None, private_key: None }
    }
}
