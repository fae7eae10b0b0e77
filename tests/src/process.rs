use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A program of this workspace, built beside the test binary.
///
/// # Panics
///
/// If it was not built: `make test` builds it first.
pub fn program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own file");
    let profile = exe.parent().and_then(|deps| deps.parent()).expect("tests lie in target/<profile>/deps");
    let path = profile.join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo build -p server -p transcoder`, or `make test`",
        path.display()
    );
    path
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// Runs a program to its end.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Finished {
    let program = program.as_ref();
    let output = Command::new(program).args(args).output();
    let Output { status, stdout, stderr } =
        output.unwrap_or_else(|e| panic!("run {}: {e}", program.display()));
    Finished {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

impl Finished {
    /// The output of a program that had to succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}
