//! What the targets in `fuzz/` call: every reader of bytes that this process did not write. Each function
//! takes arbitrary bytes and panics if it finds a contradiction. It exists only in test and fuzzing builds.

pub use crate::load::fuzz::{chunk_items, globs};
pub use crate::shm::format::fuzz::{ledger, metadata, names, rows, toml};
pub use crate::view::fuzz::slices;
pub(crate) use hdf5_reader::fuzzing::Bytes;
pub use hdf5_reader::fuzzing::{chunk, chunk_index, mapping, object_header};

/// A fuzz target: takes arbitrary bytes.
pub type Target = fn(&[u8]);

/// The fuzz targets by name.
pub const TARGETS: [(&str, Target); 12] = [
    ("chunk", chunk),
    ("chunk_index", chunk_index),
    ("chunk_items", chunk_items),
    ("globs", globs),
    ("ledger", ledger),
    ("mapping", mapping),
    ("metadata", metadata),
    ("names", names),
    ("object_header", object_header),
    ("rows", rows),
    ("slices", slices),
    ("toml", toml),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TARGETS;

    /// The inputs of a target in the tree: what scripts/fuzz begins with, and what it found.
    fn inputs(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/inputs").join(name);
        // A package that is built from crates.io does not have them.
        let Ok(files) = folder.read_dir() else { return vec![Vec::new()] };
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }

    #[test]
    fn inputs_of_the_fuzz_targets_find_no_contradiction() {
        for (name, target) in TARGETS {
            target(&[]);
            for input in inputs(name) {
                target(&input);
            }
        }
    }

    /// `CUTE_SHM_TEST_FUZZ` is the number of inputs for each target. scripts/fuzz finds more, but takes
    /// long to build.
    #[test]
    fn mutated_inputs_of_the_fuzz_targets_find_no_contradiction() {
        let count = std::env::var("CUTE_SHM_TEST_FUZZ").ok().and_then(|n| n.parse().ok());
        let count: usize = count.unwrap_or(1000);
        for (name, target) in TARGETS {
            let inputs = inputs(name);
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let mut below = |end: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state % end.max(1) as u64).unwrap()
            };
            for _ in 0..count {
                let mut input = inputs[below(inputs.len())].clone();
                for _ in 0..=below(6) {
                    let (at, byte) = (below(input.len() + 1), u8::try_from(below(256)).unwrap());
                    match below(6) {
                        0 => input.insert(at, byte),
                        1 => input.truncate(at),
                        2 if at < input.len() => drop(input.remove(at)),
                        3 if at < input.len() => input[at] ^= 1 << (byte % 8),
                        4 => {
                            let part = input[at..].iter().copied().take(8).collect::<Vec<_>>();
                            let to = below(input.len() + 1);
                            input.splice(to..to, part);
                        }
                        _ if at < input.len() => input[at] = byte,
                        _ => input.push(byte),
                    }
                }
                target(&input);
            }
        }
    }
}
