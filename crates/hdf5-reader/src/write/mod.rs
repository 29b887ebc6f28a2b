//! Creates HDF5 files for exports.

pub(crate) mod dataset_spec;
pub(crate) mod unpack;
pub(crate) mod writer;
