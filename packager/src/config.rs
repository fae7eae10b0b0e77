use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Limits;
use crate::cell::Patience;

/// How a process packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The program `cocuyo-transcoder`; if absent, the one beside the running program.
    pub transcoder: Option<PathBuf>,
    /// Parts of films worked on at once; if absent, one for each core. Two more may be at work on
    /// what somebody waits for, and two on the rest of a film's sound.
    pub slots: Option<NonZeroUsize>,
    /// Seconds without a heartbeat after which another worker may take a job over, at least 3.
    pub lease_s: u32,
    /// Where chunks are put together before they are stored; best on the file system of a folder
    /// store. If absent, a folder of the system's for temporary files.
    pub scratch: Option<PathBuf>,
    /// Seconds for which a live event waits for a publisher who is gone.
    pub grace_s: u32,
    /// Cores that each live event may count on for its lower rungs; all of the machine if absent. With
    /// 0 events have no renditions but those that their publishers send.
    pub live_cores: Option<usize>,
    /// Whether a film that was an event gets the renditions later that an uploaded one has, behind all
    /// other work.
    pub live_ladder: bool,
    /// The greatest files that are packaged.
    pub limits: Limits,
    /// How long a transcoder may take.
    #[serde(skip)]
    pub patience: Patience,
    /// The longest time between two heartbeats, for who looks on at the progress.
    #[serde(skip)]
    pub heartbeat: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transcoder: None,
            slots: None,
            lease_s: 30,
            scratch: None,
            grace_s: 120,
            live_cores: None,
            live_ladder: true,
            limits: Limits::default(),
            patience: Patience::default(),
            heartbeat: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// The name of the transcoder's program.
    const PROGRAM: &'static str = "cocuyo-transcoder";

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s.max(3).into())
    }

    /// Six chances to say that a worker lives before its lease ends, or more.
    pub(crate) fn heartbeat(&self) -> Duration {
        (self.lease() / 6).min(self.heartbeat)
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.map_or_else(cores, NonZeroUsize::get)
    }

    /// Cores for the lower rungs of live events; 0 for none of these.
    pub fn live_cores(&self) -> usize {
        self.live_cores.unwrap_or_else(cores)
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(|| std::env::temp_dir().join("cocuyo"))
    }

    pub(crate) fn transcoder(&self) -> PathBuf {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name(Self::PROGRAM));
        self.transcoder.clone().or_else(beside).unwrap_or_else(|| Self::PROGRAM.into())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
