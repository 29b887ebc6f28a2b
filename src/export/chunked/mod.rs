//! Chunked HDF5 datasets: all processors gather, shuffle and deflate chunks, one thread writes them.

mod encoder;
mod grid;
mod shuffle;
mod write;

pub(super) use self::grid::{ChunkGrid, chunk_shape};
pub(super) use self::write::write;
