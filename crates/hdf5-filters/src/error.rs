//! The error of a chunk that is not decoded.

use std::fmt;

/// The reason why a chunk was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The chunk needs a version, a compressor or a filter that this crate lacks. libhdf5 or a plugin may have it.
    Unsupported(&'static str),
    /// The stored bytes are damaged. Do not pass them to libhdf5: its decoders do not check their input and
    /// read past the end of their buffers.
    Corrupt(&'static str),
    /// There is no memory for the decoded bytes.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported(reason) | Self::Corrupt(reason) => reason,
            Self::NoMemory => "not enough memory for a chunk",
        })
    }
}

impl std::error::Error for Error {}

/// The result of decoding into a buffer of the caller.
pub(crate) type Decoded = Result<(), Error>;
