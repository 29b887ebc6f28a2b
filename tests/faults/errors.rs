//! Errors at system calls of load, overwrite, ensure, unlink, gc, export and hold, and of the recovery from
//! every state after a kill: at one call, or at it and all later ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use nix::errno::Errno;

use super::commands::{Sandbox, load_args};
use super::steps::Snapshot;
use super::support::{Rng, figure, is_full, rounds, skip};
use super::tracer::{CAN_FAIL, Calls, Failed, Failure, fail_at, kill_at};

const ERRORS: [Errno; 8] = [
    Errno::EIO,
    Errno::EMFILE,
    Errno::ENFILE,
    Errno::EACCES,
    Errno::ENOSPC,
    Errno::EAGAIN,
    Errno::ENOMEM,
    Errno::EINTR,
];

/// The required result of exit 0.
#[derive(Clone, Copy)]
enum Success {
    /// This number.
    Loaded(i64),
    /// The project is removed.
    Removed,
    /// Any permitted project: a failure is only reported.
    Any,
}

/// One command, from one state of both directories.
struct Case<'a> {
    what: &'a str,
    sandbox: &'a Sandbox,
    begin: &'a Snapshot,
    args: Vec<String>,
    /// The permitted projects afterwards.
    allowed: Vec<Option<i64>>,
    /// The required result of exit 0.
    success: Success,
    /// Whether errors at locks are excluded: a command that waits without a limit would never end.
    waits: bool,
}

/// The results of the runs of a case.
#[derive(Default)]
struct Tally {
    runs: usize,
    calls: BTreeSet<i64>,
    codes: BTreeMap<i32, usize>,
}

impl Case<'_> {
    /// Every failure in a full run, else `count` of them.
    fn run(&self, rng: &mut Rng, count: usize, tally: &mut Tally) {
        let none = Failure { point: usize::MAX, errno: Errno::EIO, lasting: false };
        self.begin.restore(self.sandbox);
        let total = fail_at(&mut self.sandbox.command(&self.args), none).calls;
        assert!(total > 10, "{}: only {total} calls", self.what);
        let failures: Vec<Failure> = if is_full() {
            let lasting = [false, true];
            let each = |point| {
                let errors = ERRORS.into_iter().flat_map(move |errno| lasting.map(|l| (errno, l)));
                errors.map(move |(errno, lasting)| Failure { point, errno, lasting })
            };
            (1..=total).flat_map(each).collect()
        } else {
            let mut one = || Failure {
                point: 1 + rng.below(total),
                errno: *rng.pick(&ERRORS),
                lasting: rng.below(2) == 1,
            };
            (0..count).map(|_| one()).collect()
        };
        for failure in failures {
            // A call that is always interrupted, and a lock that is never free, are not errors.
            let endless = failure.errno == Errno::EINTR
                || (self.waits && [Errno::EAGAIN, Errno::EACCES].contains(&failure.errno));
            if !(failure.lasting && endless) {
                self.fail(failure, tally);
            }
        }
    }

    fn fail(&self, failure: Failure, tally: &mut Tally) {
        let sandbox = self.sandbox;
        self.begin.restore(sandbox);
        println!("{}: {failure:?}", self.what);
        let done = fail_at(&mut sandbox.command(&self.args), failure);
        println!("  {done:?}");
        Self::assert_clear(&done);
        assert!(self.args[0] != "load-hdf5" || done.code != 8, "a sound file is called corrupt");
        let seen = sandbox.whole("p");
        assert!(self.allowed.contains(&seen), "{seen:?}");
        match self.success {
            Success::Loaded(value) if done.code == 0 => assert_eq!(seen, Some(value)),
            Success::Removed if done.code == 0 => assert_eq!(seen, None),
            _ => {}
        }
        sandbox.run(["gc"]).expect(0);
        let after = sandbox.whole("p");
        assert!(self.allowed.contains(&after), "after gc: {after:?}");
        assert!(after == seen || after.is_none() || seen.is_none(), "{seen:?} became {after:?}");
        sandbox.assert_only("p");
        tally.runs += 1;
        tally.calls.extend(done.call);
        *tally.codes.entry(done.code).or_default() += 1;
    }

    /// Asserts success or an error message: no panic, no hang, no signal.
    fn assert_clear(done: &Failed) {
        assert!(!done.hung, "it hangs");
        assert!(!done.err.contains("panicked"), "a panic");
        assert!((0..=128).contains(&done.code) && done.code != 101, "exit {}", done.code);
        assert!(!done.err.contains("internal error"), "a panic of the loader");
        // 127: the command of `-- CMD` could not load its libraries, and reports that itself.
        if ![0, 10, 127].contains(&done.code) {
            assert!(done.err.contains("error: "), "exit {} without an error", done.code);
        }
    }
}

