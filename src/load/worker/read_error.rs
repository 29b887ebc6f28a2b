//! The reasons for which a work item fails.

use crate::error::Error;

/// The reason for which a work item fails.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The dataset needs something that only libhdf5 may have.
    Refused(&'static str),
    /// A chunk is damaged. libhdf5 never gets it: its decoders read past the end of such data.
    Damaged(&'static str),
    /// There is no memory for a chunk.
    NoMemory,
    /// The load fails.
    Failed(Error),
}

impl From<hdf5_filters::Error> for ReadError {
    fn from(error: hdf5_filters::Error) -> Self {
        match error {
            hdf5_filters::Error::Unsupported(reason) => Self::Refused(reason),
            hdf5_filters::Error::Corrupt(reason) => Self::Damaged(reason),
            hdf5_filters::Error::NoMemory => Self::NoMemory,
        }
    }
}

impl From<hdf5_reader::Error> for ReadError {
    fn from(error: hdf5_reader::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
