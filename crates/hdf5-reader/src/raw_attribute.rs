//! Attributes with their HDF5 types, for exports.

use std::ffi::CStr;

use crate::error::{ObjectResult, unsupported};
use crate::ffi::attributes::Attribute;
use crate::ffi::ids::Id;
use crate::ffi::object::Token;
use crate::serialized::{Packed, pack};

/// The largest attribute that is kept, in bytes.
pub(crate) const MOST_BYTES: u64 = 16 << 20;

/// An attribute with its HDF5 type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAttribute {
    /// Its name.
    pub name: String,
    /// Its type, as HDF5 encodes it.
    pub kind: Vec<u8>,
    /// Its extents: none for a scalar; `None` for a null dataspace.
    pub shape: Option<Vec<u64>>,
    /// Its elements, strings and sequences written out with their lengths, references as paths.
    pub data: Vec<u8>,
    /// The committed datatype that this type is: an index into [`crate::Inventory::named_types`].
    pub named_type: Option<usize>,
}

/// An attribute before the paths and numbers of other objects are known.
pub(crate) struct Unresolved {
    pub(crate) attribute: RawAttribute,
    /// The place of each reference's path in its data, and the address of the object.
    pub(crate) references: Vec<(usize, u64)>,
    /// The token of its committed datatype.
    pub(crate) committed: Option<Token>,
}

/// The references of one attribute, whose paths are known once the walk has found every object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct References {
    /// Index of the attribute among those of its object.
    pub(crate) attribute: usize,
    /// The place of each path in the attribute's data, and the address of the object.
    pub(crate) places: Vec<(usize, u64)>,
}

/// Reads one attribute of an open object.
pub(crate) fn read(object: &Id, name: &CStr) -> ObjectResult<Unresolved> {
    let attribute = Attribute::open(object, name)?;
    let (space, kind) = (attribute.space()?, attribute.datatype()?);
    let shape = space.shape()?;
    let elements = shape
        .as_ref()
        .map_or(Some(0), |shape| shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n)));
    let size = kind.size()?;
    let Some(elements) = elements.filter(|n| n.saturating_mul(size as u64) <= MOST_BYTES) else {
        return unsupported("large array");
    };
    let all = match elements {
        0 => Packed::default(),
        _ => pack(&kind, attribute.read(&kind)?.elements())?,
    };
    let Packed { data, references } = all;
    let name = name.to_string_lossy().into_owned();
    let committed = kind.committed_token()?;
    let kind = kind.encode()?;
    let attribute = RawAttribute { name, kind, shape, data, named_type: None };
    Ok(Unresolved { attribute, references, committed })
}
