//! Runs a command under ptrace, and kills all its processes at the n-th system call, or makes that call fail.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

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
    /// Those with an effect that another process can see. The effect of a creating `openat` is seen at the next call.
    Changing,
    /// Those that fail on a full or faulty system, after the start of the program.
    Fallible,
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

const FALLIBLE: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_mkdirat,
    libc::SYS_mmap,
    libc::SYS_madvise,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_signalfd4,
    libc::SYS_eventfd2,
    libc::SYS_userfaultfd,
    libc::SYS_ioctl,
    libc::SYS_prlimit64,
    libc::SYS_prctl,
    libc::SYS_wait4,
    libc::SYS_copy_file_range,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

/// Longer than any traced command takes.
const LIMIT: Duration = Duration::from_secs(90);

/// An error at a system call.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Which of the [`Calls::Fallible`] calls, from 1.
    pub point: usize,
    pub errno: Errno,
    /// Whether every later such call fails too.
    pub lasting: bool,
}

/// The result of a command with a failing system call.
#[derive(Debug)]
pub struct Failed {
    /// The first call that failed; `None` if the command made fewer calls.
    pub call: Option<i64>,
    /// The exit code; 1000 + the signal's number if one ended it.
    pub code: i32,
    pub err: String,
    /// Whether it was killed because it did not exit.
    pub hung: bool,
    /// The number of calls that could have failed.
    pub calls: usize,
}

/// Runs `command` to its end, with failing system calls.
pub fn fail_at(command: &mut Command, failure: Failure) -> Failed {
    let mut err = tempfile::tempfile().expect("a temporary file");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(err.try_clone().expect("stderr"));
    let leader = start(command);
    let watchdog = Watchdog::start(leader);
    let mut trace = Trace::new(Calls::Fallible, failure.point, leader);
    trace.failure = Some(failure);
    let ended = trace.follow(leader);
    let hung = watchdog.stop();
    let (call, code, calls) = (ended.hit, ended.code, ended.seen);
    Failed { call, code, err: text(&mut err), hung, calls }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).expect("output");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Kills the process group of a command that does not exit.
struct Watchdog(Sender<()>, std::thread::JoinHandle<bool>);

impl Watchdog {
    fn start(leader: Pid) -> Self {
        let (ended, waiting) = channel();
        let thread = std::thread::spawn(move || {
            let hung = waiting.recv_timeout(LIMIT).is_err();
            if hung {
                let _ = nix::sys::signal::killpg(leader, Signal::SIGKILL);
            }
            hung
        });
        Self(ended, thread)
    }

    fn stop(self) -> bool {
        let _ = self.0.send(());
        self.1.join().expect("the watchdog")
    }
}

/// Runs `command` until its `point`-th system call (from 1), in any of its processes, and kills
/// all of them there. Returns the number of that call, or `None` if the command exited before.
pub fn kill_at(command: &mut Command, calls: Calls, point: usize) -> Option<i64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let leader = start(command);
    Trace::new(calls, point, leader).follow(leader).hit
}

/// The decision at a system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    GoOn,
    /// Every process of the command is killed, before the call.
    Kill,
}

/// The result of an observed command.
#[derive(Debug)]
pub struct Observed {
    /// The exit code; 1000 + the signal's number if one ended it.
    pub code: i32,
    pub err: String,
    /// The observer killed it.
    pub is_killed: bool,
}

/// Runs `command` to its end, and calls `observe` before each counted system call of any of its processes. That
/// process waits for the decision. The calling thread must have no other children.
pub fn observe(command: &mut Command, calls: Calls, observe: &mut dyn FnMut() -> Then) -> Observed {
    let mut err = tempfile::tempfile().expect("a temporary file");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let leader = start(command.stderr(err.try_clone().expect("stderr")));
    let mut trace = Trace::new(calls, 0, leader);
    trace.observer = Some(observe);
    let ended = trace.follow(leader);
    Observed { code: ended.code, err: text(&mut err), is_killed: ended.hit.is_some() }
}

/// Starts `command` as the leader of a process group that this thread traces.
#[expect(clippy::zombie_processes, reason = "waitpid takes them, with the processes they started")]
fn start(command: &mut Command) -> Pid {
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
        // Otherwise a program that the command executes gets a SIGTRAP.
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(leader, options).expect("to trace a child");
    leader
}

