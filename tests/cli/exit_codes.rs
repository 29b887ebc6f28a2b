//! The exit codes and the JSON codes of errors.

use std::fs;

use crate::common::fixtures;
use crate::program::{Run, Sandbox};

#[track_caller]
fn fails_with(run: &Run, code: i32, word: &str) {
    let said: serde_json::Value = run.json();
    assert_eq!(run.code(), code, "{}", run.transcript());
    assert_eq!((&said["ok"], &said["errors"][0]["code"]), (&false.into(), &word.into()));
    let message = said["errors"][0]["message"].as_str().unwrap();
    assert!(run.stderr().contains(message), "stderr says it too: {}", run.transcript());
}

#[test]
fn nothing_to_do_is_exit_0() {
    let sandbox = Sandbox::new();
    for args in [&["list"][..], &["gc"], &["unlink", "-f", "p"]] {
        assert_eq!(sandbox.run(args).code(), 0, "{args:?}");
    }
}

#[test]
fn usage_error_is_exit_2() {
    let sandbox = Sandbox::with_plain();
    fails_with(&sandbox.run(&["--json", "list", "--no-such-option"]), 2, "usage");
    fails_with(&sandbox.run(&["--json", "show", "a/b"]), 2, "usage");
    fails_with(&sandbox.run(&["--json", "list", "["]), 2, "usage");
}

#[test]
fn not_found_is_exit_3() {
    let sandbox = Sandbox::with_project();
    fails_with(&sandbox.run(&["--json", "show", "none"]), 3, "not_found");
    fails_with(&sandbox.run(&["--json", "show", "p", "none"]), 3, "not_found");
    fails_with(&sandbox.run(&["--json", "unlink", "none"]), 3, "not_found");
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "q", "none.h5"]), 3, "not_found");
}

#[test]
fn exists_is_exit_4() {
    let sandbox = Sandbox::with_project();
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "p", "plain.h5"]), 4, "exists");
}

#[test]
fn not_enough_memory_is_exit_5() {
    let sandbox = Sandbox::with_file("f.h5", |path| fixtures::unwritten(path, 1 << 50));
    fails_with(&sandbox.run(&["load-hdf5", "-p", "p", "f.h5", "--json"]), 5, "no_memory");
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn unsafe_directory_is_exit_6() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o777)).unwrap();
    fails_with(&sandbox.run(&["--json", "list"]), 6, "permission");
}

#[test]
fn busy_is_exit_7() {
    let sandbox = Sandbox::with_project();
    let lock = crate::states::ChangeLock::take(&sandbox);
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-po", "p", "plain.h5"]), 7, "busy");
    drop(lock);
    fails_with(&sandbox.run(&["--json", "wait", "q", "--timeout", "0"]), 7, "busy");
}

#[test]
fn corrupt_input_is_exit_8() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::truncated);
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "p", "f.h5"]), 8, "corrupt");
    fails_with(&sandbox.run(&["--json", "load-hdf5", "-p", "p", "."]), 8, "corrupt");
}

#[test]
fn unsupported_is_exit_9() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    let run = sandbox.run(&["--json", "load-hdf5", "-p", "p", "f.h5", "--strict"]);
    fails_with(&run, 9, "unsupported");
}

#[test]
fn some_of_several_is_exit_10() {
    let mut sandbox = Sandbox::with_project();
    let run = sandbox.run(&["--json", "unlink", "p", "none"]);
    assert_eq!(run.code(), 10, "{}", run.transcript());
    sandbox.write("f.h5", fixtures::damaged);
    let run = sandbox.loads("q", &["--json", "load-hdf5", "-p", "q", "f.h5", "--keep-going"]);
    fails_with(&run, 10, "partial");
}

