//! Python readers of every version that exit normally or abnormally. `list` must report the files that the resource
//! tracker deletes, and gc must remove the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::commands::Sandbox;
use super::python::{side, would};
use super::support::{figure, skip};

const VERSIONS: [&str; 4] = ["3.10", "3.11", "3.12", "3.13"];

/// Returns a Python of this version with the package, in a venv below `target` that is created once.
fn python(version: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python").join(version);
    let python = venv.join("bin/python");
    let works = |python: &Path| {
        let has = Command::new(python).args(["-c", "import cute_shm"]).output();
        has.is_ok_and(|output| output.status.success())
    };
    if works(&python) {
        return Some(python);
    }
    let _ = fs::remove_dir_all(&venv);
    for base in bases(version) {
        let made = Command::new(base).args(["-m", "venv"]).arg(&venv).output();
        if !made.is_ok_and(|output| output.status.success()) {
            continue;
        }
        let install = ["-m", "pip", "install", "--quiet", "--no-input", "cute-shm==1.2"];
        if Command::new(&python).args(install).output().is_ok() && works(&python) {
            return Some(python);
        }
    }
    None
}

/// Returns possible interpreters of this version: from pyenv, then from the path.
fn bases(version: &str) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let entries = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    let ours = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{version}.")));
    let mut bases: Vec<_> = ours.map(|entry| entry.path().join("bin/python3")).collect();
    bases.push(format!("python{version}").into());
    bases
}

/// Runs one reader. Afterwards the state must be right, and gc must remove the rest.
fn reader(python: &Path, how: &str) -> String {
    let sandbox = Sandbox::on_node();
    let name = sandbox.name("p");
    sandbox.load(&name, &sandbox.uniform_file(1), &[]).expect(0);
    let all = sandbox.segments(&name).expect("a project");
    let said = side(python, &sandbox, ["attach", &name, how]).wait_for_all();
    let left = all.iter().filter(|segment| sandbox.shm().join(segment).exists()).count();
    let expected = match left {
        0 => "stale",
        n if n == all.len() => "live",
        _ => "broken",
    };
    assert_eq!(sandbox.state(&name).as_deref(), Some(expected), "{left} left; {said:?}");
    sandbox.run(["gc"]).expect(0);
    assert_eq!(sandbox.metadata(&name).exists(), expected != "stale");
    let found = would(&sandbox, &name, &["--broken"]);
    let wanted = match expected {
        "stale" => None,
        "live" => Some("skipped"),
        _ => Some("reaped"),
    };
    assert_eq!(found.as_deref(), wanted);
    sandbox.run(["unlink", "--force", &name]).expect(0);
    sandbox.assert_nothing();
    expected.to_owned()
}

#[test]
fn state_is_right_after_any_exit_of_a_python_reader() {
    let mut ran = 0;
    for version in VERSIONS {
        let Some(python) = python(version) else {
            skip("readers", &format!("no Python {version} with cute-shm can be had here"));
            continue;
        };
        let results: Vec<_> = ["exit", "tracked", "crash", "descriptors"]
            .into_iter()
            .map(|how| format!("{how}: {}", reader(&python, how)))
            .collect();
        ran += 1;
        figure(
            &format!("reader in Python {version} that exits in four ways"),
            results.join(", "),
            "correct state; `gc` and `gc --broken` remove everything",
        );
    }
    assert!(ran > 0 || std::env::var_os("CI").is_none(), "no Python at all");
}
