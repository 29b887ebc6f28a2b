//! The values that the files of a project contain, and their text: names, keys, types, metadata, ledger.

pub(crate) mod array_key;
pub(crate) mod fast_toml;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(feature = "hdf5")]
pub(crate) mod glob;
pub(crate) mod ledger;
pub(crate) mod metadata;
pub(crate) mod name;
#[cfg(feature = "hdf5")]
pub(crate) mod origin;
pub(crate) mod rows;
pub(crate) mod temporary_name;
pub(crate) mod tree;
