//! `load-hdf5 --ensure`: it reuses the requested project, reloads changed files, and never replaces another
//! project by itself.

use std::fs;

use cute_shm::internals::{ChangeLock, Directory, FailedLoad, Key, ProjectName};
use nix::sys::signal::Signal;
use snapbox::str;

use crate::common::fixtures;
use crate::program::{Run, Sandbox, link, wait_until};

/// Runs `load-hdf5 --persistent --ensure p`.
fn ensure(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(&[&["load-hdf5", "-p", "--ensure", "p", "--json"][..], more].concat())
}

/// Whether an ensure that must succeed reuses the project.
#[track_caller]
fn is_reused(sandbox: &Sandbox, more: &[&str]) -> bool {
    let run = ensure(sandbox, more);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    run.json::<serde_json::Value>()["reused"].as_bool().unwrap()
}

/// Asserts that an ensure fails because of this difference, and changes nothing.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, more: &[&str], difference: &str) {
    let before = (sandbox.in_shm(), fs::read(sandbox.metadata("p")).unwrap());
    let run = ensure(sandbox, more);
    assert_eq!(run.code(), 4, "{}", run.transcript());
    let json = run.json::<serde_json::Value>();
    let error = &json["errors"][0];
    assert_eq!(error["code"], "exists");
    let message = error["message"].as_str().unwrap();
    let message = message.replace(sandbox.work().to_str().unwrap(), "");
    assert_eq!(message, format!("project 'p' exists already: {difference}"));
    assert!(error["hint"].as_str().unwrap().contains("--overwrite"), "{}", run.transcript());
    assert_eq!(before, (sandbox.in_shm(), fs::read(sandbox.metadata("p")).unwrap()));
}

#[test]
fn ensure_refuses_a_project_from_other_files_and_names_them() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.write("other.h5", fixtures::plain);
    sandbox.load("p", &["plain.h5"]);
    assert_refused(&sandbox, &["other.h5"], "loaded from '/plain.h5', not '/other.h5'");
    assert_refused(
        &sandbox,
        &["plain.h5", "other.h5"],
        "loaded from '/plain.h5', not 'plain=/plain.h5', 'other=/other.h5'",
    );
    assert_refused(&sandbox, &["a=plain.h5"], "loaded from '/plain.h5', not 'a=/plain.h5'");
    assert!(!is_reused(&sandbox, &["other.h5", "--overwrite"]));
    assert!(is_reused(&sandbox, &["other.h5", "--overwrite"]));
    assert_refused(&sandbox, &["plain.h5"], "loaded from '/other.h5', not '/plain.h5'");
    sandbox.run(&["load-hdf5", "-p", "--ensure", "p", "plain.h5"]).is(str![[r#"
--- stderr
error: project 'p' exists already: loaded from '$WORK/other.h5', not '$WORK/plain.h5'
hint: add --overwrite to replace it, remove it with 'cute-shm unlink p', or choose another name
--- exit 4

"#]]);
}

#[test]
fn ensure_refuses_another_selection_and_names_it() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("p", &["plain.h5", "--rows", "0:1"]);
    assert!(is_reused(&sandbox, &["plain.h5", "--rows", "0:1"]));
    assert_refused(&sandbox, &["plain.h5"], "loaded with --rows 0:1");
    let rows = ["plain.h5", "--rows", "1:2"];
    assert_refused(&sandbox, &rows, "loaded with --rows 0:1, not with --rows 1:2");
    let include = ["plain.h5", "--rows", "0:1", "--include", "x"];
    assert_refused(&sandbox, &include, "loaded without --include 'x'");
    let mode = ["plain.h5", "--rows", "0:1", "--mode", "660"];
    assert_refused(&sandbox, &mode, "loaded with --mode 600, not with --mode 660");
    assert!(!is_reused(&sandbox, &["plain.h5", "--overwrite"]));
    assert_refused(&sandbox, &rows, "loaded without --rows 1:2");
}

#[test]
fn ensure_reloads_changed_files() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.write("other.h5", fixtures::groups);
    sandbox.load("p", &["plain.h5"]);
    sandbox.write("plain.h5", fixtures::compound);
    assert!(!is_reused(&sandbox, &["plain.h5"]));
    assert!(is_reused(&sandbox, &["plain.h5"]));
    fs::rename(sandbox.file("other.h5"), sandbox.file("plain.h5")).unwrap();
    assert!(!is_reused(&sandbox, &["plain.h5"]), "another file has the same name");
    assert!(is_reused(&sandbox, &["plain.h5"]));
    assert_eq!(sandbox.segments("p").len(), 3, "only the segments of the last load remain");
}

#[test]
fn ensure_treats_a_symlink_as_its_target() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.write("other.h5", fixtures::groups);
    link(&sandbox.file("plain.h5"), &sandbox.file("latest.h5"));
    sandbox.load("p", &["latest.h5"]);
    assert!(is_reused(&sandbox, &["latest.h5"]));
    assert!(is_reused(&sandbox, &["plain.h5"]));
    fs::remove_file(sandbox.file("latest.h5")).unwrap();
    link(&sandbox.file("other.h5"), &sandbox.file("latest.h5"));
    assert!(!is_reused(&sandbox, &["latest.h5"]), "the same name leads to other data");
    assert_eq!(sandbox.segments("p").len(), 3);
}

