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
  cute-shm show imagenet /train/images         one array, as numpy prints it
  cute-shm show imagenet images --slice '0,:,:,0' --plot
  cute-shm show imagenet /train/labels --stats
  cute-shm show imagenet /train/images --python >> analysis.py
  cute-shm show imagenet --json | jq .project.sources")]
pub struct Args {
    /// The project
    pub project: OsString,
    /// One of its arrays or groups: /group/name, or group.name as in Python
    pub key: Option<String>,
    /// Print attribute values and long names in full
    #[arg(long)]
    pub all_attrs: bool,
    /// Look at a part of the array, in numpy's notation: '0:10,:,3'
    #[arg(long, value_name = "SLICE", requires = "key", allow_hyphen_values = true)]
    pub slice: Option<String>,
    /// Count, min, max, mean, standard deviation, NaN and infinities, and a histogram
    #[arg(long, requires = "key")]
    pub stats: bool,
    /// Draw the array: a line for one dimension, a heat map for two
    #[arg(long, requires = "key")]
    pub plot: bool,
    /// Print Python code that attaches the array, or all arrays, read-only
    #[arg(long, conflicts_with_all = ["stats", "plot", "slice"])]
    pub python: bool,
}

/// The JSON fields of `show`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Body {
    /// The project, with its arrays; with a key only those below it.
    pub project: Option<json::Project>,
    /// Attributes of groups and of compound datasets, by path.
    pub group_attrs: serde_json::Map<String, serde_json::Value>,
    /// What the load left out.
    pub left_out: Vec<Note>,
    /// The array as numpy prints it; null unless the key names one.
    pub preview: Option<String>,
    /// The shape of what `--slice` selects; null without a key that names an array.
    pub view_shape: Option<Vec<u64>>,
    /// With `--stats`.
    pub stats: Option<Stats>,
    /// With `--plot`: the picture, in plain characters.
    pub plot: Option<String>,
    /// With `--python`: the code.
    pub python: Option<String>,
}
