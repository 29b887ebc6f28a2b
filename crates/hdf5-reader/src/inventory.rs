//! The inventory of a file: its groups, datasets and attributes, and the reading of its datasets.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::chunk_index::{self, ChunkIndex, Zeros};
use crate::error::{self, Cause, Error, Result};
use crate::external::External;
use crate::external_files;
use crate::ffi::elements::Elements;
use crate::ffi::ids;
use crate::ffi::object::Token;
use crate::lookup::Looked;
use crate::place::Place;
use crate::raw_attribute::{self, RawAttribute};
use crate::read::blocks::Emit;
use crate::read::read_dataset;
use crate::storage::Storage;
use crate::types::field_layout::{Field, FieldLayout};
use crate::virtuals::{Virtual, Way};
use crate::{file, walk};

/// Takes a block of a dataset: first index and count on each axis, and the elements.
pub type Visit<'a, E> = dyn FnMut(&[u64], &[u64], Elements<'_>) -> std::result::Result<(), E> + 'a;

/// Returns the rows to read of a dataset with so many rows. A row is an index on the first axis.
pub type SelectRows<'a> = dyn Fn(u64) -> Range<u64> + 'a;

/// What to look at, and how to go on.
pub struct Options<'a> {
    /// Whether the dataset at this path (`/a/b`) is wanted.
    pub select: &'a dyn Fn(&str) -> bool,
    /// Told each path before it is opened, and again now and then while planning it takes long.
    pub seen: &'a mut dyn FnMut(&str),
    /// The rows to read of a dataset with so many rows; `None` for all.
    pub rows: Option<&'a SelectRows<'a>>,
    /// Collect what is unreadable in [`Inventory::damaged`] instead of failing on the first.
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

/// A path that is not loaded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Where it is: `/group/dataset`, or `/group/dataset/field`.
    pub path: String,
    /// A sentence without capital and full stop.
    pub reason: String,
    /// The HDF5 library's own words, where it reported the reason.
    pub detail: Option<String>,
}

impl Skip {
    pub(crate) fn new(path: String, reason: String) -> Self {
        Self { path, reason, detail: None }
    }
}

/// Everything that a file holds, and the open files it was found in.
#[derive(Debug)]
pub struct Inventory {
    /// The tree from the root group on.
    pub root: Group,
    /// Each dataset once, in the order in which they were met.
    pub datasets: Vec<Dataset>,
    /// The attributes of each group once, however many paths it has.
    pub group_attrs: Vec<Attributes>,
    /// What has no form in shared memory.
    pub skips: Vec<Skip>,
    /// The filters that some of those would need; each by name and number.
    pub missing_filters: BTreeSet<String>,
    /// What the file fails to give; empty unless [`Options::keep_going`].
    pub damaged: Vec<Skip>,
    /// Virtual datasets with elements whose source is absent: they have the fill value.
    pub filled: Vec<Skip>,
    /// Every file that was opened or will be read, and every path at which one was looked for.
    pub sources: Vec<Looked>,
    /// Those that are read although they are not in the directory of the file that was given.
    pub outside: Vec<PathBuf>,
    /// Committed datatypes, each once.
    pub named_types: Vec<NamedType>,
    /// Indices into `named_types`, by number of the file and token.
    pub(crate) named_by_object: HashMap<(u64, Token), usize>,
    pub(crate) files: Arc<external_files::Files>,
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

/// A group: its attributes, and what its links lead to.
#[derive(Debug, Default)]
pub struct Group {
    /// The group's own attributes: an index into [`Inventory::group_attrs`].
    pub attrs: usize,
    /// Link name to object, in the order of creation where the file keeps it, else by name.
    pub children: IndexMap<String, Child>,
}

/// What a link leads to.
#[derive(Debug)]
pub enum Child {
    /// A group; one that several links lead to is repeated.
    Group(Group),
    /// An index into [`Inventory::datasets`]; an alias repeats it.
    Dataset(usize),
}

/// Attributes as TOML has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// Name to value.
    pub values: toml::Table,
    /// Name and reason of each that TOML cannot hold, or that cannot be read.
    pub left_out: Vec<(String, String)>,
    /// Each as the file has it, for an export; large ones and references to regions are missing.
    pub exact: Vec<RawAttribute>,
    /// References in `exact` that have no path yet; none once the walk has ended.
    pub(crate) references: Vec<raw_attribute::References>,
    /// Index in `exact` and token of each committed datatype that has no number yet; none once the walk has
    /// ended.
    pub(crate) committed: Vec<(usize, Token)>,
}

