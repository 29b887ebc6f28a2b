//! Arrays and HDF5 files in POSIX shared memory, once per node: many processes attach to them without
//! copying, and no memory is left behind.
//!
//! The library behind the command `cute-shm`, and the same for Rust programs. It speaks the on-disk format
//! of the Python package `cute-shm` 1.2: what it shares, `cute_shm.shm_to_arrays` reads; what Python
//! shares, it attaches, lists and removes.
//!
//! - [`Node`] is where projects are: two directories, as a value.
//! - [`Tree`] and [`Share`] put arrays there, `Load` an HDF5 file (feature `hdf5`); a [`Guard`] removes them again.
//! - [`Project`] is an attached project, [`Array`] one of its arrays: metadata, and copies of its elements.
//! - [`Reading`] and [`Writing`] give views without copying, under a [`FileLock`] that Python's `filelock`
//!   shares, or by an `unsafe` promise.
//!
//! ```
//! use cute_shm::{Node, Tree};
//! # let temp = tempfile::tempdir_in("/dev/shm").unwrap();
//! # let node = Node::new(temp.path().join("root"), temp.path());
//! # #[cfg(feature = "ndarray")] {
//! // let node = Node::default();
//! let weights = ndarray::arr2(&[[1.0_f32, 2.0], [3.0, 4.0]]);
//! let mut tree = Tree::new();
//! tree.array("layer/weights", weights.t())?.attr("units", "1");
//! let _guard = node.share("model").hold(&tree)?;
//!
//! // In this process or another, in Rust or in Python:
//! let project = node.open("model")?;
//! let copy = project.array("layer/weights")?.to_array::<f32, ndarray::Ix2>()?;
//! assert_eq!(copy, weights.t());
//! # }
//! # Ok::<(), cute_shm::Error>(())
//! ```
//!
//! # Features
//!
//! On by default:
//! - `ndarray`: arrays and views of that crate.
//! - `hdf5`: loads HDF5 files, with the libhdf5 of `bundled-hdf5` (default) or `system-hdf5`, and with the filters `szip`
//!   and `zfp`. It builds C code.
//! - `cli`: the command `cute-shm`, which is `cli::run`.
//!
//! Not on by default: `half`: 16-bit floats; `num-complex`: complex numbers.
//!
//! A program that attaches, lists, shares or removes arrays needs neither `hdf5` nor `cli`:
//! `cute-shm = { version = "2", default-features = false }`.
//!
//! docs/api.md lists the API.

#![deny(unreachable_pub)]
// Without the command, nothing calls some functions of the lower folders.
#![cfg_attr(not(feature = "cli"), allow(dead_code, unreachable_pub, unused_imports))]

mod api;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod commands;
#[cfg(feature = "cli")]
mod complete;
#[cfg(feature = "cli")]
mod context;
#[cfg(feature = "cli")]
mod doctor;
mod error;
#[cfg(feature = "cli")]
mod export;
#[cfg(all(feature = "cli", any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "cli")]
mod legacy;
#[cfg(feature = "hdf5")]
mod load;
mod os;
#[cfg(feature = "cli")]
mod output;
mod shm;
#[cfg(feature = "cli")]
mod text;
#[cfg(feature = "cli")]
mod view;

pub use api::{
    Added, Array, Element, Entry, FileLock, GroupRef, Guard, Listed, Node, Project, Reading,
    Report, Share, Skipped, Source, Tree, Unlinked, Which, Writing,
};
#[cfg(feature = "hdf5")]
pub use api::{Load, hdf5_size};
pub use error::{Error, Kind, Result};
#[cfg(feature = "hdf5")]
pub use load::{External, Observer, Planned, PlannedArray};
#[cfg(feature = "hdf5")]
pub use shm::format::ledger::{Note, SourceFile, SourceState};
pub use shm::store::state::State;
// The crates whose types stand in the API: attributes, and arrays.
#[cfg(feature = "ndarray")]
pub use ndarray;
pub use toml::{Table, Value};
