//! `unlink`: removes projects of this program and of Python.

use std::fs;

use snapbox::str;

use crate::program::Sandbox;

#[test]
fn project_is_removed_completely() {
    let sandbox = Sandbox::with_project();
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
    assert!(!sandbox.metadata("p").exists());
}

#[test]
fn missing_project_is_an_error_without_force() {
    let sandbox = Sandbox::new();
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stderr
error: there is no project 'p'
hint: 'cute-shm list -s' shows the projects of this node
--- exit 3

"#]]);
    sandbox.run(&["unlink", "--force", "p"]).is(str![[r#"
--- exit 0

"#]]);
}

#[test]
fn several_projects_are_removed_and_a_failure_does_not_stop_it() {
    let mut sandbox = Sandbox::with_project();
    sandbox.load("q", &["plain.h5"]);
    sandbox.run(&["unlink", "p", "none", "q"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
removed q: 2 segments, 8 KiB freed
--- stderr
error: there is no project 'none'
hint: 'cute-shm list -s' shows the projects of this node
error: 1 of 3 failed
--- exit 10

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn several_failures_are_all_reported() {
    Sandbox::new().run(&["unlink", "p", "q"]).is(str![[r#"
--- stderr
error: there is no project 'p'
hint: 'cute-shm list -s' shows the projects of this node
error: there is no project 'q'
hint: 'cute-shm list -s' shows the projects of this node
error: 2 of 2 failed
--- exit 10

"#]]);
}

#[test]
fn project_named_twice_is_removed_once() {
    let sandbox = Sandbox::with_project();
    sandbox.run(&["unlink", "-f", "p", "p"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
--- exit 0

"#]]);
}

#[test]
fn dry_run_removes_nothing() {
    let sandbox = Sandbox::with_project();
    let before = sandbox.in_shm();
    sandbox.run(&["unlink", "--dry-run", "p"]).is(str![[r#"
--- stdout
would remove p: 2 segments, 8 KiB would be freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), before);
    assert!(sandbox.metadata("p").exists());
}

#[test]
fn mapped_memory_is_reported() {
    let sandbox = Sandbox::with_project();
    let path = sandbox.shm().join(&sandbox.segments("p")[0]);
    let file = fs::File::open(path).unwrap();
    let length = std::num::NonZeroUsize::new(48).unwrap();
    let map = Map::of(&file, length);
    let run = sandbox.run(&["unlink", "p", "--json"]);
    drop(map);
    let said: serde_json::Value = run.json();
    let removed = &said["removed"][0];
    assert_eq!(removed["mapped_pids"], serde_json::json!([std::process::id()]));
    assert_eq!((&removed["freed_bytes"], &removed["mapped_bytes"]), (&4096.into(), &4096.into()));
}

#[test]
fn python_project_is_removed() {
    let sandbox = Sandbox::new();
    crate::states::python_project(&sandbox, "p", &["aaaaaaaaaa", "bbbbbbbbbb"]);
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn project_with_a_longer_name_is_not_changed() {
    let mut sandbox = Sandbox::with_project();
    sandbox.load("p.q", &["plain.h5"]);
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p.q").len(), 2);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn python_project_with_a_name_too_long_for_a_temporary_ledger_is_removed() {
    let sandbox = Sandbox::new();
    // The lock file of such a name still fits into 255 bytes.
    let name = "n".repeat(231);
    crate::states::python_project(&sandbox, &name, &["0123456789"]);
    assert_eq!(sandbox.run(&["unlink", &name]).code(), 0);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn project_with_a_change_in_progress_is_busy() {
    let sandbox = Sandbox::with_project();
    let lock = crate::states::ChangeLock::take(&sandbox);
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stderr
error: project 'p' is being changed by another process
hint: try again, or let load-hdf5 wait for it with --wait SECONDS or --ensure
--- exit 7

"#]]);
    drop(lock);
}

/// A mapping of a segment by a reader.
struct Map(memmap2::Mmap);

impl Map {
    #[allow(unsafe_code)]
    fn of(file: &fs::File, length: std::num::NonZeroUsize) -> Self {
        // SAFETY: nobody writes the file or makes it shorter while this test runs.
        Self(unsafe { memmap2::MmapOptions::new().len(length.get()).map(file) }.unwrap())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        assert_eq!(self.0[..8], 0_f64.to_le_bytes(), "a mapped segment remains readable");
    }
}
