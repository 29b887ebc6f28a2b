//! Reads elements with libhdf5, block by block.

pub(crate) mod blocks;
pub mod hyperslab;
pub(crate) mod read_dataset;
pub(crate) mod strings;
