//! The JSON fields of `load-hdf5`.

use serde::Serialize;

use crate::load::PlannedArray;
use crate::os::memory::Bound;
use crate::shm::format::ledger::{Lifetime, SourceFile};
use crate::shm::format::rows::Rows;

/// The JSON fields of `load-hdf5`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body {
    /// This node's name.
    pub host: String,
    /// The rows that were selected: `START:STOP`, or a share `I/N`; null for all.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub rows: Option<Rows>,
    /// The project's name.
    pub project: Option<String>,
    /// Nothing was loaded: this is the plan.
    pub dry_run: bool,
    /// It was loaded already.
    pub reused: bool,
    /// Path of the metadata file.
    pub metadata: Option<String>,
    /// The load's token: its segments' names bear it.
    pub token: Option<String>,
    /// How long it lives.
    pub lifetime: Option<Lifetime>,
    /// Arrays, each once.
    pub array_count: u64,
    /// Bytes of the arrays.
    pub size_bytes: u64,
    /// Memory needed, every array rounded up to pages.
    pub needed_bytes: u64,
    /// Memory that the loader needs besides, to decode chunks.
    pub decoding_bytes: u64,
    /// What limits memory, the tightest first (with `--dry-run`).
    pub bounds: Vec<Bound>,
    /// How long it took.
    pub elapsed_seconds: Option<f64>,
    /// Bytes a second.
    pub rate_bytes: Option<u64>,
    /// The files read or looked for.
    pub sources: Vec<SourceFile>,
    /// The arrays (with `--dry-run` or a selection of rows; none when it was loaded already).
    pub arrays: Vec<PlannedArray>,
}
