//! Keepers, co-keepers, jobs, and concurrent loads of the same project.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::process::{Process, as_user, has_exited};
use super::support::{figure, is_root, wait_until};

#[test]
fn sixty_four_concurrent_ensures_share_one_load() {
    let sandbox = Sandbox::new();
    let file = sandbox.uniform_file(1);
    let args = load_args("p", &file, &["--ensure", "--persistent", "--json"]);
    let all: Vec<_> = (0..64).map(|_| sandbox.start(&args)).collect();
    let outcomes: Vec<_> = all.into_iter().map(|one| one.wait().expect(0).json()).collect();
    let loads = outcomes.iter().filter(|one| one["reused"] == false).count();
    let tokens: std::collections::BTreeSet<_> =
        outcomes.iter().map(|one| one["token"].as_str().expect("a token")).collect();
    assert_eq!((loads, tokens.len()), (1, 1));
    assert_eq!(sandbox.whole("p"), Some(1));
    sandbox.run(["unlink", "p"]).expect(0);
    sandbox.assert_nothing();
    figure("64 concurrent `--ensure --persistent`", "64 processes", "one load, shared by all");
}

#[test]
fn co_keepers_keep_the_project_until_the_last_one_exits() {
    let sandbox = Sandbox::new();
    let (file, count) = (sandbox.uniform_file(1), 8);
    let mut keepers: Vec<_> =
        (0..count).map(|_| sandbox.start(load_args("p", &file, &["--ensure"]))).collect();
    for keeper in &mut keepers {
        wait_until("it holds", || keeper.said().contains("loaded"));
    }
    for (number, keeper) in keepers.into_iter().enumerate() {
        assert_eq!(sandbox.whole("p"), Some(1));
        // The other keepers hold the project, however one exits.
        let kill = number % 2 == 0 && number + 1 < count;
        keeper.signal(if kill { Signal::SIGKILL } else { Signal::SIGINT });
        assert_eq!(keeper.wait().code, if kill { 1009 } else { 130 });
        sandbox.run(["gc"]).expect(0);
    }
    sandbox.assert_nothing();
    figure(
        "co-keepers by `--ensure`, half of them killed",
        "8",
        "kept until the last one exits, then removed",
    );
}

#[test]
fn waiting_ensures_share_the_error_of_a_failed_load() {
    let sandbox = Sandbox::new();
    // The load fails after a while: the last dataset is beyond the end of the file.
    let path = fixtures::uniform_pages(&sandbox.file("cut.h5"), 1, 400);
    let bytes = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &bytes[..bytes.len() - 20_000]).expect("to cut it");
    let args = load_args("p", &path, &["--ensure", "--persistent"]);
    let all: Vec<_> = (0..16).map(|_| sandbox.start(&args)).collect();
    let begun = Instant::now();
    for one in all {
        one.wait().expect(8);
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
    sandbox.assert_nothing();
    figure(
        "16 concurrent `--ensure` of a damaged file",
        "16 processes",
        "exit 8 for each, nothing remains",
    );
}

#[test]
fn shared_project_remains_until_the_epilog_of_the_second_job() {
    let sandbox = Sandbox::new();
    let args = load_args("p", &sandbox.uniform_file(1), &["--ensure", "--persistent"]);
    for job in ["101", "102"] {
        let mut load = sandbox.command(&args);
        Process::start(load.env("SLURM_JOB_ID", job)).wait().expect(0);
    }
    sandbox.run(["gc", "--job", "101", "--best-effort"]).expect(0);
    assert_eq!(sandbox.whole("p"), Some(1));
    sandbox.run(["gc", "--job", "101"]).expect(0);
    assert_eq!(sandbox.whole("p"), Some(1));
    sandbox.run(["gc", "--job", "102"]).expect(0);
    sandbox.assert_nothing();
    figure("two jobs share a project; each has its epilog", "1", "kept until the second epilog");
}

#[test]
fn until_exit_removes_the_project_however_the_process_exits() {
    let sandbox = Sandbox::new();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let job = Process::start(sandbox.program("/bin/sleep").arg("1000"));
        let pid = job.pid().to_string();
        sandbox.run(load_args("p", &sandbox.uniform_file(1), &["--until-exit", &pid])).expect(0);
        assert_eq!(sandbox.whole("p"), Some(1));
        sandbox.run(["gc", "--broken"]).expect(0);
        assert_eq!(sandbox.whole("p"), Some(1));
        job.signal(signal);
        job.wait();
        wait_until("the removal of the project", || sandbox.files().is_empty());
    }
    let none = sandbox.run(load_args("p", &sandbox.uniform_file(1), &["--until-exit", "4194305"]));
    none.expect(3);
    sandbox.assert_nothing();
    figure("`--until-exit` of a process that is killed or terminated", "2", "nothing remains");
}

