use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The `[webhooks]` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Networks that are not public and may be called all the same, for example `10.1.0.0/16`.
    /// Default: none.
    pub allowed_networks: Vec<IpNet>,
}
