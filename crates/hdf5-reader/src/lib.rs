//! The content of HDF5 files as numpy arrays.
//!
//! [`inventory`] plans: every path, its shape, type and attributes, and the reason why an object is left out.
//! [`Inventory::read`] copies one dataset, and a [`ChunkIndex`] locates its chunks, so that several threads
//! can read them without libhdf5. A [`Writer`] creates a file. Files may be hostile: the answers of libhdf5 are
//! checked, but libhdf5 itself may crash on damaged files. Read such files in a child process.
#![deny(unreachable_pub)]

mod attributes;
mod budget;
mod buffer;
mod chunk_index;
mod error;
mod expand;
mod external;
mod external_files;
mod external_raw_files;
mod ffi;
mod file;
mod filters;
#[cfg(any(test, fuzzing, feature = "fuzzing"))]
pub mod fuzzing;
mod inventory;
pub mod lookup;
mod mappings;
mod messages;
mod object_header;
mod other_formats;
mod place;
mod plan_dataset;
mod plugin_directories;
mod raw_attribute;
mod read;
mod selection;
mod serialized;
mod storage;
#[cfg(test)]
mod tests;
mod types;
mod virtuals;
mod walk;
mod write;

pub use hdf5_filters::Filter;

pub use self::chunk_index::{ChunkIndex, Stored};
pub use self::error::{Advice, Cause, Error, Result};
pub use self::external::External;
pub use self::ffi::elements::{ElementBuffer, Elements};
pub use self::inventory::{
    Attributes, Child, Dataset, Group, Inventory, NamedType, Options, Part, SelectRows, Skip,
    Visit, inventory, library_version,
};
pub use self::lookup::{Looked, Presence};
pub use self::raw_attribute::RawAttribute;
pub use self::read::blocks::Emit;
pub use self::read::hyperslab;
pub use self::storage::{Fill, FillWrite, Storage, StorageLayout};
pub use self::types::field_layout::{Content, Field, FieldLayout};
pub use self::types::field_order::FieldOrder;
pub use self::types::fields::pick;
pub use self::virtuals::{Feed, Virtual, Way};
pub use self::write::dataset_spec::{DatasetSpec, Find, attribute};
pub use self::write::writer::{Object, Packing, ReadPiece, Writer};
