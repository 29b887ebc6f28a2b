//! Sizes of runs, random numbers with a printed seed, polling, results for the tables, and visible skips.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Returns the number of runs: the first by default, the second for a release.
pub fn sized<T>(small: T, full: T) -> T {
    if is_full() { full } else { small }
}

/// Whether this is a run for a release.
pub fn is_full() -> bool {
    std::env::var_os("CUTE_SHM_TEST_SIZE").is_some_and(|size| size == "full")
}

/// Returns the number of rounds in `CUTE_SHM_TEST_<NAME>`, else as [`sized`].
pub fn rounds(name: &str, small: usize, full: usize) -> usize {
    let set = std::env::var(format!("CUTE_SHM_TEST_{name}")).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or_else(|| sized(small, full))
}

/// Splitmix64: small, fast, and reproducible on every machine.
pub struct Rng(u64);

impl Rng {
    /// Creates a generator. The output of a failed test contains its seed.
    pub fn new(test: &str) -> Self {
        let set = std::env::var("CUTE_SHM_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = set.unwrap_or_else(|| getrandom::u64().expect("random numbers"));
        println!("{test}: CUTE_SHM_TEST_SEED={seed}");
        Self(seed)
    }

    /// Creates a generator with another sequence.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).expect("below a usize")
    }

    /// Returns a duration up to `limit`.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).expect("a short time");
        Duration::from_nanos(self.next() % nanos.max(1))
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Waits until `there` returns a value. Panics after `limit`.
pub fn eventually<T>(what: &str, limit: Duration, mut there: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Like [`eventually`], for a condition and twenty seconds.
pub fn wait_until(what: &str, mut there: impl FnMut() -> bool) {
    eventually(what, Duration::from_secs(20), || there().then_some(()));
}

/// Reports a line of docs/reliability.md: test, runs, result.
pub fn figure(what: &str, often: impl Display, left: impl Display) {
    println!("{what}: {often}: {left}");
    if let Some(path) = std::env::var_os("CUTE_SHM_TEST_FIGURES") {
        let file = std::fs::File::options().append(true).create(true).open(path);
        let line = format!("| {what} | {often} | {left} |\n");
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the figures' file");
    }
}

/// Reports a skipped test on the real stderr, which the test harness does not hide.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// Whether this process is root. Without root, reports the test as skipped.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        skip(test, "it needs root");
    }
    root
}
