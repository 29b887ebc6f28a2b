//! A request for a load: the files, the selection, the lifetime and the options.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use hdf5_reader::External;

use crate::os::numa::Numa;
use crate::shm::format::ledger::{BatchJob, Lifetime, Selection};
use crate::shm::format::name::{ProjectName, Token};
use crate::shm::store::node_dirs::NodeDirs;

/// A file to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// The HDF5 file.
    pub path: PathBuf,
    /// The group of its arrays; `None` if the file becomes the whole project.
    pub group: Option<String>,
}

/// The treatment of an existing project of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Fail.
    Refuse,
    /// Replace it when the new one is complete.
    Replace,
    /// Reuse it if it was loaded from the same unchanged files with the same selection, reload it if the
    /// files changed, and fail if it is another project.
    Ensure {
        /// Replace another project instead of failing.
        overwrite: bool,
    },
}

/// A request for a load.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The project's name.
    pub project: ProjectName,
    /// The files.
    pub inputs: Vec<Input>,
    /// The selected datasets, and the access to their segments.
    pub selection: Selection,
    /// The lifetime of the project.
    pub lifetime: Lifetime,
    /// The treatment of an existing project.
    pub existing: Existing,
    /// Fail if any data cannot be represented, instead of skipping it.
    pub strict: bool,
    /// Skip damaged datasets.
    pub keep_going: bool,
    /// How long to wait for another process that is using the project; `None`: without a limit.
    pub wait: Option<Duration>,
    /// How long the segments of a replaced project are kept.
    pub grace: Duration,
    /// The batch job that uses the project.
    pub job: Option<BatchJob>,
    /// The number of worker threads; `None`: one for each processor that this process may use.
    pub threads: Option<NonZeroUsize>,
    /// The NUMA nodes to allocate from; `None`: the kernel's choice.
    pub numa: Option<Numa>,
    /// Compare all arrays with libhdf5's own read afterwards.
    pub verify: bool,
    /// The files that may be read besides the inputs.
    pub external: External,
}

/// Returns the default of [`Request::external`]: every file, but for root only those in the directory of the
/// input, because a file that another user wrote must not make root publish other files.
pub(crate) fn default_external() -> External {
    match nix::unistd::Uid::effective().is_root() {
        true => External::Inside,
        false => External::Allow,
    }
}

/// A request, and the identity of the segments that a loader creates for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadContext<'a> {
    /// The request.
    pub request: &'a Request,
    /// The root and the shm directory.
    pub dirs: &'a NodeDirs,
    /// The token of the load.
    pub token: &'a Token,
}
