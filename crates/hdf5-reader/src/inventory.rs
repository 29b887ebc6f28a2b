//! The inventory of a file: its groups, datasets and committed datatypes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::attributes::Attributes;
use crate::dataset::Dataset;
use crate::external::External;
use crate::external_files::Files;
use crate::ffi::object::Token;
use crate::lookup::Looked;
use crate::skip::Skip;

/// Returns the rows to read of a dataset with this many rows. A row is an index on the first axis.
pub type SelectRows<'a> = dyn Fn(u64) -> Range<u64> + 'a;

/// The datasets to plan, and how.
pub struct Options<'a> {
    /// Whether the dataset at this path (`/a/b`) is wanted.
    pub select: &'a dyn Fn(&str) -> bool,
    /// Receives each path before it is opened, and repeatedly while planning takes long.
    pub seen: &'a mut dyn FnMut(&str),
    /// The rows to read of a dataset with this many rows; `None` for all.
    pub rows: Option<&'a SelectRows<'a>>,
    /// Collect unreadable objects in [`Inventory::damaged`] instead of failing on the first.
    pub keep_going: bool,
    /// Which other files may be read.
    pub external: External,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Options");
        shown.field("rows", &self.rows.is_some()).field("keep_going", &self.keep_going);
        shown.field("external", &self.external);
        shown.finish_non_exhaustive()
    }
}

/// The content of a file, and the open files that contain it.
#[derive(Debug)]
pub struct Inventory {
    /// The root group.
    pub root: Group,
    /// Each dataset once, in the order of the walk.
    pub datasets: Vec<Dataset>,
    /// The attributes of each group once, even if it has several paths.
    pub group_attrs: Vec<Attributes>,
    /// Objects that shared memory cannot represent.
    pub skips: Vec<Skip>,
    /// The filters that some of those would need; each by name and number.
    pub missing_filters: BTreeSet<String>,
    /// Objects that cannot be read; empty unless [`Options::keep_going`].
    pub damaged: Vec<Skip>,
    /// Virtual datasets with elements whose source is absent: they have the fill value.
    pub filled: Vec<Skip>,
    /// Every file that was opened or will be read, and every path that was tried.
    pub sources: Vec<Looked>,
    /// Files among them outside of the directory of the file that was given.
    pub outside: Vec<PathBuf>,
    /// Committed datatypes, each once.
    pub named_types: Vec<NamedType>,
    /// Indices into `named_types`, by number of the file and token.
    pub(crate) named_by_object: HashMap<(u64, Token), usize>,
    pub(crate) files: Arc<Files>,
}

/// A committed datatype.
#[derive(Debug)]
pub struct NamedType {
    /// Every path that leads to it; none for one that only datasets and attributes refer to.
    pub paths: Vec<String>,
    /// HDF5's encoding of the type.
    pub kind: Vec<u8>,
    /// Its attributes.
    pub attrs: Attributes,
}

impl Inventory {
    /// The committed datatype of a dataset: an index into [`Self::named_types`].
    pub fn named_type(&self, dataset: &Dataset) -> Option<usize> {
        let key = (dataset.place.file as u64, dataset.named_type?);
        self.named_by_object.get(&key).copied()
    }
}

/// A group: its attributes, and the targets of its links.
#[derive(Debug, Default)]
pub struct Group {
    /// The group's own attributes: an index into [`Inventory::group_attrs`].
    pub attrs: usize,
    /// Link name to object, in the order of creation where the file keeps it, else by name.
    pub children: IndexMap<String, Child>,
}

/// The target of a link.
#[derive(Debug)]
pub enum Child {
    /// A group; one that several links lead to is repeated.
    Group(Group),
    /// An index into [`Inventory::datasets`]; an alias repeats it.
    Dataset(usize),
}
