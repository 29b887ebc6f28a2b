//! The origin of the arrays: types, storage and raw attributes of the source datasets. The ledger stores it for
//! `export`, because the metadata has no place for it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One record for each dataset and each group with attributes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// HDF5's encodings of all types, each once, in base64.
    pub types: Vec<String>,
    /// Every dataset once.
    pub datasets: Vec<Stored>,
    /// The dataset behind each path in the project; aliases share one.
    pub paths: IndexMap<String, usize>,
    /// Attributes of groups by path.
    pub groups: IndexMap<String, Vec<Attribute>>,
    /// Committed datatypes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_types: Vec<NamedType>,
    /// Numbers of the types that a load has added, by encoding.
    #[serde(skip)]
    pub(crate) known_types: HashMap<Vec<u8>, usize>,
    /// Numbers of the datasets that a load has added, by input and number in it.
    #[serde(skip)]
    pub(crate) known_datasets: HashMap<(usize, usize), usize>,
}

/// A committed datatype.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedType {
    /// The paths in the project that lead to it.
    pub paths: Vec<String>,
    /// The type: an index into [`Origin::types`].
    pub kind: usize,
    /// Its attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attrs: Vec<Attribute>,
}

/// A dataset as its file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Its type: an index into [`Origin::types`].
    pub kind: usize,
    /// The committed datatype that this type is: an index into [`Origin::named_types`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_type: Option<usize>,
    /// Its own extents, without those of array types.
    pub shape: Vec<u64>,
    /// `compact`, `contiguous`, `chunked`, `external` or `virtual`.
    pub layout: String,
    /// The extents of a chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Vec<u64>>,
    /// The names of its filters, in the order of writing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The largest size of each dimension (`u64::MAX`: unlimited), unless it is the current one of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<u64>>,
    /// The value of elements that were never written, unless it is HDF5's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<FillValue>,
    /// When that value is written, unless it is HDF5's default: `alloc` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_time: Option<String>,
    /// The names of an enum's values, where its array is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<(String, i64)>,
    /// Its attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attrs: Vec<Attribute>,
}

/// The fill value of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillValue {
    /// Explicitly none.
    Undefined,
    /// One that could not be serialized.
    Unknown,
    /// One serialized element in base64.
    Value(String),
}

/// An attribute exactly as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type: an index into [`Origin::types`].
    pub kind: usize,
    /// Its extents; `None` for a null dataspace.
    pub shape: Option<Vec<u64>>,
    /// Its packed elements in base64.
    pub data: String,
    /// The committed datatype that its type is: an index into [`Origin::named_types`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_type: Option<usize>,
}

impl Origin {
    /// Parses the text of [`Self::to_text`]. Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Prints one line for the ledger, or nothing if the origin is empty.
    pub fn to_text(&self) -> String {
        if self.paths.is_empty() && self.groups.is_empty() && self.named_types.is_empty() {
            return String::new();
        }
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The dataset at a path of the project.
    pub fn dataset(&self, path: &str) -> Option<&Stored> {
        self.datasets.get(*self.paths.get(path)?)
    }

    /// The attributes of the group at a path of the project.
    pub fn group(&self, path: &str) -> &[Attribute] {
        self.groups.get(path).map_or(&[], Vec::as_slice)
    }

    /// HDF5's encoding of type number `kind`.
    pub fn encoded_type(&self, kind: usize) -> Option<Vec<u8>> {
        STANDARD.decode(self.types.get(kind)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_parsed_as_it_was_printed_and_an_empty_one_prints_nothing() {
        let mut origin = Origin::default();
        assert_eq!(origin.to_text(), "");
        let (name, data) = ("a".to_owned(), STANDARD.encode(b"x\0'\n"));
        let attribute = Attribute { name, kind: 0, shape: Some(vec![2]), data, named_type: None };
        origin.types.push(STANDARD.encode([3, 0, 255]));
        origin.groups.insert("/g'\n".to_owned(), vec![attribute.clone()]);
        let parsed = Origin::parse(&origin.to_text()).unwrap();
        assert_eq!(parsed, origin);
        assert_eq!(parsed.group("/g'\n"), [attribute]);
        assert_eq!(parsed.encoded_type(0).unwrap(), [3, 0, 255]);
        assert!(parsed.group("/").is_empty() && parsed.dataset("/x").is_none());
    }
}
