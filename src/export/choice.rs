//! What of a project is exported, and that all of it is of one version of the project.

use std::collections::{BTreeSet, HashMap};

use super::{Content, is_below, select};
use crate::error::{Error, Kind, Result};
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::Note;
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::origin::Origin;
use crate::shm::format::tree::{Group, Node};
use crate::shm::store::lookup;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::readable;
use crate::shm::store::state::Project;

/// How often to look at a project that is replaced again and again.
const MOST_LOOKS: u32 = 20;

/// What is to be exported of a project.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The project.
    pub name: &'a ProjectName,
    /// One of its arrays or groups; `None` for all of it.
    pub key: Option<&'a str>,
    /// Which arrays below that.
    pub filter: &'a PathFilter,
    /// The level of deflate, for HDF5.
    pub gzip: Option<u8>,
}

impl Choice<'_> {
    /// The content of the project as it is now, `most` of its segments open: should it be replaced from now on,
    /// what is exported is the version that was there. Replaced just now, it is looked at again.
    ///
    /// # Errors
    /// As [`readable::find`] and [`lookup::resolve`]; [`Kind::NotFound`] when a segment is gone.
    pub fn content<'p>(&self, dirs: &'p NodeDirs, most: usize) -> Result<Content<'p>> {
        let mut looks = 0;
        loop {
            let mut content = self.of(dirs, &readable::find(dirs, self.name)?)?;
            looks += 1;
            match content.hold(most) {
                Err(error) if error.kind() == Kind::NotFound && looks < MOST_LOOKS => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(content),
            }
        }
    }

    fn of<'p>(&self, dirs: &'p NodeDirs, project: &Project) -> Result<Content<'p>> {
        let prefix = match self.key {
            Some(key) => lookup::resolve(project, key)?,
            None => "/".to_owned(),
        };
        let record = project.record();
        let origin = project.origin();
        let root = select(project.tree(), &prefix, &|path| self.filter.takes(path));
        let is_selected = |path: &String| is_below(path, &prefix) && self.filter.takes(path);
        let named_types = origin.as_ref().map_or_else(BTreeSet::new, |origin| {
            let named = origin.named_types.iter().enumerate();
            let selected = named.filter(|(_, named)| named.paths.iter().any(is_selected));
            let mut types: BTreeSet<usize> = selected.map(|(number, _)| number).collect();
            add_types_of(origin, &root, "", &mut types);
            add_types_of_types(origin, &mut types);
            types
        });
        let content = Content {
            shm: &dirs.shm,
            root,
            origin,
            named_types,
            group_attrs: record.map(|record| record.attributes.clone()).unwrap_or_default(),
            source_groups: record
                .map(|record| record.sources.iter().filter_map(|s| s.group.clone()).collect())
                .unwrap_or_default(),
            gzip: self.gzip,
            left_out: self.left_out(project, &prefix),
            held: HashMap::new(),
        };
        ensure_there(project, &content)?;
        Ok(content)
    }

    /// What the load left out of what is exported now.
    fn left_out(&self, project: &Project, prefix: &str) -> Vec<Note> {
        let wanted = |note: &&Note| {
            let object = note.path.rsplit_once('@').map_or(&*note.path, |(object, _)| object);
            is_below(if object.is_empty() { "/" } else { object }, prefix)
                && self.filter.takes(object)
        };
        let notes = project.record().map(|record| &record.left_out[..]).unwrap_or_default();
        notes.iter().filter(wanted).cloned().collect()
    }
}

/// Adds the committed datatypes of the objects in a group and of their attributes.
fn add_types_of(origin: &Origin, group: &Group, path: &str, types: &mut BTreeSet<usize>) {
    let shown = if path.is_empty() { "/" } else { path };
    types.extend(origin.group(shown).iter().filter_map(|attribute| attribute.named_type));
    for (name, node) in group {
        let path = format!("{path}/{name}");
        if let Some(dataset) = origin.dataset(&path) {
            types.extend(dataset.named_type);
            types.extend(dataset.attrs.iter().filter_map(|attribute| attribute.named_type));
        }
        if let Node::Group(inner) = node {
            add_types_of(origin, inner, &path, types);
        }
    }
}

/// Adds the committed datatypes of the attributes of `types`.
fn add_types_of_types(origin: &Origin, types: &mut BTreeSet<usize>) {
    let mut unvisited: Vec<usize> = types.iter().copied().collect();
    while let Some(number) = unvisited.pop() {
        let attributes = origin.named_types.get(number).map(|named| &named.attrs[..]);
        let used = attributes.unwrap_or_default().iter();
        let new = used.filter_map(|attribute| attribute.named_type);
        unvisited.extend(new.filter(|&number| types.insert(number)));
    }
}

fn ensure_there(project: &Project, content: &Content<'_>) -> Result<()> {
    let missing = |segment: &str| {
        SegmentName::parse_for(project.name(), segment.as_ref())
            .is_some_and(|segment| project.missing.contains(&segment))
    };
    let arrays = content.arrays();
    let Some((path, _)) = arrays.iter().find(|(_, array)| missing(&array.segment)) else {
        return Ok(());
    };
    let (name, state) = (project.name().to_text(), project.state);
    let message = format!("project '{name}' is {state}: the segment of '/{path}' is gone");
    Err(Error::new(Kind::NotFound, message)
        .with_subject(format!("/{path}"))
        .with_hint("--exclude leaves out what is gone; or load it again"))
}
