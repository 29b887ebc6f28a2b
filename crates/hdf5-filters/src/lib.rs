//! Decoders for the filters of HDF5 chunks: bytes to bytes, without libhdf5 and without files.
//!
//! A [`Pipeline`] undoes the filters of a dataset, and a [`Conversion`] turns the elements into those that
//! numpy has. Each thread decodes with a [`Decoder`] of its own. Input may be hostile: damaged bytes are
//! [`Error::Corrupt`], and a feature that no decoder here has is [`Error::Unsupported`].
#![deny(unreachable_pub)]

mod bitshuffle;
mod blosc;
mod blosc2;
mod blosclz;
mod buffer;
mod bzip2;
mod checksum;
mod conversion;
mod decoder;
mod error;
mod filter;
mod lz;
mod nbit;
mod pipeline;
mod scaleoffset;
mod shuffle;
mod step;
#[cfg(feature = "szip")]
mod szip;
mod unpack;
mod vbz;
mod widening;
#[cfg(feature = "zfp")]
mod zfp;

pub use self::bitshuffle::unbitshuffle;
pub use self::buffer::resize_buffer;
pub use self::conversion::{Conversion, Resizing};
pub use self::decoder::Decoder;
pub use self::error::Error;
pub use self::filter::Filter;
pub use self::pipeline::{LARGE_CHUNK_BYTES, Pipeline, Streaming, corrupt_filters};
pub use self::shuffle::unshuffle;
pub use self::step::{decode_filter, is_supported};
pub use self::widening::Widening;
