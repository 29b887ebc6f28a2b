//! The origin of a load: converts the objects of its HDF5 files to the records that the ledger stores.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdf5_reader::{Dataset, Fill, RawAttribute};

use crate::shm::format::origin::{Attribute, FillValue, NamedType, Origin, Stored};

impl Origin {
    /// Adds a group, unless it has no attributes. `first_type` is the number of the first committed datatype
    /// of its file, here and below.
    pub fn add_group(&mut self, path: &str, attributes: &[RawAttribute], first_type: usize) {
        if !attributes.is_empty() {
            let attributes = self.attributes(attributes, first_type);
            self.groups.insert(path.to_owned(), attributes);
        }
    }

    /// Remembers a committed datatype under its paths, which begin after `prefix`.
    pub fn add_type(&mut self, prefix: &str, named: &hdf5_reader::NamedType, first_type: usize) {
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
        let names = match dataset.fields()[..] {
            [leaf] => &leaf.enum_members[..],
            _ => &[],
        };
        let name =
            |(name, value): &(String, i128)| Some((name.clone(), i64::try_from(*value).ok()?));
        Stored {
            kind: self.kind(&dataset.encoded_type),
            named_type: None,
            shape: dataset.shape.clone(),
            layout: dataset.storage.layout.name().to_owned(),
            chunk: dataset.storage.chunk.clone(),
            filters: dataset.storage.filters.iter().map(|filter| filter.name.clone()).collect(),
            limits: dataset.storage.limits.clone(),
            fill: FillValue::new(&dataset.storage.fill),
            fill_time: dataset.storage.fill_time.map(|time| time.name().to_owned()),
            names: names.iter().filter_map(name).collect(),
            attrs: self.attributes(&dataset.attrs.exact, first_type),
        }
    }

    fn attributes(&mut self, attributes: &[RawAttribute], first_type: usize) -> Vec<Attribute> {
        let each = |attribute: &RawAttribute| Attribute {
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

impl FillValue {
    fn new(fill: &Fill) -> Option<Self> {
        Some(match fill {
            Fill::Zero => return None,
            Fill::Undefined => Self::Undefined,
            Fill::Unknown => Self::Unknown,
            Fill::Value(element) => Self::Value(STANDARD.encode(element)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_attributes_are_stored_once() {
        let attribute = |name: &str| RawAttribute {
            name: name.to_owned(),
            kind: vec![3, 0, 255],
            shape: Some(vec![2]),
            data: b"x".to_vec(),
            named_type: None,
        };
        let mut origin = Origin::default();
        origin.add_group("/g", &[attribute("a"), attribute("b")], 0);
        origin.add_group("/h", &[], 0);
        assert_eq!((origin.types.len(), origin.groups.len()), (1, 1));
        assert_eq!(origin.group("/g").len(), 2);
    }
}