#[test]
fn findings_are_exit_11() {
    let sandbox = Sandbox::new();
    crate::states::stale_project(&sandbox, "p");
    fails_with(&sandbox.run(&["--json", "list", "--check"]), 11, "findings");
    fails_with(&sandbox.run(&["--json", "gc", "--check"]), 11, "findings");
    assert_eq!(sandbox.run(&["gc"]).code(), 0);
}

/// One row: the arguments, the exit code, and the code in JSON.
type Row = (&'static [&'static str], i32, &'static str);

#[track_caller]
fn each(sandbox: &Sandbox, rows: &[Row]) {
    for (args, code, word) in rows {
        let mut with_json = args.to_vec();
        with_json.insert(1, "--json");
        let run = sandbox.run(&with_json);
        assert_eq!(run.code(), *code, "{args:?}: {}", run.transcript());
        if *code != 0 {
            fails_with(&run, *code, word);
        }
    }
}

#[test]
fn every_command_succeeds_with_exit_0() {
    let sandbox = Sandbox::with_project();
    fs::create_dir(sandbox.file("pages")).unwrap();
    each(
        &sandbox,
        &[
            (&["list"], 0, ""),
            (&["list", "--check"], 0, ""),
            (&["show", "p", "x", "--stats"], 0, ""),
            (&["wait", "p", "--timeout", "0"], 0, ""),
            (&["export", "p", "-o", "p.npz"], 0, ""),
            (&["gc", "--check"], 0, ""),
            (&["doctor"], 0, ""),
            (&["completions", "fish"], 0, ""),
            (&["man", "pages"], 0, ""),
            (&["help", "list"], 0, ""),
            (&["load-hdf5", "q", "plain.h5", "--dry-run"], 0, ""),
            (&["load-hdf5", "-p", "p", "plain.h5", "--ensure"], 0, ""),
            (&["unlink", "p"], 0, ""),
            (&["unlink", "-f", "p"], 0, ""),
        ],
    );
}

#[test]
fn wrong_argument_is_exit_2_for_every_command() {
    let sandbox = Sandbox::with_project();
    for command in [
        "list",
        "show",
        "unlink",
        "gc",
        "export",
        "wait",
        "load-hdf5",
        "completions",
        "man",
        "help",
        "doctor",
    ] {
        fails_with(&sandbox.run(&[command, "--json", "--no-such-option"]), 2, "usage");
    }
    each(
        &sandbox,
        &[
            (&["show", "p", "/", "--stats"], 2, "usage"),
            (&["show", "p", "x", "--slice", "5:x"], 2, "usage"),
            (&["export", "p", "-o", "file.odd"], 2, "usage"),
            (&["export", "p", "-o", "-", "--format", "npz"], 2, "usage"),
            (&["export", "p", "-o", "all.npy"], 2, "usage"),
            (&["wait", "a/b"], 2, "usage"),
            (&["unlink", "../b"], 2, "usage"),
            (&["gc", "--min-age", "soon"], 2, "usage"),
            (&["load-hdf5", "-p", "q", "plain.h5", "--dtype", "x"], 2, "usage"),
            (&["completions", "tcsh"], 2, "usage"),
            (&["help", "tcsh"], 2, "usage"),
        ],
    );
}

#[test]
fn missing_object_is_exit_3_for_every_command() {
    let sandbox = Sandbox::with_project();
    each(
        &sandbox,
        &[
            (&["show", "none"], 3, "not_found"),
            (&["show", "p", "none"], 3, "not_found"),
            (&["export", "none", "-o", "f.npz"], 3, "not_found"),
            (&["export", "p", "none", "-o", "f.npy"], 3, "not_found"),
            (&["export", "p", "-o", "no/such/folder.npz"], 3, "not_found"),
            (&["unlink", "none"], 3, "not_found"),
            (&["load-hdf5", "-p", "q", "none.h5"], 3, "not_found"),
        ],
    );
}

