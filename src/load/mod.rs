//! From files to shared memory: a keeper that answers for the project, and a loader process in which
//! HDF5 is parsed and read.

pub(crate) mod ensure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod in_process;
mod input_path;
pub(crate) mod loader;
pub(crate) mod origin;
mod plan;
pub(crate) mod supervisor;
#[cfg(test)]
mod tests;
pub(crate) mod transaction;
pub(crate) mod worker;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use in_process::run_here;
pub(crate) use input_path::{check_readable, named};
pub use supervisor::background::{Background, Ready, Side, Watched, inherit};
pub use supervisor::command::run as run_command;
pub use supervisor::held::{Ending, HeldProject};
pub(crate) use supervisor::protocol::Loaded;
pub use supervisor::protocol::{Planned, PlannedArray};
pub use supervisor::supervise::{dry_run, run};
pub use transaction::Outcome;
pub(crate) use transaction::Transaction;

pub use crate::h5::External;
use crate::os::directory::Access;
use crate::os::numa::Numa;
use crate::shm::format::ledger::{BatchJob, Lifetime, Note, Selection};
use crate::shm::format::name::ProjectName;

/// A file to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The HDF5 file.
    pub path: PathBuf,
    /// The group that it becomes; `None` when it is the whole project.
    pub group: Option<String>,
}

/// What to do about a project that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Say so and fail.
    Refuse,
    /// Replace it once the new one is complete.
    Replace,
    /// Reuse it if it was loaded from the same unchanged files with the same selection, reload it if the
    /// files changed, and fail if it is another project.
    Ensure {
        /// Replace another project instead of failing.
        overwrite: bool,
    },
}

/// What to load, as what, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The project's name.
    pub project: ProjectName,
    /// The files.
    pub inputs: Vec<Input>,
    /// Which of their datasets, and for whom.
    pub selection: Selection,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// What to do about an existing project.
    pub existing: Existing,
    /// What is unsupported fails the load.
    pub strict: bool,
    /// What is damaged is left out.
    pub keep_going: bool,
    /// How long another process at work on the project is waited for; `None` for as long as it takes.
    pub wait: Option<Duration>,
    /// Retired segments are kept for this long.
    pub grace: Duration,
    /// The job that it is for.
    pub job: Option<BatchJob>,
    /// Threads that read; `None` for as many as the processors this process may use.
    pub threads: Option<NonZeroUsize>,
    /// Where pages come from; `None` leaves it to the system.
    pub numa: Option<Numa>,
    /// Compare everything with HDF5's own read afterwards.
    pub verify: bool,
    /// Which files other than the inputs may be read.
    pub external: External,
}

/// Every file; for root only those in the directory of the input: a file that some user wrote must not
/// make root publish another one.
pub fn usual_external() -> External {
    match nix::unistd::Uid::effective().is_root() {
        true => External::Inside,
        false => External::Allow,
    }
}

impl Request {
    /// Who may read and write the segments.
    pub fn access(&self) -> Access {
        Access { mode: self.selection.mode, group: self.selection.group }
    }
}

/// Who wants to know how a load goes on.
///
/// # Examples
/// ```
/// use cute_shm::{Node, Note, Observer, Planned};
/// # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
/// # let node = Node::new(temp.path().join("root"), temp.path());
/// #[derive(Default)]
/// struct Bar {
///     done: u64,
///     total: u64,
/// }
/// impl Observer for Bar {
///     fn planned(&mut self, plan: &Planned) {
///         self.total = plan.bytes();
///     }
///     fn advanced(&mut self, bytes: u64) {
///         self.done += bytes;
///         print!("\r{} of {} bytes", self.done, self.total);
///     }
///     fn warn(&mut self, note: &Note) {
///         eprintln!("left out: {}: {}", note.path, note.reason);
///     }
/// }
/// # let path = temp.path().join("train.h5");
/// # let file = hdf5::File::create(&path).unwrap();
/// # file.new_dataset_builder().with_data(&[1_i32, 2, 3]).create("images").unwrap();
/// # file.new_dataset_builder().with_data(&[0.5_f64]).create("mask").unwrap();
/// # file.close().unwrap();
/// let mut bar = Bar::default();
/// node.load_hdf5("train", &path).observer(&mut bar).hold()?.remove()?;
/// assert_eq!(bar.total, 20);
/// # Ok::<(), cute_shm::Error>(())
/// ```
pub trait Observer {
    /// An object of the file is looked at, or a dataset is about to be read.
    fn at(&mut self, path: &str) {
        let _ = path;
    }
    /// The plan is made.
    fn planned(&mut self, plan: &Planned) {
        let _ = plan;
    }
    /// So many bytes more are in memory.
    fn advanced(&mut self, bytes: u64) {
        let _ = bytes;
    }
    /// Something is left out that a user should know of.
    fn warn(&mut self, note: &Note) {
        let _ = note;
    }
    /// A virtual dataset has the fill value in place of a source that is absent.
    fn filled(&mut self, note: &Note) {
        self.warn(note);
    }
    /// A step was taken: for debug logs.
    fn step(&mut self, step: &str) {
        let _ = step;
    }
}

/// An observer that does not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
