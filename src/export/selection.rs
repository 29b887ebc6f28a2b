//! The selected arrays of a project, all of one version of the project.

use std::collections::{BTreeSet, HashMap};

use super::content::Content;
use super::format::Format;
use crate::error::{Error, Kind, Result};
use crate::shm::format::glob::PathFilter;
use crate::shm::format::ledger::Note;
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::origin::{Attribute, Origin};
use crate::shm::format::tree::{self, Group};
use crate::shm::store::lookup;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::readable;
use crate::shm::store::state::Project;

/// How often to read a project that another process replaces each time.
const MAX_ATTEMPTS: u32 = 20;

/// The part of a project to export.
#[derive(Debug)]
pub(crate) struct ExportSelection<'a> {
    /// The project.
    pub(crate) name: &'a ProjectName,
    /// An array or a group; `None` for the whole project.
    pub(crate) key: Option<&'a str>,
    /// Selects arrays below `key`.
    pub(crate) filter: &'a PathFilter,
    /// The format of the file.
    pub(crate) format: Format,
    /// The level of deflate, for HDF5.
    pub(crate) gzip: Option<u8>,
}

impl ExportSelection<'_> {
    /// Reads the project and opens up to `max` of its segments. If another process replaces the project later,
    /// the export still has the old version. If it is replaced in between, the project is read again.
    ///
    /// # Errors
    /// Returns the errors of [`readable::find`] and [`lookup::resolve`], and [`Kind::NotFound`] if a segment is
    /// missing.
    pub(crate) fn open<'p>(&self, dirs: &'p NodeDirs, max: usize) -> Result<Content<'p>> {
        let mut attempts = 0;
        loop {
            let project = readable::find(dirs, self.name)?;
            let prefix = match self.key {
                Some(key) => lookup::resolve(&project, key)?,
                None => "/".to_owned(),
            };
            let mut content = self.select(dirs, &project, &prefix)?;
            attempts += 1;
            match content.open_segments(max) {
                Err(error) if error.kind() == Kind::NotFound && attempts < MAX_ATTEMPTS => continue,
                opened => opened?,
            }
            // The other formats restore nothing of it.
            if self.format == Format::Hdf5 {
                self.add_origin(&mut content, &project, &prefix);
            }
            return Ok(content);
        }
    }

    fn select<'p>(
        &self,
        dirs: &'p NodeDirs,
        project: &Project,
        prefix: &str,
    ) -> Result<Content<'p>> {
        let record = project.record();
        let root = tree::select(project.tree(), prefix, &|path| self.filter.takes(path));
        let content = Content {
            shm: &dirs.shm,
            root,
            origin: None,
            named_types: BTreeSet::new(),
            group_attrs: record.map(|record| record.attributes.clone()).unwrap_or_default(),
            source_groups: record
                .map(|record| record.sources.iter().filter_map(|s| s.group.clone()).collect())
                .unwrap_or_default(),
            gzip: self.gzip,
            left_out: self.left_out(project, prefix),
            segments: HashMap::new(),
        };
        ensure_complete(project, &content)?;
        Ok(content)
    }

    /// Adds the origin of the arrays, if the ledger has a trustworthy record.
    fn add_origin(&self, content: &mut Content<'_>, project: &Project, prefix: &str) {
        let Some(origin) = project.origin() else { return };
        content.named_types = self.named_types(&origin, &content.root, prefix);
        content.origin = Some(origin);
    }

    /// The committed datatypes that are selected by path, and those that the selected objects use.
    fn named_types(&self, origin: &Origin, root: &Group, prefix: &str) -> BTreeSet<usize> {
        let is_selected = |path: &String| tree::is_below(path, prefix) && self.filter.takes(path);
        let selected = origin.named_types.iter().enumerate();
        let selected = selected.filter(|(_, named)| named.paths.iter().any(is_selected));
        let mut types: BTreeSet<usize> = selected.map(|(number, _)| number).collect();
        types.extend(types_of(origin.group("/")));
        tree::walk(root, &mut |names, _| {
            let path = tree::to_path(names);
            types.extend(types_of(origin.group(&path)));
            if let Some(dataset) = origin.dataset(&path) {
                types.extend(dataset.named_type);
                types.extend(types_of(&dataset.attrs));
            }
        });
        add_types_of_types(origin, &mut types);
        types
    }

    /// The selected objects that the load left out.
    fn left_out(&self, project: &Project, prefix: &str) -> Vec<Note> {
        let is_selected = |note: &&Note| {
            let object = note.path.rsplit_once('@').map_or(&*note.path, |(object, _)| object);
            tree::is_below(if object.is_empty() { "/" } else { object }, prefix)
                && self.filter.takes(object)
        };
        let notes = project.record().map(|record| &record.left_out[..]).unwrap_or_default();
        notes.iter().filter(is_selected).cloned().collect()
    }
}

/// The committed datatypes of attributes.
fn types_of(attributes: &[Attribute]) -> impl Iterator<Item = usize> + '_ {
    attributes.iter().filter_map(|attribute| attribute.named_type)
}

/// Adds the committed datatypes of the attributes of `types`.
fn add_types_of_types(origin: &Origin, types: &mut BTreeSet<usize>) {
    let mut unvisited: Vec<usize> = types.iter().copied().collect();
    while let Some(number) = unvisited.pop() {
        let attributes = origin.named_types.get(number).map(|named| &named.attrs[..]);
        let used = types_of(attributes.unwrap_or_default());
        unvisited.extend(used.filter(|&number| types.insert(number)));
    }
}

fn ensure_complete(project: &Project, content: &Content<'_>) -> Result<()> {
    let is_missing = |segment: &str| {
        SegmentName::parse_for(project.name(), segment.as_ref())
            .is_some_and(|segment| project.missing.contains(&segment))
    };
    let arrays = tree::arrays(&content.root);
    let Some((path, _)) = arrays.iter().find(|(_, array)| is_missing(&array.segment)) else {
        return Ok(());
    };
    let (name, state) = (project.name().to_text(), project.state);
    let message = format!("project '{name}' is {state}: the segment of '{path}' is missing");
    Err(Error::new(Kind::NotFound, message)
        .with_subject(path.clone())
        .with_hint("skip missing arrays with --exclude, or load the project again"))
}
