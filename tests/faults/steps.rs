//! SIGKILL at every system call of load, overwrite, unlink and gc.

use std::fs;
use std::path::PathBuf;

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::support::{figure, is_full, sized};
use super::tracer::{Calls, kill_at};

/// A copy of both directories, to restart from.
pub struct Snapshot(Vec<(PathBuf, Vec<u8>)>);

impl Snapshot {
    pub fn take(sandbox: &Sandbox) -> Self {
        let folders = [sandbox.shm(), sandbox.root()];
        let entries = folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok());
        let files = entries.flatten().flatten().map(|entry| {
            let path = entry.path();
            let bytes = fs::read(&path).expect("a file of ours");
            (path, bytes)
        });
        Self(files.collect())
    }

    pub fn restore(&self, sandbox: &Sandbox) {
        for folder in [sandbox.shm(), sandbox.root()] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                fs::remove_file(entry.path()).expect("to clear the sandbox");
            }
        }
        for (path, bytes) in &self.0 {
            fs::write(path, bytes).expect("to fill the sandbox");
        }
    }
}

/// Kills `args` at every counted call, each time from the current state. Afterwards the project
/// must be one of `allowed`, before and after one gc.
fn at_every_call(what: &str, sandbox: &Sandbox, args: &[String], allowed: &[Option<i64>]) {
    at_every_call_with(what, sandbox, args, allowed, &|_| {});
}

/// As [`at_every_call`], with the command changed before each run.
pub fn at_every_call_with(
    what: &str,
    sandbox: &Sandbox,
    args: &[String],
    allowed: &[Option<i64>],
    prepare: &dyn Fn(&mut std::process::Command),
) {
    let calls = if is_full() { Calls::All } else { Calls::Changing };
    let begin = Snapshot::take(sandbox);
    let mut kinds = std::collections::BTreeSet::new();
    let mut points = 0;
    for point in 1.. {
        begin.restore(sandbox);
        let mut command = sandbox.command(args);
        prepare(&mut command);
        let Some(number) = kill_at(&mut command, calls, point) else { break };
        points += 1;
        kinds.insert(number);
        println!("{what}: killed at point {point}, system call {number}");
        let seen = sandbox.whole("p");
        assert!(allowed.contains(&seen), "{seen:?}");
        sandbox.run(["gc"]).expect(0);
        let after = sandbox.whole("p");
        assert!(allowed.contains(&after), "after gc: {after:?}");
        assert!(after == seen || after.is_none() || seen.is_none(), "{seen:?} became {after:?}");
        sandbox.assert_only("p");
        if point % sized(16, 64) == 0 {
            sandbox.load("p", &sandbox.uniform_file(3), &["--overwrite"]).expect(0);
            assert_eq!(sandbox.whole("p"), Some(3));
        }
    }
    assert!(points > 10, "only {points} points");
    let counted = if calls == Calls::All { "every" } else { "every changing" };
    figure(
        &format!("SIGKILL at {counted} system call of {what}; then one `gc`"),
        format!("{points} points, {} different calls", kinds.len()),
        "old or new project whole, nothing else remains",
    );
}

#[test]
fn load_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent"]);
    at_every_call("a load", &sandbox, &args, &[None, Some(1)]);
}

#[test]
fn load_for_a_command_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    let args = load_args("p", &sandbox.uniform_file(1), &["--", "/bin/true"]);
    at_every_call("`load-hdf5 -- CMD`", &sandbox, &args, &[None, Some(1)]);
}

#[test]
fn overwrite_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = load_args("p", &sandbox.uniform_file(2), &["--persistent", "--overwrite"]);
    at_every_call("`--overwrite`", &sandbox, &args, &[Some(1), Some(2)]);
}

#[test]
fn unlink_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = ["unlink", "p"].map(str::to_owned);
    at_every_call("`unlink`", &sandbox, &args, &[Some(1), None]);
}

#[test]
fn ensure_of_a_loaded_project_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent", "--ensure"]);
    at_every_call("`--ensure` of a loaded project", &sandbox, &args, &[Some(1)]);
}

#[test]
fn gc_is_repeatable_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    let mut keeper = sandbox.hold("p", &sandbox.uniform_file(1), &[]);
    keeper.kill_group();
    at_every_call("`gc` of an abandoned project", &sandbox, &["gc".to_owned()], &[Some(1), None]);
}

#[test]
fn overwrite_of_empty_projects_is_recovered_after_a_kill_at_every_system_call() {
    let sandbox = Sandbox::new();
    let none = fixtures::uniform_pages(&sandbox.file("none.h5"), 0, 0);
    sandbox.load("p", &none, &[]).expect(0);
    let args = load_args("p", &none, &["--persistent", "--overwrite"]);
    at_every_call("`--overwrite` without arrays", &sandbox, &args, &[Some(0)]);
}
