//! What the servers are measured on: an installation on a core of its own, a video whose bytes are
//! also there as files, a certificate, and viewers with a grant each.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::certificate::Certificate;
use crate::installation::{Engines, Installation, Setup};
use crate::load::{Connection, Target, request};
use crate::nginx::Service;

use super::SERVER_CORE;
use super::contest::Peer;
use super::fixture::{Fixture, Scale};

/// Logins of one account; some more may be begun in a while.
const LOGINS: usize = 25;
/// Grants of which an address may bring as many at once as it likes: the burst is 500.
const AT_ONCE: usize = 250;

/// The stage; all of it ends with this value.
#[derive(Debug)]
pub(super) struct Stage {
    installation: Installation,
    /// What is fetched.
    pub(super) fixture: Fixture,
    /// What is shown by TLS.
    pub(super) certificate: Certificate,
    /// Of as many viewers.
    pub(super) grants: Vec<String>,
}

impl Stage {
    /// Everything that is measured later; `viewers` is how many grants there are.
    pub(super) fn set(scale: Scale, viewers: usize) -> anyhow::Result<Self> {
        let mut installation =
            Installation::start(Setup { core: Some(SERVER_CORE), ..Setup::on(Engines::Folder) })?;
        let certificate = Certificate::make(installation.data())?;
        let fixture = Fixture::make(&mut installation, scale)?;
        let grants = grants(&installation, fixture.video(), viewers)?;
        Ok(Self { installation, fixture, certificate, grants })
    }

    /// Starts the server again, as it is shipped and with an HTTPS port, with `more` settings.
    /// Nothing is in its memory then.
    pub(super) fn restart(&mut self, more: &str) -> anyhow::Result<()> {
        let https = format!(
            "[https]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{}\"\nprivate_key = \"{}\"\n{more}",
            self.certificate.chain().display(),
            self.certificate.key().display()
        );
        self.installation.configure(&https)
    }

    /// The server's process.
    pub(super) fn pid(&self) -> u32 {
        self.installation.pid()
    }

    /// Its plain port.
    pub(super) fn http(&self) -> anyhow::Result<SocketAddr> {
        self.installation.door().address().parse().context("the server's address")
    }

    /// Its other one.
    pub(super) fn https(&self) -> anyhow::Result<SocketAddr> {
        self.installation.https()?.parse().context("the server's HTTPS address")
    }

    /// A folder for what must be written down.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.installation.data()
    }

    /// An nginx that lets everybody have the same files.
    pub(super) fn nginx(&self, tls: bool) -> Peer<'_> {
        let certificate = tls.then_some(&self.certificate);
        let service = Service { root: self.fixture.files(), certificate, secret: None };
        Peer { name: "nginx", service, grants: &[] }
    }

    /// Shows every grant once; afterwards the server knows them all. So many viewers are not all
    /// behind one address.
    pub(super) fn introduce_viewers(&self, target: &Target) -> anyhow::Result<()> {
        for (address, grants) in (1..).zip(self.grants.chunks(AT_ONCE)) {
            let from = Ipv4Addr::new(127, 0, 1, address);
            let mut connection = Connection::open(self.http()?, from, None)?;
            for grant in grants {
                let head = connection.ask(&request(self.http()?, &target.path, Some(grant)))?;
                head.succeeded().context("introduce a viewer")?;
                connection.drop_body(&head)?;
            }
        }
        Ok(())
    }
}

/// Grants that all differ. What a login gets differs from second to second, and a few hundred of
/// them take about one.
fn grants(installation: &Installation, video: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let door = installation.door();
    let mut sessions = Vec::new();
    for n in 0..count.div_ceil(4 * LOGINS) {
        let username = format!("viewer{n}");
        installation.add_viewer(&username)?;
        for _ in 0..LOGINS {
            sessions.push(door.sign_in(&username)?);
        }
    }
    let (mut grants, mut known) = (Vec::new(), HashSet::new());
    let deadline = Instant::now() + Duration::from_secs(120);
    for session in sessions.iter().cycle() {
        if grants.len() == count {
            break;
        }
        ensure!(Instant::now() < deadline, "only {} grants in time", grants.len());
        let grant = door.grant(session, video)?;
        if known.insert(grant.clone()) {
            grants.push(grant);
        }
    }
    Ok(grants)
}
