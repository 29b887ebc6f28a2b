//! Processes that end with their test, even if it fails. They are ended only by process id.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigHandler, Signal, kill, killpg, signal};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::support::wait_until;

/// The time after which a command counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(100);

/// Exit code and output of a command.
#[derive(Debug)]
pub struct Done {
    /// The exit code; 1000 + the signal's number when one ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    fn new(status: ExitStatus, out: &mut File, err: &mut File) -> Self {
        let code = status.code().unwrap_or_else(|| 1000 + status.signal().unwrap_or(0));
        Self { code, out: text(out), err: text(err) }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Parses the one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).expect("output");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A running command in its own process group.
pub struct Process {
    child: Child,
    out: File,
    err: File,
    done: bool,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        nix::sys::prctl::set_child_subreaper(true).expect("to adopt orphans");
        let [out, err] = [(); 2].map(|()| tempfile::tempfile().expect("a temporary file"));
        command.stdout(out.try_clone().expect("stdout")).stderr(err.try_clone().expect("stderr"));
        // A shell that runs the tests in the background may have set SIGINT to be ignored.
        // SAFETY: signal(2) is safe between fork and exec.
        unsafe {
            command.pre_exec(|| {
                for ending in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
                    signal(ending, SigHandler::SigDfl)?;
                }
                Ok(())
            });
        }
        let child = command.stdin(Stdio::null()).process_group(0).spawn().expect("the command");
        Self { child, out, err, done: false }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// Returns its output on stdout so far.
    pub fn said(&mut self) -> String {
        let mut clone = File::open(format!("/proc/self/fd/{}", {
            use std::os::fd::AsRawFd as _;
            self.out.as_raw_fd()
        }))
        .expect("stdout again");
        text(&mut clone)
    }

    /// Returns its only child: the loader of a keeper.
    pub fn only_child(&self) -> Option<Pid> {
        let pid = self.pid();
        let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        listed.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("to signal a process of ours");
    }

    /// Returns its exit code, if it has exited, and its output so far.
    pub fn so_far(&mut self) -> (Option<ExitStatus>, String, String) {
        let status = self.child.try_wait().expect("to ask for a child");
        (status, text(&mut self.out), text(&mut self.err))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("to ask for a child").is_none()
    }

    /// Sends SIGKILL to the whole group and waits until all its processes have exited.
    pub fn kill_group(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
        self.done = true;
        let group = Pid::from_raw(-self.pid().as_raw());
        // Orphaned processes of the group become children of this process.
        wait_until("the exit of the group", || {
            matches!(waitpid(group, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD))
        });
    }

    /// Waits for its exit and that of every process in its group.
    pub fn wait_for_all(self) -> Done {
        let group = Pid::from_raw(-self.pid().as_raw());
        let done = self.wait();
        wait_until("the group has ended", || {
            matches!(waitpid(group, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD))
        });
        done
    }

    /// Waits for its exit. A hang fails the test.
    #[track_caller]
    pub fn wait(mut self) -> Done {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("to wait for a child") {
                self.done = true;
                return Done::new(status, &mut self.out, &mut self.err);
            }
            assert!(begun.elapsed() < LIMIT, "it hangs: {}", text(&mut self.err));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.done {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Whether the process no longer runs. A zombie counts as exited.
pub fn has_exited(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Makes the command run as this user, with these additional groups.
pub fn as_user(command: &mut Command, uid: u32, gid: u32, groups: &[u32]) {
    let groups: Vec<libc::gid_t> = groups.to_vec();
    // SAFETY: three system calls, all of them safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::setgroups(groups.len(), groups.as_ptr()) == 0
                && libc::setgid(gid) == 0
                && libc::setuid(uid) == 0
            {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}

/// Makes the directories `from`, with all mounts in them, visible to the command at the paths `to`.
pub fn with_mounts(command: &mut Command, binds: Vec<(PathBuf, PathBuf)>) {
    // SAFETY: unshare(2) and mount(2) are safe between fork and exec; nix copies the short paths to the stack.
    unsafe {
        command.pre_exec(move || {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            for (from, to) in &binds {
                mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
            }
            Ok(())
        });
    }
}
