//! Attributes as they are in the file, type and all: what an export needs to write them again.
#![allow(unsafe_code)]

use std::ffi::CStr;

use hdf5_sys::h5a::{H5Aget_space, H5Aget_type, H5Aopen, H5Aread};
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5t::H5Treclaim;

use super::Attributes;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::error::{ObjectResult, check, unsupported};
use super::ids::Id;
use super::read::zeroed;
use super::serialized::{Packed, pack, with_paths};

/// More bytes than this are not remembered.
const MOST_BYTES: u64 = 16 << 20;

/// One attribute as the file has it.
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
    /// The committed datatype that this type is: an index into [`super::Inventory::named_types`].
    pub named_type: Option<usize>,
}

/// An attribute as read, before the paths and numbers of other objects are known.
pub(crate) struct Unresolved {
    pub(crate) attribute: RawAttribute,
    /// Where in its data the path of each reference belongs, and the address that it leads to.
    pub(crate) references: Vec<(usize, u64)>,
    /// The token of its committed datatype.
    pub(crate) committed: Option<[u8; 16]>,
}

/// The references of one attribute, whose paths are not known before every object was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct References {
    /// Index of the attribute among those of its object.
    pub(crate) attribute: usize,
    /// Where in the attribute's data the path of each belongs, and the address that it leads to.
    pub(crate) places: Vec<(usize, u64)>,
}

/// Reads one attribute of an open object.
pub(crate) fn read(object: &Id, name: &CStr) -> ObjectResult<Unresolved> {
    // SAFETY: `object` is open, the name ends with NUL.
    let attribute = Id::own(unsafe { H5Aopen(object.raw(), name.as_ptr(), H5P_DEFAULT) })?;
    // SAFETY: `attribute` is open, here and below.
    let space = Dataspace::own(unsafe { H5Aget_space(attribute.raw()) })?;
    // SAFETY: as above.
    let kind = Datatype::own(unsafe { H5Aget_type(attribute.raw()) })?;
    let shape = space.shape()?;
    let elements = shape
        .as_ref()
        .map_or(Some(0), |shape| shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n)));
    let size = kind.size()?;
    let Some(elements) = elements.filter(|n| n.saturating_mul(size as u64) <= MOST_BYTES) else {
        return unsupported("large array");
    };
    let mut all = Packed::default();
    if elements > 0 {
        let mut buffer = zeroed(elements, size)?;
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has room for every element of the attribute's own type.
        check(unsafe { H5Aread(attribute.raw(), kind.raw(), place) })?;
        // SAFETY: HDF5 has just filled the buffer through this type.
        let packed = unsafe { pack(&kind, &buffer) };
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: as above; what was packed is a copy.
        check(unsafe { H5Treclaim(kind.raw(), space.raw(), H5P_DEFAULT, place) })?;
        all = packed?;
    }
    let Packed { data, references } = all;
    let name = name.to_string_lossy().into_owned();
    let committed = kind.committed_token()?;
    let kind = kind.encode()?;
    let attribute = RawAttribute { name, kind, shape, data, named_type: None };
    Ok(Unresolved { attribute, references, committed })
}

/// Puts the paths of objects into the attributes that refer to them, by the address of each object. An
/// attribute that becomes too large is dropped, as one that is too large in the file. `left` bounds the
/// bytes of the paths of a whole load: a short reference can stand for a long path, many times over.
pub(crate) fn resolve<'p>(
    attributes: &mut Attributes,
    left: &mut usize,
    path: impl Fn(u64) -> &'p str,
) {
    let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    // Backwards, so that the indices of those before a dropped one stay as they are.
    for References { attribute, places } in std::mem::take(&mut attributes.references).iter().rev()
    {
        let Some(exact) = attributes.exact.get_mut(*attribute) else { continue };
        let room = most.min(exact.data.len().saturating_add(*left));
        match with_paths(&exact.data, places, room, &path) {
            Some(data) => {
                *left = left.saturating_sub(data.len() - exact.data.len());
                exact.data = data;
            }
            None => drop(attributes.exact.remove(*attribute)),
        }
    }
}
