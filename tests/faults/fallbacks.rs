//! Missing system calls of kernels and containers, and limits of processes, threads, file sizes and address space.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::process::{Done, Process, as_user};
use super::seccomp::{Deny, deny, no_threads};
use super::steps::at_every_call_with;
use super::support::{figure, is_full, is_root, wait_until};

/// `MADV_POPULATE_WRITE`, the third argument of madvise(2).
const POPULATE_WRITE: i32 = 23;

/// System calls that Linux 4.18 lacks, or filters of containers forbid.
fn missing(errno: i32) -> Vec<(&'static str, Deny)> {
    let call = |number| Deny::call(number, errno);
    vec![
        ("pidfd_open", call(libc::SYS_pidfd_open)),
        ("userfaultfd", call(libc::SYS_userfaultfd)),
        ("renameat2", call(libc::SYS_renameat2)),
        ("statx", call(libc::SYS_statx)),
        ("close_range", call(libc::SYS_close_range)),
        ("copy_file_range", call(libc::SYS_copy_file_range)),
        ("faccessat2", call(libc::SYS_faccessat2)),
        ("openat2", call(libc::SYS_openat2)),
        ("getrandom", call(libc::SYS_getrandom)),
        ("set_mempolicy", call(libc::SYS_set_mempolicy)),
        ("MADV_POPULATE_WRITE", Deny::with_bits(libc::SYS_madvise, errno, 2, POPULATE_WRITE)),
        ("O_TMPFILE", Deny::with_bits(libc::SYS_openat, errno, 2, libc::O_TMPFILE)),
    ]
}

/// A sandbox in which every command runs under a filter.
struct Filtered<'a> {
    sandbox: &'a Sandbox,
    rules: Vec<Deny>,
}

impl Filtered<'_> {
    fn command(&self, args: &[String]) -> Command {
        let mut command = self.sandbox.command(args);
        deny(&mut command, &self.rules);
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Done {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        Process::start(&mut self.command(&args)).wait()
    }

    #[track_caller]
    fn load(&self, file: &Path, more: &[&str]) -> Done {
        Process::start(&mut self.command(&load_args("p", file, more))).wait()
    }

    /// Runs each command once. Each must work as without a filter.
    #[track_caller]
    fn whole_life(&self, [first, second]: [&Path; 2]) {
        let sandbox = self.sandbox;
        self.load(first, &["--persistent", "--jobs", "4"]).expect(0);
        assert_eq!(sandbox.whole("p"), Some(1));
        self.load(second, &["--persistent", "--overwrite", "--jobs", "4"]).expect(0);
        assert_eq!(sandbox.whole("p"), Some(2));
        self.load(second, &["--persistent", "--ensure"]).expect(0);
        for args in [&["list", "-s"][..], &["show", "p"], &["gc"], &["doctor"], &["wait", "p"]] {
            self.run(args).expect(0);
        }
        self.run(&["show", "p", "/chunked", "--stats"]).expect(0);
        for name in ["out.h5", "out.npz"] {
            let path = sandbox.file(name);
            self.run(&["export", "p", "-o", path.to_str().unwrap(), "--overwrite"]).expect(0);
        }
        let path = sandbox.file("small.h5");
        let path = path.to_str().unwrap();
        self.run(&["export", "p", "-o", path, "--overwrite", "--gzip", "1"]).expect(0);
        self.run(&["unlink", "p"]).expect(0);
        sandbox.assert_nothing();
        self.load(Path::new(path), &["--jobs", "4", "--", "/bin/true"]).expect(0);
        sandbox.assert_nothing();
        self.until_exit(first);
        self.interrupted(first);
    }

    #[track_caller]
    fn until_exit(&self, file: &Path) {
        let job = Process::start(self.sandbox.program("/bin/sleep").arg("1000"));
        self.load(file, &["--until-exit", &job.pid().to_string()]).expect(0);
        assert_eq!(self.sandbox.whole("p"), Some(1));
        self.run(&["gc"]).expect(0);
        assert_eq!(self.sandbox.whole("p"), Some(1));
        job.signal(Signal::SIGKILL);
        job.wait();
        wait_until("the removal of the project", || self.sandbox.files().is_empty());
    }

    #[track_caller]
    fn interrupted(&self, file: &Path) {
        let mut keeper = Process::start(&mut self.command(&load_args("p", file, &[])));
        wait_until("it is held", || keeper.said().contains("loaded"));
        keeper.signal(Signal::SIGINT);
        keeper.wait().expect(130);
        self.sandbox.assert_nothing();
    }
}

