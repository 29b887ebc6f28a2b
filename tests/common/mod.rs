//! What the integration tests share: the directories of one test, and small HDF5 files.
// Each test program uses a part of it.
#![allow(dead_code)]

#[cfg(feature = "hdf5")]
pub mod fixtures;
pub mod sandbox;
