//! The attributes of an object, read and put into TOML. One that fails is left out with a reason.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};

use hdf5_sys::h5::{H5_index_t, H5_iter_order_t, herr_t};
use hdf5_sys::h5a::{H5A_info_t, H5Aget_space, H5Aget_type, H5Aiterate2, H5Aopen, H5Aread};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5t::H5Treclaim;

use super::Attributes;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::error::{ObjectResult, check, unsupported};
use super::ids::Id;
use super::raw_attribute;
use super::read::zeroed;
use super::types::Reader;
use super::values;

/// More values than this are left out.
const MOST_VALUES: u64 = 65_536;

/// More bytes than this are left out.
const MOST_BYTES: u64 = 64 << 20;

/// All attributes of an open object.
pub(crate) fn read(object: &Id) -> Attributes {
    let mut attributes = Attributes::default();
    let names = match names(object) {
        Ok(names) => names,
        Err(trouble) => {
            attributes.left_out.push((String::new(), trouble.into_reason()));
            return attributes;
        }
    };
    for name in names {
        let value = match name.to_str() {
            Ok(_) => value(object, &name),
            Err(_) => unsupported("a name that is not UTF-8"),
        };
        if name.to_str().is_ok() {
            attributes.add_exact(raw_attribute::read(object, &name));
        }
        let name = name.to_string_lossy().into_owned();
        match value {
            Ok(value) => drop(attributes.values.insert(name, value)),
            Err(trouble) => attributes.left_out.push((name, trouble.into_reason())),
        }
    }
    attributes
}

impl Attributes {
    fn add_exact(&mut self, read: ObjectResult<raw_attribute::Unresolved>) {
        let Ok(raw_attribute::Unresolved { attribute, references, committed }) = read else {
            return;
        };
        let number = self.exact.len();
        if !references.is_empty() {
            self.references
                .push(raw_attribute::References { attribute: number, places: references });
        }
        self.committed.extend(committed.map(|token| (number, token)));
        self.exact.push(attribute);
    }

    /// The tokens of the committed datatypes that have no number yet.
    pub(crate) fn committed_tokens(&self) -> impl Iterator<Item = [u8; 16]> {
        self.committed.iter().map(|(_, token)| *token)
    }

    /// Sets the committed datatypes of the attributes to what `number` returns for their tokens.
    pub(crate) fn resolve_types(&mut self, number: impl Fn([u8; 16]) -> Option<usize>) {
        for (attribute, token) in std::mem::take(&mut self.committed) {
            self.exact[attribute].named_type = number(token);
        }
    }
}

fn names(object: &Id) -> ObjectResult<Vec<CString>> {
    let mut names: Vec<CString> = Vec::new();
    let data = (&raw mut names).cast::<c_void>();
    let (index, order) = (H5_index_t::H5_INDEX_NAME, H5_iter_order_t::H5_ITER_INC);
    let start = std::ptr::null_mut();
    // SAFETY: `object` is open; `collect` gets the vector it expects.
    check(unsafe { H5Aiterate2(object.raw(), index, order, start, Some(collect), data) })?;
    Ok(names)
}

unsafe extern "C" fn collect(
    _: hid_t,
    name: *const c_char,
    _: *const H5A_info_t,
    data: *mut c_void,
) -> herr_t {
    // SAFETY: HDF5 passes a NUL-terminated name and hands on our pointer.
    unsafe { (*data.cast::<Vec<CString>>()).push(CStr::from_ptr(name).to_owned()) };
    0
}

fn value(object: &Id, name: &CStr) -> ObjectResult<toml::Value> {
    // SAFETY: `object` is open, the name ends with NUL.
    let attribute = Id::own(unsafe { H5Aopen(object.raw(), name.as_ptr(), H5P_DEFAULT) })?;
    // SAFETY: `attribute` is open, here and below.
    let space = Dataspace::own(unsafe { H5Aget_space(attribute.raw()) })?;
    // SAFETY: as above.
    let kind = Datatype::own(unsafe { H5Aget_type(attribute.raw()) })?;
    let Some(shape) = space.shape()? else { return unsupported("empty") };
    let mut reader = Reader { ragged: true, ..Reader::default() };
    let node = reader.node(&kind, "")?;
    values::check_form(&node)?;
    let elements = shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n)).unwrap_or(u64::MAX);
    let size = node.size as u64;
    if elements.saturating_mul(values::count(&node)) > MOST_VALUES
        || elements.saturating_mul(size) > MOST_BYTES
    {
        return unsupported("large array");
    }
    let mut buffer = zeroed(elements, node.size)?;
    if elements > 0 {
        let target = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has room for every element of the memory type.
        check(unsafe { H5Aread(attribute.raw(), node.memory.raw(), target) })?;
    }
    let result = values::array(&node, &shape, &buffer);
    if node.has_pointers() && elements > 0 {
        let (kind, place) = (node.memory.raw(), buffer.as_mut_ptr().cast());
        // SAFETY: HDF5 filled the buffer through this type and space; the values are copies.
        check(unsafe { H5Treclaim(kind, space.raw(), H5P_DEFAULT, place) })?;
    }
    result
}
