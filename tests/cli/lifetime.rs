//! The lifetime of a project: for a command, for another process, or until removal; and `--ready-fd`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use snapbox::str;

use crate::program::{Sandbox, wait_until};

#[test]
fn command_finds_the_project_and_its_status_is_returned() {
    let sandbox = Sandbox::with_plain();
    let script = "echo $CUTE_SHM_PROJECT $CUTE_SHM_ROOT $CUTE_SHM_DIR; set -- $CUTE_SHM_DIR/cute-shm.p.*00000; test -f $1 && exit 7";
    sandbox.run(&["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c", script]).is(str![[
        r#"
--- stdout
p $ROOT $SHM
--- exit 7

"#
    ]]);
}

#[test]
fn relative_root_is_absolute_in_the_ledger_and_for_the_command() {
    let sandbox = Sandbox::with_plain();
    fs::create_dir(sandbox.work().join("deep")).unwrap();
    let script =
        "cd / && echo $CUTE_SHM_ROOT && grep ^root $CUTE_SHM_DIR/cute-shm.p.*.ledger | head -n1";
    let root = sandbox.work().join("deep/../root2");
    let run = sandbox.run(&[
        "--root",
        "deep/../root2",
        "load-hdf5",
        "-q",
        "p",
        "plain.h5",
        "--",
        "/bin/sh",
        "-c",
        script,
    ]);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    let canonical = fs::canonicalize(&root).unwrap();
    let lines: Vec<_> = run.stdout().lines().collect();
    let [command, ledger] = lines[..] else { panic!("{}", run.transcript()) };
    assert_eq!(command, root.display().to_string());
    assert_eq!(ledger, format!("root = \"{}\"", canonical.display()));
}

