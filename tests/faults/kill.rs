//! SIGKILL of the whole process group at a random time of a load.

use std::time::{Duration, Instant};

use super::commands::{Sandbox, load_args};
use super::common::fixtures;
use super::process::Process;
use super::support::{Rng, figure, rounds};

/// Rounds of killing in one sandbox.
struct Loop {
    sandbox: Sandbox,
    rng: Rng,
    time: Duration,
    visible: usize,
}

impl Loop {
    fn new(rng: Rng) -> Self {
        let sandbox = Sandbox::new();
        for value in [1, 2] {
            fixtures::uniform_pages(&sandbox.file(&format!("{value}.h5")), value, 40);
        }
        let begun = Instant::now();
        sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
        sandbox.run(["unlink", "p"]).expect(0);
        Self { sandbox, rng, time: begun.elapsed(), visible: 0 }
    }

    /// Starts a random kind of load, kills it at a random time, and runs one gc.
    fn round(&mut self) {
        let before = self.sandbox.whole("p");
        let value = 1 + i64::try_from(self.rng.below(2)).expect("small");
        let more: &[&str] = match (before, self.rng.below(3)) {
            (None, 0) => &["--persistent"],
            (None, 1) => &[],
            (Some(_), 0) => &["--overwrite", "--persistent"],
            (Some(_), 1) => &["--overwrite"],
            (_, _) => &["--ensure", "--overwrite", "--persistent"],
        };
        let held = !more.contains(&"--persistent");
        let args = load_args("p", &self.sandbox.uniform_file(value), more);
        let mut load = Process::start(&mut self.sandbox.command(args));
        std::thread::sleep(self.rng.up_to(self.time));
        load.kill_group();
        let seen = self.sandbox.whole("p");
        assert!(seen == before || seen == Some(value), "{before:?} became {seen:?} by {more:?}");
        self.visible += usize::from(seen.is_some());
        self.sandbox.run(["gc"]).expect(0);
        self.sandbox.assert_only("p");
        let after = self.sandbox.whole("p");
        let reaped = held && after.is_none();
        assert!(after == seen || reaped, "gc made {after:?} of {seen:?} after {more:?}");
    }

    fn next_load_works(&self) {
        self.sandbox.load("p", &self.sandbox.uniform_file(1), &["--overwrite"]).expect(0);
        assert_eq!(self.sandbox.whole("p"), Some(1));
        self.sandbox.run(["unlink", "p"]).expect(0);
        self.sandbox.assert_nothing();
    }
}

#[test]
fn one_gc_removes_the_remains_of_a_kill_at_any_moment() {
    let mut rng = Rng::new("kill loop");
    let total = rounds("KILLS", 240, 10_000);
    let begun = Instant::now();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let rng = rng.fork();
            std::thread::spawn(move || {
                let mut kills = Loop::new(rng);
                for round in 0..total / 2 {
                    kills.round();
                    if round % 5 == 4 {
                        kills.next_load_works();
                    }
                }
                kills.visible
            })
        })
        .collect();
    let visible: usize = threads.into_iter().map(|thread| thread.join().expect("no failure")).sum();
    let seconds = begun.elapsed().as_secs();
    figure(
        "SIGKILL of keeper and loader at a random moment of load, `--overwrite`, `--ensure`; then one `gc`",
        format!(
            "{total} kills in {seconds} s (in {visible} a whole project was visible afterwards)"
        ),
        "nothing remains, no partial project visible, every next load works",
    );
}
