//! `wait`: returns when a project can be read.

use snapbox::str;

use crate::program::Sandbox;

#[test]
fn wait_returns_at_once_for_a_live_project() {
    let sandbox = Sandbox::with_project();
    sandbox.run(&["wait", "p"]).is(str![[r#"
--- exit 0

"#]]);
    sandbox.run(&["wait", "p", "-v", "--timeout", "0"]).is(str![[r#"
--- stderr
project 'p' is live
--- exit 0

"#]]);
}

#[test]
fn wait_times_out_for_a_project_that_does_not_appear() {
    let sandbox = Sandbox::new();
    sandbox.run(&["wait", "p", "--timeout", "0"]).is(str![[r#"
--- stderr
error: project 'p' was not live after 0.AGE
hint: 'cute-shm list -s' lists the existing projects
--- exit 7

"#]]);
}

#[test]
fn wait_does_not_accept_a_project_that_is_not_live() {
    let sandbox = Sandbox::with_project();
    std::fs::remove_file(sandbox.shm().join(&sandbox.segments("p")[0])).unwrap();
    assert_eq!(sandbox.run(&["wait", "p", "--timeout", "0"]).code(), 7);
}

#[test]
fn wait_returns_when_the_project_is_loaded() {
    let mut sandbox = Sandbox::with_plain();
    let waiting = sandbox.command(&["wait", "p", "--timeout", "60", "-v"]).start();
    sandbox.load("p", &["plain.h5"]);
    waiting.end(&sandbox).is(str![[r#"
--- stderr
project 'p' is live
--- exit 0

"#]]);
}

#[test]
fn invalid_timeout_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&["wait", "p", "--timeout=-1"]).is(str![[r#"
--- stderr
error: invalid value '-1' for '--timeout <SECONDS>': expected a number of seconds, such as 10 or 0.5

For more information, try '--help'.
--- exit 2

"#]]);
    sandbox.run(&["wait", "p", "--timeout", "soon"]).is(str![[r#"
--- stderr
error: invalid value 'soon' for '--timeout <SECONDS>': expected a number of seconds, such as 10 or 0.5

For more information, try '--help'.
--- exit 2

"#]]);
}