#[test]
fn command_that_succeeds_is_exit_0() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "p", "plain.h5", "--", "/bin/true"]).is(str![[r#"
--- stderr
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
}

#[test]
fn command_that_cannot_be_run_is_exit_126_or_127() {
    let sandbox = Sandbox::with_plain();
    let load = |command: &str| sandbox.run(&["load-hdf5", "-q", "p", "plain.h5", "--", command]);
    load("/no/such/command").is(str![[r#"
--- stderr
error: cannot run '/no/such/command': No such file or directory
--- exit 127

"#]]);
    load("./plain.h5").is(str![[r#"
--- stderr
error: cannot run './plain.h5': Permission denied
--- exit 126

"#]]);
}

#[test]
fn failure_before_the_command_is_exit_125() {
    let sandbox = Sandbox::with_project();
    sandbox.run(&["load-hdf5", "p", "plain.h5", "--", "/bin/true"]).is(str![[r#"
--- stderr
error: project 'p' exists already (code 4, exists)
hint: it is live; use --overwrite to replace it, or 'cute-shm unlink p'
--- exit 125

"#]]);
    assert_eq!(sandbox.run(&["load-hdf5", "q", "none.h5", "--", "/bin/true"]).code(), 125);
}

#[test]
fn command_killed_by_a_signal_exits_with_128_plus_its_number() {
    let sandbox = Sandbox::with_plain();
    let run =
        sandbox.run(&["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c", "kill -9 $$"]);
    assert_eq!(run.code(), 137, "{}", run.transcript());
}

#[test]
fn json_of_a_load_with_a_command_is_written_to_a_file() {
    let sandbox = Sandbox::with_plain();
    let args =
        ["load-hdf5", "p", "plain.h5", "--json-to", "out.json", "-q", "--", "/bin/echo", "hi"];
    let run = sandbox.run(&args);
    assert_eq!((run.code(), run.stdout()), (0, "hi\n"), "{}", run.transcript());
    let text = fs::read_to_string(sandbox.file("out.json")).unwrap();
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((text.lines().count(), &object["ok"]), (1, &true.into()));
}

#[test]
fn project_is_removed_when_the_watched_process_exits() {
    let sandbox = Sandbox::with_plain();
    let mut watched = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = watched.id().to_string();
    sandbox.run(&["load-hdf5", "p", "plain.h5", "--until-exit", &pid]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
    drop(watched.stdin.take());
    watched.wait().unwrap();
    wait_until("the keeper to clean up", || sandbox.in_shm().is_empty());
}

#[test]
fn until_exit_of_a_missing_process_is_an_error() {
    let sandbox = Sandbox::with_plain();
    let mut ended = Command::new("/bin/true").spawn().unwrap();
    ended.wait().unwrap();
    let run = sandbox.run(&["load-hdf5", "p", "plain.h5", "--until-exit", &ended.id().to_string()]);
    assert_eq!(run.code(), 3, "{}", run.transcript());
    assert!(run.stderr().starts_with("error: "), "{}", run.transcript());
}

#[test]
fn ensure_loads_once() {
    let mut sandbox = Sandbox::with_plain();
    let ensure = ["load-hdf5", "-p", "--ensure", "p", "plain.h5"];
    sandbox.loads("p", &ensure).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    let before = sandbox.segments("p");
    sandbox.run(&ensure).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
already loaded: 2 arrays, 60 B
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p"), before);
    let again: serde_json::Value = sandbox.run(&[&ensure[..], &["--json"]].concat()).json();
    assert_eq!((&again["reused"], &again["ok"]), (&true.into(), &true.into()));
}

#[test]
fn ensure_adds_the_job_of_the_caller() {
    let mut sandbox = Sandbox::with_plain();
    let ensure = ["load-hdf5", "-p", "--ensure", "p", "plain.h5"];
    for job in ["7", "8", "8"] {
        let run = sandbox.command(&ensure).env("SLURM_JOB_ID", job).run();
        assert_eq!(run.code(), 0, "{}", run.transcript());
    }
    sandbox.unlink_at_end("p");
    let shown: serde_json::Value = sandbox.run(&["show", "p", "--json"]).json();
    let jobs = shown["project"]["jobs"].as_array().unwrap();
    let ids: Vec<_> = jobs.iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["7", "8"]);
}

#[test]
fn ensure_makes_a_held_project_persistent() {
    let mut sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&["load-hdf5", "p", "plain.h5"]);
    sandbox.loads("p", &["load-hdf5", "-p", "--ensure", "p", "plain.h5"]);
    let run = held.end(&sandbox);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn project_with_two_keepers_is_removed_when_the_last_exits() {
    let sandbox = Sandbox::with_plain();
    let ensure = ["load-hdf5", "--ensure", "p", "plain.h5"];
    let (first, second) = (sandbox.hold(&ensure), sandbox.hold(&ensure));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.end(&sandbox).code(), 143);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
    assert_eq!(sandbox.segments("p").len(), 2);
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end(&sandbox).code(), 143);
}

#[test]
fn load_waits_for_another_load_up_to_its_time_limit() {
    let sandbox = Sandbox::with_project();
    let load = ["load-hdf5", "-po", "p", "plain.h5", "--wait"];
    let lock = crate::states::ChangeLock::take(&sandbox);
    let run = sandbox.run(&[&load[..], &["0.1"]].concat());
    assert_eq!(run.code(), 7, "{}", run.transcript());
    let patient = sandbox.command(&[&load[..], &["60"]].concat()).start();
    drop(lock);
    assert_eq!(patient.end(&sandbox).code(), 0);
}

#[test]
fn readiness_is_written_to_a_descriptor() {
    let sandbox = Sandbox::with_plain();
    let load = sandbox.command(&["load-hdf5", "p", "plain.h5", "--ready-fd", "3"]);
    let held = load.after("exec 3>ready").start();
    wait_until("readiness", || {
        fs::read(sandbox.file("ready")).is_ok_and(|said| said == b"ready\n")
    });
    assert_eq!(sandbox.run(&["wait", "p", "--timeout", "0"]).code(), 0);
    held.signal(Signal::SIGTERM);
    assert_eq!(held.end(&sandbox).code(), 143);
}

#[test]
fn service_manager_is_notified() {
    let sandbox = Sandbox::with_plain();
    let path = sandbox.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let held = sandbox.command(&["load-hdf5", "p", "plain.h5"]).env("NOTIFY_SOCKET", &path).start();
    let mut said = [0; 100];
    let length = socket.recv(&mut said).unwrap();
    let expected = format!("READY=1\nMAINPID={}\n", held.pid());
    assert_eq!(String::from_utf8_lossy(&said[..length]), expected);
    held.signal(Signal::SIGTERM);
    assert_eq!(held.end(&sandbox).code(), 143);
}

#[test]
fn lifetime_options_exclude_each_other() {
    let sandbox = Sandbox::with_plain();
    for options in [
        &["-p", "--until-exit", "1"][..],
        &["-p", "--", "/bin/true"],
        &["--until-exit", "1", "--", "/bin/true"],
    ] {
        let run = sandbox.run(&[&["load-hdf5", "p", "plain.h5"], options].concat());
        assert_eq!(run.code(), 2, "{options:?}: {}", run.transcript());
    }
    sandbox.run(&["load-hdf5", "p", "plain.h5", "--json", "--", "/bin/true"]).is(str![[r#"
--- stderr
error: --json cannot be used with -- CMD, which owns stdout
hint: write the JSON object to a file with --json-to FILE
--- exit 2

"#]]);
}

/// Opens descriptor 4 for a pipe without a reader.
const NO_READER: &str = "mkfifo fifo; exec 3<>fifo; exec 4>fifo; exec 3<&-";

#[test]
fn ready_fd_without_a_reader_releases_a_held_project() {
    let sandbox = Sandbox::with_plain();
    for more in [&[][..], &["--", "/bin/touch", "ran"]] {
        let args = [&["load-hdf5", "-q", "p", "plain.h5", "--ready-fd", "4"][..], more].concat();
        let run = sandbox.command(&args).after(&format!("rm -f fifo; {NO_READER}")).run();
        assert_eq!(run.code(), if more.is_empty() { 1 } else { 125 }, "{}", run.transcript());
        assert!(run.stderr().contains("--ready-fd"), "{}", run.transcript());
        assert!(sandbox.in_shm().is_empty(), "{:?}", sandbox.in_shm());
    }
    assert!(!sandbox.file("ran").exists());
}

#[test]
fn ready_fd_without_a_reader_is_a_warning_for_a_persistent_project() {
    let mut sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "plain.h5", "--ready-fd", "4"];
    let run = sandbox.command(&args).after(NO_READER).run();
    sandbox.unlink_at_end("p");
    assert_eq!(run.code(), 0, "{}", run.transcript());
    assert!(
        run.stderr().starts_with("warning: cannot write to the descriptor"),
        "{}",
        run.transcript()
    );
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn ready_fd_that_is_not_open_for_writing_is_refused_before_the_load() {
    let sandbox = Sandbox::with_plain();
    for shell in [":", "exec 7</dev/null"] {
        let load = sandbox.command(&["load-hdf5", "-p", "p", "plain.h5", "--ready-fd", "7"]);
        let run = load.after(shell).run();
        assert_eq!(run.code(), 2, "{}", run.transcript());
        assert!(sandbox.in_shm().is_empty());
    }
}

#[test]
fn command_does_not_inherit_the_ready_descriptor() {
    let sandbox = Sandbox::with_plain();
    let script = "echo late >&5";
    let args =
        ["load-hdf5", "-q", "p", "plain.h5", "--ready-fd", "5", "--", "/bin/sh", "-c", script];
    let run = sandbox.command(&args).after("exec 5>ready").run();
    assert_eq!(run.code(), 2, "{}", run.transcript());
    assert_eq!(fs::read(sandbox.file("ready")).unwrap(), b"ready\n");
}

#[test]
fn result_that_cannot_be_written_releases_a_held_project() {
    let sandbox = Sandbox::with_plain();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [&["load-hdf5", "p", "plain.h5"][..], &["load-hdf5", "p", "plain.h5", "--json"]] {
        let run = sandbox.command(args).run_into(full());
        assert_eq!(run.code(), 1, "{}", run.transcript());
        assert!(run.stderr().contains("No space left on device"), "{}", run.transcript());
        assert!(sandbox.in_shm().is_empty());
    }
    let args = ["load-hdf5", "p", "plain.h5", "--json-to", "/dev/full", "--", "/bin/touch", "ran"];
    let run = sandbox.run(&args);
    assert_eq!(run.code(), 125, "{}", run.transcript());
    assert!(run.stderr().contains("cannot write '/dev/full'"), "{}", run.transcript());
    assert!(!sandbox.file("ran").exists() && sandbox.in_shm().is_empty());
}

#[test]
fn early_sigterm_of_until_exit_is_exit_143() {
    let sandbox = Sandbox::with_project();
    let lock = crate::states::ChangeLock::take(&sandbox);
    let pid = std::process::id().to_string();
    let held = sandbox
        .command(&["load-hdf5", "-o", "p", "plain.h5", "--until-exit", &pid, "--wait", "600"])
        .start();
    wait_until("the keeper", || !children(held.pid()).is_empty());
    let keeper = children(held.pid())[0];
    held.signal(Signal::SIGTERM);
    let run = held.end(&sandbox);
    assert_eq!(run.code(), 143, "{}", run.transcript());
    wait_until("the exit of the keeper", || has_exited(keeper));
    drop(lock);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn keeper_of_until_exit_cancels_its_load_when_the_command_is_killed() {
    let sandbox = Sandbox::with_project();
    let lock = crate::states::ChangeLock::take(&sandbox);
    let before = sandbox.in_shm();
    let pid = std::process::id().to_string();
    let held = sandbox
        .command(&["load-hdf5", "-o", "p", "plain.h5", "--until-exit", &pid, "--wait", "600"])
        .start();
    wait_until("the keeper", || !children(held.pid()).is_empty());
    let keeper = children(held.pid())[0];
    held.signal(Signal::SIGKILL);
    wait_until("the exit of the keeper", || has_exited(keeper));
    drop(held);
    drop(lock);
    assert_eq!(sandbox.in_shm(), before);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn command_of_a_load_with_gaps_gives_the_exit_status() {
    let sandbox = Sandbox::with_file("bad.h5", crate::common::fixtures::damaged);
    let load = ["load-hdf5", "p", "bad.h5", "--keep-going", "-q", "--", "/bin/sh", "-c"];
    for status in [0, 3] {
        let run = sandbox.run(&[&load[..], &[&format!("exit {status}")]].concat());
        assert_eq!(run.code(), status, "{}", run.transcript());
        assert!(run.stderr().contains("could not be read"), "{}", run.transcript());
    }
}

#[test]
fn held_load_in_a_process_with_ignored_sigchld_works() {
    let sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-q", "p", "plain.h5", "--", "/bin/sh", "-c", "exit 5"];
    let mut command = sandbox.command(&args).build();
    // A shell cannot ignore SIGCHLD for its programs, but daemons do.
    // SAFETY: signal(2) is safe between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        use std::os::unix::process::CommandExt as _;
        command.pre_exec(|| {
            nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn)?;
            Ok(())
        });
    }
    assert_eq!(command.status().unwrap().code(), Some(5));
}

fn children(pid: nix::unistd::Pid) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn has_exited(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}