struct Trace<'a> {
    calls: Calls,
    point: usize,
    seen: usize,
    started: BTreeSet<Pid>,
    hit: Option<i64>,
    failure: Option<Failure>,
    observer: Option<&'a mut dyn FnMut() -> Then>,
    /// Threads in a failing call, with the error.
    failing: BTreeMap<Pid, Errno>,
    /// Whether the program's own code runs: its runtime has polled the standard descriptors.
    begun: bool,
}

/// The reached call, and the exit code of the leader.
struct Ended {
    seen: usize,
    hit: Option<i64>,
    code: i32,
}

impl Trace<'_> {
    fn new(calls: Calls, point: usize, leader: Pid) -> Self {
        let started = BTreeSet::from([leader]);
        let failing = BTreeMap::new();
        Self {
            calls,
            point,
            seen: 0,
            started,
            hit: None,
            failure: None,
            observer: None,
            failing,
            begun: false,
        }
    }

    /// Follows every process of the command until all have exited.
    fn follow(mut self, leader: Pid) -> Ended {
        let mut code = -1;
        let _ = ptrace::syscall(leader, None);
        // Only the children of this thread: other tests run at the same time.
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
                Ok(WaitStatus::Exited(pid, status)) if pid == leader => code = status,
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == leader => {
                    code = 1000 + signal as i32;
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return Ended { seen: self.seen, hit: self.hit, code },
            }
            if self.hit.is_some() && self.failure.is_none() {
                for pid in &self.started {
                    let _ = kill(*pid, Signal::SIGKILL);
                }
            }
        }
    }

    fn at_call(&mut self, pid: Pid) {
        if let Some(errno) = self.failing.remove(&pid) {
            set_result(pid, errno);
        } else if let Some((number, args)) = entered(pid)
            && self.counts(number, args)
        {
            self.seen += 1;
            let is_hit = match &mut self.observer {
                Some(observe) => observe() == Then::Kill,
                None => self.seen == self.point,
            };
            if is_hit {
                self.hit = Some(number);
            }
            match self.failure {
                None if is_hit => return,
                None => {}
                Some(failure) => self.let_fail(pid, number, failure),
            }
        }
        let _ = ptrace::syscall(pid, None);
    }

    fn let_fail(&mut self, pid: Pid, number: i64, failure: Failure) {
        let reached = self.seen == self.point || (failure.lasting && self.seen > self.point);
        // Polling and waiting fail for a moment only.
        let lasts = ![libc::SYS_ppoll, libc::SYS_wait4, POLL].contains(&number);
        if reached && (self.seen == self.point || lasts) {
            skip_call(pid);
            self.failing.insert(pid, failure.errno);
        }
    }

    fn counts(&mut self, number: i64, args: [u64; 6]) -> bool {
        match self.calls {
            Calls::All => true,
            Calls::Changing => CHANGING.contains(&number),
            Calls::Fallible => {
                let begun = self.begun;
                self.begun |= number == POLL;
                let is_own_output = number == libc::SYS_write && args[0] <= 2;
                // Anonymous memory is for the allocator, which cannot continue without it.
                let is_anonymous = number == libc::SYS_mmap && args[4] > i32::MAX as u64;
                begun && FALLIBLE.contains(&number) && !is_own_output && !is_anonymous
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
const POLL: i64 = libc::SYS_poll;
#[cfg(not(target_arch = "x86_64"))]
const POLL: i64 = libc::SYS_ppoll;

/// Returns number and arguments of the system call that `pid` enters, or `None` if it leaves one.
fn entered(pid: Pid) -> Option<(i64, [u64; 6])> {
    let info = ptrace::syscall_info(pid).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` identifies the member of the union that the kernel has filled.
    let entry = unsafe { info.u.entry };
    Some((i64::try_from(entry.nr).unwrap_or(-1), entry.args))
}

/// Whether system calls can be made to fail on this processor.
pub const CAN_FAIL: bool = cfg!(target_arch = "x86_64");

/// Replaces the call that `pid` enters by one that does not exist.
fn skip_call(pid: Pid) {
    #[cfg(target_arch = "x86_64")]
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.orig_rax = u64::MAX;
        let _ = ptrace::setregs(pid, registers);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = pid;
}

/// Sets the result of the call that `pid` is leaving.
fn set_result(pid: Pid, errno: Errno) {
    #[cfg(target_arch = "x86_64")]
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.rax = (-i64::from(errno as i32)).cast_unsigned();
        let _ = ptrace::setregs(pid, registers);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pid, errno);
}
