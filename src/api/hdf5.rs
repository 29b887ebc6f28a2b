//! Loads HDF5 files within this process.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdf5_reader::External;

use super::guard::{Guard, Report, Skipped};
use super::node::Node;
use crate::error::Result;
use crate::load::{self, Existing, Input, Observer, Outcome, Planned, Request, Silent};
use crate::shm::format::ledger::{Lifetime, Note, Selection};
use crate::shm::format::name::ProjectName;
use crate::shm::store::held::HeldProject;
use crate::shm::store::lock::LOCK_TIMEOUT;
use crate::shm::store::node_dirs::NodeDirs;

/// A load of HDF5 files, made by [`Node::load_hdf5`]. It reads with as many threads as there are processors, and keeps a
/// bounded part of the file in memory besides the segments.
///
/// A file is parsed in this process. The command `cute-shm load-hdf5` does it in a child, because a
/// damaged file can crash the HDF5 library; a library cannot fork, since that is sound only while
/// the process has one thread. Run the command for files that you do not trust.
///
/// # Examples
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Duration;
/// use cute_shm::{Kind, Node};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// # let path = temp.path().join("train.h5");
/// # let file = hdf5::File::create(&path).unwrap();
/// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
/// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
/// # file.close().unwrap();
/// // let (node, path) = (Node::default(), "train.h5");
/// let report = node.load_hdf5("imagenet", &path).include("/images").persist()?;
/// assert_eq!((report.arrays, report.bytes), (1, 12));
/// for skipped in &report.skipped {
///     eprintln!("{}: {}", skipped.path, skipped.reason);
/// }
/// // Again, with everything that can be chosen:
/// let cancel = AtomicBool::new(false);
/// let load = || node.load_hdf5("imagenet", &path).overwrite(true).mode(0o640).exclude("/mask");
/// let load = || load().strict(true).wait(Duration::from_secs(30)).grace(Duration::ZERO).cancel(&cancel);
/// assert_eq!(load().persist()?.arrays, 1);
/// cancel.store(true, Ordering::Relaxed);
/// assert_eq!(load().persist().unwrap_err().kind(), Kind::Busy);
/// node.unlink("imagenet")?;
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[must_use = "nothing is loaded before `hold` or `persist`"]
pub struct Load<'a> {
    node: Node,
    name: String,
    inputs: Vec<Input>,
    selection: Selection,
    overwrite: bool,
    strict: bool,
    keep_going: bool,
    wait: Duration,
    grace: Duration,
    threads: Option<NonZero<usize>>,
    observer: Option<&'a mut dyn Observer>,
    progress: Option<Box<dyn FnMut(u64, u64) + 'a>>,
    cancel: Option<&'a AtomicBool>,
    external: External,
}

impl std::fmt::Debug for Load<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Begins to load an HDF5 file as the project `name`.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Node;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let path = temp.path().join("train.h5");
    /// # let file = hdf5::File::create(&path).unwrap();
    /// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
    /// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
    /// # file.close().unwrap();
    /// let guard = node.load_hdf5("train", &path).hold()?;
    /// assert_eq!(guard.open()?.array("images")?.to_vec::<i32>()?, [1, 2, 3]);
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn load_hdf5<'a>(&self, name: &str, path: impl Into<PathBuf>) -> Load<'a> {
        Load::new(self, name, path.into())
    }
}

impl<'a> Load<'a> {
    fn new(node: &Node, name: &str, path: PathBuf) -> Self {
        Self {
            node: node.clone(),
            name: name.to_owned(),
            inputs: vec![Input { path, group: None }],
            selection: Selection { mode: 0o600, ..Selection::default() },
            overwrite: false,
            strict: false,
            keep_going: false,
            wait: LOCK_TIMEOUT,
            grace: Duration::ZERO,
            threads: None,
            observer: None,
            progress: None,
            cancel: None,
            external: load::default_external(),
        }
    }

    /// Only datasets whose path matches this glob, or one of those given before: `/train/**`, `images`.
    pub fn include(mut self, glob: impl Into<String>) -> Self {
        self.selection.include.push(glob.into());
        self
    }

    /// No datasets whose path matches this glob.
    pub fn exclude(mut self, glob: impl Into<String>) -> Self {
        self.selection.exclude.push(glob.into());
        self
    }