/// A dataset: what its arrays will be, and how to find it again.
#[derive(Debug)]
pub struct Dataset {
    /// The first path that led to it.
    pub path: String,
    /// The extents of what is read of it; empty for a scalar.
    pub shape: Vec<u64>,
    /// Which of its rows that are; `None` when `shape` is all of it.
    pub part: Option<Part>,
    /// Its array, or its table of arrays.
    pub form: FieldLayout,
    /// Its attributes.
    pub attrs: Attributes,
    /// The type of its elements in the file, as HDF5 encodes it.
    pub encoded_type: Arc<[u8]>,
    /// The token of the committed datatype that it refers to, if its type is not its own.
    pub(crate) named_type: Option<Token>,
    /// How the file stores it.
    pub storage: Storage,
    /// Bytes of one element as it is read.
    pub element_size: u64,
    /// Whether its elements can be had from the file's bytes without libhdf5.
    pub raw: bool,
    /// Path and reason of each field left out; they stand in [`Inventory::skips`] too.
    pub skipped_fields: Vec<Skip>,
    /// Whether libhdf5 undoes its filters without the codecs of this program.
    pub verifiable: bool,
    /// Whether its chunks can be listed: see [`chunk_index::is_bounded`].
    pub(crate) bounded: bool,
    /// Where its elements come from, if it is virtual.
    pub sources: Option<Box<Virtual>>,
    pub(crate) offset: Option<u64>,
    /// Whether it is contiguous and nothing of it is stored.
    pub(crate) unwritten: bool,
    pub(crate) place: Place,
}

impl Dataset {
    /// Its arrays, depth first: one buffer each is what [`Inventory::read`] wants.
    pub fn fields(&self) -> Vec<&Field> {
        self.form.fields()
    }

    /// Where its elements begin in its file, if they lie there one after the other.
    pub fn raw_offset(&self) -> Option<u64> {
        self.offset
    }

    /// Bytes of one element in the file, where [`Self::raw`].
    pub fn file_element_size(&self) -> u64 {
        self.place.node.file_size() as u64
    }

    /// Whether it is contiguous and nothing of it is stored: all its elements are the fill value.
    pub fn is_unwritten(&self) -> bool {
        self.unwritten && !self.place.node.has_pointers()
    }

    /// What the file's elements need to become what is read, where [`Self::raw`].
    pub fn convert(&self) -> Option<&hdf5_filters::Conversion> {
        self.place.node.convert.as_ref()
    }

    /// Which of [`Inventory::raw_files`] it is in.
    pub fn file(&self) -> usize {
        self.place.file
    }

    pub(crate) fn token(&self) -> Token {
        self.place.token
    }
}

/// The rows of a dataset that are wanted: as many as its shape says, from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The first of them.
    pub first: u64,
    /// How many the file has.
    pub of: u64,
}

/// Looks through the file at `path`: plans every selected dataset, copies none.
pub fn inventory(path: &Path, options: Options) -> Result<Inventory> {
    let _lock = ids::lock();
    let file = file::open(path)?;
    let mut walk = walk::walk(path, file, options)?;
    walk.count_paths()?;
    let root = walk.expand()?;
    Ok(walk.finish(root))
}

impl Inventory {
    /// The path of each open file that is one plain file on disk.
    pub fn raw_files(&self) -> Vec<Option<PathBuf>> {
        self.files.plain_paths()
    }