#[test]
fn existing_file_or_project_is_exit_4() {
    let sandbox = Sandbox::with_project();
    fs::write(sandbox.file("old.npz"), "old").unwrap();
    each(
        &sandbox,
        &[
            (&["export", "p", "-o", "old.npz"], 4, "exists"),
            (&["load-hdf5", "-p", "p", "plain.h5"], 4, "exists"),
            (&["load-hdf5", "p", "plain.h5"], 4, "exists"),
        ],
    );
    assert_eq!(fs::read(sandbox.file("old.npz")).unwrap(), b"old");
}

#[test]
fn unsafe_root_is_exit_6_for_every_command_that_opens_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::with_plain();
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o777)).unwrap();
    each(
        &sandbox,
        &[
            (&["list"], 6, "permission"),
            (&["show", "p"], 6, "permission"),
            (&["export", "p", "-o", "f.npz"], 6, "permission"),
            (&["unlink", "p"], 6, "permission"),
            (&["gc"], 6, "permission"),
            (&["wait", "p", "--timeout", "0"], 6, "permission"),
            (&["load-hdf5", "-p", "p", "plain.h5"], 6, "permission"),
            (&["doctor", "--check"], 11, "findings"),
        ],
    );
}

#[test]
fn project_in_use_by_another_command_is_exit_7() {
    let sandbox = Sandbox::with_project();
    let lock = crate::states::ChangeLock::take(&sandbox);
    let there: &[Row] = &[
        (&["unlink", "p"], 7, "busy"),
        (&["load-hdf5", "-p", "-o", "p", "plain.h5"], 7, "busy"),
        (&["load-hdf5", "-p", "p", "plain.h5", "-o", "--wait", "0"], 7, "busy"),
    ];
    each(&sandbox, there);
    // A locked project without metadata is being loaded.
    let metadata = fs::read(sandbox.metadata("p")).unwrap();
    fs::remove_file(sandbox.metadata("p")).unwrap();
    let coming: &[Row] = &[
        (&["export", "p", "-o", "f.npz"], 7, "busy"),
        (&["wait", "p", "--timeout", "0"], 7, "busy"),
        (&["show", "p", "--python"], 7, "busy"),
    ];
    each(&sandbox, coming);
    crate::states::write_private(&sandbox.metadata("p"), std::str::from_utf8(&metadata).unwrap());
    drop(lock);
}

#[test]
fn invalid_metadata_is_exit_8() {
    let sandbox = Sandbox::new();
    crate::states::make_root(&sandbox);
    crate::states::write_private(&sandbox.metadata("c"), "no = TOML = at all");
    each(
        &sandbox,
        &[
            (&["export", "c", "-o", "f.npz"], 8, "corrupt"),
            (&["show", "c", "--python"], 8, "corrupt"),
            (&["list", "--check"], 11, "findings"),
            (&["show", "c"], 0, ""),
            (&["unlink", "c"], 0, ""),
        ],
    );
}

#[test]
fn unsupported_data_is_exit_9() {
    let mut sandbox = Sandbox::with_file("strings.h5", fixtures::strings);
    sandbox.load("p", &["strings.h5"]);
    each(
        &sandbox,
        &[
            (&["show", "p", "fixed", "--stats"], 9, "unsupported"),
            (&["export", "p", "-o", "f.safetensors", "--strict"], 9, "unsupported"),
        ],
    );
    assert!(!sandbox.file("f.safetensors").exists());
}

#[test]
fn full_output_device_is_exit_1() {
    let sandbox = Sandbox::with_project();
    fails_with(
        &sandbox.run(&["export", "--json", "p", "x", "--format", "npy", "-o", "/dev/full"]),
        1,
        "io",
    );
    for args in [
        &["list"][..],
        &["show", "p"],
        &["gc", "--json"],
        &["doctor"],
        &["man"],
        &["help"],
        &["completions", "bash"],
    ] {
        let run = sandbox.command(args).after("exec >/dev/full").run();
        assert_eq!(run.code(), 1, "{args:?}: {}", run.transcript());
    }
}
