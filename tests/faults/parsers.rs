//! The parsers of metadata and ledgers return an error for mutated texts, and never panic.

use std::ffi::OsStr;
use std::fs;

use cute_shm::internals::{Directory, Key, KeyFile, Ledger, Lookup, Mark, Metadata, ProjectName};

use super::commands::Sandbox;
use super::support::{Rng, figure, rounds};

/// The insertions of mutations: valid and invalid parts of the formats.
const PIECES: &[&[u8]] = &[
    b"[",
    b"]",
    b"[[",
    b"\"",
    b"'''",
    b"=",
    b".",
    b"\n",
    b"#",
    b"\\u0000",
    b"\\",
    b"{",
    b"}",
    b",",
    b"shm_name",
    b"shape = [-1]",
    b"9223372036854775808",
    b"-0",
    b"nan",
    b"\xff\xfe",
    b"\0",
    b"cute-shm.p.aaaaa00000",
    b"../x",
    b"next",
    b"current",
    b"token = \"aaaaa\"",
    b"removing = [\"x\"]",
    b"1979-05-27T07:32:00Z",
    b"# cute-shm load ",
];

fn mutated(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=rng.below(6) {
        let at = rng.below(bytes.len() + 1);
        let end = (at + rng.below(20)).min(bytes.len());
        match rng.below(5) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, rng.pick(PIECES).iter().copied())),
            2 => bytes.truncate(at),
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = rng.below(bytes.len() + 1);
                drop(bytes.splice(to..to, copy));
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            _ => {}
        }
    }
    bytes
}

#[test]
fn parsers_of_metadata_and_ledgers_never_panic() {
    let mut rng = Rng::new("parsers");
    let sandbox = Sandbox::new();
    sandbox.load("p", &sandbox.uniform_file(1), &[]).expect(0);
    let metadata = fs::read(sandbox.metadata("p")).unwrap();
    let [shm, root] = [sandbox.shm(), sandbox.root()].map(|path| Directory::open(path).unwrap());
    let uid = nix::unistd::Uid::effective().as_raw();
    let key = Key::new(&ProjectName::new(OsStr::new("p")).unwrap(), root.id(), uid);
    let path = shm.join(&key.file(KeyFile::Ledger));
    let ledger = fs::read(&path).unwrap();
    let (mut understood, total) = (0, rounds("PARSES", 20_000, 1_000_000));
    for _ in 0..total {
        let text = String::from_utf8_lossy(&mutated(&mut rng, &metadata)).into_owned();
        let _ = Mark::parse(&text);
        if let Ok(metadata) = Metadata::parse(&text) {
            understood += 1;
            for (_, array) in metadata.arrays() {
                let _ = array.nbytes();
            }
            // Parsed values can be written and parsed again. NaN is not equal to itself, so the test compares texts.
            let again = metadata.to_toml();
            assert_eq!(Metadata::parse(&again).expect("our own text").to_toml(), again, "{text}");
        }
        fs::write(&path, mutated(&mut rng, &ledger)).unwrap();
        understood +=
            usize::from(matches!(Ledger::read(&shm, &key, Some(&root)), Lookup::Present(_)));
    }
    for _ in 0..rounds("COMMANDS", 40, 1000) {
        fs::write(sandbox.metadata("p"), mutated(&mut rng, &metadata)).unwrap();
        fs::write(&path, mutated(&mut rng, &ledger)).unwrap();
        for args in [&["list"][..], &["show", "p"], &["gc", "--dry-run", "--broken", "--orphans"]] {
            let done = sandbox.run(args);
            assert!(!done.err.contains("panicked") && done.code < 12, "{done:?}");
        }
    }
    // Much deeper than any valid table.
    let deep = format!("{}shm_name = 1", "[a.b.c]\n".repeat(3)) + &"[".repeat(100_000);
    assert!(Metadata::parse(&deep).is_err());
    let deep = format!("[{}a]\n", "a.".repeat(50_000));
    let _ = Metadata::parse(&deep);
    figure(
        "mutated texts as input of the parsers of metadata and ledgers",
        format!("{total} each, {understood} still valid"),
        "no panic",
    );
}
