//! The library for Rust programs: what the Python package `cute_shm` offers, without its warnings.
//! Everything here is re-exported at the crate's root; docs/api.md lists it.

mod array;
mod attach;
mod copy;
mod element;
mod filelock;
mod group;
mod guard;
mod guards;
#[cfg(feature = "hdf5")]
mod hdf5;
mod node;
mod project;
mod share;
mod source;
mod tree;
mod which;

pub use array::Array;
pub use element::Element;
pub use filelock::FileLock;
pub use group::{Entry, GroupRef};
pub use guard::{Guard, Report, Skipped};
pub use guards::{Reading, Writing};
#[cfg(feature = "hdf5")]
pub use hdf5::{Load, hdf5_size};
pub use node::{Listed, Node, Unlinked};
pub use project::Project;
pub use share::Share;
pub use source::Source;
pub use tree::{Added, Tree};
pub use which::Which;
