//! Filter 32026, Blosc2: each chunk is a frame that contains one chunk of Blosc2, in
//! blocks one after the other or, in arrays of several axes, into blocks on all of them.
//! Source: <https://github.com/Blosc/c-blosc2>, its `README_CFRAME_FORMAT.rst`,
//! `README_CHUNK_FORMAT.rst` and `README_B2ND_METALAYER.rst`; <https://github.com/Blosc/HDF5-Blosc2>
//! for the use of these formats by the filter.

mod chunk;
mod damaged;
mod frame;
mod grid;
mod params;

pub(crate) use self::params::Params;
