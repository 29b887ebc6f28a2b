//! How a file stores a dataset.

use hdf5_filters::Filter;

/// The arrangement of the elements of a dataset in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageLayout {
    /// In the object header.
    Compact,
    /// In one piece.
    Contiguous,
    /// In chunks.
    Chunked,
    /// In raw files beside the HDF5 file.
    External,
    /// In other datasets.
    Virtual,
}

impl StorageLayout {
    /// The name in metadata and in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Contiguous => "contiguous",
            Self::Chunked => "chunked",
            Self::External => "external",
            Self::Virtual => "virtual",
        }
    }
}

/// When the fill value is written, if not at HDF5's default time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillWrite {
    /// When the elements are allocated.
    Allocation,
    /// Never.
    Never,
}

impl FillWrite {
    /// The name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allocation => "alloc",
            Self::Never => "never",
        }
    }

    /// The time with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Allocation, Self::Never].into_iter().find(|time| time.name() == name)
    }
}

/// The fill value of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fill {
    /// HDF5's default, zero.
    #[default]
    Zero,
    /// Explicitly none.
    Undefined,
    /// One element of the dataset's type, serialized.
    Value(Vec<u8>),
    /// One that cannot be serialized.
    Unknown,
}

/// How a dataset is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The arrangement of the elements.
    pub layout: StorageLayout,
    /// The extents of a chunk.
    pub chunk: Option<Vec<u64>>,
    /// The filters, in the order in which they were applied on writing.
    pub filters: Vec<Filter>,
    /// The largest size of each dimension (`u64::MAX`: unlimited), unless it is the current one of all.
    pub limits: Option<Vec<u64>>,
    /// The value of elements that were never written.
    pub fill: Fill,
    /// When that value is written; `None` for HDF5's default.
    pub fill_time: Option<FillWrite>,
}

impl Storage {
    /// The storage of a contiguous dataset without a fill value.
    pub(crate) fn contiguous() -> Self {
        let (filters, fill, layout) = (Vec::new(), Fill::Zero, StorageLayout::Contiguous);
        Self { layout, chunk: None, filters, limits: None, fill, fill_time: None }
    }
}
