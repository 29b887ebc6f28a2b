//! `load-hdf5 ... -- CMD`: signals reach the command, job control works, and the project is removed afterwards.
#![allow(unsafe_code)]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::program::{RunningProgram, Sandbox, wait_until};

/// A command that appends each received signal to the file `received`, until the file `stop` exists.
const RECORD_SIGNALS: &str = "for n in $SIGNALS; do trap \"echo $n >>received\" $n; done; : >ready; \
                    while [ ! -e stop ]; do sleep 0.02; done; exit 7";

/// Returns all signals that can be caught except SIGCHLD, which the children of the command cause.
fn catchable() -> Vec<i32> {
    let standard = (1..=31).filter(|n| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(n));
    standard.chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).collect()
}

fn numbers(numbers: &[i32]) -> String {
    numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(" ")
}

fn received(sandbox: &Sandbox) -> Vec<i32> {
    let text = fs::read_to_string(sandbox.file("received")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn start(sandbox: &Sandbox, signals: &[i32]) -> RunningProgram {
    let args = ["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c", RECORD_SIGNALS];
    let held = sandbox.command(&args).env("SIGNALS", numbers(signals)).env("PATH", "/bin:/usr/bin");
    let held = held.start();
    wait_until("the command", || sandbox.file("ready").exists());
    held
}

fn send(held: &RunningProgram, number: i32) {
    // SAFETY: kill(2) takes integers.
    assert_eq!(unsafe { libc::kill(held.pid().as_raw(), number) }, 0);
}

#[test]
fn every_signal_that_can_be_caught_reaches_the_command() {
    let sandbox = Sandbox::with_plain();
    let all = catchable();
    let held = start(&sandbox, &all);
    for (count, &number) in all.iter().enumerate() {
        send(&held, number);
        wait_until(&format!("signal {number}"), || received(&sandbox).len() > count);
    }
    assert_eq!(received(&sandbox), all);
    fs::write(sandbox.file("stop"), "").unwrap();
    let run = held.end(&sandbox);
    assert_eq!(run.code(), 7, "{}", run.transcript());
    assert!(sandbox.in_shm().is_empty());
}

#[test]
fn command_that_a_forwarded_signal_ends_gives_its_status() {
    for (number, code) in [(libc::SIGUSR1, 138), (libc::SIGRTMIN() + 1, 128 + libc::SIGRTMIN() + 1)]
    {
        let sandbox = Sandbox::with_plain();
        let held = start(&sandbox, &[]);
        send(&held, number);
        let run = held.end(&sandbox);
        assert_eq!(run.code(), code, "{}", run.transcript());
        assert!(sandbox.in_shm().is_empty());
    }
}

#[test]
fn ignored_signals_are_not_forwarded() {
    let sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c"];
    let script = ": >ready; while [ ! -e stop ]; do sleep 0.02; done";
    let held = sandbox.command(&[&args[..], &[script]].concat()).after("trap '' USR1").start();
    wait_until("the command", || sandbox.file("ready").exists());
    send(&held, libc::SIGUSR1);
    fs::write(sandbox.file("stop"), "").unwrap();
    let run = held.end(&sandbox);
    assert_eq!(run.code(), 0, "{}", run.transcript());
}

#[test]
fn every_terminating_signal_removes_a_held_project() {
    for number in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGQUIT, libc::SIGALRM, libc::SIGRTMIN() + 2]
    {
        let sandbox = Sandbox::with_plain();
        let held = sandbox.hold(&["load-hdf5", "p", "plain.h5"]);
        send(&held, number);
        let run = held.end(&sandbox);
        assert_eq!(run.code(), 128 + number, "{}", run.transcript());
        assert!(run.stderr().contains("removed project 'p'"), "{}", run.transcript());
    }
}

#[test]
fn command_gets_default_actions_and_an_empty_mask() {
    let sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/cat", "/proc/self/status"];
    let mut plain = Command::new("/bin/cat");
    let expected = plain.arg("/proc/self/status").output().unwrap();
    // The C library reserves 32 and 33.
    let lines = |text: &str| -> Vec<u64> {
        let value = |line: &str| {
            Some(line.strip_prefix("SigBlk:").or(line.strip_prefix("SigIgn:"))?.trim().to_owned())
        };
        let values = text.lines().filter_map(value);
        values.map(|value| u64::from_str_radix(&value, 16).unwrap() & !(3 << 31)).collect()
    };
    let run = sandbox.run(&args);
    assert_eq!(lines(run.stdout()), lines(&String::from_utf8(expected.stdout).unwrap()));
}

/// A new session with a terminal, led by a command.
struct Terminal {
    master: fs::File,
    child: std::process::Child,
}

impl Terminal {
    fn start(command: &mut Command) -> Self {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let slave = fs::File::from(terminal.slave);
        command.stdin(slave.try_clone().unwrap());
        command.stdout(slave.try_clone().unwrap()).stderr(Stdio::null());
        // SAFETY: system calls that are safe between fork and exec; descriptor 0 is the terminal by then.
        unsafe {
            command.pre_exec(|| {
                for number in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP] {
                    signal(number, SigHandler::SigDfl)?;
                }
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        Self { master: fs::File::from(terminal.master), child: command.spawn().unwrap() }
    }

    fn type_in(&mut self, key: u8) {
        self.master.write_all(&[key]).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_c_on_a_terminal_reaches_the_command_once() {
    let sandbox = Sandbox::with_plain();
    let signals = numbers(&[libc::SIGINT, libc::SIGUSR1]);
    let args = ["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c", RECORD_SIGNALS];
    let command = sandbox.command(&args).env("SIGNALS", signals).env("PATH", "/bin:/usr/bin");
    let mut terminal = Terminal::start(&mut command.build());
    wait_until("the command", || sandbox.file("ready").exists());
    terminal.type_in(3);
    wait_until("Ctrl-C", || received(&sandbox) == [libc::SIGINT]);
    // A signal that the wrapper forwarded would be recorded before this one.
    let wrapper = i32::try_from(terminal.child.id()).unwrap();
    // SAFETY: kill(2) takes integers.
    assert_eq!(unsafe { libc::kill(wrapper, libc::SIGUSR1) }, 0);
    wait_until("SIGUSR1", || received(&sandbox).contains(&libc::SIGUSR1));
    assert_eq!(received(&sandbox), [libc::SIGINT, libc::SIGUSR1]);
    // Sent to the wrapper alone, the same signal is forwarded.
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(wrapper, libc::SIGINT) }, 0);
    wait_until("SIGINT", || received(&sandbox).len() == 3);
    fs::write(sandbox.file("stop"), "").unwrap();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(7));
}

#[test]
fn ctrl_z_stops_the_wrapper_with_its_command_and_fg_continues_both() {
    let sandbox = Sandbox::with_plain();
    let load =
        sandbox.command(&["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c"]).build();
    let mut shell = Command::new("/bin/sh");
    // The command starts no process: a shell that waits in vfork(2) for a child that was stopped before
    // its exec does not stop itself.
    nix::unistd::mkfifo(&sandbox.file("stop"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = "set -m; \"$@\" ': >ready; read line <>stop; exit 7'; \
                  echo $? >stopped; while [ ! -e go ]; do sleep 0.02; done; fg; echo $? >ended";
    shell.args(["-c", script, "sh"]).arg(load.get_program()).args(load.get_args());
    shell.current_dir(sandbox.work()).env_clear().env("PATH", "/bin:/usr/bin");
    shell.envs(load.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut terminal = Terminal::start(&mut shell);
    wait_until("the command", || sandbox.file("ready").exists());
    terminal.type_in(0x1a);
    let read = |name: &str| fs::read_to_string(sandbox.file(name)).unwrap_or_default();
    wait_until("the shell is back", || read("stopped").ends_with('\n'));
    // A shell reports a stopped job when its first process stops.
    let stopped: i32 = read("stopped").trim().parse().unwrap();
    assert!([libc::SIGSTOP, libc::SIGTSTP].contains(&(stopped - 128)), "{stopped}");
    // Held open until the end: a pipe that has no reader loses its contents with its last descriptor.
    let mut stop = fs::File::options().read(true).write(true).open(sandbox.file("stop")).unwrap();
    stop.write_all(b"\n").unwrap();
    fs::write(sandbox.file("go"), "").unwrap();
    wait_until("the end", || read("ended").ends_with('\n'));
    assert_eq!(read("ended").trim(), "7");
    wait_until("the removal", || sandbox.in_shm().is_empty());
}

#[test]
fn process_1_of_a_container_reaps_orphaned_processes() {
    if !crate::program::is_root() {
        return;
    }
    let sandbox = Sandbox::with_plain();
    // Orphans of the command become children of process 1, and zombies when they exit.
    let script = "for i in 1 2 3; do (sleep 0.01 &); done; n=0; \
                  while cat /proc/[0-9]*/stat 2>/dev/null | grep -q '(sleep)'; do \
                  n=$((n+1)); [ $n -lt 1000 ] || exit 9; done; exit 0";
    let load = sandbox
        .command(&["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c", script])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .build();
    let mut unshare = Command::new("/usr/bin/unshare");
    unshare.args(["--pid", "--fork", "--mount-proc"]).arg(load.get_program()).args(load.get_args());
    unshare.current_dir(sandbox.work()).env_clear();
    unshare.envs(load.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = unshare.output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
}