    /// The chunks of a dataset, if they can be read and decoded without libhdf5.
    ///
    /// # Errors
    /// An error with [`Cause::Damage`] if they contradict the dataset in a way that libhdf5 ignores.
    pub fn chunk_index(&self, dataset: usize) -> Result<Option<ChunkIndex>> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else { return Ok(None) };
        let Ok(id) = dataset.place.open(&self.files) else { return Ok(None) };
        chunk_index::index(dataset, &id, Zeros::There)
            .map_err(|trouble| self.error(dataset, trouble))
    }

    /// How source number `feed` of the virtual dataset `dataset` can be read.
    ///
    /// # Errors
    /// As [`Self::chunk_index`].
    pub fn way(&self, dataset: usize, feed: usize) -> Result<Way> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else { return Ok(Way::Library) };
        let feed = dataset.sources.as_ref().and_then(|sources| sources.feeds().get(feed));
        let Some(feed) = feed else { return Ok(Way::Library) };
        feed.way(&self.files).map_err(|trouble| self.error(dataset, feed.cannot(trouble)))
    }

    /// Shows the elements of source number `feed` of the virtual dataset `dataset` as libhdf5 reads them:
    /// the number of the first one, and those that follow it.
    pub fn visit_source<E: From<Error>>(
        &self,
        dataset: usize,
        feed: usize,
        visit: &mut Emit<'_, E>,
    ) -> std::result::Result<(), E> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else {
            return Err(
                Error::new(Cause::Io, format!("there is no dataset number {dataset}")).into()
            );
        };
        let sources = dataset.sources.as_ref();
        let Some(feed) = sources.and_then(|sources| sources.feeds().get(feed)) else {
            return Err(
                Error::new(Cause::Io, format!("'{}' has no such source", dataset.path)).into()
            );
        };
        let mut failed = Ok(());
        let seen = feed.visit(&self.files, &dataset.place.node, &mut |first, elements| {
            failed = visit(first, elements);
            if failed.is_ok() {
                Ok(())
            } else {
                Err(error::ObjectError::Damaged("given up".to_owned()))
            }
        });
        failed?;
        seen.map_err(|trouble| self.error(dataset, feed.cannot(trouble)).into())
    }

    /// Bytes that decoding one chunk takes, and how many chunks there are; zeros if it is not in chunks.
    pub fn decoding(&self, dataset: usize) -> (u64, u64) {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else { return (0, 0) };
        match &dataset.sources {
            Some(sources) => sources.decoding(&self.files),
            None => chunk_index::decoding(dataset, &self.files),
        }
    }

    /// One element of a dataset that was never written; `None` if only the library can tell.
    pub fn fill(&self, dataset: usize) -> Option<Vec<u8>> {
        let _lock = ids::lock();
        let dataset = self.datasets.get(dataset).filter(|dataset| dataset.is_unwritten())?;
        chunk_index::fill_of(dataset, &dataset.place.open(&self.files).ok()?).ok()
    }

    /// Shows dataset number `dataset` block by block: first index and count on each axis, and the
    /// elements as libhdf5 reads them.
    pub fn visit<E: From<Error>>(
        &self,
        dataset: usize,
        visit: &mut Visit<'_, E>,
    ) -> std::result::Result<(), E> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else {
            return Err(
                Error::new(Cause::Io, format!("there is no dataset number {dataset}")).into()
            );
        };
        let mut failed = Ok(());
        let seen = read_dataset::visit(self, dataset, &mut |block, elements| {
            if failed.is_ok() {
                failed = visit(&block.start, &block.count, elements);
            }
            failed.is_ok()
        });
        failed?;
        seen.map_err(|trouble| self.error(dataset, trouble).into())
    }

    /// Copies dataset number `dataset` into `sinks`, one per leaf and exactly as long, all zero
    /// before (HDF5 leaves out what has neither data nor fill value). `progress` is told the bytes
    /// of each block as it is done.
    pub fn read(
        &self,
        dataset: usize,
        sinks: &mut [&mut [u8]],
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else {
            return Err(Error::new(Cause::Io, format!("there is no dataset number {dataset}")));
        };
        read_dataset::read(self, dataset, sinks, progress)
            .map_err(|trouble| self.error(dataset, trouble))
    }

    /// The error of a dataset that cannot be read.
    fn error(&self, dataset: &Dataset, trouble: error::ObjectError) -> Error {
        error::unreadable(&dataset.path, &self.files.path(dataset.file()), trouble)
    }
}

/// The version of the HDF5 library that reads: `2.0.0`.
pub fn library_version() -> String {
    let (major, minor, release) = hdf5::library_version();
    format!("{major}.{minor}.{release}")
}
