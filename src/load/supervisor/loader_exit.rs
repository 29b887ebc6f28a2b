//! The errors of loader processes that exit without a message: crashes, kills and resource limits.

use nix::sys::signal::Signal;

use crate::error::{Error, Kind};
use crate::load::supervisor::child::{PANICKED, ProcessEnd};
use crate::os::limits;

/// Returns the error of a loader that exited without a last message.
pub(crate) fn exit_error(end: ProcessEnd, reading: Option<&str>, file: &str) -> Error {
    let place = reading.map_or_else(String::new, |path| format!(" while reading '{path}'"));
    if let Some(error) = limited(end, &place) {
        return error.with_subject(file);
    }
    match end {
        ProcessEnd::Killed(Signal::SIGKILL) => Error::new(
            Kind::NoMemory,
            format!("the loader was killed{place}, probably by the kernel for lack of memory"),
        )
        .with_hint("load less with --include, or give the job more memory (--mem)"),
        ProcessEnd::Killed(Signal::SIGSYS) => Error::new(
            Kind::Permission,
            format!("the loader was killed{place} for a system call that a seccomp filter forbids"),
        )
        .with_hint("let the filter refuse userfaultfd(2) with EPERM, or load with --jobs 1"),
        ProcessEnd::Killed(signal) => Error::new(
            Kind::Corrupt,
            format!("the HDF5 library crashed ({signal}){place}: '{file}' is probably corrupt"),
        )
        .with_hint("check the file with h5dump or h5check"),
        ProcessEnd::Exited(PANICKED) => {
            Error::new(Kind::Io, format!("the loader panicked{place}; the panic message is above"))
                .with_hint("report it with the file; to load the other datasets, use --exclude")
        }
        ProcessEnd::Exited(status) => Error::new(
            Kind::Io,
            format!("the loader exited with status {status} without an error message{place}"),
        ),
    }
    .with_subject(file)
}

/// A loader that starts with fewer bytes of free address space may crash for lack of it.
const SCARCE: u64 = 64 << 20;

/// Returns the error of a loader that a resource limit ended.
fn limited(end: ProcessEnd, place: &str) -> Option<Error> {
    let seconds = limits::processor_seconds().filter(|&seconds| {
        end == ProcessEnd::Killed(Signal::SIGXCPU)
            || (end == ProcessEnd::Killed(Signal::SIGKILL) && children_seconds() >= seconds)
    });
    if let Some(seconds) = seconds {
        let message = format!("the loader reached its limit of {seconds} s of CPU time{place}");
        return Some(Error::new(Kind::Io, message).with_hint("raise the limit: ulimit -t"));
    }
    // Without memory, the allocator of a Rust program aborts it, and libraries panic.
    let aborted =
        [ProcessEnd::Killed(Signal::SIGABRT), ProcessEnd::Exited(PANICKED)].contains(&end);
    // Where an allocation fails, the HDF5 library may use the null pointer. A stack that cannot grow ends likewise.
    let crashed = end == ProcessEnd::Killed(Signal::SIGSEGV)
        && limits::free_addresses().is_some_and(|bytes| bytes < SCARCE);
    let bytes = limits::address_space().filter(|_| aborted || crashed)?;
    let message = format!("the loader was aborted{place}, probably for lack of address space");
    let hint = format!("it is limited to {bytes} bytes; raise the limit: ulimit -v, ulimit -d");
    Some(Error::new(Kind::NoMemory, message).with_hint(hint))
}

/// Returns the CPU time of all children that have exited.
fn children_seconds() -> u64 {
    let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
    used.map_or(0, |used| {
        u64::try_from(used.user_time().tv_sec() + used.system_time().tv_sec() + 1).unwrap_or(0)
    })
}
