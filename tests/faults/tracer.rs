//! Runs a command under ptrace and kills all of it at its n-th system call, or makes that call fail.
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
    /// Those on files and directories.
    Files,
}

impl Calls {
    fn count(self, number: i64) -> bool {
        match self {
            Self::All => true,
            Self::Changing => CHANGING.contains(&number),
            Self::Files => FILES.contains(&number),
        }
    }
}

/// What happens at the counted call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Every process of the command is killed.
    Kill,
    /// The call is not made, and fails with this error. All that follow are made.
    Fail(Errno),
}

const FILES: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_getdents64,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_fchmod,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_mmap,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_renameat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

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
pub fn kill_at(command: &mut Command, calls: Calls, point: usize) -> Option<i64> {
    trace(command, calls, point, Fault::Kill)
}

/// Runs `command`, and makes its `point`-th system call (from 1) fail with `error`, in whatever process of it. Returns
/// that call's number, or `None` when it ended before.
pub fn fail_at(command: &mut Command, calls: Calls, point: usize, error: Errno) -> Option<i64> {
    trace(command, calls, point, Fault::Fail(error))
}

/// Whether [`fail_at`] can change the result of a system call on this machine.
pub const CAN_FAIL: bool = cfg!(target_arch = "x86_64");

#[expect(clippy::zombie_processes, reason = "waitpid takes them, with the processes they started")]
fn trace(command: &mut Command, calls: Calls, point: usize, fault: Fault) -> Option<i64> {
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
    let started = BTreeSet::from([leader]);
    Trace { calls, point, fault, seen: 0, started, met: None, failing: None }.follow(leader)
}

struct Trace {
    calls: Calls,
    point: usize,
    fault: Fault,
    seen: usize,
    started: BTreeSet<Pid>,
    /// The call at which the fault happened.
    met: Option<i64>,
    /// The process whose call is to fail when it returns.
    failing: Option<Pid>,
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
                Err(_) => return self.met,
            }
            if self.met.is_some() && self.fault == Fault::Kill {
                for pid in &self.started {
                    let _ = kill(*pid, Signal::SIGKILL);
                }
            }
        }
    }

    fn at_call(&mut self, pid: Pid) {
        if self.failing == Some(pid) {
            self.failing = None;
            if let Fault::Fail(error) = self.fault {
                set_result(pid, error);
            }
        } else if let Some(number) = entered(pid)
            && self.calls.count(number)
        {
            self.seen += 1;
            if self.seen == self.point {
                self.met = Some(number);
                if self.fault == Fault::Kill {
                    return;
                }
                skip_call(pid);
                self.failing = Some(pid);
            }
        }
        let _ = ptrace::syscall(pid, None);
    }
}

/// Makes the kernel skip the call that `pid` is about to make (ptrace(2), PTRACE_SYSCALL).
#[cfg(target_arch = "x86_64")]
fn skip_call(pid: Pid) {
    let mut registers = ptrace::getregs(pid).expect("registers");
    registers.orig_rax = u64::MAX;
    ptrace::setregs(pid, registers).expect("to set registers");
}

#[cfg(target_arch = "x86_64")]
fn set_result(pid: Pid, error: Errno) {
    let mut registers = ptrace::getregs(pid).expect("registers");
    registers.rax = i64::from(-(error as i32)).cast_unsigned();
    ptrace::setregs(pid, registers).expect("to set registers");
}

#[cfg(not(target_arch = "x86_64"))]
fn skip_call(_: Pid) {
    unreachable!("CAN_FAIL is false");
}

#[cfg(not(target_arch = "x86_64"))]
fn set_result(_: Pid, _: Errno) {
    unreachable!("CAN_FAIL is false");
}

/// The number of the system call that `pid` is about to make; `None` when it is just leaving one.
fn entered(pid: Pid) -> Option<i64> {
    let info = ptrace::syscall_info(pid).ok()?;
    // SAFETY: the kernel says which member of the union it has filled.
    (info.op == libc::PTRACE_SYSCALL_INFO_ENTRY)
        .then(|| i64::try_from(unsafe { info.u.entry.nr }).unwrap_or(-1))
}