    /// Replaces a project of that name, which stays readable until the new one is complete.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Permission bits of segments and metadata, whatever the umask says; `0o600` unless told otherwise.
    pub fn mode(mut self, mode: u32) -> Self {
        self.selection.mode = mode;
        self
    }

    /// Which files other than the one that is loaded may be read: targets of external links, external raw
    /// files, and sources of virtual datasets. All of them, but for root only those in the directory of the
    /// file, unless told otherwise.
    pub fn external(mut self, external: External) -> Self {
        self.external = external;
        self
    }

    /// Gives segments and metadata to the group of this id.
    pub fn group(mut self, gid: u32) -> Self {
        self.selection.group = Some(gid);
        self
    }

    /// How many threads read; as many as this process may use processors unless told otherwise.
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Keeps the segments of a replaced project for so long, for readers that are just attaching.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// What has no form in shared memory fails the load, before anything is made.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// What is damaged is left out and reported instead of failing the load.
    pub fn keep_going(mut self, keep_going: bool) -> Self {
        self.keep_going = keep_going;
        self
    }

    /// How long another process at work on the project is waited for; two seconds unless told.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.wait = limit;
        self
    }

    /// Who is told how the load goes on: on this thread, while [`Self::hold`] or [`Self::persist`] runs. It must
    /// not use the HDF5 library itself, whose lock the load holds meanwhile.
    pub fn observer(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Is called with the bytes that are in memory and those that will be, every few MiB and when all are there.
    /// What holds for [`Self::observer`] holds for it.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Node;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let path = temp.path().join("train.h5");
    /// # let file = hdf5::File::create(&path).unwrap();
    /// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
    /// # file.close().unwrap();
    /// let mut last = (0, 0);
    /// let load = node.load_hdf5("train", &path).progress(|done, total| last = (done, total));
    /// load.hold()?.remove()?;
    /// assert_eq!(last, (12, 12));
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn progress(mut self, told: impl FnMut(u64, u64) + 'a) -> Self {
        self.progress = Some(Box::new(told));
        self
    }

    /// Ends the load soon after this becomes true: when all is planned, which takes some seconds for 100,000
    /// datasets, between two datasets, or before each thread has read 16 MiB more. Nothing of it stays then.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Loads, and keeps the project until the guard is dropped, or this process ends.
    ///
    /// # Errors
    /// As [`Share::hold`](crate::Share::hold), and [`Kind::NotFound`](crate::error::Kind::NotFound) for the
    /// file, [`Kind::Corrupt`](crate::error::Kind::Corrupt) when it is damaged,
    /// [`Kind::Unsupported`](crate::error::Kind::Unsupported) with [`Self::strict`],
    /// [`Kind::Busy`](crate::error::Kind::Busy) when it was cancelled, or the file changed while it was read.
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Node;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let path = temp.path().join("train.h5");
    /// # let file = hdf5::File::create(&path).unwrap();
    /// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
    /// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
    /// # file.close().unwrap();
    /// let guard = node.load_hdf5("train", &path).hold()?;
    /// assert_eq!(guard.report().arrays, 2);
    /// drop(guard);
    /// assert!(node.open("train").is_err());
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn hold(self) -> Result<Guard> {
        let (node, name) = (self.node.clone(), self.name.clone());
        let (dirs, held, report) = self.run(Lifetime::Held)?;
        Ok(Guard::new(node, name, dirs, held, report))
    }

    /// Loads, and leaves the project until somebody unlinks it, or the node reboots.
    ///
    /// # Errors
    /// As [`Self::hold`].
    ///
    /// # Examples
    /// ```
    /// use cute_shm::Node;
    /// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    /// # let node = Node::new(temp.path().join("root"), temp.path());
    /// # let path = temp.path().join("train.h5");
    /// # let file = hdf5::File::create(&path).unwrap();
    /// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
    /// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
    /// # file.close().unwrap();
    /// let report = node.load_hdf5("train", &path).persist()?;
    /// assert!(report.skipped.is_empty());
    /// node.unlink("train")?;
    /// # Ok::<(), cute_shm::Error>(())
    /// ```
    pub fn persist(self) -> Result<Report> {
        self.run(Lifetime::Persistent).map(|(_, _, report)| report)
    }

    fn run(self, lifetime: Lifetime) -> Result<(NodeDirs, Option<HeldProject>, Report)> {
        let request = Request {
            project: ProjectName::new(self.name.as_ref())?,
            inputs: self.inputs,
            selection: self.selection,
            lifetime,
            existing: if self.overwrite { Existing::Replace } else { Existing::Refuse },
            strict: self.strict,
            keep_going: self.keep_going,
            wait: Some(self.wait),
            grace: self.grace,
            job: None,
            threads: self.threads,
            numa: None,
            verify: false,
            external: self.external,
        };
        let dirs = NodeDirs::create(self.node.paths())?;
        let (mut silent, cancel) = (Silent, self.cancel);
        let observer = self.observer.unwrap_or(&mut silent);
        let mut go_on = || Ok(!cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)));
        let mut outcome = match self.progress {
            None => load::load_in_process(&dirs, &request, observer, &mut go_on)?,
            Some(told) => {
                let mut progress = Progress { observer, told, done: 0, total: 0 };
                let outcome = load::load_in_process(&dirs, &request, &mut progress, &mut go_on)?;
                (progress.told)(outcome.bytes, outcome.bytes);
                outcome
            }
        };
        let held = outcome.held.take();
        let report = report(dirs.root()?.join(&request.project.metadata_file()), outcome);
        Ok((dirs, held, report))
    }
}

