//! `doctor`: one line a check, and an exit code for health checks.

use crate::sandbox::Sandbox;

#[test]
fn a_line_for_every_check_and_exit_0() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["doctor"]);
    assert_eq!(run.code(), 0, "{}", run.text());
    for name in ["shm_size", "cgroup", "remove_ipc", "tmp_cleaners", "namespaces", "leftovers"] {
        let lines =
            run.stdout().lines().filter(|line| line.split_whitespace().nth(1) == Some(name));
        assert_eq!(lines.count(), 1, "{name}");
    }
}

#[test]
fn what_gc_would_reap_is_a_finding() {
    let sandbox = Sandbox::with_project();
    crate::states::stale_project(&sandbox, "q");
    let run = sandbox.run(&["doctor", "--check"]);
    assert_eq!(run.code(), 11, "{}", run.text());
    assert!(run.stdout().contains("To do: cute-shm gc"));
    sandbox.run(&["gc"]);
}

#[test]
fn a_place_that_cannot_be_opened_is_told_like_the_rest() {
    let sandbox = Sandbox::new();
    let run = sandbox.command(&["doctor"]).env("CUTE_SHM_DIR", "/nonexistent").run();
    assert_eq!(run.code(), 0, "{}", run.text());
    assert!(run.stdout().contains("problem  directories"), "{}", run.text());
}
