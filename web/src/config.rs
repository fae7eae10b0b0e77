use serde::{Deserialize, Serialize};

/// The `[web]` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether anybody may make an account for themselves; without it, only administrators make
    /// them. Default: true.
    pub registration: bool,
    /// Whether people reach the site by HTTPS only: its session cookies are then never sent
    /// otherwise, and browsers are told to insist. Default: false.
    pub secure_cookies: bool,
    /// The server that publishers are told, for example `rtmps://live.example/live`; empty for
    /// `rtmp://` and the name under which the site is asked. Default: empty.
    pub publish_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { registration: true, secure_cookies: false, publish_url: String::new() }
    }
}
