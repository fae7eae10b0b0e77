use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// How uploads and live streams are taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Greatest length of one file in bytes, whatever an account's own limit says.
    pub max_size_bytes: u64,
    /// Seconds without a byte after which a request is ended; what came is kept.
    pub idle_timeout_s: u32,
    /// Hours without a byte after which an unfinished upload is given up.
    pub expires_after_h: u32,
    /// Bytes that must stay free on the spool's file system for an upload to be accepted, beside
    /// those of the upload itself, and for its bytes to go on: the database needs room too.
    pub keep_free_bytes: u64,
    /// The port for live streams by RTMP; `off` for none.
    #[serde(with = "port")]
    pub rtmp: Option<SocketAddr>,
    /// The port for RTMP within TLS, with the certificate of HTTPS if there is one; `off` for none.
    #[serde(with = "port")]
    pub rtmps: Option<SocketAddr>,
    /// Networks from which any number of wrong stream keys is looked at.
    pub exempt_networks: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Six hours at 20 Mbit/s.
            max_size_bytes: 50 << 30,
            idle_timeout_s: 30,
            expires_after_h: 24,
            keep_free_bytes: 1 << 30,
            rtmp: Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 1935))),
            rtmps: Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 1936))),
            exempt_networks: Vec::new(),
        }
    }
}

impl Config {
    pub(crate) const fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s as u64)
    }

    pub(crate) const fn expires_after(&self) -> Duration {
        Duration::from_secs(self.expires_after_h as u64 * 3600)
    }
}

/// The address of a port, or `off`.
mod port {
    use std::borrow::Cow;
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    const OFF: &str = "off";

    // serde gives a reference to the whole field.
    pub(super) fn serialize<S: Serializer>(port: &Option<SocketAddr>, to: S) -> Result<S::Ok, S::Error> {
        match port {
            Some(address) => to.collect_str(address),
            None => to.serialize_str(OFF),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        match &*text {
            OFF => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                de::Error::custom(format_args!("`{text}` is neither an address with a port nor `{OFF}`"))
            }),
        }
    }
}
