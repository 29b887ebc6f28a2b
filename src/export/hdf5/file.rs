//! Writes the groups of an HDF5 file, and then the parts that need all objects: references and deferred datasets.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use hdf5_reader::{FieldOrder, Object, RawAttribute, Writer};

use super::unrestored::unrestored;
use crate::error::{Kind, Result};
use crate::export::content::Content;
use crate::export::copy::{self, FilePosition};
use crate::export::interrupt::CheckInterrupt;
use crate::shm::format::ledger::Note;
use crate::shm::format::tree::{self, Array, Group, Node};

/// Writes `content` to the empty file at `path`, which is open at `position`. Returns a note for everything that the
/// file does not restore, and the paths of the arrays that HDF5 cannot represent.
///
/// # Errors
/// Returns an error if libhdf5 cannot write the file, an I/O error if a read or a write fails, and the errors of
/// `check_interrupt`.
pub(crate) fn write(
    content: &Content,
    path: &Path,
    position: FilePosition,
    check_interrupt: CheckInterrupt,
) -> Result<(Vec<Note>, HashSet<String>)> {
    let writer = Writer::create(path)?;
    let mut export = Hdf5Export {
        content,
        writer: &writer,
        path_counts: HashMap::new(),
        shared: HashMap::new(),
        deferred: Vec::new(),
        references: Vec::new(),
        notes: unrestored(content),
        skipped: HashSet::new(),
        groups: HashMap::new(),
        types: HashMap::new(),
        check_interrupt,
    };
    for (_, array) in tree::arrays(&content.root) {
        *export.path_counts.entry(array.segment.clone()).or_default() += 1;
    }
    let root = Rc::new(writer.root()?);
    export.groups.insert(String::new(), Rc::clone(&root));
    // Before the datasets: netCDF reads the objects of a file in their order of creation.
    for &number in &content.named_types {
        export.commit_type(number)?;
    }
    export.write_group(&root, &content.root, "")?;
    drop(root);
    export.write_references();
    let Hdf5Export { deferred, notes, skipped, shared, groups, types, check_interrupt, .. } =
        export;
    // HDF5 closes a file only when all its objects are closed.
    drop((shared, groups, types));
    writer.close()?;
    for DeferredDataset { path, arrays, field_order, offset } in deferred {
        let arrays: Vec<&Array> = arrays.iter().collect();
        let source = content.open_dataset(&path, &arrays, &field_order)?;
        copy::copy(&source, FilePosition { offset, ..position }, check_interrupt)?;
    }
    Ok((notes, skipped))
}

/// A contiguous dataset whose bytes are copied after the file is closed: libhdf5 would copy them once more.
pub(super) struct DeferredDataset {
    pub(super) path: String,
    pub(super) arrays: Vec<Array>,
    pub(super) field_order: FieldOrder,
    /// Offset of its bytes in the file.
    pub(super) offset: u64,
}

/// An attribute with references. It is written after all objects.
pub(super) struct ReferenceAttribute {
    pub(super) object: Rc<Object>,
    pub(super) attribute: RawAttribute,
    /// The committed datatype that is its type.
    pub(super) named: Option<Rc<Object>>,
    /// The path of the root of the source file in the project.
    pub(super) prefix: String,
    pub(super) path: String,
}

/// The state of an export to an HDF5 file.
pub(super) struct Hdf5Export<'a, 'w> {
    pub(super) content: &'a Content<'a>,
    pub(super) writer: &'w Writer,
    /// The number of paths of each segment.
    pub(super) path_counts: HashMap<String, usize>,
    /// Datasets with more than one path, by their segments.
    pub(super) shared: HashMap<Vec<String>, Rc<Object>>,
    pub(super) deferred: Vec<DeferredDataset>,
    pub(super) references: Vec<ReferenceAttribute>,
    pub(super) notes: Vec<Note>,
    /// Paths of the arrays that HDF5 cannot represent.
    pub(super) skipped: HashSet<String>,
    /// Groups that were created for the committed datatypes in them, and the root, by path.
    pub(super) groups: HashMap<String, Rc<Object>>,
    /// Committed datatypes, or `None` for one that cannot be restored, by number.
    pub(super) types: HashMap<usize, Option<Rc<Object>>>,
    pub(super) check_interrupt: CheckInterrupt<'a>,
}

impl Hdf5Export<'_, '_> {
    /// Writes the attributes and the entries of a group.
    fn write_group(&mut self, at: &Rc<Object>, group: &Group, path: &str) -> Result<()> {
        let own_path = if path.is_empty() { "/" } else { path };
        let content = self.content;
        match &content.origin {
            Some(origin) => self.write_all_attributes(at, origin.group(own_path), own_path)?,
            None => self.write_toml_attributes(at, content.group_attrs(own_path), own_path),
        }
        for (name, node) in group {
            let path = format!("{path}/{name}");
            match node {
                Node::Array(array) => {
                    let written = self.write_array(at, name, array, &path);
                    self.skip_unsupported(written, &path, [path.clone()])?;
                }
                Node::Group(inner) if self.write_compound(at, name, inner, &path)? => {}
                Node::Group(inner) => match self.create_group(at, name, &path) {
                    Ok(created) => self.write_group(&created, inner, &path)?,
                    Err(error) => {
                        let arrays = tree::arrays(inner).into_iter();
                        let paths = arrays.map(|(below, _)| format!("{path}{below}"));
                        self.skip_unsupported(Err(error.with_subject(&path)), &path, paths)?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Turns [`Kind::Unsupported`] into a note: the object and its arrays are skipped.
    fn skip_unsupported(
        &mut self,
        written: Result<()>,
        path: &str,
        arrays: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        match written {
            Err(error) if error.kind() == Kind::Unsupported => {
                self.notes.push(Note::new(path, error.to_string()));
                self.skipped.extend(arrays);
                Ok(())
            }
            written => written,
        }
    }
}
