use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How uploads are taken in.
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Six hours at 20 Mbit/s.
            max_size_bytes: 50 << 30,
            idle_timeout_s: 30,
            expires_after_h: 24,
            keep_free_bytes: 1 << 30,
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
