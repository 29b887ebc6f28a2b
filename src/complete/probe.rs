//! The paths in an HDF5 file, from a process of their own: a file that crashes the HDF5 library, or keeps
//! it busy, ends that process and nothing else.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::alarm;

/// The word that the scripts put before their question.
pub(crate) const WORD: &str = "__complete";

/// The word with which the program asks itself for the paths in a file.
pub(super) const PATHS: &str = "__paths";

/// The maximum number of candidates: a shell cannot show more in a usable way.
pub(super) const MOST: usize = 10_000;

/// The time limit for an answer, in seconds: the user waits for the shell.
const PATIENCE: u32 = 2;

/// The memory that a look at a file may take.
const MEMORY: u64 = 2 << 30;

/// The paths of groups and datasets in the file, as many as it gives in time.
pub(super) fn paths(file: &Path) -> Vec<String> {
    let child = Command::new("/proc/self/exe")
        .args([WORD, PATHS])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return Vec::new() };
    let lines = child.stdout.take().map(|pipe| BufReader::new(pipe).split(b'\0'));
    let found = lines.into_iter().flatten().flatten();
    let found = found.filter_map(|path| String::from_utf8(path).ok()).take(MOST).collect();
    let _ = child.wait();
    found
}

/// Prints the paths in a file, each with a NUL behind it; the process that it is may die of it.
pub(super) fn list(args: &[OsString]) {
    let [file] = args else { return };
    alarm::set(PATIENCE);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY);
    let mut out = std::io::stdout().lock();
    let mut count = 0;
    let mut seen = |path: &str| {
        count += 1;
        let heard = path == "/" || write!(out, "{path}\0").and_then(|()| out.flush()).is_ok();
        if count > MOST || !heard {
            std::process::exit(0);
        }
    };
    let options = hdf5_reader::Options {
        select: &|_| false,
        seen: &mut seen,
        keep_going: true,
        rows: None,
        external: hdf5_reader::External::Allow,
    };
    // What was seen until it failed is what there is.
    let _ = hdf5_reader::inventory(Path::new(file), options);
}
