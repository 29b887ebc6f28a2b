//! Planned datasets, and the sources of virtual ones.

use std::sync::Arc;

use crate::attributes::Attributes;
use crate::ffi::elements::ElementBuffer;
use crate::ffi::object::Token;
use crate::place::Place;
use crate::selection::Selection;
use crate::skip::Skip;
use crate::storage::Storage;
use crate::types::field_layout::{Field, FieldLayout};

/// A planned dataset: its arrays, and its place in the files.
#[derive(Debug)]
pub struct Dataset {
    /// The first path that led to it.
    pub path: String,
    /// The extents of the part that is read; empty for a scalar.
    pub shape: Vec<u64>,
    /// The rows of that part; `None` if `shape` is the whole dataset.
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
    /// Whether its elements can be read from the file's bytes without libhdf5.
    pub raw: bool,
    /// Path and reason of each field left out; they are in [`crate::Inventory::skips`] too.
    pub skipped_fields: Vec<Skip>,
    /// Whether libhdf5 undoes its filters without the codecs of this program.
    pub verifiable: bool,
    /// Whether its chunks can be listed: see [`crate::chunk_index::is_bounded`].
    pub(crate) bounded: bool,
    /// The sources of its elements, if it is virtual.
    pub sources: Option<Box<Virtual>>,
    pub(crate) offset: Option<u64>,
    /// Whether it is contiguous and nothing of it is stored.
    pub(crate) unwritten: bool,
    pub(crate) place: Place,
}

impl Dataset {
    /// Its arrays, depth first. [`crate::Inventory::read`] takes one buffer for each.
    pub fn fields(&self) -> Vec<&Field> {
        self.form.fields()
    }

    /// The offset of its elements in its file, if they are contiguous there.
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

    /// The conversion of the file's elements, where [`Self::raw`].
    pub fn convert(&self) -> Option<&hdf5_filters::Conversion> {
        self.place.node.convert.as_ref()
    }

    /// Its file: an index into [`crate::Inventory::raw_files`].
    pub fn file(&self) -> usize {
        self.place.file
    }

    pub(crate) fn token(&self) -> Token {
        self.place.token
    }
}

/// The wanted rows of a dataset: as many as its shape has, from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The first of them.
    pub first: u64,
    /// The number of rows in the file.
    pub of: u64,
}

/// A step from the elements of a source to those of the virtual dataset around it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) from: Selection,
    pub(crate) to: Selection,
}

/// The steps from a source to the virtual dataset that is loaded, the source's own first.
pub(crate) type Chain = Vec<Arc<Route>>;

/// The origin of elements.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A dataset; whether its elements are stored as the virtual dataset's would be.
    Dataset(Box<Dataset>, bool),
    /// A virtual dataset within this one, of so many elements, where it has no source.
    Fill(u64, ElementBuffer),
}

/// A source, and the routes of its elements.
#[derive(Debug)]
pub struct Feed {
    /// Its name in messages: `file:/dataset`.
    pub name: String,
    pub(crate) origin: Origin,
    pub(crate) chains: Vec<Chain>,
}

/// The sources of a virtual dataset.
#[derive(Debug)]
pub struct Virtual {
    pub(crate) feeds: Vec<Feed>,
    /// One element without a source.
    pub(crate) fill: ElementBuffer,
    /// Whether every element has a source.
    pub(crate) is_whole: bool,
    /// Whether sources overlap, so that the later ones count.
    pub(crate) is_ordered: bool,
    /// The first element that is loaded, and how many are.
    pub(crate) range: (u64, u64),
}
