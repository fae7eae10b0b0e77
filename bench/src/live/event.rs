//! An event and what its encoder needs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::installation::Installation;

/// Events of one account that may not be over: the product's own bound is a hundred.
const OF_ONE: usize = 100;
/// Longest wait for pictures.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event that was announced.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Its video.
    pub(super) id: String,
    /// Its stream key.
    pub(super) key: String,
    /// Its owner's session.
    session: String,
}

impl Event {
    /// One that is recorded.
    pub(super) fn announce(installation: &Installation) -> anyhow::Result<Self> {
        let session = installation.door().session().to_owned();
        let (id, key) = installation.door().announce(&session, true, 3600)?;
        Ok(Self { id, key, session })
    }

    /// So many that are not, of as many accounts as it takes.
    pub(super) fn announce_many(installation: &Installation, count: usize) -> anyhow::Result<Vec<Self>> {
        let door = installation.door();
        let mut events = Vec::new();
        for account in 0..count.div_ceil(OF_ONE) {
            let username = format!("creator{account}");
            installation.add_creator(&username)?;
            let session = door.sign_in(&username)?;
            for _ in events.len()..count.min((account + 1) * OF_ONE) {
                let (id, key) = door.announce(&session, false, 60)?;
                events.push(Self { id, key, session: session.clone() });
            }
        }
        Ok(events)
    }

    /// Has the owners of these events told of them at `url`.
    pub(super) fn call_back(events: &[Self], installation: &Installation, url: &str) -> anyhow::Result<()> {
        let sessions: BTreeSet<&str> = events.iter().map(|event| event.session.as_str()).collect();
        sessions.into_iter().try_for_each(|session| installation.door().call_back(session, url))
    }

    /// Where it is published to.
    pub(super) fn url(&self, installation: &Installation) -> String {
        format!("rtmp://{}/live/{}", installation.rtmp(), self.key)
    }

    /// Waits until something of it plays; its folder.
    pub(super) fn folder(&self, installation: &Installation) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(folder) = installation.door().folder(&self.id)? {
                return Ok(folder);
            }
            ensure!(Instant::now() < deadline, "nothing plays of an event: {}", installation.log());
            installation.door().pause();
        }
    }

    /// The rendition that the publisher's picture is, once something plays.
    pub(super) fn source(&self, installation: &Installation) -> anyhow::Result<String> {
        let folder = self.folder(installation)?;
        let names = renditions(installation, &folder)?;
        let pictures =
            names.iter().filter_map(|name| Some((name.strip_suffix('p')?.parse::<u16>().ok()?, name)));
        Ok(pictures.max().context("an event has a picture")?.1.clone())
    }

    /// Ends it.
    pub(super) fn end(&self, installation: &Installation) -> anyhow::Result<()> {
        installation.door().end(&self.session, &self.id)
    }
}

/// The renditions that are offered, those of sound too.
pub(super) fn renditions(installation: &Installation, folder: &str) -> anyhow::Result<Vec<String>> {
    let text = installation.door().fetch(&format!("{folder}multivariant.m3u8"), None)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut names: Vec<String> = text
        .split(['"', '\n'])
        .filter_map(|word| word.strip_suffix("/playlist.m3u8"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
