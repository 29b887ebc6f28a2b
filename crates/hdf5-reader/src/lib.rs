//! The content of HDF5 files as numpy arrays.
//!
//! [`inventory`] plans: every path, its shape, type and attributes, and the reason why an object is left out.
//! [`Inventory::read`] copies one dataset, and a [`ChunkIndex`] locates its chunks, so that several threads
//! can read them without libhdf5. A [`Writer`] creates a file. Files may be hostile: the answers of libhdf5 are
//! checked, but libhdf5 itself may crash on damaged files. Read such files in a child process.

mod answers;
mod attributes;
mod blocks;
mod chunk_index;
mod dataset_spec;
mod dataspace;
mod datatype;
mod error;
mod expand;
mod external;
mod external_files;
mod field_layout;
mod field_order;
mod file;
mod filters;
#[cfg(any(test, fuzzing, feature = "fuzzing"))]
pub mod fuzzing;
pub mod hyperslab;
mod ids;
mod inventory;
mod links;
pub mod lookup;
mod mappings;
mod messages;
mod native;
mod numbers;
mod object_header;
mod other_formats;
mod plan_dataset;
mod plugins;
mod raw_attribute;
mod read;
mod scatter;
mod selection;
mod serialized;
mod sources;
mod strings;
#[cfg(test)]
mod tests;
mod types;
mod values;
mod virtuals;
mod walk;
mod write;

pub use hdf5_filters::Filter;

pub use self::chunk_index::{ChunkIndex, Stored};
pub use self::dataset_spec::{DatasetSpec, Find, attribute};
pub use self::error::{Advice, Cause, Error, Result};
pub use self::external::External;
pub use self::field_layout::{Content, Field, FieldLayout};
pub use self::field_order::FieldOrder;
pub use self::inventory::{
    Attributes, Child, Dataset, Fill, Group, Inventory, NamedType, Options, Part, SelectRows, Skip,
    Storage, Visit, inventory, library_version,
};
pub use self::lookup::{Looked, Presence};
pub use self::raw_attribute::RawAttribute;
pub use self::scatter::pick;
pub use self::virtuals::{Emit, Feed, Virtual, Way};
pub use self::write::{Object, Packing, ReadPiece, Writer};
