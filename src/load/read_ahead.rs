//! Reads the files of a load into the page cache, ahead of the planning and of the workers. These read small parts, one after
//! the other, and would wait for the storage each time: for milliseconds on a network file system.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use hdf5_reader::lookup::open_regular;

use crate::load::request::Request;
use crate::os::threads::lock_ignoring_poison;
use crate::os::{memory, page_cache};

/// A smaller file takes few requests.
const MIN_FILE_BYTES: u64 = 1 << 20;

/// The bytes of one request: the kernel limits it to its own read-ahead, which is this by default.
const REQUEST_BYTES: usize = 128 << 10;

/// The most bytes ahead of the workers.
const WINDOW_BYTES: u64 = 128 << 20;

/// The most bytes that are read while the load is planned: a load of a larger file is not for its metadata alone.
const MAX_PLANNING_BYTES: u64 = 1 << 30;

/// The share of the available memory that these bytes may take.
const PLANNING_SHARE: u64 = 8;

/// The time between two checks of the progress of the workers.
const INTERVAL: Duration = Duration::from_millis(5);

/// The number of places at which a file is probed.
const PROBES: u64 = 16;

/// The read-ahead of one load. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    paths: Vec<PathBuf>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
    files: Mutex<Vec<(PathBuf, Arc<File>)>>,
    is_bypassed: AtomicBool,
}

#[derive(Debug)]
enum Phase {
    /// Reads the first bytes of all files together.
    Planning { limit: u64 },
    /// Reads as much of the files as the workers have loaded of these bytes, and the window.
    Transfer { bytes: u64, loaded: Arc<AtomicU64> },
    /// Reads nothing.
    Ended,
}

impl ReadAhead {
    /// The read-ahead of a load. Nothing is read of the files of a load with a selection, which may need a small part.
    pub(crate) fn new(request: &Request) -> Self {
        let selection = &request.selection;
        let is_whole = selection.include.is_empty()
            && selection.exclude.is_empty()
            && selection.rows.is_none();
        let inputs = request.inputs.iter().filter(|_| is_whole).map(|input| &input.path);
        Self::of(inputs.filter(|path| size(path) >= MIN_FILE_BYTES).cloned().collect())
    }

    fn of(paths: Vec<PathBuf>) -> Self {
        let shared = Shared {
            phase: Mutex::new(Phase::Planning { limit: 0 }),
            changed: Condvar::new(),
            files: Mutex::default(),
            is_bypassed: AtomicBool::new(false),
        };
        Self { paths, shared: Arc::new(shared), thread: None }
    }

    /// Starts to read, once the first file has been opened: on some file systems a further open(2) empties the page cache.
    pub(crate) fn begin(&mut self) {
        if self.paths.is_empty() || self.thread.is_some() {
            return;
        }
        let paths = std::mem::take(&mut self.paths);
        let available = memory::available_bytes().unwrap_or(u64::MAX);
        let limit = MAX_PLANNING_BYTES.min(available / PLANNING_SHARE);
        *lock_ignoring_poison(&self.shared.phase) = Phase::Planning { limit };
        let shared = Arc::clone(&self.shared);
        // Without a thread the workers read as the storage allows.
        self.thread = Builder::new().spawn(move || shared.read_all(&paths)).ok();
    }

    /// Continues ahead of the workers, which load this number of bytes in all, and report how many they have loaded.
    pub(crate) fn continue_for(&self, bytes: u64, loaded: Arc<AtomicU64>) {
        self.set(Phase::Transfer { bytes, loaded });
    }

    /// The file at a path, if it was opened.
    pub(crate) fn file(&self, path: &Path) -> Option<Arc<File>> {
        let files = lock_ignoring_poison(&self.shared.files);
        files.iter().find(|(other, _)| other == path).map(|(_, file)| Arc::clone(file))
    }

    /// Whether a file was found whose reads bypass the page cache, so that only more workers have more requests in flight.
    pub(crate) fn is_bypassed(&self) -> bool {
        self.shared.is_bypassed.load(Ordering::Relaxed)
    }

