use nix::sys::signal::Signal;

use crate::{Server, Stack};

/// A process of an installation that has some of its roles, on ports that it keeps.
#[derive(Debug)]
pub struct Part {
    role: &'static str,
    listen: String,
    rtmp: String,
    server: Option<Server>,
}

impl Part {
    /// A process with `role` beside the server of `stack`, on the same machine.
    pub async fn start(stack: &Stack, role: &'static str) -> Self {
        let any = || "127.0.0.1:0".to_owned();
        let mut part = Self { role, listen: any(), rtmp: any(), server: None };
        part.again(stack).await;
        part
    }

    /// Starts it again.
    pub async fn again(&mut self, stack: &Stack) {
        let mut command = stack.part(self.role);
        let mut server = Server::spawn(command.args(["--listen", &self.listen, "--rtmp", &self.rtmp]));
        self.listen = format!("127.0.0.1:{}", server.until_listening().await);
        let log = server.log();
        let place = log.lines().rev().find_map(|line| line.split_once("takes live streams at rtmp://"));
        if let Some((_, place)) = place {
            self.rtmp = place.trim().trim_end_matches("/live").to_owned();
        }
        self.server = Some(server);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        server.signal(Signal::SIGTERM);
        server.ended().await;
    }

    /// `http://127.0.0.1:port` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// Where live streams are published to.
    pub fn live_url(&self) -> String {
        format!("rtmp://{}/live", self.rtmp)
    }

    /// Everything it has logged since it was started.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }
}
