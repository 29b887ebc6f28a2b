//! The arguments and the JSON fields of `show`.

use std::ffi::OsString;

use serde::Serialize;

use crate::output::json;
use crate::shm::format::ledger::Note;
use crate::view::Stats;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  cute-shm show imagenet                       tree, attributes, provenance
  cute-shm show imagenet /train/images         one array as numpy prints it
  cute-shm show imagenet images --slice '0,:,:,0' --plot
  cute-shm show imagenet /train/labels --stats
  cute-shm show imagenet /train/images --python >> analysis.py
  cute-shm show imagenet --json | jq .project.sources")]
pub(crate) struct Args {
    /// Name of the project
    pub(crate) project: OsString,
    /// An array or a group: /group/name, or group.name as in Python
    pub(crate) key: Option<String>,
    /// Print attribute values and long names in full
    #[arg(long)]
    pub(crate) all_attrs: bool,
    /// Show a part of the array in numpy notation, such as '0:10,:,3'
    #[arg(long, value_name = "SLICE", requires = "key", allow_hyphen_values = true)]
    pub(crate) slice: Option<String>,
    /// Print count, min, max, mean, std, NaN and infinity counts, and a histogram
    #[arg(long, requires = "key")]
    pub(crate) stats: bool,
    /// Plot the array: a line for one dimension, a heat map for two
    #[arg(long, requires = "key")]
    pub(crate) plot: bool,
    /// Print Python code that attaches the arrays read-only
    #[arg(long, conflicts_with_all = ["stats", "plot", "slice"])]
    pub(crate) python: bool,
}

/// The JSON fields of `show`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// The project and its arrays; with a key, the arrays at or below it.
    pub(crate) project: Option<json::Project>,
    /// Attributes of groups and compound datasets, by path.
    pub(crate) group_attrs: serde_json::Map<String, serde_json::Value>,
    /// Data that the load skipped.
    pub(crate) left_out: Vec<Note>,
    /// The array as numpy prints it; null unless the key is an array.
    pub(crate) preview: Option<String>,
    /// The shape after `--slice`; null unless the key is an array.
    pub(crate) view_shape: Option<Vec<u64>>,
    /// The statistics (with `--stats`).
    pub(crate) stats: Option<Stats>,
    /// The plot in plain characters (with `--plot`).
    pub(crate) plot: Option<String>,
    /// The code (with `--python`).
    pub(crate) python: Option<String>,
}
