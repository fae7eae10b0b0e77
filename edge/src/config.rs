use std::num::{NonZeroU32, NonZeroU64};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// How an edge serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of verified media kept in memory for all viewers.
    pub media_cache_bytes: u64,
    /// Bytes of version indexes and playlists kept in memory.
    pub index_cache_bytes: u64,
    /// Bytes of live events kept in memory for all viewers: the last parts, and closed segments.
    pub live_cache_bytes: u64,
    /// Seconds between two looks at the origin's keys and revocations. A revocation must reach
    /// every edge within 10 s.
    pub follow_s: NonZeroU64,
    /// Seconds for which the policy of a public item is good.
    pub policy_fresh_s: NonZeroU64,
    /// Seconds for which it is served when the origin cannot be asked.
    pub policy_stale_s: u64,
    /// Tokens of one address that are verified in a second; those that were verified before do
    /// not count.
    pub unknown_tokens_per_s: NonZeroU32,
    /// The same, at once.
    pub unknown_tokens_burst: NonZeroU32,
    /// Networks for which these two do not hold.
    pub exempt_networks: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        let nonzero = |number| NonZeroU64::new(number).expect("a default is not 0");
        let tokens = |number| NonZeroU32::new(number).expect("a default is not 0");
        Self {
            media_cache_bytes: 256 << 20,
            index_cache_bytes: 64 << 20,
            live_cache_bytes: 256 << 20,
            follow_s: nonzero(1),
            policy_fresh_s: nonzero(5),
            policy_stale_s: 3600,
            unknown_tokens_per_s: tokens(100),
            unknown_tokens_burst: tokens(500),
            exempt_networks: Vec::new(),
        }
    }
}
