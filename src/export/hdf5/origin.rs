//! Decodes the attributes and fill values in the ledger for the HDF5 writer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdf5_reader::{Fill, RawAttribute};

use crate::shm::format::origin::{Attribute, FillValue, Origin};

impl Origin {
    /// Decodes an attribute. Returns `None` if its record is damaged.
    pub(super) fn decode_attribute(&self, attribute: &Attribute) -> Option<RawAttribute> {
        Some(RawAttribute {
            name: attribute.name.clone(),
            kind: self.encoded_type(attribute.kind)?,
            shape: attribute.shape.clone(),
            data: STANDARD.decode(&attribute.data).ok()?,
            named_type: attribute.named_type,
        })
    }
}

impl FillValue {
    /// Decodes the value.
    pub(super) fn decode(&self) -> Fill {
        match self {
            Self::Undefined => Fill::Undefined,
            Self::Unknown => Fill::Unknown,
            Self::Value(text) => STANDARD.decode(text).map_or(Fill::Unknown, Fill::Value),
        }
    }
}
