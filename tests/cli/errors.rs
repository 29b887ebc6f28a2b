//! Errors: the message, the hint, and that no files remain.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use snapbox::str;

use crate::common::fixtures;
use crate::program::{Run, Sandbox, can_mount, is_root, link};

const LOAD: [&str; 4] = ["load-hdf5", "-p", "p", "f.h5"];

#[test]
fn missing_file_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: cannot open 'f.h5': No such file or directory
--- exit 3

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "no/such/f.h5"]).is(str![[r#"
--- stderr
error: cannot open 'no/such/f.h5': No such file or directory
--- exit 3

"#]]);
}

#[test]
fn directory_as_input_is_an_error() {
    Sandbox::new().run(&["load-hdf5", "-p", "p", "."]).is(str![[r#"
--- stderr
error: '.' is a directory, not an HDF5 file
--- exit 8

"#]]);
}

#[test]
fn file_that_is_not_hdf5_is_an_error() {
    let sandbox =
        Sandbox::with_file("f.h5", |path| fs::write(path, "text, and a lot of it").unwrap());
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: 'f.h5' is not an HDF5 file
hint: name its format with 'file f.h5'
--- exit 8

"#]]);
}

#[test]
fn empty_file_is_an_error() {
    let sandbox = Sandbox::with_file("f.h5", |path| fs::write(path, "").unwrap());
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: 'f.h5' is empty
hint: write or download it again
--- exit 8

"#]]);
}

#[test]
fn truncated_file_is_an_error() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::truncated);
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: cannot open 'f.h5': the file is truncated: it has 33792 of 67584 bytes
hint: copy or download the file again
--- exit 8

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "f.h5", "--keep-going"]).is(str![[r#"
--- stderr
error: cannot open 'f.h5': the file is truncated: it has 33792 of 67584 bytes
hint: copy or download the file again
--- exit 8

"#]]);
}

#[test]
fn pipe_as_file_is_refused_without_waiting_for_a_writer() {
    let sandbox = Sandbox::with_file("f.h5", |path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    });
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: cannot open 'f.h5': it is a pipe, not a regular file
hint: HDF5 needs a file that can be read in any order; write the data to one first: zcat x.h5.gz > x.h5
--- exit 8

"#]]);
}

#[test]
fn unreadable_file_is_an_error() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    crate::states::make_root(&sandbox);
    fs::set_permissions(sandbox.file("f.h5"), Permissions::from_mode(0o000)).unwrap();
    sandbox.command(&LOAD).unprivileged().run().is(str![[r#"
--- stderr
error: cannot open 'f.h5': Permission denied
--- exit 6

"#]]);
}

#[test]
fn one_missing_file_of_several_is_named() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "none.h5"]).is(str![[r#"
--- stderr
error: cannot open 'none.h5': No such file or directory
--- exit 3

"#]]);
}

#[test]
fn one_corrupt_file_of_several_is_named() {
    let sandbox = Sandbox::with_plain();
    sandbox.write("f.h5", fixtures::truncated);
    sandbox.run(&["load-hdf5", "-p", "p", "plain.h5", "f.h5"]).is(str![[r#"
--- stderr
error: cannot open 'f.h5': the file is truncated: it has 33792 of 67584 bytes
hint: copy or download the file again
--- exit 8

"#]]);
}

#[test]
fn impossible_group_is_an_error() {
    let sandbox = Sandbox::with_plain();
    sandbox.run(&["load-hdf5", "-p", "p", "=plain.h5"]).is(str![[r#"
--- stderr
error: '' cannot be the name of a group
--- exit 2

"#]]);
    sandbox.run(&["load-hdf5", "-p", "p", "shm_name=plain.h5"]).is(str![[r#"
--- stderr
error: 'shm_name' cannot be the name of a group
--- exit 2

"#]]);
}

#[test]
fn root_writable_by_other_users_is_refused() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), Permissions::from_mode(0o777)).unwrap();
    for args in [&LOAD[..], &["list"], &["show", "p"], &["unlink", "p"], &["gc"], &["wait", "p"]] {
        let run = sandbox.run(args);
        assert_eq!(run.code(), 6, "{args:?}: {}", run.transcript());
    }
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: the root '$ROOT' is refused: other users can write to it and it has no sticky bit
hint: chmod 1777 '$ROOT', or choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
}

#[test]
fn root_that_is_a_link_is_refused() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    link(sandbox.work(), sandbox.root());
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: '$ROOT' is refused: it is a symbolic link
hint: choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
    sandbox.run(&["list"]).is(str![[r#"
--- stderr
error: '$ROOT' is refused: it is a symbolic link
hint: choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
    fs::remove_file(sandbox.root()).unwrap();
}

#[test]
fn root_that_is_a_file_is_an_error() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    fs::write(sandbox.root(), "").unwrap();
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: cannot open the directory '$ROOT': Not a directory
hint: choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
}

#[test]
fn unwritable_root_of_another_user_is_refused() {
    if !is_root() {
        return; // Only root can make a directory of another user.
    }
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    fs::set_permissions(sandbox.file("f.h5"), Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(sandbox.root()).unwrap();
    fs::set_permissions(sandbox.root(), Permissions::from_mode(0o755)).unwrap();
    sandbox.command(&LOAD).unprivileged().run().is(str![[r#"
--- stderr
error: cannot create a file in '$ROOT': Permission denied
hint: choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
}

#[test]
fn sticky_root_of_another_user_is_a_warning() {
    if !is_root() {
        return; // Only root can make a directory of another user.
    }
    let sandbox = Sandbox::new();
    crate::states::make_root(&sandbox);
    std::os::unix::fs::chown(sandbox.root(), Some(12345), None).unwrap();
    sandbox.command(&["list"]).unprivileged().run().is(str![[r#"
--- stderr
warning: the root '$ROOT' belongs to user UID, who can remove files in it
no projects
--- exit 0

"#]]);
}

#[test]
fn root_that_cannot_be_created_is_an_error() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    fs::set_permissions(sandbox.file("f.h5"), Permissions::from_mode(0o644)).unwrap();
    if !is_root() {
        fs::set_permissions(sandbox.root().parent().unwrap(), Permissions::from_mode(0o511))
            .unwrap();
    }
    sandbox.command(&LOAD).unprivileged().run().is(str![[r#"
--- stderr
error: cannot create the root '$ROOT': Permission denied
hint: choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
    fs::set_permissions(sandbox.root().parent().unwrap(), Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn missing_shm_directory_is_an_error() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    sandbox.command(&LOAD).env("CUTE_SHM_DIR", sandbox.file("none")).run().is(str![[r#"
--- stderr
error: cannot open the directory '$WORK/none': No such file or directory
hint: set CUTE_SHM_DIR to a directory on a tmpfs, or unset it to use /dev/shm
--- exit 3

"#]]);
}

#[test]
fn shm_directory_writable_by_other_users_is_refused() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    fs::set_permissions(sandbox.shm(), Permissions::from_mode(0o777)).unwrap();
    sandbox.run(&["list"]).is(str![[r#"
--- stderr
error: '$SHM' is refused: other users can write to it and it has no sticky bit
hint: chmod +t '$SHM'
--- exit 6

"#]]);
}

#[test]
fn shared_memory_that_is_too_small_for_the_plan() {
    let sandbox = Sandbox::with_file("f.h5", |path| fixtures::large(path, 1 << 20));
    let Some(run) = in_small_shm(&sandbox, "size=64k", &LOAD) else { return };
    run.is(str![[r#"
--- stderr
error: not enough memory: 1 MiB needed, FREE free (LIMIT); '/x' alone takes 1 MiB
hint: free some with 'cute-shm unlink PROJECT' or 'cute-shm gc', load less with --include, or raise the limit (mount -o remount,size=..., --shm-size, --mem)
--- exit 5

"#]]);
}

#[test]
fn shared_memory_with_too_few_inodes() {
    let sandbox = Sandbox::with_file("f.h5", |path| fixtures::many(path, 40));
    let Some(run) = in_small_shm(&sandbox, "nr_inodes=20", &LOAD) else { return };
    run.is(str![[r#"
--- stderr
error: not enough inodes in '$SHM': 40 needed, 17 free
hint: mount -o remount,nr_inodes=N '$SHM', or load fewer arrays
--- exit 5

"#]]);
}

#[test]
fn dry_run_reports_that_the_data_does_not_fit() {
    let sandbox = Sandbox::with_file("f.h5", |path| fixtures::large(path, 1 << 20));
    let dry_run = ["load-hdf5", "p", "f.h5", "--dry-run"];
    let Some(run) = in_small_shm(&sandbox, "size=64k", &dry_run) else { return };
    run.is(str![[r#"
--- stdout
array  shape      dtype     size
/x     (131072,)  float64  1 MiB
1 array: 1 MiB needed, FREE free (LIMIT): it does not fit
--- exit 0

"#]]);
}

#[test]
fn limit_of_file_size_is_not_reported_as_lack_of_memory() {
    let sandbox = Sandbox::with_file("f.h5", |path| fixtures::large(path, 1 << 20));
    sandbox.command(&LOAD).after("ulimit -f 512").run().is(str![[r#"
--- stderr
error: cannot set the length of segment 'cute-shm.p.TOKEN00000' to 1048576 bytes: File too large
hint: files of this process may have 262144 bytes; raise the limit with 'ulimit -f unlimited'
--- exit 1

"#]]);
}

#[test]
fn metadata_that_cannot_be_parsed_blocks_a_load() {
    let mut sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    crate::states::make_root(&sandbox);
    crate::states::write_private(&sandbox.metadata("p"), "[a\n");
    sandbox.run(&LOAD).is(str![[r#"
--- stderr
error: project 'p' exists already
hint: it is corrupt: its metadata is invalid: line 1: unclosed table, expected `]`; use --overwrite to replace it, or 'cute-shm unlink p'
--- exit 4

"#]]);
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  corrupt
  because  its metadata is invalid: line 1: unclosed table, expected `]`
       do  run 'cute-shm unlink p' to remove it
 lifetime  -
     size  0 B in 0 arrays, 0 B resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
 attached  no process

--- exit 0

"#]]);
    sandbox.loads("p", &["load-hdf5", "-po", "p", "f.h5"]);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn missing_command_is_an_error() {
    Sandbox::new().run(&["lst"]).is(str![[r#"
--- stderr
error: unrecognized subcommand 'lst'

  tip: a similar subcommand exists: 'list'

Usage: cute-shm [OPTIONS] <COMMAND>

For more information, try '--help'.
--- exit 2

"#]]);
}

/// Runs the program with a small tmpfs of its own as the shm directory; `None` if mounts are forbidden.
fn in_small_shm(sandbox: &Sandbox, options: &str, args: &[&str]) -> Option<Run> {
    let shm = sandbox.shm();
    let mount =
        format!("mount -t tmpfs -o mode=1777,{options} tmpfs '{}' || exit 99", shm.display());
    can_mount().then(|| sandbox.command(args).unshared(&mount).run())
}
