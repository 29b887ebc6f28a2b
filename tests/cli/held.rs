//! Held projects: readiness, waiting, and removal.

use std::fs;

use nix::sys::signal::Signal;
use snapbox::str;

use crate::program::{Sandbox, wait_until};

const HOLD: [&str; 3] = ["load-hdf5", "p", "plain.h5"];

#[test]
fn ctrl_c_removes_the_project() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    assert_eq!(sandbox.segments("p").len(), 2);
    held.signal(Signal::SIGINT);
    held.end(&sandbox).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
holding the project; press Ctrl-C to remove it
removed project 'p'
--- exit 130

"#]]);
}

#[test]
fn sigterm_removes_the_project() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    held.signal(Signal::SIGTERM);
    held.end(&sandbox).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
holding the project; press Ctrl-C to remove it
removed project 'p'
--- exit 143

"#]]);
}

#[test]
fn sighup_removes_the_project() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    held.signal(Signal::SIGHUP);
    held.end(&sandbox).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
holding the project; press Ctrl-C to remove it
removed project 'p'
--- exit 129

"#]]);
}

#[test]
fn result_is_printed_when_the_project_is_ready() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&["load-hdf5", "p", "plain.h5", "--json"]);
    wait_until("the object", || held.stdout().ends_with('\n'));
    let said: serde_json::Value = serde_json::from_str(&held.stdout()).unwrap();
    assert_eq!((&said["ok"], &said["lifetime"]), (&true.into(), &"held".into()));
    held.signal(Signal::SIGTERM);
    let run = held.end(&sandbox);
    assert_eq!((run.stdout().lines().count(), run.code()), (1, 143), "{}", run.transcript());
}

#[test]
fn ignored_hangup_remains_ignored() {
    let sandbox = Sandbox::with_plain();
    let mut held = sandbox.command(&HOLD).after("trap '' HUP").start();
    held.wait_for("holding the project");
    held.signal(Signal::SIGHUP);
    let status = fs::read_to_string(format!("/proc/{}/status", held.pid())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1, 1, "{ignored}");
    assert_eq!(sandbox.run(&["wait", "p"]).code(), 0);
    assert!(held.runs());
    held.signal(Signal::SIGTERM);
    held.end(&sandbox).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
holding the project; press Ctrl-C to remove it
removed project 'p'
--- exit 143

"#]]);
}

#[test]
fn ignored_ctrl_c_remains_ignored() {
    let sandbox = Sandbox::with_plain();
    let mut held = sandbox.command(&HOLD).after("trap '' INT").start();
    held.wait_for("holding the project");
    held.signal(Signal::SIGINT);
    assert_eq!(sandbox.run(&["wait", "p"]).code(), 0);
    assert!(held.runs());
    held.signal(Signal::SIGTERM);
    assert_eq!(held.end(&sandbox).code(), 143);
}

#[test]
fn further_signals_do_not_interrupt_the_cleanup() {
    let sandbox = Sandbox::with_file("many.h5", |path| crate::common::fixtures::many(path, 400));
    let held = sandbox.hold(&["load-hdf5", "p", "many.h5"]);
    held.signal(Signal::SIGTERM);
    for _ in 0..20 {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            held.signal(signal);
        }
    }
    let run = held.end(&sandbox);
    assert!([129, 130, 143].contains(&run.code()), "{}", run.transcript());
    // Drop of the sandbox checks that no files remain.
}

#[test]
fn signal_during_a_load_leaves_no_files() {
    let sandbox = Sandbox::with_file("f.h5", |path| crate::common::fixtures::many(path, 4000));
    let load = sandbox.command(&["load-hdf5", "p", "f.h5", "-p"]).start();
    wait_until("the first segments", || !sandbox.segments("p").is_empty());
    load.signal(Signal::SIGTERM);
    load.end(&sandbox).is(str![[r#"
--- stderr
error: interrupted by SIGTERM; all segments of this load were removed
--- exit 143

"#]]);
}

#[test]
fn keeper_of_an_unlinked_project_exits() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    sandbox.run(&["unlink", "p"]).is(str![[r#"
--- stdout
removed p: 2 segments, 8 KiB freed
--- exit 0

"#]]);
    held.end(&sandbox).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
holding the project; press Ctrl-C to remove it
another process removed project 'p'
--- exit 0

"#]]);
}

#[test]
fn keeper_of_a_replaced_project_exits() {
    let mut sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    sandbox.loads("p", &["load-hdf5", "-po", "p", "plain.h5"]);
    held.end(&sandbox).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- stderr
holding the project; press Ctrl-C to remove it
another process replaced project 'p'
--- exit 0

"#]]);
    assert_eq!(sandbox.run(&["list", "--check"]).code(), 0);
}

#[test]
fn load_replaces_the_abandoned_project_of_a_killed_keeper() {
    let mut sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    held.signal(Signal::SIGKILL);
    held.end(&sandbox);
    sandbox.run(&["show", "p"]).is(str![[r#"
--- stdout
  project  p
    state  abandoned
  because  its keeper, process PID, has exited
       do  run 'cute-shm gc' to remove it
 lifetime  held by PID
     size  60 B in 2 arrays, 8 KiB resident
 metadata  $ROOT/cute-shm.p.toml
    owner  user UID
   loaded  TIME (AGE ago)
     from  $WORK/plain.h5 (2.06 KiB)
 attached  no process

x  (2, 3) float64  48 B
y  (3,) int32  12 B
--- exit 0

"#]]);
    sandbox.load("p", &["plain.h5"]).is(str![[r#"
--- stdout
metadata: $ROOT/cute-shm.p.toml
loaded: 2 arrays, 60 B in SECONDS s (RATE/s)
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
}

#[test]
fn held_project_is_listed_with_its_keeper() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    let listed: serde_json::Value = sandbox.run(&["list", "-s", "--json"]).json();
    let project = &listed["projects"][0];
    assert_eq!(project["keeper"]["pid"], held.pid().as_raw());
    assert_eq!((&project["lifetime"], &project["state"]), (&"held".into(), &"live".into()));
    held.signal(Signal::SIGTERM);
    held.end(&sandbox);
}

#[test]
fn gc_keeps_a_held_project() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.hold(&HOLD);
    sandbox.run(&["gc", "--older-than", "0s"]).is(str![[r#"
--- stderr
nothing to remove
--- exit 0

"#]]);
    assert_eq!(sandbox.segments("p").len(), 2);
    held.signal(Signal::SIGTERM);
    held.end(&sandbox);
}

#[test]
fn quiet_load_holds_without_output() {
    let sandbox = Sandbox::with_plain();
    let held = sandbox.command(&["load-hdf5", "p", "plain.h5", "-q"]).start();
    assert_eq!(sandbox.run(&["wait", "p", "--timeout", "60"]).code(), 0);
    held.signal(Signal::SIGINT);
    held.end(&sandbox).is(str![[r#"
--- exit 130

"#]]);
}