fn two(sandbox: &Sandbox) -> [PathBuf; 2] {
    [1, 2]
        .map(|value| fixtures::uniform_large(&sandbox.file(&format!("large{value}.h5")), value, 4))
}

#[test]
fn every_call_that_may_be_missing_has_a_fallback() {
    let sandbox = Sandbox::new();
    let [first, second] = two(&sandbox);
    let mut count = 0;
    for errno in [libc::ENOSYS, libc::EPERM] {
        for (name, rule) in missing(errno) {
            println!("without {name}: {errno}");
            let filtered = Filtered { sandbox: &sandbox, rules: vec![rule] };
            match is_full() {
                true => filtered.whole_life([&first, &second]),
                false => filtered.until_exit(&first),
            }
            count += 1;
        }
        let rules = missing(errno).into_iter().map(|(_, rule)| rule).collect();
        println!("without all of them: {errno}");
        Filtered { sandbox: &sandbox, rules }.whole_life([&first, &second]);
    }
    figure(
        "a missing (ENOSYS) or forbidden (EPERM) system call: `--until-exit`, `gc`; with all of them missing also \
         overwrite, ensure, list, export, hold",
        format!("{count} filters and 2 with all"),
        "each command works as usual, nothing remains",
    );
}

#[test]
fn commands_work_if_no_thread_can_be_created() {
    let sandbox = Sandbox::new();
    let [first, second] = two(&sandbox);
    Filtered { sandbox: &sandbox, rules: no_threads() }.whole_life([&first, &second]);
    figure("threads cannot be created (EAGAIN)", "17 commands", "the calling thread does the work");
}

#[test]
fn load_without_renameat2_and_o_tmpfile_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.root()).unwrap();
    let rules: Vec<Deny> = missing(libc::ENOSYS)
        .into_iter()
        .filter(|(name, _)| ["renameat2", "O_TMPFILE"].contains(name))
        .map(|(_, rule)| rule)
        .collect();
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent"]);
    let what = "a load without renameat2 and O_TMPFILE";
    at_every_call_with(what, &sandbox, &args, &[None, Some(1)], &|command| {
        deny(command, &rules);
    });
}

#[test]
fn process_that_cannot_be_started_names_the_limit() {
    let sandbox = Sandbox::new();
    let rules = vec![
        Deny::call(libc::SYS_clone3, libc::ENOSYS),
        Deny::call(libc::SYS_clone, libc::EAGAIN),
        Deny::call(libc::SYS_fork, libc::EAGAIN),
        Deny::call(libc::SYS_vfork, libc::EAGAIN),
    ];
    let filtered = Filtered { sandbox: &sandbox, rules };
    let done = filtered.load(&sandbox.uniform_file(1), &["--persistent"]).expect(1);
    assert!(done.err.contains("cannot start the loader"), "{done:?}");
    assert!(done.err.contains("ulimit -u"), "{done:?}");
    sandbox.assert_nothing();
    filtered.run(&["list"]).expect(0);
    filtered.run(&["gc"]).expect(0);
    // Only a child process opens another root.
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let other = sandbox.file("other");
    let gc = ["--root", other.to_str().unwrap(), "gc", "--all-roots", "--older-than", "0s"];
    let done = filtered.run(&gc).expect(1);
    assert!(done.err.contains("error: cannot start a process"), "{done:?}");
    assert!(done.err.contains("ulimit -u"), "{done:?}");
    assert_eq!(sandbox.whole("p"), Some(1));
    sandbox.run(gc).expect(0);
    sandbox.assert_nothing();
}