    fn set(&self, phase: Phase) {
        *lock_ignoring_poison(&self.shared.phase) = phase;
        self.shared.changed.notify_all();
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.set(Phase::Ended);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn read_all(&self, paths: &[PathBuf]) {
        let sizes: Vec<u64> = paths.iter().map(|path| size(path)).collect();
        let total = sizes.iter().fold(0_u64, |sum, &size| sum.saturating_add(size));
        let mut before = 0_u64;
        for (path, &size) in paths.iter().zip(&sizes) {
            if let Ok((file, _)) = open_regular(path)
                && !self.read(path, &Arc::new(file), size, (before, total))
            {
                return;
            }
            before = before.saturating_add(size);
        }
    }

    /// Reads a file that begins at this position of all files. Returns false at the end of the read-ahead.
    fn read(&self, path: &Path, file: &Arc<File>, size: u64, (before, total): (u64, u64)) -> bool {
        if !page_cache::is_used(file) {
            self.is_bypassed.store(true, Ordering::Relaxed);
            return true;
        }
        if is_cached(file, size) {
            return true;
        }
        lock_ignoring_poison(&self.files).push((path.to_owned(), Arc::clone(file)));
        for offset in (0..size).step_by(REQUEST_BYTES) {
            if !self.wait_until_due(before.saturating_add(offset), total) {
                return false;
            }
            page_cache::will_need(file, offset, REQUEST_BYTES as u64);
        }
        true
    }

    /// Waits until the bytes at this position of all files are to be read. Returns false at the end.
    fn wait_until_due(&self, position: u64, total: u64) -> bool {
        let mut phase = lock_ignoring_poison(&self.phase);
        loop {
            let limit = match &*phase {
                Phase::Planning { limit } => *limit,
                Phase::Transfer { bytes, loaded } => {
                    share(total, loaded.load(Ordering::Relaxed), *bytes)
                        .saturating_add(WINDOW_BYTES)
                }
                Phase::Ended => return false,
            };
            if position < limit {
                return true;
            }
            phase = match self.changed.wait_timeout(phase, INTERVAL) {
                Ok((phase, _)) => phase,
                Err(poisoned) => PoisonError::into_inner(poisoned).0,
            };
        }
    }
}

/// As much of `total` as `part` is of `whole`.
fn share(total: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(total) * u128::from(part.min(whole)) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Whether the page cache has a file of this size, according to probes of a few bytes.
fn is_cached(file: &File, size: u64) -> bool {
    let last = size.saturating_sub(1);
    (0..PROBES)
        .all(|probe| page_cache::is_cached(file, share(last, probe, PROBES - 1)) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_page_cache_after_a_load_of_all_bytes() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = |name| folder.path().join(name);
        let size = 3 * MIN_FILE_BYTES;
        for name in ["a", "b"] {
            let file = File::create(path(name)).unwrap();
            file.set_len(size).unwrap();
            file.sync_all().unwrap();
        }
        let mut read_ahead = ReadAhead::of(vec![path("a"), path("absent"), path("b")]);
        assert!(read_ahead.file(&path("a")).is_none());
        read_ahead.begin();
        read_ahead.begin();
        read_ahead.continue_for(10, Arc::new(AtomicU64::new(10)));
        let thread = read_ahead.thread.take().unwrap();
        thread.join().unwrap();
        for name in ["a", "b"] {
            let file = read_ahead
                .file(&path(name))
                .map_or_else(|| File::open(path(name)).unwrap(), |file| file.try_clone().unwrap());
            // The last read has begun; this one waits for it.
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut [0], size - 1).unwrap();
            assert_ne!(page_cache::is_cached(&file, size - 1), Some(false));
        }
        assert!(!read_ahead.is_bypassed());
    }

    #[test]
    fn read_ahead_waits_for_the_workers_and_ends_when_dropped() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.as_file_mut().set_len(WINDOW_BYTES * 2).unwrap();
        let mut read_ahead = ReadAhead::of(vec![file.path().to_owned()]);
        read_ahead.begin();
        read_ahead.continue_for(10, Arc::default());
        drop(read_ahead);
    }

    #[test]
    fn share_of_a_file_is_the_share_of_the_bytes_loaded() {
        assert_eq!(share(1000, 0, 10), 0);
        assert_eq!(share(1000, 5, 10), 500);
        assert_eq!(share(1000, 11, 10), 1000);
        assert_eq!(share(u64::MAX, 10, 10), u64::MAX);
        assert_eq!(share(1000, 0, 0), 0);
    }
}
