//! File formats: their names, suffixes, and the error for a dtype that a format cannot represent.

use std::path::Path;

use crate::error::{Error, Kind};
use crate::shm::format::tree::Array;

/// The format of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Groups, types and attributes as loaded.
    Hdf5,
    /// A zip archive of npy files.
    Npz,
    /// One array in numpy's format.
    Npy,
    /// Tensors without attributes.
    Safetensors,
}

impl Format {
    /// Every format.
    pub(crate) const ALL: [Self; 4] = [Self::Hdf5, Self::Npz, Self::Npy, Self::Safetensors];

    /// Returns the format that belongs to the suffix of a file name.
    pub(crate) fn from_suffix(path: &Path) -> Option<Self> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match suffix.as_str() {
            "h5" | "hdf5" | "hdf" | "he5" | "nc" | "mat" | "h5ad" => Self::Hdf5,
            "npz" => Self::Npz,
            "npy" => Self::Npy,
            "safetensors" => Self::Safetensors,
            _ => return None,
        })
    }

    /// The name on the command line and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hdf5 => "hdf5",
            Self::Npz => "npz",
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
        }
    }

    /// The reason why this format cannot represent the dtype of an array.
    pub(super) fn dtype_reason(self, array: &Array) -> String {
        format!("{} cannot represent dtype '{}'", self.name(), array.dtype)
    }

    /// The error for an array with a dtype that this format cannot represent.
    pub(super) fn unsupported_dtype(self, path: &str, array: &Array) -> Error {
        let message = format!("cannot write '{path}': {}", self.dtype_reason(array));
        Error::new(Kind::Unsupported, message)
            .with_subject(path)
            .with_hint("skip it with --exclude, or export to hdf5 or npz")
    }
}
