//! A cell's process, in a group of its own: started, seen out, always reaped.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::stderr;

/// How long a cell has between SIGTERM and SIGKILL, and between its last word and its exit.
pub(crate) const LEAVE: Duration = Duration::from_secs(2);

/// A child and whatever it may start. One that is dropped is killed; the runtime reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The child's process group; absent once the child is reaped and the number may be another's.
    group: Option<Pid>,
    stderr: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts a program in a folder, without any environment and with these descriptors.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        fds: Vec<FdMapping>,
        niceness: i32,
        tasks: &TaskTracker,
    ) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.fd_mappings(fds).map_err(|_| io::Error::other("two descriptors with one number"))?;
        let mut child = command.spawn()?;
        // The command holds our copies of the child's descriptors, whose closing ends the reads.
        drop(command);
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut process = Self { child, group, stderr: None };
        process.set_niceness(niceness);
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("a child without pipes"));
        };
        process.stderr = Some(tasks.spawn(stderr::read(stderr).instrument(Span::current())));
        Ok((process, stdin, stdout))
    }

    /// Its group, while that is its own.
    #[cfg(test)]
    pub(crate) fn group(&self) -> Option<Pid> {
        self.group
    }

    /// Whether it has been reaped.
    pub(crate) fn is_gone(&self) -> bool {
        self.group.is_none()
    }

    /// Sets the priority of all its threads, and of those that they will start.
    pub(crate) fn set_niceness(&self, niceness: i32) {
        let group = self.group.and_then(|group| rustix::process::Pid::from_raw(group.as_raw()));
        let Some(group) = group else { return };
        if let Err(error) = rustix::process::setpriority_pgrp(Some(group), niceness) {
            tracing::debug!(%error, niceness, "could not set a cell's priority");
        }
    }

    /// Sends a signal to all of it.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            _ = killpg(group, signal);
        }
    }

    /// Tells it to leave.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
    }

    /// Sees it out: waits for as long as `grace`, then ends it. None if that has been done before.
    pub(crate) async fn leave(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.group?;
        let left = tokio::time::timeout(grace, self.child.wait()).await;
        // While its leader is not reaped, the group's number is its own; afterwards it stays so
        // for as long as any other member lives, and there is none in a sandboxed cell.
        self.signal(Signal::SIGKILL);
        let status = match left {
            Ok(status) => status,
            Err(_) => self.child.wait().await,
        };
        self.group = None;
        status.inspect_err(|error| tracing::warn!(%error, "could not wait for a cell")).ok()
    }

    /// What it said last on its standard error, once; of a process that has left.
    pub(crate) async fn last_words(&mut self) -> Option<String> {
        // The reader ends with the process, whose descriptors are closed.
        let stderr = self.stderr.as_mut()?;
        let tail = tokio::time::timeout(LEAVE, stderr).await;
        self.stderr = None;
        tail.ok()?.ok().filter(|tail| !tail.is_empty())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
