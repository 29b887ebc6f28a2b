//! The values that the files of a project contain, and their text: names, keys, types, metadata, ledger.

pub mod array_key;
pub mod fast_toml;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(feature = "hdf5")]
pub mod glob;
pub mod ledger;
pub mod metadata;
pub mod name;
#[cfg(feature = "hdf5")]
pub mod origin;
pub mod rows;
pub mod temporary_name;
pub mod tree;
