//! What transcoder cells are asked to do, seen and delayed from between them and their packager.
//!
//! A stack whose `packager.transcoder` is [`Cells::program`] starts the program `cell-gate` in
//! the place of each cell. It writes down what it is asked, waits while a story holds cells of
//! its kind, and then becomes the real transcoder. So a story decides what is there and what is
//! not, and nothing depends on how quick the machine is.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Lane;
use model::cell::{Request, Source, Task};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{program, until};

/// What a cell is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// To say what a file holds.
    Probe,
    /// To make the initialisation segments.
    Announce,
    /// The sound.
    Sound,
    /// Poster and thumbnail.
    Stills,
    /// The beginning of lane A.
    First,
    /// A chunk further on for which somebody waits.
    Wanted,
    /// Any other chunk of lane A.
    Rest,
    /// Any other chunk of lane B.
    Upper,
    /// A run of the copied rendition.
    Copy,
}

/// A cell that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its process.
    pub pid: i32,
    /// The process that started it.
    pub packager: i32,
    /// What it is for.
    pub kind: Kind,
    /// The segments it makes, if it makes pictures.
    pub segments: Option<Range<u32>>,
    /// The size of its file, by which films are told apart.
    pub file_bytes: u64,
}

impl Started {
    /// What a request asks.
    pub fn of(request: &Request, pid: i32, packager: i32) -> Self {
        let (source, kind, segments) = if let Request::Work { source, task, .. } = request {
            let (kind, segments) = Self::of_task(task);
            (source, kind, segments)
        } else if let Request::Probe { source } = request {
            (source, Kind::Probe, None)
        } else {
            panic!("no part of a plan: {request:?}")
        };
        let (Source::File { size } | Source::Ranges { size }) = *source;
        Self { pid, packager, kind, segments, file_bytes: size }
    }

    fn of_task(task: &Task) -> (Kind, Option<Range<u32>>) {
        match task {
            Task::Announce => (Kind::Announce, None),
            Task::Sound => (Kind::Sound, None),
            Task::Stills => (Kind::Stills, None),
            Task::Copy { segments } => (Kind::Copy, Some(segments.clone())),
            Task::Pictures { renditions, segments, hurry } => {
                let is_upper = renditions.iter().any(|name| Lane::of(*name) == Lane::B);
                let kind = match (segments.start, hurry, is_upper) {
                    (0, _, false) => Kind::First,
                    (1.., true, _) => Kind::Wanted,
                    (_, _, true) => Kind::Upper,
                    (_, _, false) => Kind::Rest,
                };
                (kind, Some(segments.clone()))
            }
        }
    }
}

/// Which cells die as soon as they are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poison {
    /// Of this kind,
    pub kind: Kind,
    /// for the file of this size,
    pub file_bytes: u64,
    /// whose segments have this one in them, if they make pictures.
    pub segment: Option<u32>,
}

impl Poison {
    /// Whether it is for this cell.
    pub fn is_for(&self, cell: &Started) -> bool {
        let hits = |wanted: u32| cell.segments.as_ref().is_some_and(|all| all.contains(&wanted));
        self.kind == cell.kind && self.file_bytes == cell.file_bytes && self.segment.is_none_or(hits)
    }
}

/// The gate before the cells of one stack.
#[derive(Debug)]
pub struct Cells {
    folder: TempDir,
}

/// Cells of a kind that wait until this is dropped.
#[derive(Debug)]
pub struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // The end of the descriptor would do it as well.
        let _ = self.0.unlock();
    }
}

impl Cells {
    const JOURNAL: &'static str = "journal";
    const POISON: &'static str = "poison";

    /// A gate that lets everybody pass.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let script = folder.path().join("transcoder");
        let [gate, real] = [program("cell-gate"), program("cocuyo-transcoder")];
        let (gate, real, folder_name) = (gate.display(), real.display(), folder.path().display());
        let text = format!("#!/bin/sh\nexec '{gate}' '{folder_name}' '{real}'\n");
        std::fs::write(&script, text).expect("write the script");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it is a program");
        Self { folder }
    }

    /// What stands for `cocuyo-transcoder`.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("transcoder")
    }

    /// The section of a configuration, with more keys of it.
    pub fn configuration(&self, more: &str) -> String {
        format!("[packager]\ntranscoder = \"{}\"\n{more}\n", self.program().display())
    }

    /// From now on cells of this kind that are started wait.
    pub fn hold(&self, kind: Kind) -> Held {
        let file = Self::hold_file(self.folder.path(), kind);
        file.lock().expect("nobody else holds it for long");
        Held(file)
    }

    /// Cells that this poison is for crash, and no others.
    pub fn poison(&self, poison: &Poison) {
        let path = self.folder.path().join(Self::POISON);
        std::fs::write(path, serde_json::to_vec(poison).expect("it is JSON")).expect("write the poison");
    }

    /// Cells that were started, in order.
    pub fn started(&self) -> Vec<Started> {
        let journal = std::fs::read_to_string(self.folder.path().join(Self::JOURNAL)).unwrap_or_default();
        journal.lines().map(|line| serde_json::from_str(line).expect("the gate writes it")).collect()
    }

    /// Waits until a cell was started that `is_it`, and returns the first such.
    pub async fn until_started(&self, what: &str, is_it: impl Fn(&Started) -> bool) -> Started {
        until(what, Duration::from_secs(180), || async {
            let started = self.started();
            let found = started.iter().find(|cell| is_it(cell)).cloned();
            found.ok_or(started)
        })
        .await
    }

    fn hold_file(folder: &Path, kind: Kind) -> File {
        let path = folder.join(format!("hold-{kind:?}"));
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        opened.expect("open the file that cells wait for")
    }

    /// For the gate: notes the cell, lets it wait, and gives whether it may live.
    pub fn admit(folder: &Path, cell: &Started) -> bool {
        let mut line = serde_json::to_vec(cell).expect("it is JSON");
        line.push(b'\n');
        let journal = OpenOptions::new().create(true).append(true).open(folder.join(Self::JOURNAL));
        journal.and_then(|mut file| file.write_all(&line)).expect("write the journal");
        Self::hold_file(folder, cell.kind).lock_shared().expect("wait at the gate");
        let poison = std::fs::read(folder.join(Self::POISON)).unwrap_or_default();
        !serde_json::from_slice::<Poison>(&poison).is_ok_and(|poison| poison.is_for(cell))
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}
