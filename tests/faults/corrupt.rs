//! Damaged HDF5 files: truncated at any byte, or with flipped bits.

use std::collections::BTreeMap;
use std::fs;

use super::commands::{Sandbox, load_args};
use super::support::{Rng, figure, is_full, rounds};

/// Loads damaged files and checks the rules that hold for any content.
struct Trial {
    sandbox: Sandbox,
    codes: BTreeMap<i32, usize>,
}

impl Trial {
    fn new() -> Self {
        Self { sandbox: Sandbox::new(), codes: BTreeMap::new() }
    }

    fn original() -> Vec<u8> {
        fs::read(Sandbox::new().uniform_file(1)).expect("a file of ours")
    }

    fn load(&mut self, what: &str, bytes: &[u8]) {
        let path = self.sandbox.file("damaged.h5");
        fs::write(&path, bytes).expect("to write");
        let keep_going = self.codes.values().sum::<usize>() % 4 == 0;
        let more: &[&str] =
            if keep_going { &["--persistent", "--keep-going"] } else { &["--persistent"] };
        let done = self.sandbox.run(load_args("p", &path, more));
        assert!([0, 8, 9, 10].contains(&done.code), "{what}: {done:?}");
        assert!(!done.err.contains("panicked"), "{what}: {done:?}");
        *self.codes.entry(done.code).or_default() += 1;
        if matches!(done.code, 0 | 10) {
            self.sandbox.assert_only("p");
            self.sandbox.run(["unlink", "p"]).expect(0);
        }
        self.sandbox.assert_nothing();
    }

    fn report(self, what: &str) {
        let codes: Vec<_> = self.codes.iter().map(|(code, n)| format!("{n} exit {code}")).collect();
        let total: usize = self.codes.values().sum();
        figure(
            what,
            format!("{total} files: {}", codes.join(", ")),
            "no hang, no panic, nothing remains",
        );
    }
}

#[test]
fn file_truncated_anywhere_is_an_error() {
    let original = Trial::original();
    let stride = if is_full() { 1 } else { original.len() / 150 };
    let mut trial = Trial::new();
    for length in (0..original.len()).step_by(stride) {
        trial.load(&format!("{length} bytes of {}", original.len()), &original[..length]);
    }
    trial.report(&format!("HDF5 file truncated at every {stride} bytes"));
}

#[test]
fn file_with_flipped_bits_loads_or_is_an_error() {
    let mut rng = Rng::new("bit flips");
    let mut trial = Trial::new();
    let original = Trial::original();
    for round in 0..rounds("FLIPS", 250, 5000) {
        let mut bytes = original.clone();
        for _ in 0..=rng.below(4) {
            // Half of them are in the first kilobytes, which contain the structure.
            let limit = if rng.below(2) == 0 { 4096.min(bytes.len()) } else { bytes.len() };
            let at = rng.below(limit);
            bytes[at] ^= 1 << rng.below(8);
        }
        trial.load(&format!("round {round}"), &bytes);
    }
    trial.report("HDF5 file with 1 to 4 bits flipped");
}
