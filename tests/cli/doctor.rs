//! `doctor`: one line per check, and an exit code for health checks.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::fixtures;
use crate::program::{NOBODY, Program, Run, Sandbox, can_mount, is_root};

#[test]
fn every_check_has_one_line_and_the_exit_code_is_0() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["doctor"]);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    for name in ["shm_size", "cgroup", "remove_ipc", "tmp_cleaners", "namespaces", "leftovers"] {
        let lines =
            run.stdout().lines().filter(|line| line.split_whitespace().nth(1) == Some(name));
        assert_eq!(lines.count(), 1, "{name}");
    }
}

#[test]
fn removable_project_is_a_finding_of_doctor() {
    let sandbox = Sandbox::with_project();
    crate::states::stale_project(&sandbox, "q");
    let run = sandbox.run(&["doctor", "--check"]);
    assert_eq!(run.code(), 11, "{}", run.transcript());
    assert!(run.stdout().contains("To do: run 'cute-shm gc'"));
    sandbox.run(&["gc"]);
}

#[test]
fn doctor_reports_a_missing_directory_as_a_finding() {
    let sandbox = Sandbox::new();
    let run = sandbox.command(&["doctor"]).env("CUTE_SHM_DIR", "/nonexistent").run();
    assert_eq!(run.code(), 0, "{}", run.transcript());
    assert!(run.stdout().contains("problem  directories"), "{}", run.transcript());
}

/// A load, its dry run and `doctor --check`, in this order.
fn load_and_its_checks(program: impl Fn(&[&str]) -> Run) -> [Run; 3] {
    [
        program(&["load-hdf5", "-p", "p", "plain.h5"]),
        program(&["load-hdf5", "p", "plain.h5", "--dry-run"]),
        program(&["doctor", "--check"]),
    ]
}

/// Asserts that all three fail for this reason, and that only the shm directory or only the root is to be changed.
#[track_caller]
fn assert_fails([load, dry_run, doctor]: &[Run; 3], reason: &str, is_root: bool) {
    assert_eq!((load.code(), dry_run.code(), doctor.code()), (6, 6, 11), "{}", load.transcript());
    assert_eq!(load.transcript(), dry_run.transcript());
    assert!(load.transcript().contains(&format!("error: {reason}\n")), "{}", load.transcript());
    assert_eq!(load.transcript().contains("--root"), is_root, "{}", load.transcript());
    let text = doctor.transcript();
    let line = text.lines().find(|line| line.starts_with("problem  directories")).unwrap();
    assert!(line.contains(reason), "{text}");
    assert_eq!(line.contains("--root"), is_root, "{text}");
}

/// Creates a sandbox with a file that every user may read.
fn open_sandbox() -> Sandbox {
    let sandbox = Sandbox::with_plain();
    fs::set_permissions(sandbox.file("plain.h5"), Permissions::from_mode(0o644)).unwrap();
    sandbox
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn root_that_the_user_cannot_write_is_reported_before_a_load() {
    if !is_root() {
        return; // Only root can make a directory of another user.
    }
    let sandbox = open_sandbox();
    fs::create_dir(sandbox.root()).unwrap();
    set_mode(sandbox.root(), 0o755);
    let runs = load_and_its_checks(|args| sandbox.command(args).unprivileged().run());
    assert_fails(&runs, "cannot create a file in '$ROOT': Permission denied", true);
}

#[test]
fn root_that_the_user_cannot_create_is_reported_before_a_load() {
    if !is_root() {
        return; // The tests' own user can create it.
    }
    let sandbox = open_sandbox();
    let runs = load_and_its_checks(|args| sandbox.command(args).unprivileged().run());
    assert_fails(&runs, "cannot create the root '$ROOT': Permission denied", true);
}

#[test]
fn shm_directory_that_the_user_cannot_write_is_reported_before_a_load() {
    if !is_root() {
        return; // Only root can make a directory of another user.
    }
    let sandbox = open_sandbox();
    crate::states::make_root(&sandbox);
    set_mode(sandbox.shm(), 0o755);
    let runs = load_and_its_checks(|args| sandbox.command(args).unprivileged().run());
    assert_fails(&runs, "cannot create a file in '$SHM': Permission denied", false);
}

#[test]
fn read_only_shm_directory_is_reported_before_a_load() {
    if !can_mount() {
        return;
    }
    let sandbox = open_sandbox();
    let shm = sandbox.shm();
    let read_only = format!("mount --bind {0} {0}; mount -o remount,ro,bind {0}", shm.display());
    let runs = load_and_its_checks(|args| sandbox.command(args).unshared(&read_only).run());
    assert_fails(&runs, "cannot create a file in '$SHM': Read-only file system", false);
    assert!(!sandbox.root().exists(), "a load that cannot succeed creates no root");
}

#[test]
fn dry_run_and_doctor_leave_no_files() {
    let sandbox = Sandbox::with_plain();
    assert_eq!(sandbox.run(&["load-hdf5", "p", "plain.h5", "--dry-run"]).code(), 0);
    assert_eq!(sandbox.run(&["doctor"]).code(), 0);
    assert!(!sandbox.root().exists());
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn root_checks_for_another_user() {
    let sandbox = Sandbox::with_file("f.h5", fixtures::plain);
    let nobody = NOBODY.to_string();
    let args = ["doctor", "--check", "--user", &nobody];
    if !is_root() {
        return assert_eq!(sandbox.run(&args).code(), 6);
    }
    let directories = |program: Program<'_>| {
        let run = program.run();
        let text = run.transcript();
        let line = text
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some("directories"))
            .unwrap();
        line.to_owned()
    };
    crate::states::make_root(&sandbox);
    assert!(directories(sandbox.command(&args)).starts_with("ok "));
    set_mode(sandbox.shm(), 0o755);
    assert!(directories(sandbox.command(&["doctor"])).starts_with("ok "));
    let line = directories(sandbox.command(&args));
    assert!(line.starts_with("problem ") && line.contains("'$SHM': Permission denied"), "{line}");
}

/// As on WSL: https://github.com/microsoft/WSL/issues/8996.
#[test]
fn dev_shm_that_is_a_link_of_root_is_accepted() {
    if !is_root() || !can_mount() {
        return; // Only root may make the devices that the program needs.
    }
    let sandbox = Sandbox::with_plain();
    let mounts = |link: &str| {
        format!(
            "mount -t tmpfs none /run && mkdir /run/shm && cp plain.h5 /run && mount -t tmpfs none /dev \
             && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && {link} && cd /run \
             && chmod 1777 /run/shm && unset CUTE_SHM_DIR && export CUTE_SHM_ROOT=/run/root"
        )
    };
    let load = ["load-hdf5", "p", "plain.h5", "-q", "--", "/bin/ls", "/run/shm"];
    let run = sandbox.command(&load).unshared(&mounts("ln -s /run/shm /dev/shm")).run();
    assert_eq!(run.code(), 0, "{}", run.transcript());
    assert!(run.stdout().contains("cute-shm.p."), "{}", run.transcript());
    let of_nobody = mounts("ln -s /run/shm /dev/shm && chown -h 65534 /dev/shm");
    let run = sandbox.command(&load).unshared(&of_nobody).run();
    assert_eq!(run.code(), 125, "{}", run.transcript());
    assert!(
        run.stderr().contains("'/dev/shm' is refused: it is a symbolic link"),
        "{}",
        run.transcript()
    );
}
