use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// How an edge serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of verified media kept in memory for all viewers.
    pub media_cache_bytes: u64,
    /// Bytes of version indexes and playlists kept in memory.
    pub index_cache_bytes: u64,
    /// Seconds between two looks at the origin's keys and revocations. A revocation must reach
    /// every edge within 10 s.
    pub follow_s: NonZeroU64,
    /// Seconds for which the policy of a public item is good.
    pub policy_fresh_s: NonZeroU64,
    /// Seconds for which it is served when the origin cannot be asked.
    pub policy_stale_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        let nonzero = |number| NonZeroU64::new(number).expect("a default is not 0");
        Self {
            media_cache_bytes: 256 << 20,
            index_cache_bytes: 64 << 20,
            follow_s: nonzero(1),
            policy_fresh_s: nonzero(5),
            policy_stale_s: 3600,
        }
    }
}
