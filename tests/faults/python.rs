//! Concurrent Python programs. The Python package has no ledgers and locks. `gc` must not remove its projects, and
//! keepers must detect its changes. It uses /dev/shm only, so these tests use the real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::process::{Done, Process};
use super::support::{eventually, figure, skip, wait_until};

/// Returns an interpreter with the package, or `None` with a visible message.
pub fn interpreter(test: &str) -> Option<PathBuf> {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = std::env::var_os("CUTE_SHM_TEST_PYTHON").map(PathBuf::from);
    let usual = [repo.join(".venv/bin/python"), "python3".into()];
    let found = set.into_iter().chain(usual).find(|python| {
        let has = Command::new(python).args(["-c", "import cute_shm"]).output();
        has.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        skip(test, "no Python with cute-shm: run scripts/setup or set CUTE_SHM_TEST_PYTHON");
    }
    found
}

/// The package with the root of the sandbox.
pub fn side<'a>(
    python: &Path,
    sandbox: &Sandbox,
    args: impl IntoIterator<Item = &'a str>,
) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/faults_side.py");
    Process::start(sandbox.program(python).arg(script).arg(sandbox.root()).args(args))
}

struct Side(PathBuf, Sandbox);

impl Side {
    fn new(test: &str) -> Option<Self> {
        Some(Self(interpreter(test)?, Sandbox::on_node()))
    }

    fn run(&self, args: &[&str]) -> Done {
        side(&self.0, &self.1, args.iter().copied()).wait()
    }
}

/// Returns the action of gc with these options for a project. A dry run: other programs use /dev/shm too.
pub fn would(sandbox: &Sandbox, name: &str, options: &[&str]) -> Option<String> {
    let args = [&["gc", "--dry-run", "--json"], options].concat();
    let plan = sandbox.run(args).expect(0).json();
    let items = plan["items"].as_array().expect("items").clone();
    let ours = items.into_iter().find(|item| item["project"] == name)?;
    Some(ours["action"].as_str().expect("an action").to_owned())
}

/// Asserts that gc, with and without all options, removes nothing of a live project.
fn greedy_gc(sandbox: &Sandbox, name: &str) {
    sandbox.run(["gc"]).expect(0);
    let found = would(sandbox, name, &["--broken", "--repair"]);
    assert!(found.as_deref().is_none_or(|action| action == "skipped"), "{found:?}");
}

#[test]
fn keeper_exits_after_python_unlinks_its_project() {
    let Some(python) = Side::new("keeper_exits_after_python_unlinks_its_project") else { return };
    let (sandbox, name) = (&python.1, python.1.name("p"));
    let keeper = sandbox.hold(&name, &sandbox.uniform_file(1), &[]);
    python.run(&["read", &name, "1"]).expect(0);
    python.run(&["unlink", &name]).expect(0);
    let begun = Instant::now();
    let done = keeper.wait().expect(0);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(done.err.contains("another process removed"), "{done:?}");
    sandbox.assert_nothing();
    figure("Python unlinks a held project", "1", "the keeper exits within a second with a message");
}

#[test]
fn keeper_exits_after_python_overwrites_its_project() {
    let Some(python) = Side::new("keeper_exits_after_python_overwrites_its_project") else {
        return;
    };
    let (sandbox, name) = (&python.1, python.1.name("p"));
    let keeper = sandbox.hold(&name, &sandbox.uniform_file(1), &[]);
    python.run(&["share", &name, "5", "overwrite"]).expect(0);
    let begun = Instant::now();
    let done = keeper.wait().expect(0);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(done.err.contains("another process replaced"), "{done:?}");
    greedy_gc(sandbox, &name);
    python.run(&["read", &name, "5"]).expect(0);
    python.run(&["unlink", &name]).expect(0);
    sandbox.run(["gc"]).expect(0);
    sandbox.assert_nothing();
    figure("Python overwrites a held project", "1", "the keeper exits; Python's project is intact");
}

