//! The summary of a plan, and the result of a load, as the loader sends them to the supervisor.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::os::memory::Need;
use crate::os::page_size::page_size;
use crate::shm::format::ledger::{Note, SourceFile};

/// The attributes that h5netcdf hides from its users.
const DIMENSION_ATTRIBUTES: [&str; 8] = [
    "CLASS",
    "DIMENSION_LIST",
    "NAME",
    "REFERENCE_LIST",
    "_NCProperties",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_nc3_strict",
];

/// A planned array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlannedArray {
    /// Path in the project, with the fields of compounds.
    pub path: String,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// The dtype as `str(numpy.dtype)`.
    pub dtype: String,
    /// Bytes of its elements.
    pub bytes: u64,
    /// With a selection of rows: the index of the first one in the file's array.
    pub first_row: Option<u64>,
    /// With a selection of rows: the number of rows of the file's array.
    pub total_rows: Option<u64>,
}

/// The summary of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Planned {
    /// The arrays, one for each segment.
    pub arrays: Vec<PlannedArray>,
    /// The most memory that the loader needs to decode chunks, in bytes.
    pub decoding_bytes: u64,
    /// The number of paths of arrays, aliases included.
    pub paths: u64,
    /// The skipped objects, which cannot be represented in shared memory.
    pub skips: Vec<Note>,
    /// The damaged objects (with `--keep-going`).
    pub damaged: Vec<Note>,
    /// The virtual datasets in which elements have the fill value because their source is absent.
    pub filled: Vec<Note>,
    /// The files that are read although they are not in the directory of the input.
    pub outside: Vec<String>,
    /// The attributes that TOML cannot represent.
    pub left_out: Vec<Note>,
    /// The files that were read or looked for.
    pub sources: Vec<SourceFile>,
    /// The paths of datasets that libhdf5 cannot read, only this program's decoders: `--verify` skips them.
    pub unverifiable: Vec<String>,
    /// The filters that skipped datasets need, each by name and number.
    pub missing_filters: Vec<String>,
    /// The globs of `--include` that match nothing.
    pub unmatched_includes: Vec<String>,
    /// The rules of `--dtype` (`GLOB=DTYPE`) that match no array.
    pub unmatched_dtypes: Vec<String>,
}

impl Planned {
    /// Returns the attributes that are missing from the metadata, except those by which netCDF-4 and HDF5
    /// store dimension scales: they do not describe the data.
    pub(crate) fn missing_attributes(&self) -> impl Iterator<Item = &Note> {
        self.left_out.iter().filter(|note| {
            let name = note.path.rsplit_once('@').map_or("", |(_, name)| name);
            !DIMENSION_ATTRIBUTES.contains(&name)
        })
    }

    /// Returns the size of all arrays in bytes.
    pub fn bytes(&self) -> u64 {
        self.arrays.iter().fold(0, |sum, array| sum.saturating_add(array.bytes))
    }

    /// Adds the largest array to an error of [`Kind::NoMemory`].
    pub(crate) fn with_largest(&self, error: Error) -> Error {
        let largest = self.arrays.iter().max_by_key(|array| array.bytes);
        // If inodes are short, many small arrays are the reason, and the largest one is of no interest.
        let is_large = |array: &&PlannedArray| array.bytes > page_size();
        match largest.filter(is_large).filter(|_| error.kind() == Kind::NoMemory) {
            Some(array) => {
                let size = humansize::format_size(array.bytes, humansize::BINARY);
                error.and(&format!("'{}' alone takes {size}", array.path)).with_subject(&array.path)
            }
            None => error,
        }
    }

    /// Returns the memory that the load needs.
    pub(crate) fn need(&self) -> Need {
        let need = Need::of(self.arrays.iter().map(|array| array.bytes));
        need.decoding_in(self.decoding_bytes)
    }
}

/// The result of a loader.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// The text of the metadata, without the header comment.
    pub metadata: String,
    /// The attributes of groups and compound datasets by path.
    #[serde(with = "toml_text")]
    pub attributes: toml::Table,
    /// Types, storage and exact attributes of the sources, for the ledger.
    pub origin: String,
    /// The number of segments.
    pub arrays: u64,
    /// The size of their arrays in bytes.
    pub bytes: u64,
    /// The datasets that could not be read (with `--keep-going`).
    pub failed: Vec<Note>,
}

/// TOML values as TOML text in JSON: JSON has no numbers for NaN and infinity, and no dates. The sign of NaN is lost, as
/// in the ledger; the raw attributes of the origin keep it.
mod toml_text {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use toml::Table;

    pub(super) fn serialize<S: Serializer>(table: &Table, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&toml::to_string(table).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Table, D::Error> {
        toml::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_with_nan_infinity_and_negative_zero_pass_through_a_message() {
        let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, 0.1];
        let mut loaded = Loaded::default();
        for (number, float) in floats.iter().enumerate() {
            loaded.attributes.insert(format!("/{number}'\n"), toml::Value::Float(*float));
        }
        let text = serde_json::to_string(&loaded).unwrap();
        let received: Loaded = serde_json::from_str(&text).unwrap();
        let bits = |value: &toml::Value| value.as_float().unwrap().to_bits();
        let received: Vec<u64> = received.attributes.values().map(bits).collect();
        assert_eq!(received, floats.map(f64::to_bits));
    }
}
