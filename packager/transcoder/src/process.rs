//! What the process has from its parent, and what it denies itself before it reads anything.
#![expect(unsafe_code, reason = "the media descriptor and resource limits are C's")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use model::cell::MEDIA_FD;

/// Bytes that a pipe may hold between us and the parent: the most that the kernel grants everybody.
/// With its 64 KiB both would wait for each other dozens of times in each segment.
const PIPE: libc::c_int = 1 << 20;

/// Nobody needs more: three streams, the media, what a library opens in passing.
const OPEN_FILES: u64 = 32;

/// Takes over the descriptor on which the parent gave the media. To be called once.
pub(crate) fn media() -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only looks at the descriptor table.
    if unsafe { libc::fcntl(MEDIA_FD, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open (checked above), was inherited for this purpose, and nothing
    // else in the process knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(MEDIA_FD) })
}

/// Standard output as it is, unbuffered: replies are written whole.
pub(crate) fn output() -> io::Result<File> {
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    // Where it is no pipe, or the kernel grants less, it works as well.
    // SAFETY: F_SETPIPE_SZ takes a number and touches no memory of ours; the descriptor is open.
    let _ = unsafe { libc::fcntl(output.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE) };
    Ok(output.into())
}

/// No new privileges, no core dump, no byte to a file, few descriptors. Replies go to a pipe, which
/// is no file. How nice to be is the parent's choice.
pub(crate) fn confine() -> io::Result<()> {
    // When the machine runs out of memory, this process goes first and not the server. Where the
    // file cannot be written, the limits below still hold.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // SAFETY: PR_SET_NO_NEW_PRIVS takes plain numbers and touches no memory of ours.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // A packager that is killed while we stand still for others cannot let us go on, and only who
    // goes on notices that it is gone.
    // SAFETY: PR_SET_PDEATHSIG takes plain numbers and touches no memory of ours.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGCONT, 0, 0, 0) })?;
    limit(libc::RLIMIT_CORE, 0)?;
    // A write to a file then fails; it does not kill.
    // SAFETY: the signal exists, and to ignore it runs no code of ours.
    if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_NOFILE, OPEN_FILES)
}

/// Bounds the processor time of the whole process, a last resort behind the parent's wall clock.
pub(crate) fn limit_cpu(seconds: u64) -> io::Result<()> {
    limit(libc::RLIMIT_CPU, seconds)
}

/// Bounds the address space, in bytes.
pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    limit(libc::RLIMIT_AS, bytes)
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` is a valid place for one `rlimit`.
    check(unsafe { libc::getrlimit(resource, &mut now) })?;
    // A parent may have set less; raising the hard limit is not ours to try.
    let value = value.min(now.rlim_max);
    let new = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `new` is one initialised `rlimit`, read during the call only.
    check(unsafe { libc::setrlimit(resource, &new) })
}

fn check(status: i32) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
