//! Concurrent processes that change a few names.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;

use super::commands::{Sandbox, load_args};
use super::support::{Rng, figure, rounds};

/// Runs one command of the storm. The only permitted failures are those of a lost race.
fn one(sandbox: &Sandbox, rng: &mut Rng) {
    let name = *rng.pick(&["a", "b", "keep"]);
    let file = sandbox.uniform_file(1 + i64::try_from(rng.below(2)).expect("small"));
    let load = |more: &[&str]| sandbox.run(load_args(name, &file, more));
    let done = match rng.below(8) {
        0 if name != "keep" => sandbox.run(["unlink", name]),
        1 => sandbox.run(["gc", "--orphans", "--broken", "--min-age", "60s"]),
        2 => load(&["--persistent", "--overwrite"]),
        3 => load(&["--persistent", "--overwrite", "--wait", "5"]),
        4 if name != "keep" => load(&["--ensure", "--", "/bin/true"]),
        5 if name != "keep" => {
            let mut killed = sandbox.start(load_args(name, &file, &["--overwrite"]));
            std::thread::sleep(rng.up_to(Duration::from_millis(40)));
            return killed.kill_group();
        }
        6 => sandbox.run(["list", "-s"]),
        _ => load(&["--persistent", "--ensure", *rng.pick(&["--overwrite", "--no-progress"])]),
    };
    // 3 not found, 4 exists, 7 busy; 125 the same of a load for a command.
    let codes = ["code 4", "code 7"];
    let allowed = [0, 3, 4, 7].contains(&done.code)
        || (done.code == 125 && codes.iter().any(|code| done.err.contains(code)));
    assert!(allowed && !done.err.contains("panicked"), "{name}: {done:?}");
}

/// Checks that a project that this process holds under its own name is live.
fn held(sandbox: &Sandbox, name: &str) {
    let keeper = sandbox.hold(name, &sandbox.uniform_file(1), &[]);
    assert_eq!(sandbox.run(["gc", "--broken"]).code, 0);
    assert_eq!(sandbox.whole(name), Some(1));
    keeper.signal(Signal::SIGTERM);
    assert_eq!(keeper.wait().code, 143);
    assert_eq!(sandbox.whole(name), None);
}

/// Reads like a careful reader: reads the metadata again if a segment is missing.
fn read(sandbox: &Sandbox, name: &str) -> Option<i64> {
    for _ in 0..50 {
        let text = fs::read_to_string(sandbox.metadata(name)).ok()?;
        match sandbox.try_whole(&text) {
            Ok(found) => return found,
            Err(why) => assert!(why.contains("No such file"), "{why}"),
        }
    }
    panic!("never whole");
}

#[test]
fn storm_loses_no_live_project_and_frees_all_memory() {
    let mut rng = Rng::new("storm");
    let root = nix::unistd::Uid::effective().is_root();
    let sandbox = if root { Sandbox::on_tmpfs("size=256m") } else { Sandbox::new() };
    let used = || statvfs(sandbox.shm()).map(|fs| fs.blocks() - fs.blocks_free()).expect("statvfs");
    let before = used();
    for value in [1, 2] {
        sandbox.uniform_file(value);
    }
    sandbox.load("keep", &sandbox.uniform_file(1), &[]).expect(0);
    let time = Duration::from_secs(rounds("STORM_SECONDS", 15, 180) as u64);
    let (begun, over) = (Instant::now(), AtomicBool::new(false));
    let (mut commands, mut reads) = (0, 0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !over.load(Ordering::Relaxed) {
                assert!(read(&sandbox, "keep").is_some(), "a live project was lost");
                reads += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            reads
        });
        let storms: Vec<_> = (0..6)
            .map(|number| {
                let (mut rng, sandbox) = (rng.fork(), &sandbox);
                scope.spawn(move || {
                    let mut commands = 0;
                    while begun.elapsed() < time {
                        match rng.below(12) {
                            0 => held(sandbox, &format!("held{number}")),
                            _ => one(sandbox, &mut rng),
                        }
                        commands += 1;
                    }
                    commands
                })
            })
            .collect();
        let ended: Vec<_> = storms.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        commands = ended.into_iter().map(|count| count.expect("no failure")).sum::<usize>();
        reads = reader.join().expect("no failure");
    });
    sandbox.run(["gc"]).expect(0);
    sandbox.run(["unlink", "--force", "a", "b", "keep"]).expect(0);
    sandbox.assert_nothing();
    if root {
        assert_eq!(used(), before, "blocks of the shm file system");
    }
    figure(
        "loads, ensures, overwrites, unlinks, gcs, holds and kills of a few names by 6 concurrent processes",
        format!("{commands} commands and {reads} reads in {} s", time.as_secs()),
        "no live project lost, all memory freed",
    );
}
