//! Death of the keeper or of its loader, and signals during a load.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cute_shm::internals::SegmentName;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::process::{Process, has_exited};
use super::support::{eventually, figure, sized, wait_until};

/// Writes a file whose load takes some time.
fn big(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.file("big.h5");
    if path.exists() { path } else { fixtures::sparse(&path, sized(256, 2048) << 20) }
}

/// A paused load: its loader is stopped while it creates the first segment.
struct Halted {
    load: Process,
    loader: Pid,
}

impl Halted {
    fn start(sandbox: &Sandbox, more: &[&str]) -> Self {
        let before = sandbox.segments("p").unwrap_or_default();
        let mut load = sandbox.start(load_args("p", &big(sandbox), more));
        eventually("a segment", Duration::from_secs(20), || {
            assert!(load.is_running(), "it was too quick: {:?}", load.said());
            let new = |name: &String| {
                !before.contains(name) && SegmentName::parse(name.as_ref()).is_some()
            };
            sandbox.files().iter().any(new).then_some(())
        });
        let loader = load.only_child().expect("a loader");
        kill(loader, Signal::SIGSTOP).expect("to stop the loader");
        Self { load, loader }
    }

    fn end_loader(self, signal: Signal) -> super::process::Done {
        // Rust's handler lets a SIGSEGV that no access caused pass once.
        wait_until("the exit of the loader", || {
            let _ = kill(self.loader, signal);
            let _ = kill(self.loader, Signal::SIGCONT);
            has_exited(self.loader)
        });
        self.load.wait()
    }
}

#[test]
fn killed_loader_is_reported_as_lack_of_memory() {
    let sandbox = Sandbox::new();
    let done = Halted::start(&sandbox, &["--persistent"]).end_loader(Signal::SIGKILL).expect(5);
    assert!(done.err.contains("memory"), "{done:?}");
    sandbox.assert_nothing();
    figure("SIGKILL of the loader during a load", "1", "exit 5 (memory), nothing remains");
}

#[test]
fn loader_killed_by_a_seccomp_filter_is_reported_as_permission_denied() {
    let sandbox = Sandbox::new();
    let done = Halted::start(&sandbox, &["--persistent"]).end_loader(Signal::SIGSYS).expect(6);
    assert!(done.err.contains("seccomp") && done.err.contains("--jobs 1"), "{done:?}");
    sandbox.assert_nothing();
}

#[test]
fn crashed_loader_is_reported_as_corrupt_file() {
    let sandbox = Sandbox::new();
    for signal in [Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGBUS, Signal::SIGILL] {
        let done = Halted::start(&sandbox, &[]).end_loader(signal).expect(8);
        assert!(done.err.contains("probably corrupt") && done.err.contains("/zeros"), "{done:?}");
        sandbox.assert_nothing();
    }
    let what = "SIGSEGV, SIGABRT, SIGBUS, SIGILL of the loader during a load";
    figure(what, "4", "exit 8 with the name of the dataset, nothing remains");
}

#[test]
fn old_project_survives_a_crash_of_the_loader_of_an_overwrite() {
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let before = sandbox.files();
    for (signal, code) in [(Signal::SIGKILL, 5), (Signal::SIGSEGV, 8)] {
        let halted = Halted::start(&sandbox, &["--persistent", "--overwrite"]);
        assert_eq!(sandbox.whole("p"), Some(1));
        assert_eq!(sandbox.state("p").as_deref(), Some("live"));
        sandbox.run(["gc", "--broken", "--orphans", "--min-age", "0s"]).expect(0);
        halted.end_loader(signal).expect(code);
        assert_eq!(sandbox.whole("p"), Some(1));
        assert_eq!(sandbox.files(), before);
    }
    figure(
        "SIGKILL and crash of the loader of an `--overwrite`",
        "2",
        "old project unchanged, nothing else remains",
    );
}

#[test]
fn loader_exits_with_its_keeper() {
    let sandbox = Sandbox::new();
    for more in [&["--persistent"][..], &[]] {
        let halted = Halted::start(&sandbox, more);
        assert_eq!(sandbox.state("p").as_deref(), Some("loading"));
        // gc does not remove a project during its load.
        sandbox.run(["gc", "--broken", "--orphans", "--min-age", "0s"]).expect(0);
        assert_eq!(sandbox.state("p").as_deref(), Some("loading"));
        let Halted { load, loader } = halted;
        load.signal(Signal::SIGKILL);
        wait_until("the exit of the loader", || has_exited(loader));
        assert_eq!(load.wait().code, 1009);
        wait_until("the lock is free", || sandbox.state("p").as_deref() == Some("abandoned"));
        sandbox.run(["gc"]).expect(0);
        sandbox.assert_nothing();
    }
    figure(
        "SIGKILL of the keeper during a load",
        "2",
        "the loader exits too; one `gc` removes everything",
    );
}

#[test]
fn signal_during_a_load_removes_its_segments() {
    let sandbox = Sandbox::new();
    let mut longest = Duration::ZERO;
    let mut times = 0;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        for part in 1..=4_u64 {
            let load = sandbox.start(load_args("p", &big(&sandbox), &["--persistent"]));
            let total = sized(256, 2048) << 20;
            let mut load = Some(load);
            // At a random time of the load. If the loader is faster, try again.
            let reached = eventually("it is on its way", Duration::from_secs(60), || {
                let running = load.as_mut().expect("a load").is_running();
                let there = resident(&sandbox) >= total / 5 * part;
                (there || !running).then_some(there && running)
            });
            let load = load.take().expect("a load");
            if !reached {
                load.wait().expect(0);
                sandbox.run(["unlink", "p"]).expect(0);
                continue;
            }
            let begun = Instant::now();
            load.signal(signal);
            let code = load.wait().code;
            if code == 0 {
                sandbox.run(["unlink", "p"]).expect(0);
                continue;
            }
            assert_eq!(code, 128 + signal as i32);
            longest = longest.max(begun.elapsed());
            times += 1;
            sandbox.assert_nothing();
        }
    }
    assert!(times > 4, "only {times} loads were caught on their way");
    assert!(longest < Duration::from_secs(sized(2, 1)), "it took {longest:?}");
    let size = sized(256, 2048);
    figure(
        &format!("SIGINT, SIGTERM, SIGHUP during a load of {size} MiB"),
        format!("{times}; the slowest exited after {} ms", longest.as_millis()),
        "nothing remains",
    );
}

/// Returns the bytes of memory of the files of the sandbox.
fn resident(sandbox: &Sandbox) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(sandbox.shm()).expect("the shm directory");
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|stat| stat.blocks() * 512)
        .sum()
}
