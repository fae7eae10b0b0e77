use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::until;

/// A running `cocuyo serve` and what it has logged; it is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Code(i32),
    /// Of this signal.
    Signal(i32),
}

impl Server {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start cocuyo");
        let log = Arc::default();
        keep(child.stdout.take().expect("piped"), &log);
        keep(child.stderr.take().expect("piped"), &log);
        Self { child, log }
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the reader never panics").clone()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid fits"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is not reaped yet");
    }

    /// Waits until it says where it listens, and returns the port.
    pub async fn until_listening(&mut self) -> u16 {
        until("the server to listen", Duration::from_secs(30), || {
            let ended = self.child.try_wait().expect("ask for its state");
            let log = self.log();
            assert_eq!(ended, None, "it ended: {log}");
            let line = log.lines().rev().find_map(|line| line.split_once("serves http://127.0.0.1:"));
            let port = line.and_then(|(_, port)| port.trim().parse().ok());
            std::future::ready(port.ok_or(log))
        })
        .await
    }

    /// Whether it has come to an end.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("ask for its state").is_some()
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> End {
        let status = until("the server to end", Duration::from_secs(60), || {
            let status = self.child.try_wait().expect("ask for its state");
            std::future::ready(status.ok_or_else(|| self.log()))
        })
        .await;
        match status.code() {
            Some(code) => End::Code(code),
            None => End::Signal(status.signal().expect("an end has a code or a signal")),
        }
    }

    /// `kill -9`, as a crash does it; the machine and its disks live on.
    pub fn kill(mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("reap the server");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody may be left behind when a story fails halfway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(lines: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("no holder panics");
            log.push_str(&line);
            log.push('\n');
        }
    });
}
