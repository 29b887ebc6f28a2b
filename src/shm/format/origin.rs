//! What the ledger keeps of the sources for an export, because the metadata has no place for it: the
//! types of datasets, how they were stored, and attributes exactly as they were.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::h5::{self, Dataset, ExactAttribute, Fill};
use crate::shm::store::state::Project;

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
    #[serde(skip)]
    known_types: HashMap<Vec<u8>, usize>,
    #[serde(skip)]
    known_datasets: HashMap<(usize, usize), usize>,
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

impl FillValue {
    fn new(fill: &Fill) -> Option<Self> {
        Some(match fill {
            Fill::Zero => return None,
            Fill::Undefined => Self::Undefined,
            Fill::Unknown => Self::Unknown,
            Fill::Value(element) => Self::Value(STANDARD.encode(element)),
        })
    }

    /// The value as the `h5` module writes it.
    pub fn fill(&self) -> Fill {
        match self {
            Self::Undefined => Fill::Undefined,
            Self::Unknown => Fill::Unknown,
            Self::Value(text) => STANDARD.decode(text).map_or(Fill::Unknown, Fill::Value),
        }
    }
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
    /// What the ledger of a project keeps of its sources. Its types are read by the HDF5 library, which trusts
    /// them: another user's are not believed.
    pub fn of(project: &Project) -> Option<Self> {
        if project.uid != nix::unistd::Uid::effective().as_raw() {
            return None;
        }
        Self::parse(project.record()?.origin.as_deref()?)
    }

    /// Reads what [`Self::to_text`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// One line for the ledger; empty when there is nothing to tell.
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

    /// The attributes of the group at a path of the project; none when nothing is known.
    pub fn group(&self, path: &str) -> &[Attribute] {
        self.groups.get(path).map_or(&[], Vec::as_slice)
    }

    /// HDF5's encoding of type number `kind`.
    pub fn encoded_type(&self, kind: usize) -> Option<Vec<u8>> {
        STANDARD.decode(self.types.get(kind)?).ok()
    }

    /// An attribute as the `h5` module writes it.
    pub fn exact(&self, attribute: &Attribute) -> Option<ExactAttribute> {
        Some(ExactAttribute {
            name: attribute.name.clone(),
            kind: self.encoded_type(attribute.kind)?,
            shape: attribute.shape.clone(),
            data: STANDARD.decode(&attribute.data).ok()?,
            named_type: attribute.named_type,
        })
    }

    /// Adds a group, unless it has no attributes. `first_type` is the number of the first committed datatype
    /// of its file, here and below.
    pub fn add_group(&mut self, path: &str, attributes: &[ExactAttribute], first_type: usize) {
        if !attributes.is_empty() {
            let attributes = self.attributes(attributes, first_type);
            self.groups.insert(path.to_owned(), attributes);
        }
    }

    /// Remembers a committed datatype under its paths, which begin after `prefix`.
    pub fn add_type(&mut self, prefix: &str, named: &h5::NamedType, first_type: usize) {
        let paths = named.paths.iter().map(|path| format!("{prefix}{path}")).collect();
        let attrs = self.attributes(&named.attrs.exact, first_type);
        let kind = self.kind(&named.kind);
        self.named_types.push(NamedType { paths, kind, attrs });
    }

    /// Remembers dataset `number` (of which input, and which of it) under one more path.
    pub fn add_dataset(
        &mut self,
        path: &str,
        number: (usize, usize),
        dataset: &Dataset,
        (first_type, named_type): (usize, Option<usize>),
    ) {
        let index = if let Some(&index) = self.known_datasets.get(&number) {
            index
        } else {
            let named_type = named_type.map(|named| first_type + named);
            let stored = Stored { named_type, ..self.stored(dataset, first_type) };
            self.datasets.push(stored);
            self.known_datasets.insert(number, self.datasets.len() - 1);
            self.datasets.len() - 1
        };
        self.paths.insert(path.to_owned(), index);
    }

    fn stored(&mut self, dataset: &Dataset, first_type: usize) -> Stored {
        let names = match dataset.leaves()[..] {
            [leaf] => &leaf.enum_members[..],
            _ => &[],
        };
        let name =
            |(name, value): &(String, i128)| Some((name.clone(), i64::try_from(*value).ok()?));
        Stored {
            kind: self.kind(&dataset.encoded_type),
            named_type: None,
            shape: dataset.shape.clone(),
            layout: dataset.storage.layout.to_owned(),
            chunk: dataset.storage.chunk.clone(),
            filters: dataset.storage.filters.iter().map(|filter| filter.name.clone()).collect(),
            limits: dataset.storage.limits.clone(),
            fill: FillValue::new(&dataset.storage.fill),
            fill_time: dataset.storage.fill_time.map(str::to_owned),
            names: names.iter().filter_map(name).collect(),
            attrs: self.attributes(&dataset.attrs.exact, first_type),
        }
    }

    fn attributes(&mut self, attributes: &[ExactAttribute], first_type: usize) -> Vec<Attribute> {
        let each = |attribute: &ExactAttribute| Attribute {
            name: attribute.name.clone(),
            kind: self.kind(&attribute.kind),
            shape: attribute.shape.clone(),
            data: STANDARD.encode(&attribute.data),
            named_type: attribute.named_type.map(|named| first_type + named),
        };
        attributes.iter().map(each).collect()
    }

    fn kind(&mut self, encoded: &[u8]) -> usize {
        if let Some(&known) = self.known_types.get(encoded) {
            return known;
        }
        self.types.push(STANDARD.encode(encoded));
        self.known_types.insert(encoded.to_vec(), self.types.len() - 1);
        self.types.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str) -> ExactAttribute {
        ExactAttribute {
            name: name.to_owned(),
            kind: vec![3, 0, 255],
            shape: Some(vec![2]),
            data: b"x\0'\n".to_vec(),
            named_type: None,
        }
    }

    #[test]
    fn what_is_remembered_is_read_back_and_types_are_kept_once() {
        let mut origin = Origin::default();
        assert_eq!(origin.to_text(), "");
        origin.add_group("/g'\n", &[attribute("a"), attribute("b")], 0);
        let back = Origin::parse(&origin.to_text()).unwrap();
        assert_eq!(back.types.len(), 1);
        let exact: Vec<_> = back.group("/g'\n").iter().map(|a| back.exact(a).unwrap()).collect();
        assert_eq!(exact, [attribute("a"), attribute("b")]);
        assert!(back.group("/").is_empty() && back.dataset("/x").is_none());
    }
}