fn report(metadata: PathBuf, outcome: Outcome) -> Report {
    let planned = outcome.planned;
    let notes = [planned.skips, planned.damaged, outcome.failed, planned.left_out];
    let skipped = |Note { path, reason, .. }| Skipped { path, reason };
    Report {
        metadata,
        token: outcome.token.to_string(),
        arrays: outcome.arrays,
        bytes: outcome.bytes,
        elapsed: outcome.elapsed,
        skipped: notes.into_iter().flatten().map(skipped).collect(),
    }
}

/// Counts for a closure what an observer is told, and passes it on.
struct Progress<'o, 'a> {
    observer: &'o mut dyn Observer,
    told: Box<dyn FnMut(u64, u64) + 'a>,
    done: u64,
    total: u64,
}

impl Observer for Progress<'_, '_> {
    fn at(&mut self, path: &str) {
        self.observer.at(path);
    }
    fn planned(&mut self, plan: &Planned) {
        self.total = plan.bytes();
        self.observer.planned(plan);
    }
    fn advanced(&mut self, bytes: u64) {
        self.done = self.total.min(self.done.saturating_add(bytes));
        self.observer.advanced(bytes);
        (self.told)(self.done, self.total);
    }
    fn warn(&mut self, note: &Note) {
        self.observer.warn(note);
    }
    fn filled(&mut self, note: &Note) {
        self.observer.filled(note);
    }
    fn step(&mut self, step: &str) {
        self.observer.step(step);
    }
}

/// Bytes that the arrays of an HDF5 file would take in shared memory, each dataset once: compounds by
/// their fields, strings at the length of their longest.
///
/// # Errors
/// [`Kind::NotFound`](crate::error::Kind::NotFound) for the file, [`Kind::Corrupt`](crate::error::Kind::Corrupt)
/// when it is damaged.
///
/// # Examples
/// ```
/// # let temp = tempfile::tempdir().unwrap();
/// # let path = temp.path().join("train.h5");
/// # let file = hdf5::File::create(&path).unwrap();
/// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
/// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
/// # file.close().unwrap();
/// assert_eq!(cute_shm::hdf5_size(&path)?, 3 * 4 + 8);
/// # Ok::<(), cute_shm::Error>(())
/// ```
pub fn hdf5_size(path: impl AsRef<Path>) -> Result<u64> {
    let options = hdf5_reader::Options {
        select: &|_| true,
        seen: &mut |_| (),
        keep_going: false,
        rows: None,
        external: load::default_external(),
    };
    let inventory = hdf5_reader::inventory(path.as_ref(), options)?;
    let leaves = inventory.datasets.iter().flat_map(hdf5_reader::Dataset::fields);
    Ok(leaves.fold(0_u64, |sum, leaf| sum.saturating_add(leaf.nbytes())))
}
