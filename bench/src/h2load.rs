//! Load by HTTP/2 and TLS 1.3: Debian's `h2load`, several at once, each with a grant of its own,
//! for it sends the same headers with every request.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::certificate::{Certificate, SUITE};
use crate::load::{Done, Target};

/// How many of them.
const CLIENTS: usize = 8;
/// Connections of each.
const CONNECTIONS: u64 = 8;
/// Requests under way on each connection.
const STREAMS: u64 = 4;

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http2<'a> {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Which certificate is shown there.
    pub(crate) certificate: &'a Certificate,
    /// What.
    pub(crate) targets: &'a [Target],
    /// Which of them one after the other; every connection begins at the beginning.
    pub(crate) order: &'a [usize],
    /// With which grants, one for each client; none sends no `Authorization`.
    pub(crate) grants: &'a [String],
    /// How many requests in all, about.
    pub(crate) requests: u64,
}

/// What one client says that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    succeeded: u64,
    bytes: u64,
}

impl Http2<'_> {
    /// Requests of one connection.
    fn each(&self) -> u64 {
        (self.requests / (CLIENTS as u64 * CONNECTIONS)).max(1)
    }

    /// Requests in all, exactly.
    pub(crate) fn requests(&self) -> u64 {
        self.each() * CLIENTS as u64 * CONNECTIONS
    }

    /// Carries the load out, with what must be written down in `folder`; any wrong answer ends it.
    pub(crate) fn run(&self, folder: &Path) -> anyhow::Result<Done> {
        let orders: Vec<Vec<usize>> = (0..CLIENTS).map(|n| self.order_of(n)).collect();
        let mut commands = Vec::new();
        for (n, order) in orders.iter().enumerate() {
            let list = folder.join(format!("h2load-{n}"));
            let urls = order.iter().fold(String::new(), |mut urls, &at| {
                let _ = writeln!(urls, "https://{}{}", self.address, self.targets[at].path);
                urls
            });
            std::fs::write(&list, urls).context("write the list of requests")?;
            commands.push(self.command(n, &list));
        }
        let begin = Instant::now();
        let clients: Vec<Child> = commands
            .iter_mut()
            .map(|command| command.spawn().context("start h2load"))
            .collect::<anyhow::Result<_>>()?;
        let mut outputs = Vec::new();
        for client in clients {
            outputs.push(client.wait_with_output().context("wait for h2load")?);
        }
        let wall = begin.elapsed();
        let mut bytes = 0;
        for (output, order) in outputs.iter().zip(&orders) {
            let text = String::from_utf8_lossy(&output.stdout);
            let said = parse(&text).with_context(|| format!("h2load said: {text}"))?;
            let once: u64 = order
                .iter()
                .cycle()
                .take(usize::try_from(self.each())?)
                .map(|&at| self.targets[at].len)
                .sum();
            let expected = Said { succeeded: self.each() * CONNECTIONS, bytes: once * CONNECTIONS };
            ensure!(said == expected, "{said:?} instead of {expected:?}");
            bytes += said.bytes;
        }
        Ok(Done { bytes, wall, p99: None })
    }

    /// Fetches everything once by HTTP/2, with `curl`, and compares every byte.
    pub(crate) fn verify(&self, folder: &Path) -> anyhow::Result<()> {
        let list = folder.join("curl");
        let mut config = String::new();
        for Target { path, .. } in self.targets {
            writeln!(config, "url = \"https://{}{path}\"", self.address)?;
        }
        if let Some(grant) = self.grants.first() {
            writeln!(config, "header = \"Authorization: Bearer {grant}\"")?;
        }
        std::fs::write(&list, config).context("write the list of requests")?;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--http2", "--tlsv1.3", "--tls13-ciphers", SUITE]);
        curl.args(["--write-out", "%{stderr}%{http_version}\n", "--cacert"]).arg(self.certificate.chain());
        let output = curl.arg("--config").arg(&list).output().context("run curl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut bodies = &output.stdout[..];
        for target in self.targets {
            let whole = bodies.split_at_checked(usize::try_from(target.len)?);
            let (body, rest) = whole.with_context(|| format!("{} is cut short: {said}", target.path))?;
            ensure!(blake3::hash(body) == target.hash, "{} has other bytes: {said}", target.path);
            bodies = rest;
        }
        ensure!(output.status.success() && bodies.is_empty(), "curl: {said}");
        ensure!(said.lines().all(|version| version == "2"), "not by HTTP/2: {said}");
        Ok(())
    }

    /// Each client begins elsewhere.
    fn order_of(&self, client: usize) -> Vec<usize> {
        let mut order = self.order.to_vec();
        order.rotate_left(client * self.order.len() / CLIENTS);
        order
    }

    fn command(&self, client: usize, list: &Path) -> Command {
        let mut command = Command::new("h2load");
        let requests = self.each() * CONNECTIONS;
        command.args(["--clients", &CONNECTIONS.to_string(), "--requests", &requests.to_string()]);
        command.args(["--max-concurrent-streams", &STREAMS.to_string(), "--npn-list", "h2"]);
        command.args(["--tls13-ciphers", SUITE, "--input-file"]).arg(list);
        if let Some(grant) = self.grants.get(client % self.grants.len().max(1)) {
            command.args(["--header", &format!("authorization: Bearer {grant}")]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// The two lines that count, out of all that it prints.
fn parse(text: &str) -> Option<Said> {
    let line = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let succeeded = line("status codes: ")?.split(' ').next()?.parse().ok()?;
    let data = line("traffic: ")?.rsplit_once('(')?.1;
    Some(Said { succeeded, bytes: data.strip_suffix(") data")?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_prints_is_read() {
        let text = "finished in 1.02s, 980.39 req/s, 71.00MB/s\n\
            status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx\n\
            traffic: 72.01MB (75500000) total, 50.00KB (51200) headers (space savings 90.00%), 71.91MB (75400000) data\n";
        assert_eq!(parse(text), Some(Said { succeeded: 1000, bytes: 75_400_000 }));
        assert_eq!(parse("nothing"), None);
    }
}
