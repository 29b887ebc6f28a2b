//! `show`: one project in full, or one of its arrays.

mod array;
mod tree;

use std::ffi::OsString;

use serde::Serialize;

use super::{describe, find, open};
use crate::error::{Error, Kind, Result};
use crate::export::is_below;
use crate::output::{Output, Text, json};
use crate::shm::format::ledger::Note;
use crate::shm::format::name::ProjectName;
use crate::shm::format::origin::Origin;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::lookup;
use crate::shm::store::readable::ensure_readable;
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

/// Runs `show`.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such project or key; what the state of the project forbids.
pub fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let name = ProjectName::existing(&args.project)?;
    let place = open(output)?;
    let project = find(&place, &name)?;
    let attached = Attachments::read(&place);
    let mut described = describe(&place, &project, true, Some(&attached));
    let root = project.tree();
    let prefix = args.key.as_deref().map(|key| lookup::resolve(&project, key)).transpose()?;
    if let (Some(prefix), Some(arrays)) = (&prefix, &mut described.arrays) {
        arrays.retain(|array| is_below(&array.key, prefix));
    }
    if let Some(origin) = Origin::of(&project) {
        add_storage(&mut described, &origin);
    }
    if let Some(record) = project.record() {
        output.body.group_attrs = json::attributes(&record.attributes);
        output.body.left_out.clone_from(&record.left_out);
    }
    let prefix = prefix.as_deref();
    if args.python {
        ensure_readable(&project)?;
        let text = array::python(&place, root, prefix.unwrap_or("/"), &described)?;
        output.print(Text::block(&text));
        output.body.python = Some(text);
        output.body.project = Some(described);
        return Ok(());
    }
    let printer = tree::Printer {
        terminal: output.context.width.is_some(),
        full: args.all_attrs,
        group_attrs: &output.body.group_attrs,
        project: &described,
        by_key: described.arrays.iter().flatten().map(|a| (a.key.as_str(), a)).collect(),
    };
    let text = printer.all(&project, prefix, &output.body.left_out);
    output.print(text);
    let one = prefix.and_then(|prefix| lookup::array_at(root, prefix));
    if let Some(one) = one {
        if let Err(error) = ensure_readable(&project) {
            output.body.project = Some(described);
            return Err(error);
        }
        array::show(&place, one, args, output)?;
    } else if args.stats || args.plot || args.slice.is_some() {
        let message = format!("'{}' is a group", prefix.unwrap_or("/"));
        return Err(Error::new(Kind::Usage, message)
            .with_hint("--slice, --stats and --plot look at one array"));
    }
    output.body.project = Some(described);
    Ok(())
}

/// How the source stored each array; the fields of a compound share what their table had.
fn add_storage(project: &mut json::Project, origin: &Origin) {
    for array in project.arrays.iter_mut().flatten() {
        let mut path = array.key.as_str();
        let stored = loop {
            if let Some(stored) = origin.dataset(path) {
                break Some(stored);
            }
            match path.rsplit_once('/') {
                Some((above, _)) if !above.is_empty() => path = above,
                _ => break None,
            }
        };
        array.storage = stored.map(|stored| json::Storage {
            layout: stored.layout.clone(),
            chunk: stored.chunk.clone(),
            filters: stored.filters.clone(),
            enum_names: stored.names.iter().cloned().collect(),
        });
    }
}
