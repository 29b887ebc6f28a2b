//! Runs a command under ptrace and kills all of it at its n-th system call.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setpgid};

/// Which system calls count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Every one.
    All,
    /// Those that change something another process can see; what a creating `openat` did shows at the next one.
    Changing,
}

const CHANGING: &[i64] = &[
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_mkdirat,
    libc::SYS_clone,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_renameat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
];

/// Runs `command` until its `point`-th system call (from 1) begins, in whatever process of it, and ends
/// them all there by SIGKILL. Gives that call's number, or `None` when it ended before.
#[expect(clippy::zombie_processes, reason = "waitpid takes them, with the processes they started")]
pub fn kill_at(command: &mut Command, calls: Calls, point: usize) -> Option<i64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: two system calls, both safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(std::io::Error::from)?;
            ptrace::traceme().map_err(std::io::Error::from)
        });
    }
    let child = command.spawn().expect("the command");
    let leader = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    assert!(matches!(waitpid(leader, None), Ok(WaitStatus::Stopped(_, Signal::SIGTRAP))));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(leader, options).expect("to trace a child");
    Trace { calls, point, seen: 0, started: BTreeSet::from([leader]), killed: None }.follow(leader)
}

struct Trace {
    calls: Calls,
    point: usize,
    seen: usize,
    started: BTreeSet<Pid>,
    killed: Option<i64>,
}

impl Trace {
    /// Follows every process of the command until none is left.
    fn follow(mut self, leader: Pid) -> Option<i64> {
        let _ = ptrace::syscall(leader, None);
        // Only this thread's children: other tests run beside this one.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(Pid::from_raw(-1), Some(flags)) {
                Ok(WaitStatus::PtraceSyscall(pid)) => self.at_call(pid),
                Ok(WaitStatus::Stopped(pid, signal)) => {
                    // The first stop of a new process is the tracer's own.
                    let fresh = self.started.insert(pid) && signal == Signal::SIGSTOP;
                    let _ = ptrace::syscall(pid, (!fresh).then_some(signal));
                }
                Ok(WaitStatus::PtraceEvent(pid, ..)) => drop(ptrace::syscall(pid, None)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return self.killed,
            }
            if self.killed.is_some() {
                for pid in &self.started {
                    let _ = kill(*pid, Signal::SIGKILL);
                }
            }
        }
    }

    fn at_call(&mut self, pid: Pid) {
        if let Some(number) = entered(pid)
            && (self.calls == Calls::All || CHANGING.contains(&number))
        {
            self.seen += 1;
            if self.seen == self.point {
                self.killed = Some(number);
                return;
            }
        }
        let _ = ptrace::syscall(pid, None);
    }
}

/// The number of the system call that `pid` is about to make; `None` when it is just leaving one.
fn entered(pid: Pid) -> Option<i64> {
    let info = ptrace::syscall_info(pid).ok()?;
    // SAFETY: the kernel says which member of the union it has filled.
    (info.op == libc::PTRACE_SYSCALL_INFO_ENTRY)
        .then(|| i64::try_from(unsafe { info.u.entry.nr }).unwrap_or(-1))
}
