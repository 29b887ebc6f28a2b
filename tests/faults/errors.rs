//! One failed system call at every point of load, overwrite, ensure, unlink and gc, from every interrupted state.

use std::collections::BTreeSet;
use std::fs;

use cute_shm::shm::directory::Directory;
use cute_shm::shm::ledger::{Key, Ledger};
use cute_shm::shm::name::ProjectName;
use nix::errno::Errno;

use super::sandbox::{Sandbox, load_args};
use super::steps::Snapshot;
use super::support::{Rng, figure, is_full, sized};
use super::tracer::{CAN_FAIL, Calls, fail_at};

const ERRORS: [Errno; 6] =
    [Errno::EIO, Errno::EMFILE, Errno::EACCES, Errno::ENOSPC, Errno::EAGAIN, Errno::ENOMEM];

/// The state in which a command begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begin {
    Nothing,
    Live,
    /// The metadata was published; its ledger still announces the load.
    PublishedOnly,
    /// An overwrite was killed before it published: segments of both loads.
    OverwriteKilled,
    /// A removal was killed after it wrote its ledger.
    RemovalKilled,
}

fn amend_ledger(sandbox: &Sandbox, amend: impl FnOnce(&mut Ledger)) {
    let [root, shm] = [&sandbox.root, &sandbox.shm].map(|path| Directory::open(path).unwrap());
    let project = ProjectName::new("p".as_ref()).unwrap();
    let key = Key::new(&project, root.id(), nix::unistd::Uid::effective().as_raw());
    let mut ledger = Ledger::read(&shm, &key, Some(&root)).known().unwrap().expect("a ledger");
    amend(&mut ledger);
    ledger.write(&shm, &key).unwrap();
}

fn prepare(sandbox: &Sandbox, begin: Begin) {
    fs::create_dir_all(&sandbox.root).unwrap();
    if begin == Begin::Nothing {
        return;
    }
    sandbox.load("p", &sandbox.file(1), &[]).expect(0);
    let segments = sandbox.segments("p").expect("a project");
    amend_ledger(sandbox, |ledger| match begin {
        Begin::Nothing | Begin::Live => {}
        Begin::PublishedOnly => ledger.next = ledger.current.take(),
        Begin::OverwriteKilled => {
            let mut next = ledger.current.clone().expect("a load");
            next.token = "aaaaa".to_owned().try_into().expect("a token");
            fs::write(sandbox.shm.join("cute-shm.p.aaaaa00000"), "half").unwrap();
            ledger.next = Some(next);
        }
        Begin::RemovalKilled => ledger.removing = Some(segments.into_iter().collect()),
    });
}

/// Makes each call on files of `args` fail, each time from the same state. Then the project is one of `allowed`, and
/// after one `gc` without faults nothing else is left.
fn at_every_call(begin: Begin, args: impl Fn(&Sandbox) -> Vec<String>, allowed: &[Option<i64>]) {
    if !CAN_FAIL {
        println!("NOT RUN: system calls are failed on x86_64 only");
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox, begin);
    let args = args(&sandbox);
    let what = &args[0];
    let start = Snapshot::take(&sandbox);
    let (mut points, mut kinds) = (0, BTreeSet::new());
    // The small size takes a part of the points, each time others.
    let stride = sized(11, 1);
    let first = 1 + Rng::new("errors").below(stride);
    'points: for point in (first..).step_by(stride) {
        let errors = match is_full() {
            true => &ERRORS[..],
            // Each point has one of the errors, and neighbors have different ones.
            false => &ERRORS[point % ERRORS.len()..][..1],
        };
        for error in errors {
            start.restore(&sandbox);
            let failed = fail_at(&mut sandbox.command(&args), Calls::Files, point, *error);
            let Some(number) = failed else { break 'points };
            points += 1;
            kinds.insert(number);
            println!("{what} from {begin:?}: {error} at point {point}, system call {number}");
            let seen = sandbox.whole("p");
            assert!(allowed.contains(&seen), "{seen:?}");
            sandbox.run(["gc"]).expect(0);
            let after = sandbox.whole("p");
            assert!(allowed.contains(&after), "after gc: {after:?}");
            assert!(seen == after || begin == Begin::RemovalKilled || seen.is_none(), "{after:?}");
            sandbox.assert_only("p");
        }
    }
    assert!(points > 5, "only {points} points");
    figure(
        &format!(
            "one failed system call at every call on files of `{what}` from {begin:?}; then one `gc`"
        ),
        format!("{points} failures, {} different calls", kinds.len()),
        "old or new whole, nothing lost, nothing else left",
    );
}

fn command(args: &[&str]) -> impl Fn(&Sandbox) -> Vec<String> {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    move |_| args.clone()
}

fn load(value: i64, option: &'static str) -> impl Fn(&Sandbox) -> Vec<String> {
    move |sandbox| load_args("p", &sandbox.file(value), &["--persistent", option])
}

#[test]
fn failed_call_in_gc_never_removes_a_published_project() {
    for begin in [Begin::Live, Begin::PublishedOnly, Begin::OverwriteKilled] {
        at_every_call(begin, command(&["gc", "--broken"]), &[Some(1)]);
    }
}

#[test]
fn failed_call_in_gc_of_an_interrupted_removal_leaves_all_or_nothing() {
    at_every_call(Begin::RemovalKilled, command(&["gc"]), &[Some(1), None]);
}

#[test]
fn failed_call_in_unlink_leaves_all_or_nothing() {
    for begin in [Begin::Live, Begin::PublishedOnly] {
        at_every_call(begin, command(&["unlink", "p"]), &[Some(1), None]);
    }
}

#[test]
fn failed_call_in_a_load_leaves_a_whole_project_or_nothing() {
    at_every_call(Begin::Nothing, load(2, "--quiet"), &[Some(2), None]);
}

#[test]
fn failed_call_in_an_overwrite_leaves_the_old_or_the_new_project() {
    for begin in [Begin::Live, Begin::PublishedOnly, Begin::OverwriteKilled] {
        at_every_call(begin, load(2, "--overwrite"), &[Some(1), Some(2)]);
    }
}

#[test]
fn failed_call_in_an_ensure_leaves_the_project() {
    at_every_call(Begin::Live, load(1, "--ensure"), &[Some(1)]);
}