fn report(what: &str, tally: &Tally) {
    let codes: Vec<_> = tally.codes.iter().map(|(code, n)| format!("{n} exit {code}")).collect();
    figure(
        &format!(
            "an error at one system call of {what}, or at it and all later ones; then one `gc`"
        ),
        format!("{} runs, {} different calls: {}", tally.runs, tally.calls.len(), codes.join(", ")),
        "old or new project whole, an error message, nothing else remains",
    );
}

/// Runs one command from the current state of the sandbox.
fn errors_in(
    what: &str,
    sandbox: &Sandbox,
    args: Vec<String>,
    allowed: &[Option<i64>],
    success: Success,
) {
    if !CAN_FAIL {
        return skip(what, "system calls can be made to fail on x86_64 only");
    }
    let begin = Snapshot::take(sandbox);
    let mut rng = Rng::new(what);
    let waits = args.iter().any(|arg| arg == "--ensure");
    let (allowed, mut tally) = (allowed.to_vec(), Tally::default());
    let case = Case { what, sandbox, begin: &begin, args, allowed, success, waits };
    case.run(&mut rng, rounds("ERRORS", 30, 0), &mut tally);
    report(what, &tally);
}

#[test]
fn load_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent"]);
    errors_in("a load", &sandbox, args, &[None, Some(1)], Success::Loaded(1));
}

/// The HDF5 library reports some failed system calls without their error, as it reports damage.
#[test]
fn one_io_error_at_each_call_of_a_load_is_never_called_damage() {
    if !CAN_FAIL {
        return skip(
            "one_io_error_at_each_call",
            "system calls can be made to fail on x86_64 only",
        );
    }
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    let begin = Snapshot::take(&sandbox);
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent"]);
    let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
    for point in 1.. {
        begin.restore(&sandbox);
        let failure = Failure { point, errno: Errno::EIO, lasting: false };
        let done = fail_at(&mut sandbox.command(&args), failure);
        if done.call.is_none() {
            break;
        }
        Case::assert_clear(&done);
        assert_ne!(done.code, 8, "{point}: {done:?}");
        *codes.entry(done.code).or_default() += 1;
    }
    assert!(codes.values().sum::<usize>() > 100, "{codes:?}");
    figure(
        "a load with one EIO, at each system call in turn",
        format!("{codes:?} (exit codes and runs)"),
        "never exit 8",
    );
    begin.restore(&sandbox);
}

#[test]
fn load_for_a_command_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    let args = load_args("p", &sandbox.uniform_file(1), &["--", "/bin/true"]);
    // A project that cannot be removed is abandoned, with a warning.
    errors_in("`load-hdf5 -- CMD`", &sandbox, args, &[None, Some(1)], Success::Any);
}

#[test]
fn overwrite_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = load_args("p", &sandbox.uniform_file(2), &["--persistent", "--overwrite"]);
    errors_in("`--overwrite`", &sandbox, args, &[Some(1), Some(2)], Success::Loaded(2));
}

#[test]
fn ensure_of_a_loaded_project_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent", "--ensure"]);
    errors_in("`--ensure` of a loaded project", &sandbox, args, &[Some(1)], Success::Loaded(1));
}

#[test]
fn unlink_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = ["unlink", "p"].map(str::to_owned).to_vec();
    errors_in("`unlink`", &sandbox, args, &[Some(1), None], Success::Removed);
}

#[test]
fn gc_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    let mut keeper = sandbox.hold("p", &sandbox.uniform_file(1), &[]);
    keeper.kill_group();
    let args = vec!["gc".to_owned()];
    errors_in("`gc` of an abandoned project", &sandbox, args, &[Some(1), None], Success::Any);
}

#[test]
fn export_handles_a_failure_of_every_system_call() {
    if !CAN_FAIL {
        return skip(
            "export_handles_a_failure_of_every_system_call",
            "system calls can be made to fail on x86_64 only",
        );
    }
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let begin = Snapshot::take(&sandbox);
    let mut tally = Tally::default();
    let folder = sandbox.file("exports");
    for name in ["out.h5", "out.npz"] {
        fs::create_dir(&folder).unwrap();
        let path = folder.join(name);
        let args = ["export", "p", "-o", path.to_str().unwrap()].map(str::to_owned);
        let mut rng = Rng::new(name);
        let none = Failure { point: usize::MAX, errno: Errno::EIO, lasting: false };
        let total = fail_at(&mut sandbox.command(&args), none).calls;
        let expected = fs::read(&path).unwrap();
        let count = rounds("ERRORS", 24, 400);
        for _ in 0..count {
            let failure = Failure {
                point: 1 + rng.below(total),
                errno: *rng.pick(&ERRORS[..7]),
                lasting: rng.below(2) == 1,
            };
            fs::remove_dir_all(&folder).unwrap();
            fs::create_dir(&folder).unwrap();
            println!("{name}: {failure:?}");
            let done = fail_at(&mut sandbox.command(&args), failure);
            println!("  {done:?}");
            Case::assert_clear(&done);
            assert_eq!(sandbox.whole("p"), Some(1));
            check_export(&sandbox, &path, done.code, &expected);
            // The temporary file can remain only if its removal fails too.
            if !failure.lasting {
                assert!(fs::read_dir(&folder).unwrap().count() <= 1);
            }
            tally.runs += 1;
            tally.calls.extend(done.call);
            *tally.codes.entry(done.code).or_default() += 1;
        }
        fs::remove_dir_all(&folder).unwrap();
    }
    begin.restore(&sandbox);
    report("`export`", &tally);
}