#[test]
fn ensure_reloads_the_same_files_for_every_project_state() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("p", &["plain.h5"]);
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    assert!(!is_reused(&sandbox, &["plain.h5"]), "it was broken");
    fs::remove_file(sandbox.metadata("p")).unwrap();
    assert!(!is_reused(&sandbox, &["plain.h5"]), "it was detached");
    for name in sandbox.segments("p") {
        fs::remove_file(sandbox.shm().join(name)).unwrap();
    }
    assert!(!is_reused(&sandbox, &["plain.h5"]), "it was stale");
    assert!(is_reused(&sandbox, &["plain.h5"]));
}

#[test]
fn ensure_refuses_a_broken_project_from_other_files() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.write("other.h5", fixtures::plain);
    sandbox.load("p", &["plain.h5"]);
    fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    assert_refused(&sandbox, &["other.h5"], "broken, loaded from '/plain.h5', not '/other.h5'");
}

#[test]
fn ensure_refuses_a_project_of_another_program() {
    let mut sandbox = Sandbox::with_plain();
    crate::states::python_project(&sandbox, "p", &["aaaaaaaaaa"]);
    assert_refused(&sandbox, &["plain.h5"], "created by another program");
    assert!(!is_reused(&sandbox, &["plain.h5", "--overwrite"]));
    assert_eq!(sandbox.segments("p").len(), 2);
    sandbox.unlink_at_end("p");
}

#[test]
fn ensure_refuses_a_project_shared_through_the_library() {
    let mut sandbox = Sandbox::with_plain();
    let node = cute_shm::Node::new(sandbox.root(), sandbox.shm());
    let mut tree = cute_shm::Tree::new();
    tree.array("x", &[1_i64, 2][..]).unwrap();
    node.share("p").persist(&tree).unwrap();
    assert_refused(&sandbox, &["plain.h5"], "shared by a program, not loaded from a file");
    sandbox.unlink_at_end("p");
}

#[test]
fn ensure_leaves_a_project_that_another_command_holds_for_other_files() {
    let sandbox = Sandbox::with_plain();
    sandbox.write("other.h5", fixtures::plain);
    let mut held = sandbox.hold(&["load-hdf5", "p", "plain.h5"]);
    let difference =
        format!("loaded from '/plain.h5', not '/other.h5', held by process {}", held.pid());
    assert_refused(&sandbox, &["other.h5"], &difference);
    assert!(held.runs());
    held.signal(Signal::SIGTERM);
    assert_eq!(held.end(&sandbox).code(), 143);
}

#[test]
fn ensure_rejects_an_incomplete_load() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::damaged);
    sandbox.load("p", &["f.h5", "--keep-going"]);
    let run = ensure(&sandbox, &["f.h5"]);
    assert_eq!(run.code(), 8, "it was loaded only in part: {}", run.transcript());
    assert_eq!(sandbox.segments("p").len(), 1, "the part is still there");
    let run = ensure(&sandbox, &["f.h5", "--keep-going"]);
    assert_eq!(run.code(), 10, "{}", run.transcript());
    assert_eq!(run.json::<serde_json::Value>()["reused"], false);
}

#[test]
fn ensure_with_strict_rejects_a_load_with_skips() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::unsupported);
    sandbox.load("p", &["f.h5"]);
    assert!(is_reused(&sandbox, &["f.h5"]));
    let run = ensure(&sandbox, &["f.h5", "--strict"]);
    assert_eq!(run.code(), 9, "{}", run.transcript());
    assert!(is_reused(&sandbox, &["f.h5"]));
}

#[test]
fn ensure_does_not_share_the_failure_of_a_load_of_other_files() {
    let mut sandbox = Sandbox::with_plain();
    sandbox.load("p", &["plain.h5"]);
    assert_eq!(sandbox.run(&["unlink", "p"]).code(), 0);
    let shm = Directory::open(sandbox.shm()).unwrap();
    let root = Directory::open(sandbox.root()).unwrap();
    let project = ProjectName::new("p".as_ref()).unwrap();
    let key = Key::new(&project, root.id(), nix::unistd::Uid::effective().as_raw());
    let lock = ChangeLock::take_now(&shm, &key).unwrap();
    let waiting = sandbox.command(&["load-hdf5", "-p", "--ensure", "p", "plain.h5"]).start();
    let descriptors = format!("/proc/{}/fd", waiting.pid());
    wait_until("the command waits for the lock", || {
        let open = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.into_iter().any(|target| target.to_string_lossy().ends_with(".lock"))
    });
    let error = (&cute_shm::Error::new(cute_shm::Kind::Corrupt, "another file is damaged")).into();
    lock.store_error(&FailedLoad { request: "another load".to_owned(), error });
    lock.remove_file(&shm).unwrap();
    let run = waiting.end(&sandbox);
    assert_eq!(run.code(), 0, "{}", run.transcript());
}
