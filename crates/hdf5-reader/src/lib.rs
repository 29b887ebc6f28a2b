//! The content of HDF5 files as numpy arrays.
//!
//! [`inventory()`] plans: every path, its shape, type and attributes, and the reason why an object is left out.
//! [`Inventory::read`] copies one dataset, and a [`ChunkIndex`] locates its chunks, so that several threads
//! can read them without libhdf5. A [`Writer`] creates a file. Files may be hostile: the answers of libhdf5 are
//! checked, but libhdf5 itself may crash on damaged files. Read such files in a child process.
#![deny(unreachable_pub)]

mod attribute_values;
mod attributes;
mod budget;
mod buffer;
mod chunk_index;
mod dataset;
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
mod plan_virtual;
mod plugin_directories;
mod raw_attribute;
mod read;
mod read_inventory;
mod selection;
mod serialized;
mod skip;
mod storage;
#[cfg(test)]
mod tests;
mod types;
mod virtual_sources;
mod walk;
mod write;

pub use hdf5_filters::Filter;

pub use self::attributes::Attributes;
pub use self::chunk_index::{ChunkIndex, Stored};
pub use self::dataset::{Dataset, Feed, Part, Virtual};
pub use self::error::{Advice, Cause, Error, Result};
pub use self::external::External;
pub use self::ffi::elements::{ElementBuffer, Elements};
pub use self::inventory::{Child, Group, Inventory, NamedType, Options, SelectRows};
pub use self::lookup::{Looked, Presence};
pub use self::raw_attribute::RawAttribute;
pub use self::read::blocks::Emit;
pub use self::read::hyperslab;
pub use self::read_inventory::{Visit, inventory, library_version};
pub use self::skip::Skip;
pub use self::storage::{Fill, FillWrite, Storage, StorageLayout};
pub use self::types::field_layout::{Content, Field, FieldLayout};
pub use self::types::field_order::FieldOrder;
pub use self::types::fields::pick;
pub use self::virtual_sources::Way;
pub use self::write::dataset_spec::{DatasetSpec, Find, attribute};
pub use self::write::writer::{Object, Packing, ReadPiece, Writer};