/// After exit 0 the file is complete. After a failure it is complete or absent.
fn check_export(sandbox: &Sandbox, path: &Path, code: i32, expected: &[u8]) {
    let Ok(bytes) = fs::read(path) else {
        assert_ne!(code, 0, "exit 0 without a file");
        return;
    };
    if path.extension().is_some_and(|suffix| suffix == "h5") {
        sandbox.load("again", path, &[]).expect(0);
        assert_eq!(sandbox.whole("again"), Some(1));
        sandbox.run(["unlink", "again"]).expect(0);
    } else {
        assert!(bytes == expected, "another file");
    }
}

/// Returns the states after SIGKILL at each call of `args`, one of each kind.
fn interrupted(sandbox: &Sandbox, args: &[String]) -> Vec<(Snapshot, Option<i64>)> {
    let begin = Snapshot::take(sandbox);
    let mut kinds = BTreeSet::new();
    let mut states = Vec::new();
    for point in 1.. {
        begin.restore(sandbox);
        if kill_at(&mut sandbox.command(args), Calls::Changing, point).is_none() {
            break;
        }
        if kinds.insert(kind(sandbox)) {
            states.push((Snapshot::take(sandbox), sandbox.whole("p")));
        }
    }
    begin.restore(sandbox);
    states
}

/// Returns the properties that distinguish interrupted states: the project, the number of files of each kind, and the
/// entries of the ledger.
fn kind(sandbox: &Sandbox) -> (Option<i64>, BTreeMap<String, usize>, Vec<String>) {
    let mut files = BTreeMap::new();
    let mut tables = Vec::new();
    for name in sandbox.files() {
        let suffix = name.rsplit('.').next().unwrap_or_default();
        let known = ["toml", "ledger", "lock", "new", "aside"].contains(&suffix);
        *files.entry(if known { suffix } else { "segment" }.to_owned()).or_default() += 1;
        if suffix == "ledger" {
            let text = fs::read_to_string(sandbox.shm().join(&name)).unwrap_or_default();
            let words = ["[next]", "[current]", "retiring = [\"", "removing"];
            tables.extend(words.into_iter().filter(|word| text.contains(word)).map(str::to_owned));
        }
    }
    (sandbox.whole("p"), files, tables)
}

/// Runs commands from every state after a kill of `args`. Any next command finishes a removal that has begun, so the
/// project may be missing.
fn errors_after(what: &str, sandbox: &Sandbox, args: &[String]) {
    if !CAN_FAIL {
        return skip(what, "system calls can be made to fail on x86_64 only");
    }
    let states = interrupted(sandbox, args);
    assert!(states.len() > 4, "only {} states", states.len());
    let published = sandbox.uniform_file(3);
    let mut rng = Rng::new(what);
    let mut tally = Tally::default();
    for (begin, before) in &states {
        let text = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
        let commands = [
            (load_args("p", &published, &["-p", "--overwrite"]), vec![Some(3)], Success::Loaded(3)),
            (
                load_args("p", &published, &["-p", "--ensure", "--overwrite"]),
                vec![Some(3)],
                Success::Loaded(3),
            ),
            (text(&["unlink", "--force", "p"]), vec![None], Success::Removed),
            (text(&["gc", "--broken"]), vec![None], Success::Any),
        ];
        for (command, mut allowed, success) in commands {
            allowed.push(*before);
            // A load that was not published is rolled back.
            allowed.push(None);
            if before.is_some() && command[0] != "unlink" && args[0] != "unlink" {
                allowed.retain(Option::is_some);
            }
            let waits = command.iter().any(|arg| arg == "--ensure");
            let case = Case { what, sandbox, begin, args: command, allowed, success, waits };
            case.run(&mut rng, rounds("ERRORS", 24, 0) / 12, &mut tally);
        }
    }
    report(&format!("recovery from {} states of {what}", states.len()), &tally);
}

#[test]
fn recovery_of_a_load_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    let args = load_args("p", &sandbox.uniform_file(1), &["--persistent"]);
    errors_after("an interrupted load", &sandbox, &args);
}

#[test]
fn recovery_of_an_overwrite_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = load_args("p", &sandbox.uniform_file(2), &["--persistent", "--overwrite"]);
    errors_after("an interrupted `--overwrite`", &sandbox, &args);
}

#[test]
fn recovery_of_an_unlink_handles_a_failure_of_every_system_call() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let args = ["unlink", "p"].map(str::to_owned);
    errors_after("an interrupted `unlink`", &sandbox, &args);
}
