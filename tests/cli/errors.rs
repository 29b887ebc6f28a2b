//! What goes wrong: the sentence, the hint, and that nothing stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use snapbox::str;

use crate::fixtures;
use crate::sandbox::{Sandbox, is_root, link};

const LOAD: [&str; 4] = ["load-hdf5", "-p", "p", "f.h5"];

#[test]
fn a_file_that_is_not_there() {
    let sandbox = Sandbox::new();
    sandbox.run(&LOAD).is(str![]);
    sandbox.run(&["load-hdf5", "-p", "p", "no/such/f.h5"]).is(str![]);
}

#[test]
fn a_directory() {
    Sandbox::new().run(&["load-hdf5", "-p", "p", "."]).is(str![]);
}

#[test]
fn a_file_that_is_not_hdf5() {
    let sandbox = Sandbox::with("f.h5", |path| fs::write(path, "text, and a lot of it").unwrap());
    sandbox.run(&LOAD).is(str![]);
}

#[test]
fn an_empty_file() {
    let sandbox = Sandbox::with("f.h5", |path| fs::write(path, "").unwrap());
    sandbox.run(&LOAD).is(str![]);
}

#[test]
fn a_truncated_file() {
    let sandbox = Sandbox::with("f.h5", fixtures::truncated);
    sandbox.run(&LOAD).is(str![]);
    sandbox.run(&["load-hdf5", "-p", "p", "f.h5", "--keep-going"]).is(str![]);
}

#[test]
fn a_file_that_is_a_pipe() {
    let sandbox = Sandbox::with("f.h5", |path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    // Somebody writes into it, so that nothing waits for ever.
    let path = sandbox.file("f.h5");
    let keep = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    sandbox.run(&LOAD).is(str![]);
    drop(keep);
}

#[test]
fn a_file_that_may_not_be_read() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    crate::states::make_root(&sandbox);
    fs::set_permissions(sandbox.file("f.h5"), Permissions::from_mode(0)).unwrap();
    sandbox.command(&LOAD).unprivileged().run().is(str![]);
}

#[test]
fn one_of_several_files_is_not_there() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "none.h5"]).is(str![]);
}

#[test]
fn one_of_several_files_is_broken() {
    let sandbox = Sandbox::with_plain();
    sandbox.write("f.h5", fixtures::truncated);
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "f.h5"]).is(str![]);
}

#[test]
fn a_group_that_cannot_be() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "=plain.h5"]).is(str![]);
    sandbox.run(&["load-hdf5", "-p", "p", "shm_name=plain.h5"]).is(str![]);
}

#[test]
fn a_root_that_others_may_write() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), Permissions::from_mode(0o777)).unwrap();
    for args in [&LOAD[..], &["list"], &["show", "p"], &["unlink", "p"], &["gc"], &["wait", "p"]] {
        let run = sandbox.run(args);
        assert_eq!(run.code(), 6, "{args:?}: {}", run.text());
    }
    sandbox.run(&LOAD).is(str![]);
}

#[test]
fn a_root_that_is_a_link() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    link(&sandbox.work(), &sandbox.root());
    sandbox.run(&LOAD).is(str![]);
    sandbox.run(&["list"]).is(str![]);
    fs::remove_file(sandbox.root()).unwrap();
}

#[test]
fn a_root_that_is_a_file() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    fs::write(sandbox.root(), "").unwrap();
    sandbox.run(&LOAD).is(str![]);
}

#[test]
fn a_root_of_another_user_that_is_not_writable() {
    if !is_root() {
        return; // Only root can make a directory of another user.
    }
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    fs::set_permissions(sandbox.file("f.h5"), Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), Permissions::from_mode(0o755)).unwrap();
    sandbox.command(&LOAD).unprivileged().run().is(str![]);
}

#[test]
fn a_root_that_cannot_be_made() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    fs::set_permissions(sandbox.file("f.h5"), Permissions::from_mode(0o644)).unwrap();
    if !is_root() {
        fs::set_permissions(sandbox.root().parent().unwrap(), Permissions::from_mode(0o511))
            .unwrap();
    }
    sandbox.command(&LOAD).unprivileged().run().is(str![]);
    fs::set_permissions(sandbox.root().parent().unwrap(), Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn a_shm_directory_that_is_not_there() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    sandbox.command(&LOAD).env("CUTE_SHM_DIR", sandbox.file("none")).run().is(str![]);
}

#[test]
fn a_shm_directory_that_others_may_write() {
    let sandbox = Sandbox::with("f.h5", fixtures::plain);
    fs::set_permissions(sandbox.shm(), Permissions::from_mode(0o777)).unwrap();
    sandbox.run(&["list"]).is(str![]);
}

#[test]
fn shared_memory_that_is_too_small_for_the_plan() {
    let sandbox = Sandbox::with("f.h5", |path| fixtures::large(path, 1 << 20));
    in_small_shm(&sandbox, "size=64k", &LOAD).is(str![]);
}

#[test]
fn shared_memory_with_too_few_inodes() {
    let sandbox = Sandbox::with("f.h5", |path| fixtures::many(path, 40));
    in_small_shm(&sandbox, "nr_inodes=20", &LOAD).is(str![]);
}

#[test]
fn a_dry_run_says_that_it_does_not_fit() {
    let sandbox = Sandbox::with("f.h5", |path| fixtures::large(path, 1 << 20));
    let run = in_small_shm(&sandbox, "size=64k", &["load-hdf5", "p", "f.h5", "--dry-run"]);
    run.is(str![]);
}

#[test]
fn shared_memory_that_ends_while_loading() {
    let sandbox = Sandbox::with("f.h5", |path| fixtures::large(path, 1 << 20));
    // The limit of a file's size is met when the segment is reserved, as a full file system is.
    sandbox.command(&LOAD).after("ulimit -f 512").run().is(str![]);
}

#[test]
fn metadata_that_cannot_be_parsed_is_in_the_way_of_a_load() {
    let mut sandbox = Sandbox::with("f.h5", fixtures::plain);
    crate::states::make_root(&sandbox);
    fs::write(sandbox.metadata("p"), "[a\n").unwrap();
    sandbox.run(&LOAD).is(str![]);
    sandbox.run(&["show", "p"]).is(str![]);
    sandbox.loads("p", &["load-hdf5", "-po", "p", "f.h5"]);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn a_command_that_does_not_exist() {
    Sandbox::new().run(&["lst"]).is(str![]);
}

/// Runs the program with a small tmpfs of its own as the shm directory; without the right to mount one,
/// it says so on stderr and in the outcome of the test.
fn in_small_shm(sandbox: &Sandbox, options: &str, args: &[&str]) -> crate::sandbox::Run {
    let shm = sandbox.shm();
    let mount =
        format!("mount -t tmpfs -o mode=1777,{options} tmpfs '{}' || exit 99", shm.display());
    sandbox.command(args).unshared(&mount).run()
}
