//! The exit codes, each with the word for it in JSON.

use std::fs;

use crate::fixtures;
use crate::sandbox::{Run, Sandbox};

#[track_caller]
fn fails_with(run: &Run, code: i32, word: &str) {
    let said: serde_json::Value = run.json();
    assert_eq!(run.code(), code, "{}", run.text());
    assert_eq!((&said["ok"], &said["errors"][0]["code"]), (&false.into(), &word.into()));
    let message = said["errors"][0]["message"].as_str().unwrap();
    assert!(run.stderr().contains(message), "stderr says it too: {}", run.text());
}

#[test]
fn nothing_to_do_is_0() {
    let sandbox = Sandbox::new();
    for args in [&["list"][..], &["gc"], &["unlink", "-f", "p"]] {
        assert_eq!(sandbox.run(args).code(), 0, "{args:?}");
    }
}

#[test]
fn a_usage_error_is_2() {
    let sandbox = Sandbox::with_plain();
    fails_with(&sandbox.run(&["--json", "list", "--no-such-option"]), 2, "usage");
    fails_with(&sandbox.run(&["--json", "show", "a/b"]), 2, "usage");
    fails_with(&sandbox.run(&["--json", "list", "["]), 2, "usage");
}

#[test]
fn not_found_is_3() {
    let sandbox = Sandbox::with_project();
    fails_with(&sandbox.run(&["--json", "show", "none"]), 3, "not_found");
    fails_with(&sandbox.run(&["--json", "show", "p", "none"]), 3, "not_found");
    fails_with(&sandbox.run(&["--json", "unlink", "none"]), 3, "not_found");
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "q", "none.h5"]), 3, "not_found");
}

#[test]
fn exists_is_4() {
    let sandbox = Sandbox::with_project();
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "p", "plain.h5"]), 4, "exists");
}

#[test]
fn not_enough_memory_is_5() {
    let sandbox = Sandbox::with("f.h5", |path| fixtures::large(path, 1 << 20));
    let load = sandbox.command(&["load-hdf5", "-p", "p", "f.h5", "--json"]);
    fails_with(&load.after("ulimit -f 512").run(), 5, "no_memory");
}

#[test]
fn an_unsafe_directory_is_6() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o777)).unwrap();
    fails_with(&sandbox.run(&["--json", "list"]), 6, "permission");
}

#[test]
fn busy_is_7() {
    let sandbox = Sandbox::with_project();
    let lock = crate::states::ChangeLock::take(&sandbox);
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-po", "p", "plain.h5"]), 7, "busy");
    drop(lock);
    fails_with(&sandbox.run(&["--json", "wait", "q", "--timeout", "0"]), 7, "busy");
}

#[test]
fn a_corrupt_input_is_8() {
    let sandbox = Sandbox::with("f.h5", fixtures::truncated);
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "p", "f.h5"]), 8, "corrupt");
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "p", "."]), 8, "corrupt");
}

#[test]
fn unsupported_is_9() {
    let sandbox = Sandbox::with("f.h5", fixtures::unsupported);
    let run = sandbox.run(&["--json", "load-hdf5", "-p", "p", "f.h5", "--strict"]);
    fails_with(&run, 9, "unsupported");
}

#[test]
fn some_of_several_is_10() {
    let mut sandbox = Sandbox::with_project();
    let run = sandbox.run(&["--json", "unlink", "p", "none"]);
    assert_eq!(run.code(), 10, "{}", run.text());
    sandbox.write("f.h5", fixtures::damaged);
    let run = sandbox.loads("q", &["--json", "load-hdf5", "-p", "q", "f.h5", "--keep-going"]);
    fails_with(&run, 10, "partial");
}

#[test]
fn findings_are_11() {
    let sandbox = Sandbox::new();
    crate::states::stale_project(&sandbox, "p");
    fails_with(&sandbox.run(&["--json", "list", "--check"]), 11, "findings");
    fails_with(&sandbox.run(&["--json", "gc", "--check"]), 11, "findings");
    assert_eq!(sandbox.run(&["gc"]).code(), 0);
}
