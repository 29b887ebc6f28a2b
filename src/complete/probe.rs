//! Reads the paths in an HDF5 file in a separate process, because a damaged file can crash the HDF5 library or
//! keep it busy.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::alarm;

/// The hidden subcommand that the scripts run.
pub(crate) const WORD: &str = "__complete";

/// The request of the program to its child process for the paths in a file.
pub(super) const PATHS: &str = "__paths";

/// The maximum number of candidates: a shell cannot show more in a usable way.
pub(super) const MAX_CANDIDATES: usize = 10_000;

/// The time limit for an answer, in seconds: the user waits for the shell.
const TIME_LIMIT_SECONDS: u32 = 2;

/// The maximum address space of the child process.
const MEMORY_LIMIT: u64 = 2 << 30;

/// Returns the paths of groups and datasets in the file that are found within the time limit.
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
    let found =
        found.filter_map(|path| String::from_utf8(path).ok()).take(MAX_CANDIDATES).collect();
    let _ = child.wait();
    found
}

/// Prints the paths in a file, each followed by NUL. A damaged file can end this process.
pub(super) fn list(args: &[OsString]) {
    let [file] = args else { return };
    alarm::set(TIME_LIMIT_SECONDS);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_AS, MEMORY_LIMIT, MEMORY_LIMIT);
    let mut out = std::io::stdout().lock();
    let mut count = 0;
    let mut seen = |path: &str| {
        count += 1;
        let is_written = path == "/" || write!(out, "{path}\0").and_then(|()| out.flush()).is_ok();
        if count > MAX_CANDIDATES || !is_written {
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
    // On an error, the paths found so far are the answer.
    let _ = hdf5_reader::inventory(Path::new(file), options);
}