#[test]
fn gc_keeps_segments_during_a_long_python_load() {
    let Some(python) = Side::new("gc_keeps_segments_during_a_long_python_load") else { return };
    let (sandbox, name) = (&python.1, python.1.name("p"));
    fs::create_dir(sandbox.root()).unwrap();
    let mut slow = side(&python.0, sandbox, ["slow", &name, "8", "0.25"]);
    let mut gcs = 0;
    while slow.is_running() {
        // The first arrays of a long load are old: the age is that of the youngest.
        let mut made: Vec<_> = sandbox.files().into_iter().map(|f| sandbox.shm().join(f)).collect();
        made.retain(|path| path.exists());
        made.sort_by_key(|path| fs::metadata(path).and_then(|stat| stat.modified()).ok());
        let old = SystemTime::now() - Duration::from_secs(7200);
        for path in made.iter().rev().skip(1) {
            // All but the newest get an old time. Python does not open them again.
            if let Ok(file) = fs::File::options().write(true).open(path) {
                let _ = file.set_modified(old);
            }
        }
        let found = would(sandbox, &name, &["--orphans", "--min-age", "30s"]);
        assert!(found.as_deref().is_none_or(|action| action == "skipped"), "{found:?}");
        gcs += 1;
    }
    slow.wait().expect(0);
    python.run(&["read", &name, "7"]).expect(0);
    python.run(&["unlink", &name]).expect(0);
    sandbox.assert_nothing();
    assert!(gcs > 5);
    figure(
        "`gc --orphans` during a long Python load whose first arrays are two hours old",
        format!("{gcs} `gc` runs"),
        "no Python segment is removed",
    );
}

#[test]
fn load_fails_if_python_creates_the_project_in_the_meantime() {
    let test = "load_fails_if_python_creates_the_project_in_the_meantime";
    let Some(python) = Side::new(test) else { return };
    let (sandbox, name) = (&python.1, python.1.name("p"));
    let file = fixtures::sparse(&sandbox.file("big.h5"), 128 << 20);
    let mut load = sandbox.start(load_args(&name, &file, &["--persistent"]));
    let loader = eventually("a segment", Duration::from_secs(20), || {
        assert!(load.is_running(), "it was too quick");
        let ours = sandbox.files().into_iter().any(|file| file.ends_with("00000"));
        ours.then(|| load.only_child()).flatten()
    });
    kill(loader, Signal::SIGSTOP).unwrap();
    python.run(&["share", &name, "6"]).expect(0);
    kill(loader, Signal::SIGCONT).unwrap();
    let done = load.wait().expect(4);
    assert!(done.err.contains("created by another process"), "{done:?}");
    python.run(&["read", &name, "6"]).expect(0);
    assert_eq!(sandbox.files().len(), 3, "{:?}", sandbox.files());
    python.run(&["unlink", &name]).expect(0);
    sandbox.assert_nothing();
    figure(
        "Python creates the same project during a load",
        "1",
        "exit 4, Python's project is intact, the load is removed",
    );
}

#[test]
fn empty_metadata_of_python_is_never_removed() {
    let Some(python) = Side::new("empty_metadata_of_python_is_never_removed") else { return };
    let (sandbox, name) = (&python.1, python.1.name("p"));
    fs::create_dir(sandbox.root()).unwrap();
    fs::write(sandbox.metadata(&name), "").unwrap();
    greedy_gc(sandbox, &name);
    assert!(sandbox.metadata(&name).exists());
    sandbox.load(&name, &sandbox.uniform_file(1), &[]).expect(4);
    assert_eq!(fs::read(sandbox.metadata(&name)).unwrap(), b"");
    sandbox.load(&name, &sandbox.uniform_file(1), &["--overwrite"]).expect(0);
    python.run(&["read", &name, "1"]).expect(0);
    sandbox.run(["unlink", &name]).expect(0);
    sandbox.assert_nothing();
    // The same during a hold: the keeper loses the project.
    let keeper = sandbox.hold(&name, &sandbox.uniform_file(1), &[]);
    python.run(&["unlink", &name]).expect(0);
    fs::write(sandbox.metadata(&name), "").unwrap();
    keeper.wait().expect(0);
    assert!(sandbox.metadata(&name).exists());
    fs::remove_file(sandbox.metadata(&name)).unwrap();
    sandbox.run(["gc"]).expect(0);
    wait_until("nothing is left", || sandbox.files().is_empty());
    figure("an empty metadata file from Python: gc, load, overwrite, hold", "4", "not removed");
}