/// The id of a user without an account, so that no other process counts.
const UID: u32 = 4_000_123_456;

#[test]
fn user_at_the_limit_of_processes_still_loads_lists_and_runs_gc() {
    if !is_root("user_at_the_limit_of_processes_still_loads_lists_and_runs_gc") {
        return;
    }
    let sandbox = Sandbox::new();
    let file = fixtures::uniform_large(&sandbox.file("large.h5"), 1, 4);
    for folder in [sandbox.shm(), sandbox.root(), file.parent().unwrap()] {
        let _ = std::fs::create_dir(folder);
        std::os::unix::fs::chown(folder, Some(UID), Some(UID)).unwrap();
    }
    let run = |limit: u64, args: &[String]| {
        let mut command = sandbox.command(args);
        as_user(&mut command, UID, UID, &[]);
        limited(&mut command, libc::RLIMIT_NPROC, limit);
        Process::start(&mut command).wait()
    };
    // Two processes: the keeper and its loader. Threads count too.
    let load = load_args("p", &file, &["--persistent", "--jobs", "4"]);
    run(2, &load).expect(0);
    assert_eq!(sandbox.whole("p"), Some(1));
    for args in [&["list", "-s"][..], &["gc"], &["show", "p", "/chunked", "--stats"]] {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        run(1, &args).expect(0);
    }
    let overwrite = load_args("p", &file, &["--persistent", "--overwrite"]);
    let done = run(1, &overwrite).expect(1);
    assert!(done.err.contains("1 processes"), "{done:?}");
    assert_eq!(sandbox.whole("p"), Some(1));
    run(2, &["unlink", "p"].map(str::to_owned)).expect(0);
    sandbox.assert_nothing();
    figure("RLIMIT_NPROC of 1 and 2", "6 commands", "fewer threads; an error that names the limit");
}

#[test]
fn limit_of_file_size_is_named() {
    let sandbox = Sandbox::new();
    let file = fixtures::uniform_large(&sandbox.file("large.h5"), 1, 4);
    let mut command = sandbox.command(load_args("p", &file, &["--persistent"]));
    limited(&mut command, libc::RLIMIT_FSIZE, 100_000);
    let done = Process::start(&mut command).wait().expect(1);
    assert!(done.err.contains("ulimit -f") && done.err.contains("100000 bytes"), "{done:?}");
    assert!(!done.err.contains("mount -o remount"), "{done:?}");
    sandbox.assert_nothing();
}

#[test]
fn limit_of_address_space_is_named_and_never_a_damaged_file() {
    let sandbox = Sandbox::new();
    let file = fixtures::uniform_large(&sandbox.file("large.h5"), 1, 4);
    let mut loaded = 0;
    let mut refused = 0;
    for mib in [16, 24, 32, 40, 48, 64, 96, 128, 4096] {
        let mut command = sandbox.command(load_args("p", &file, &["--persistent", "--jobs", "4"]));
        limited(&mut command, libc::RLIMIT_AS, mib << 20);
        let done = Process::start(&mut command).wait();
        println!("{mib} MiB: {done:?}");
        match done.code {
            0 => {
                assert_eq!(sandbox.whole("p"), Some(1));
                sandbox.run(["unlink", "p"]).expect(0);
                loaded += 1;
            }
            // The system cannot start the program, or the program cannot allocate memory for its arguments.
            127 | 1006 | 1009 | 1011 => drop(sandbox.run(["gc"]).expect(0)),
            _ => {
                assert!(done.code == 5 && done.err.contains("ulimit -v"), "{done:?}");
                refused += 1;
            }
        }
        sandbox.assert_nothing();
    }
    assert!(loaded > 0);
    figure(
        "load with RLIMIT_AS of 16 MiB to 4 GiB",
        format!("{loaded} loaded, {refused} refused"),
        "a whole project, or an error that names the limit",
    );
}

/// Limits a resource of the command.
fn limited(command: &mut Command, resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: setrlimit(2) reads the structure, and is safe between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &raw const limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}
