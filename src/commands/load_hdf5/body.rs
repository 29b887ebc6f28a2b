//! The JSON fields of `load-hdf5`.

use serde::Serialize;

use crate::load::PlannedArray;
use crate::os::memory::Bound;
use crate::shm::format::ledger::{Lifetime, SourceFile};
use crate::shm::format::rows::Rows;

/// The JSON fields of `load-hdf5`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// Name of this node.
    pub(crate) host: String,
    /// The selected rows: `START:STOP`, or a share `I/N`; null for all.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) rows: Option<Rows>,
    /// Name of the project.
    pub(crate) project: Option<String>,
    /// Whether this is a plan, and nothing was loaded.
    pub(crate) dry_run: bool,
    /// Whether the project was already loaded.
    pub(crate) reused: bool,
    /// Path of the metadata file.
    pub(crate) metadata: Option<String>,
    /// Token of the load, part of the segment names.
    pub(crate) token: Option<String>,
    /// Lifetime of the project.
    pub(crate) lifetime: Option<Lifetime>,
    /// Number of arrays, each once.
    pub(crate) array_count: u64,
    /// Size of the arrays.
    pub(crate) size_bytes: u64,
    /// Memory needed, with each array rounded up to pages.
    pub(crate) needed_bytes: u64,
    /// Memory that the loader needs to decode chunks.
    pub(crate) decoding_bytes: u64,
    /// Memory limits, the lowest first (with `--dry-run`).
    pub(crate) bounds: Vec<Bound>,
    /// Duration of the load.
    pub(crate) elapsed_seconds: Option<f64>,
    /// Bytes per second.
    pub(crate) rate_bytes: Option<u64>,
    /// The source files, including absent ones.
    pub(crate) sources: Vec<SourceFile>,
    /// The arrays (with `--dry-run` or a selection of rows; empty if already loaded).
    pub(crate) arrays: Vec<PlannedArray>,
}
