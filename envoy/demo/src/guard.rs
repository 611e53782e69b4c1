//! The guard between the runner and each of its children: where the runner dies without a word, the child ends too.
//!
//! The runner starts `portcullis-demo guard --parent PID -- PROGRAM ARGUMENTS`. The guard asks the kernel for SIGTERM at
//! its parent's death and then becomes the program, which keeps that request. The kernel means the parent's *thread*, so
//! children are started from the runner's main thread only.
//!
//! Only Linux has this request. Elsewhere the guard only becomes the program, and a runner that is killed with SIGKILL
//! leaves its children behind.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes `program`, tied to the life of the process `parent`. Returns only if that fails.
pub fn become_program(parent: u32, program: &OsString, arguments: &[OsString]) -> io::Error {
    if let Err(error) = end_with_parent() {
        return error;
    }
    // The parent may have died before the request was made; then nobody will send the signal.
    if parent_id() != Some(parent) {
        return io::Error::other("the process that started this one is gone");
    }
    Command::new(program).args(arguments).exec()
}

/// The id of this process's parent, if it has one in this process namespace.
pub fn parent_id() -> Option<u32> {
    rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
}

#[cfg(target_os = "linux")]
fn end_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?)
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> io::Result<()> {
    Ok(())
}
