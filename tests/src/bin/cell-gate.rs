//! Stands in the place of `cocuyo-transcoder` for stories: see `tests::Cells`.
//!
//! `cell-gate FOLDER PROGRAM` looks at the request without taking it from the pipe, and becomes
//! PROGRAM with every descriptor as it was.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use model::cell::{FrameLengths, Request, decode_head};
use nix::fcntl::{SpliceFFlags, tee};
use nix::unistd::{execv, getpid, getppid, pipe};
use tests::{Cells, Started};

fn main() -> Infallible {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, program] = &arguments[..] else { panic!("usage: cell-gate FOLDER PROGRAM") };
    let cell = Started::of(&peek(), getpid().as_raw(), getppid().as_raw());
    if !Cells::admit(folder, &cell) {
        std::process::abort();
    }
    let program = CString::new(program.as_os_str().as_bytes()).expect("a path has no NUL");
    execv(&program, &[&program]).expect("become the transcoder")
}

/// The request on standard input, which stays there.
fn peek() -> Request {
    loop {
        let (reader, writer) = pipe().expect("a pipe");
        // Waits for the first byte.
        let there =
            tee(std::io::stdin(), writer, 1 << 16, SpliceFFlags::empty()).expect("look into the pipe");
        assert_ne!(there, 0, "the packager is gone");
        let mut bytes = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut bytes).expect("read a pipe");
        let Some(lengths) = bytes.first_chunk() else { continue };
        let lengths = FrameLengths::parse(*lengths).expect("a packager speaks in frames");
        if let Some(head) = bytes.get(FrameLengths::SIZE..FrameLengths::SIZE + lengths.head as usize) {
            return decode_head(head).expect("a packager asks");
        }
    }
}
