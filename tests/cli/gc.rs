//! `gc`: removes provably dead projects, and others only with an option.

use std::fs;

use nix::sys::signal::Signal;
use snapbox::str;

use crate::program::{Sandbox, is_root};
use crate::states::{
    ChangeLock, make_root, python_project, stale_project, write_metadata, write_segment,
};

/// Creates a sandbox with an abandoned project, whose keeper was killed.
fn abandoned() -> Sandbox {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&["load-hdf5", "p", "plain.h5"]);
    held.signal(Signal::SIGKILL);
    held.end(&sandbox);
    sandbox
}

fn load_for_job(sandbox: &mut Sandbox, project: &str, job: &str) {
    let args = ["load-hdf5", "-p", project, "plain.h5"];
    let run = sandbox.command(&args).env("CUTE_SHM_JOB", job).run();
    assert_eq!(run.code(), 0, "{}", run.transcript());
    sandbox.unlink_at_end(project);
}

#[test]
fn gc_without_projects_removes_nothing() {
    Sandbox::new().run(&["gc"]).is(str![[r#"
--- stderr
nothing to remove
--- exit 0

"#]]);
    Sandbox::new().run(&["gc", "--check"]).is(str![[r#"
--- stderr
nothing to remove
--- exit 0

"#]]);
}

#[test]
fn abandoned_project_is_removed() {
    let sandbox = abandoned();
    sandbox.run(&["gc"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (abandoned): its keeper, process PID, has exited; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn stale_project_is_removed() {
    let sandbox = Sandbox::new();
    stale_project(&sandbox, "p");
    sandbox.run(&["gc"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (stale): all segments are missing, loaded before this boot; 0 segments, 0 B freed
--- exit 0

"#]]);
    assert!(!sandbox.metadata("p").exists());
}

#[test]
fn live_project_is_kept() {
    let sandbox = Sandbox::with_project();
    sandbox.run(&["gc"]).is(str![[r#"
--- stderr
nothing to remove
--- exit 0

"#]]);
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
kept p in '$ROOT' (live): the project is live
nothing to remove
--- exit 0

"#]]);
}

#[test]
fn dry_run_lists_projects_to_remove() {
    let sandbox = abandoned();
    let before = sandbox.in_shm();
    sandbox.run(&["gc", "--dry-run"]).is(str![[r#"
--- stdout
would remove p in '$ROOT' (abandoned): its keeper, process PID, has exited; 2 segments, 8 KiB would be freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), before);
    sandbox.run(&["gc"]);
}

#[test]
fn check_fails_if_a_project_is_removable_and_removes_nothing() {
    let sandbox = abandoned();
    let before = sandbox.in_shm();
    sandbox.run(&["gc", "--check"]).is(str![[r#"
--- stdout
would remove p in '$ROOT' (abandoned): its keeper, process PID, has exited; 2 segments, 8 KiB would be freed
--- stderr
error: 1 project to remove
hint: run 'cute-shm gc'
--- exit 11

"#]]);
    assert_eq!(sandbox.in_shm(), before);
    assert_eq!(sandbox.run(&["gc", "--check", "--best-effort"]).code(), 11);
    sandbox.run(&["gc"]);
    assert_eq!(sandbox.run(&["gc", "--check"]).code(), 0);
}

#[test]
fn broken_projects_are_removed_with_broken() {
    let sandbox = Sandbox::new();
    write_metadata(&sandbox, "p", "", &["aaaaaaaaaa", "bbbbbbbbbb"]);
    write_segment(&sandbox, "p", "bbbbbbbbbb");
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
skipped p in '$ROOT' (broken): 1 of 2 segments are missing (--broken removes it)
nothing to remove
--- exit 0

"#]]);
    sandbox.run(&["gc", "--broken"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (broken): 1 of 2 segments are missing; 1 segment, 4 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn corrupt_projects_are_removed_with_broken() {
    let sandbox = Sandbox::new();
    make_root(&sandbox);
    crate::states::write_private(&sandbox.metadata("p"), "[a\n");
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
skipped p in '$ROOT' (corrupt): its metadata is invalid: line 1: unclosed table, expected `]` (--broken removes it)
nothing to remove
--- exit 0

"#]]);
    sandbox.run(&["gc", "--broken"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (corrupt): its metadata is invalid: line 1: unclosed table, expected `]`; 0 segments, 0 B freed
--- exit 0

"#]]);
    assert!(!sandbox.metadata("p").exists());
}

#[test]
fn old_orphans_are_removed_with_orphans() {
    let sandbox = Sandbox::new();
    make_root(&sandbox);
    write_segment(&sandbox, "p", "aaaaaaaaaa");
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
skipped p (orphan): no metadata and no ledger claims these segments (--orphans removes unused ones)
nothing to remove
--- exit 0

"#]]);
    let young: serde_json::Value = sandbox.run(&["gc", "--orphans", "--json"]).json();
    let reason = young["items"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("less than --min-age (600 s)"), "{reason}");
    sandbox.run(&["gc", "--orphans", "--min-age", "0s"]).is(str![[r#"
--- stdout
removed p (orphan): no project claims these segments, no process uses them; 1 segment, 4 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn orphan_that_a_process_has_open_is_kept() {
    let mut sandbox = Sandbox::new();
    sandbox.may_leave();
    make_root(&sandbox);
    write_segment(&sandbox, "p", "aaaaaaaaaa");
    let user = fs::File::open(sandbox.shm().join("cute-shm.p.aaaaaaaaaa")).unwrap();
    sandbox.run(&["gc", "-v", "--orphans", "--min-age", "0s"]).is(str![[r#"
--- stderr
skipped p (orphan): a process has one of these segments open
nothing to remove
--- exit 0

"#]]);
    drop(user);
}

#[test]
fn segments_of_a_project_in_another_root_are_not_orphans() {
    let mut sandbox = Sandbox::with_project();
    sandbox.may_leave();
    let other = sandbox.file("other");
    let run = sandbox.run(&[
        "gc",
        "-v",
        "--orphans",
        "--min-age",
        "0s",
        "--root",
        other.to_str().unwrap(),
    ]);
    run.is(str![[r#"
--- stderr
kept p in '$ROOT': it belongs to another root (--all-roots includes it)
skipped 1 project of other roots (--all-roots includes them)
nothing to remove
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
    sandbox.unlink_at_end("p");
}

#[test]
fn projects_of_another_root_are_removed_only_with_all_roots() {
    let sandbox = abandoned();
    let other = sandbox.file("other");
    let before = sandbox.in_shm();
    let run = sandbox.run(&["gc", "-v", "--root", other.to_str().unwrap()]);
    run.is(str![[r#"
--- stderr
kept p in '$ROOT': it belongs to another root (--all-roots includes it)
skipped 1 project of other roots (--all-roots includes them)
nothing to remove
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), before);
    sandbox.run(&["gc", "--all-roots", "--root", other.to_str().unwrap()]).is(str![[r#"
--- stdout
removed p in '$ROOT' (abandoned): its keeper, process PID, has exited; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
    assert!(!sandbox.metadata("p").exists());
}

#[test]
fn load_that_may_be_published_in_an_unreadable_root_is_kept() {
    let sandbox = Sandbox::with_project();
    // The state after a kill between the publication and the rename of the prepared ledger.
    let ledger = sandbox.shm_file(".ledger");
    let text = fs::read_to_string(&ledger).unwrap();
    let prepared = ledger.with_extension("aaaaa.ledger.new");
    fs::write(&prepared, &text).unwrap();
    fs::write(&ledger, text.replace("[current", "[next").replace("[[current", "[[next")).unwrap();
    let aside = sandbox.file("aside");
    fs::rename(sandbox.root(), &aside).unwrap();
    let gc = ["gc", "--all-roots", "--broken", "--older-than", "0s"];
    sandbox.run(&gc).is(str![[r#"
--- stderr
skipped p in '$ROOT' (foreign): its root cannot be opened, and its load may be complete
nothing to remove
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
    // With its root, the load is rolled forward.
    fs::rename(&aside, sandbox.root()).unwrap();
    assert_eq!(sandbox.run(&["gc"]).code(), 0);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
    // Without a prepared ledger, it was not published.
    let text = fs::read_to_string(&ledger).unwrap();
    fs::write(&ledger, text.replace("[current", "[next").replace("[[current", "[[next")).unwrap();
    fs::remove_dir_all(sandbox.root()).unwrap();
    sandbox.run(&gc).is(str![[r#"
--- stdout
removed p in '$ROOT' (abandoned): its load was interrupted; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn detached_project_without_its_root_can_be_removed() {
    let sandbox = Sandbox::with_project();
    fs::remove_dir_all(sandbox.root()).unwrap();
    let greedy = ["gc", "--all-roots", "--broken", "--orphans", "--min-age", "0s"];
    assert_eq!(sandbox.run(&greedy).code(), 0);
    assert_ne!(sandbox.in_shm(), [""; 0]);
    let old = ["gc", "--older-than", "0s"];
    assert_eq!(sandbox.run(&old).code(), 0);
    assert_ne!(
        sandbox.in_shm(),
        [""; 0],
        "without the root directory, the ledger names another root"
    );
    assert_eq!(sandbox.run(&[&old[..], &["--all-roots"]].concat()).code(), 0);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn detached_projects_are_repaired_with_repair() {
    let sandbox = Sandbox::with_project();
    let text = fs::read_to_string(sandbox.metadata("p")).unwrap();
    fs::remove_file(sandbox.metadata("p")).unwrap();
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
skipped p in '$ROOT' (detached): its metadata file is missing (--repair restores it, --older-than removes it)
nothing to remove
--- exit 0

"#]]);
    sandbox.run(&["gc", "--repair", "--dry-run"]).is(str![[r#"
--- stdout
would repair p in '$ROOT' (detached): its metadata file is missing
--- exit 0

"#]]);
    sandbox.run(&["gc", "--repair"]).is(str![[r#"
--- stdout
repaired p in '$ROOT' (detached): its metadata file is missing
--- exit 0

"#]]);
    assert_eq!(fs::read_to_string(sandbox.metadata("p")).unwrap(), text);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn projects_of_an_ended_job_are_removed() {
    let mut sandbox = Sandbox::with_plain();
    load_for_job(&mut sandbox, "mine", "7");
    load_for_job(&mut sandbox, "other", "8");
    sandbox.load("none", &["plain.h5"]);
    sandbox.run(&["gc", "--job", "7"]).is(str![[r#"
--- stdout
removed mine in '$ROOT' (live): job 7 has ended; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    let names: Vec<_> = ["mine", "other", "none"].map(|name| sandbox.segments(name).len()).into();
    assert_eq!(names, [0, 2, 2]);
}

#[test]
fn restarted_job_differs_from_its_previous_run() {
    let mut sandbox = Sandbox::with_plain();
    let args = ["load-hdf5", "-p", "p", "plain.h5"];
    let again = sandbox.command(&args).env("SLURM_JOB_ID", "7").env("SLURM_RESTART_COUNT", "2");
    assert_eq!(again.run().code(), 0);
    sandbox.unlink_at_end("p");
    let gc = |restart: &str| {
        let gc = sandbox.command(&["gc", "--job", "7"]);
        gc.env("SLURM_JOB_ID", "7").env("SLURM_RESTART_COUNT", restart).run()
    };
    assert_eq!(gc("1").code(), 0);
    assert_eq!(sandbox.segments("p").len(), 2, "the epilog of one run leaves the next one's");
    assert_eq!(gc("2").code(), 0);
    assert_eq!(sandbox.segments("p").len(), 0);
}

#[test]
fn late_epilog_keeps_jobs_that_joined_after_its_start() {
    let mut sandbox = Sandbox::with_plain();
    load_for_job(&mut sandbox, "p", "7");
    let run = sandbox.run(&["gc", "--job", "7", "--before", "1000000000.5"]);
    assert!(run.stderr().ends_with("nothing to remove\n"), "{}", run.transcript());
    assert_eq!(sandbox.segments("p").len(), 2);
    assert_eq!(sandbox.run(&["gc", "--job", "7", "--before", "soon"]).code(), 2);
}

#[test]
fn projects_of_jobs_that_left_the_node_are_removed() {
    let mut sandbox = Sandbox::with_plain();
    for (project, job) in [("here", "7"), ("gone", "8")] {
        let args = ["load-hdf5", project, "plain.h5", "-p"];
        sandbox.command(&args).env("PBS_JOBID", job).run();
        sandbox.unlink_at_end(project);
    }
    load_for_job(&mut sandbox, "named", "9");
    let run = sandbox.run(&["gc", "--live-jobs", "7, 11"]);
    let removed = format!("removed gone in '{}' (live): its jobs", sandbox.root().display());
    assert!(run.stdout().starts_with(&removed), "{}", run.transcript());
    assert_eq!(run.stdout().lines().count(), 1, "{}", run.transcript());
    assert_eq!(sandbox.run(&["gc", "--live-jobs", "7", "--job", "7"]).code(), 2);
}

#[test]
fn ended_job_is_removed_from_the_job_list_of_a_shared_project() {
    let mut sandbox = Sandbox::with_plain();
    load_for_job(&mut sandbox, "p", "7");
    let path = sandbox.shm_file(".ledger");
    let text = fs::read_to_string(&path).unwrap();
    let (head, tail) = text.split_once("[[current.jobs]]").expect("a job in the ledger");
    let more = "[[current.jobs]]\nscheduler = \"other\"\nid = \"8\"\nrestart = 0\n\n";
    fs::write(&path, format!("{head}{more}[[current.jobs]]{tail}")).unwrap();
    sandbox.run(&["gc", "--job", "7"]).is(str![[r#"
--- stdout
updated the job list of p in '$ROOT' (live): job 7 has ended; jobs left: 1; 0 segments, 0 B freed
--- exit 0

"#]]);
    let shown: serde_json::Value = sandbox.run(&["show", "p", "--json"]).json();
    assert_eq!(shown["project"]["jobs"][0]["id"], "8");
    assert_eq!(shown["project"]["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn old_unused_projects_are_removed_with_older_than() {
    let mut sandbox = Sandbox::with_project();
    sandbox.load("used", &["plain.h5"]);
    let user = fs::File::open(sandbox.shm().join(&sandbox.segments("used")[0])).unwrap();
    assert_eq!(sandbox.run(&["gc", "--older-than", "1h"]).stdout(), "");
    assert_eq!(sandbox.segments("p").len(), 2);
    let run = sandbox.run(&["gc", "--older-than", "0s"]);
    drop(user);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    assert_eq!((sandbox.segments("p").len(), sandbox.segments("used").len()), (0, 2));
}

#[test]
fn projects_of_unknown_age_are_not_old() {
    let mut sandbox = Sandbox::new();
    python_project(&sandbox, "p", &["aaaaaaaaaa"]);
    sandbox.unlink_at_end("p");
    sandbox.run(&["gc", "--older-than", "0s", "-v"]).is(str![[r#"
--- stderr
kept p in '$ROOT' (live): the project is live
nothing to remove
--- exit 0

"#]]);
}

#[test]
fn age_with_an_unknown_unit_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&["gc", "--older-than", "3y"]).is(str![[r#"
--- stderr
error: invalid value '3y' for '--older-than <AGE>': expected a number and a unit (s, m, h or d), such as 30s, 10m, 12h or 7d

For more information, try '--help'.
--- exit 2

"#]]);
    sandbox.run(&["gc", "--orphans", "--min-age", "x"]).is(str![[r#"
--- stderr
error: invalid value 'x' for '--min-age <AGE>': expected a number and a unit (s, m, h or d), such as 30s, 10m, 12h or 7d

For more information, try '--help'.
--- exit 2

"#]]);
    sandbox.run(&["gc", "--user", "no such user"]).is(str![[r#"
--- stderr
error: invalid value 'no such user' for '--user <USER>': no such user

For more information, try '--help'.
--- exit 2

"#]]);
}

#[test]
fn ages_without_a_unit_and_empty_times_are_usage_errors() {
    let sandbox = Sandbox::new();
    for args in [
        ["--older-than", "7"],
        ["--older-than", "0"],
        ["--min-age", "600"],
        ["--time-limit", "10"],
        ["--before", ""],
        ["--before", "7d"],
    ] {
        let run = sandbox.run(&[&["gc", "--best-effort"][..], &args].concat());
        assert_eq!(run.code(), 2, "{args:?}: {}", run.transcript());
        assert!(run.stderr().contains("expected a"), "{}", run.transcript());
    }
}

#[test]
fn projects_beyond_the_time_limit_are_reported_as_not_reached() {
    let sandbox = Sandbox::new();
    stale_project(&sandbox, "p");
    stale_project(&sandbox, "q");
    sandbox.run(&["gc", "--time-limit", "0s", "-v"]).is(str![[r#"
--- stderr
did not reach p in '$ROOT': the time limit was reached
did not reach q in '$ROOT': the time limit was reached
error: the time limit was reached before 2 projects could be checked
hint: run 'cute-shm gc' again, or raise the limit with --time-limit
--- exit 10

"#]]);
    let run = sandbox.run(&["gc", "--time-limit", "0s", "--best-effort", "--json"]);
    assert_eq!(run.code(), 0, "{}", run.transcript());
    let found: serde_json::Value = run.json();
    for item in found["items"].as_array().unwrap() {
        assert_eq!((&item["action"], &item["state"]), (&"not_reached".into(), &().into()));
        assert_eq!(item["root"], *sandbox.root().to_string_lossy());
    }
    assert_eq!(found["errors"][0]["code"], "partial");
    assert!(sandbox.metadata("p").exists());
    sandbox.run(&["gc", "--time-limit", "1h"]);
}

#[test]
fn locked_project_is_skipped_with_the_reason() {
    let mut sandbox = Sandbox::with_plain();
    load_for_job(&mut sandbox, "p", "7");
    let lock = ChangeLock::take(&sandbox);
    sandbox.run(&["gc", "--job", "7"]).is(str![[r#"
--- stderr
skipped p in '$ROOT' (live): project 'p' is being changed by another process
--- exit 0

"#]]);
    drop(lock);
    sandbox.run(&["gc", "--job", "7"]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn locked_project_of_another_root_is_skipped_with_the_reason() {
    let mut sandbox = Sandbox::with_plain();
    load_for_job(&mut sandbox, "p", "7");
    let other = sandbox.file("other");
    let gc = ["gc", "--job", "7", "--all-roots", "--root", other.to_str().unwrap()];
    let lock = ChangeLock::take(&sandbox);
    sandbox.run(&gc).is(str![[r#"
--- stderr
skipped p in '$ROOT' (live): project 'p' is being changed by another process
--- exit 0

"#]]);
    drop(lock);
    sandbox.run(&gc);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn largest_project_is_removed_first() {
    let sandbox = Sandbox::new();
    make_root(&sandbox);
    for (project, bytes) in [("a", 1), ("b", 1 << 20), ("c", 1 << 14)] {
        let segment = sandbox.shm().join(format!("cute-shm.{project}.aaaaa00000"));
        fs::write(segment, vec![1; bytes]).unwrap();
    }
    let run = sandbox.run(&["gc", "--orphans", "--min-age", "0s"]);
    let names: Vec<_> = run.stdout().lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(names, ["b", "c", "a"], "{}", run.transcript());
}

#[test]
fn refused_current_root_does_not_stop_gc_of_other_roots() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = abandoned();
    let other = sandbox.file("unsafe");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o777)).unwrap();
    let other = other.to_str().unwrap();
    let run = sandbox.run(&["gc", "--all-roots", "--root", other]);
    assert_eq!(run.code(), 6, "{}", run.transcript());
    assert!(run.stdout().starts_with("removed p in "), "{}", run.transcript());
    assert_eq!(sandbox.in_shm(), [""; 0]);
    assert_eq!(sandbox.run(&["gc", "--all-roots", "--best-effort", "--root", other]).code(), 0);
}

#[test]
fn project_with_a_change_in_progress_is_skipped() {
    let sandbox = Sandbox::with_project();
    let lock = ChangeLock::take(&sandbox);
    sandbox.run(&["gc", "-v", "--older-than", "0s"]).is(str![[r#"
--- stderr
kept p in '$ROOT' (live): another process is changing the project
nothing to remove
--- exit 0

"#]]);
    drop(lock);
}

#[test]
fn unsafe_root_fails_without_best_effort() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    make_root(&sandbox);
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o777)).unwrap();
    sandbox.run(&["gc"]).is(str![[r#"
--- stderr
error: the root '$ROOT' is refused: other users can write to it and it has no sticky bit
hint: chmod 1777 '$ROOT', or choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 6

"#]]);
    sandbox.run(&["gc", "--best-effort"]).is(str![[r#"
--- stderr
error: the root '$ROOT' is refused: other users can write to it and it has no sticky bit
hint: chmod 1777 '$ROOT', or choose another with --root DIR or CUTE_SHM_ROOT; for all users of the node, let an administrator put 'd /tmp/cute-shm 1777 root root -' into /etc/tmpfiles.d/cute-shm.conf
--- exit 0

"#]]);
}

#[test]
fn root_removes_projects_of_other_users_only_with_all_users() {
    if !is_root() {
        return; // Only root can remove projects of other users.
    }
    let sandbox = Sandbox::with_plain();
    make_root(&sandbox);
    open_to_all(&sandbox);
    let mut held = sandbox.command(&["load-hdf5", "p", "plain.h5"]).unprivileged().start();
    held.wait_for("holding the project");
    held.signal(Signal::SIGKILL);
    held.end(&sandbox);
    sandbox.run(&["gc", "-v"]).is(str![[r#"
--- stderr
kept p in '$ROOT': owned by user UID
skipped 1 project of other users (--all-users includes them)
nothing to remove
--- exit 0

"#]]);
    sandbox.run(&["gc", "--user", "0", "-v"]).is(str![[r#"
--- stderr
kept p in '$ROOT': owned by user UID
nothing to remove
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
    sandbox.run(&["gc", "--all-users"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (abandoned): its keeper, process PID, has exited; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

#[test]
fn root_removes_the_projects_of_one_user() {
    if !is_root() {
        return; // Only root can remove projects of other users.
    }
    let sandbox = Sandbox::with_plain();
    make_root(&sandbox);
    open_to_all(&sandbox);
    let load = sandbox.command(&["load-hdf5", "-p", "p", "plain.h5"]).unprivileged();
    let run = load.env("SLURM_JOB_ID", "7").run();
    assert_eq!(run.code(), 0, "{}", run.transcript());
    sandbox.run(&["gc", "--job", "7", "--user", "65534", "--best-effort"]).is(str![[r#"
--- stdout
removed p in '$ROOT' (live): job 7 has ended; 2 segments, 8 KiB freed
--- exit 0

"#]]);
    assert_eq!(sandbox.in_shm(), [""; 0]);
}

fn open_to_all(sandbox: &Sandbox) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(sandbox.file("plain.h5"), fs::Permissions::from_mode(0o644)).unwrap();
}
