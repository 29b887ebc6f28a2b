//! The content of HDF5 files as numpy arrays.
//!
//! [`inventory`] plans: every path, its shape, type and attributes, and the reason why an object is left out.
//! [`Inventory::read`] copies one dataset, and a [`ChunkIndex`] tells where its chunks are, so that several threads
//! can read them without libhdf5. A [`Writer`] creates a file. Files may be hostile: the answers of libhdf5 are
//! checked, but libhdf5 itself may crash on damaged files. Read such files in a child process.

mod answers;
mod attributes;
mod blocks;
mod chunks;
mod dataspace;
mod datatype;
mod error;
mod exact;
mod expand;
mod file;
mod files;
mod filters;
mod foreign;
mod form;
#[cfg(any(test, fuzzing, feature = "fuzzing"))]
pub mod fuzzing;
mod headers;
mod ids;
mod inventory;
mod layout;
mod links;
pub mod lookup;
mod mappings;
mod messages;
mod native;
mod numbers;
mod packed;
mod plan;
mod plugins;
mod read;
mod recipe;
mod scatter;
mod selection;
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

pub use self::chunks::{ChunkIndex, Stored};
pub use self::error::{Advice, Cause, Error, Result};
pub use self::exact::ExactAttribute;
pub use self::files::External;
pub use self::form::{Content, Form, Leaf};
pub use self::inventory::{
    Attributes, Child, Dataset, Fill, Group, Inventory, NamedType, Options, Part, SelectRows, Skip,
    Storage, Visit, inventory, library_version,
};
pub use self::layout::Layout;
pub use self::lookup::{Looked, Presence};
pub use self::recipe::{Find, Recipe, attribute};
pub use self::scatter::pick;
pub use self::virtuals::{Emit, Feed, Virtual, Way};
pub use self::write::{Object, Packing, ReadPiece, Writer};
