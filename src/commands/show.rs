//! `show`: shows a project or one of its arrays.

mod args;
mod array;
mod tree;

pub(crate) use self::args::{Args, Body};
use super::common::open;
use super::described::describe;
use crate::error::{Error, Kind, Result};
use crate::output::{Output, Text, json};
use crate::shm::format::array_key::array_at;
use crate::shm::format::name::ProjectName;
use crate::shm::format::origin::Origin;
use crate::shm::format::tree::is_below;
use crate::shm::store::attachments::Attachments;
use crate::shm::store::lookup;
use crate::shm::store::readable::ensure_readable;
use crate::shm::store::state::find;

/// Runs `show`.
///
/// # Errors
/// Returns [`Kind::NotFound`] if the project or the key does not exist, and an error if the state of the project
/// does not permit reading.
pub(crate) fn run(args: &Args, output: &mut Output<'_, Body>) -> Result<()> {
    let name = ProjectName::existing(&args.project)?;
    let dirs = open(output)?;
    let project = find(&dirs, &name)?;
    let attached = Attachments::read(&dirs);
    let mut described = describe(&dirs, &project, true, Some(&attached));
    let root = project.tree();
    let prefix = args.key.as_deref().map(|key| lookup::resolve(&project, key)).transpose()?;
    if let (Some(prefix), Some(arrays)) = (&prefix, &mut described.arrays) {
        arrays.retain(|array| is_below(&array.key, prefix));
    }
    if let Some(origin) = project.origin() {
        add_storage(&mut described, &origin);
    }
    if let Some(record) = project.record() {
        output.body.group_attrs = json::attributes(&record.attributes);
        output.body.left_out.clone_from(&record.left_out);
    }
    let prefix = prefix.as_deref();
    if args.python {
        ensure_readable(&project)?;
        let text = array::python(&dirs, root, prefix.unwrap_or("/"), &described)?;
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
    let one = prefix.and_then(|prefix| array_at(root, prefix));
    if let Some(one) = one {
        if let Err(error) = ensure_readable(&project) {
            output.body.project = Some(described);
            return Err(error);
        }
        array::show(&dirs, one, args, output)?;
    } else if args.stats || args.plot || args.slice.is_some() {
        let message = format!("'{}' is a group", prefix.unwrap_or("/"));
        return Err(Error::new(Kind::Usage, message)
            .with_hint("--slice, --stats and --plot require the key of an array"));
    }
    output.body.project = Some(described);
    Ok(())
}

/// Adds how the source stores each array. The fields of a compound share the storage of their dataset.
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