#[test]
fn one_gc_removes_the_project_of_a_killed_background_keeper() {
    let sandbox = Sandbox::new();
    let job = Process::start(sandbox.program("/bin/sleep").arg("1000"));
    let pid = job.pid().to_string();
    sandbox.run(load_args("p", &sandbox.uniform_file(1), &["--until-exit", &pid])).expect(0);
    let listed = sandbox.run(["list", "-s", "--json"]).expect(0).json();
    let keeper = listed["projects"][0]["keeper"]["pid"].as_i64().expect("a keeper");
    let keeper = Pid::from_raw(i32::try_from(keeper).expect("a pid"));
    nix::sys::signal::kill(keeper, Signal::SIGKILL).expect("to kill the keeper");
    wait_until("the exit of the keeper", || has_exited(keeper));
    wait_until("it is abandoned", || sandbox.state("p").as_deref() == Some("abandoned"));
    sandbox.run(["gc"]).expect(0);
    sandbox.assert_nothing();
    figure(
        "SIGKILL of a keeper in the background",
        "1",
        "`abandoned`; one `gc` removes everything",
    );
}

#[test]
fn keeper_exits_when_its_project_is_replaced_or_removed() {
    let sandbox = Sandbox::new();
    let file = sandbox.uniform_file(1);
    let persist = load_args("p", &file, &["--ensure", "--persistent"]);
    let replace = load_args("p", &sandbox.uniform_file(2), &["--overwrite", "--persistent"]);
    let unlink = ["unlink", "p"].map(str::to_owned).to_vec();
    for (args, says, left) in [
        (persist, "made persistent", Some(1)),
        (replace, "replaced", Some(2)),
        (unlink, "removed", None),
    ] {
        let keeper = sandbox.hold("p", &file, &[]);
        sandbox.run(&args).expect(0);
        let begun = Instant::now();
        let done = keeper.wait().expect(0);
        assert!(begun.elapsed() < Duration::from_secs(1), "{args:?}: {:?}", begun.elapsed());
        assert!(done.err.contains(says), "{done:?}");
        assert_eq!(sandbox.whole("p"), left);
        sandbox.assert_only("p");
        sandbox.run(["unlink", "--force", "p"]).expect(0);
        sandbox.assert_nothing();
    }
    figure(
        "another process makes a held project persistent, replaces it, unlinks it",
        "3",
        "the keeper exits within a second with a message; the change of the other process remains",
    );
}

/// The id of a user without an account.
const UID: u32 = 4_000_123_457;

/// A sandbox of that user, with the user's keeper of a project.
fn held_by_a_user(sandbox: &Sandbox, more: &[&str]) -> Process {
    let file = sandbox.uniform_file(1);
    std::fs::create_dir(sandbox.root()).unwrap();
    for folder in [sandbox.shm(), sandbox.root(), file.parent().unwrap()] {
        std::os::unix::fs::chown(folder, Some(UID), Some(UID)).unwrap();
    }
    let mut command = sandbox.command(load_args("p", &file, more));
    as_user(&mut command, UID, UID, &[]);
    Process::start(&mut command)
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn keeper_survives_a_root_that_is_unreadable_for_a_while() {
    if !is_root("keeper_survives_a_root_that_is_unreadable_for_a_while") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut keeper = held_by_a_user(&sandbox, &[]);
    wait_until("it is held", || keeper.said().contains("loaded"));
    for folder in [sandbox.root().to_owned(), sandbox.shm().to_owned()] {
        set_mode(&folder, 0o000);
        // Longer than two intervals of the keeper.
        std::thread::sleep(Duration::from_secs(1));
        assert!(keeper.is_running(), "{:?}", keeper.so_far());
        set_mode(&folder, 0o700);
    }
    sandbox.run(["gc", "--all-users"]).expect(0);
    assert_eq!(sandbox.whole("p"), Some(1));
    keeper.signal(Signal::SIGTERM);
    keeper.wait().expect(143);
    sandbox.assert_nothing();
    figure(
        "a keeper whose directories cannot be read for 1 s each",
        "2",
        "it continues to hold the project",
    );
}

#[test]
fn keeper_retries_a_removal_that_fails_for_a_while() {
    if !is_root("keeper_retries_a_removal_that_fails_for_a_while") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut keeper = held_by_a_user(&sandbox, &[]);
    wait_until("it is held", || keeper.said().contains("loaded"));
    set_mode(sandbox.root(), 0o000);
    keeper.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    set_mode(sandbox.root(), 0o700);
    keeper.wait().expect(143);
    sandbox.assert_nothing();
}

#[test]
fn status_of_a_command_is_returned_even_if_the_project_cannot_be_removed() {
    if !is_root("status_of_a_command_is_returned_even_if_the_project_cannot_be_removed") {
        return;
    }
    for status in [0, 3] {
        let sandbox = Sandbox::new();
        let script = format!("chmod 000 \"$CUTE_SHM_ROOT\"; exit {status}");
        let done =
            held_by_a_user(&sandbox, &["--", "/bin/sh", "-c", &script]).wait().expect(status);
        assert!(done.err.contains("warning: project 'p' could not be removed"), "{done:?}");
        assert!(done.err.contains("'cute-shm gc'"), "{done:?}");
        set_mode(sandbox.root(), 0o700);
        assert_eq!(sandbox.whole("p"), Some(1));
        sandbox.run(["gc", "--all-users"]).expect(0);
        sandbox.assert_nothing();
    }
}
