//! Questions to HDF5 datatypes, and the making of new ones: safe words for the library's calls.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_uint};

use hdf5_sys::h5::{H5free_memory, hsize_t};
use hdf5_sys::h5i::hid_t;
#[allow(clippy::wildcard_imports)] // thirty names of one family
use hdf5_sys::h5t::*;

use super::answers;
use super::error::{ObjectError, ObjectResult, check, damaged};
use super::ids::Id;
use super::links;

unsafe extern "C" {
    /// The library's 16-bit floats, which the bindings lack.
    static H5T_IEEE_F16LE_g: hid_t;
    static H5T_IEEE_F16BE_g: hid_t;
}

/// An open HDF5 datatype.
#[derive(Debug)]
pub(crate) struct Datatype(Id);

/// The bit fields of a floating-point type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloatFields {
    pub(crate) exponent_bits: usize,
    pub(crate) mantissa_bits: usize,
    pub(crate) bias: usize,
}

impl Datatype {
    /// Takes what an HDF5 call returned.
    pub(crate) fn own(id: hid_t) -> ObjectResult<Self> {
        Id::own(id).map(Self)
    }

    /// A changeable copy of one of the library's own types.
    pub(crate) fn predefined(id: hid_t) -> ObjectResult<Self> {
        // SAFETY: the library's predefined types are always open.
        Self::own(unsafe { H5Tcopy(id) })
    }

    /// IEEE float of 16 bits.
    pub(crate) fn half(big_endian: bool) -> ObjectResult<Self> {
        // SAFETY: the library fills both in when it starts, and never changes them.
        Self::predefined(unsafe { if big_endian { H5T_IEEE_F16BE_g } else { H5T_IEEE_F16LE_g } })
    }

    /// Takes an open committed datatype.
    pub(crate) fn of_object(id: Id) -> Self {
        Self(id)
    }

    /// The object of a committed datatype.
    pub(crate) fn into_object(self) -> Id {
        self.0
    }

    /// The token of a committed datatype; `None` for one that is part of its dataset or attribute.
    pub(crate) fn committed_token(&self) -> ObjectResult<Option<[u8; 16]>> {
        // SAFETY: `self` is an open datatype.
        if check(unsafe { H5Tcommitted(self.raw()) })? == 0 {
            return Ok(None);
        }
        links::object(&self.0).map(|object| Some(links::bytes(object.token)))
    }

    pub(crate) fn raw(&self) -> hid_t {
        self.0.raw()
    }

    pub(crate) fn copy(&self) -> ObjectResult<Self> {
        // SAFETY: `self` is an open datatype.
        Self::own(unsafe { H5Tcopy(self.raw()) })
    }

    pub(crate) fn class(&self) -> H5T_class_t {
        answers::class(self.raw())
    }

    /// Bytes of one element; never 0.
    pub(crate) fn size(&self) -> ObjectResult<usize> {
        // SAFETY: `self` is an open datatype.
        match unsafe { H5Tget_size(self.raw()) } {
            0 => Err(ObjectError::last()),
            size => Ok(size),
        }
    }

    pub(crate) fn order(&self) -> H5T_order_t {
        answers::order(self.raw())
    }

    pub(crate) fn is_signed(&self) -> bool {
        answers::is_signed(self.raw())
    }

    /// How many bits of a number have a meaning, and how many are below these.
    pub(crate) fn bits(&self) -> ObjectResult<(usize, usize)> {
        // SAFETY: `self` is an open datatype, here and below.
        let bits = unsafe { H5Tget_precision(self.raw()) };
        // SAFETY: as above.
        let below = check(unsafe { H5Tget_offset(self.raw()) })?;
        Ok((bits, usize::try_from(below).unwrap_or(usize::MAX)))
    }

    pub(crate) fn float_fields(&self) -> ObjectResult<FloatFields> {
        let (mut s, mut e, mut es, mut m, mut ms) = (0, 0, 0, 0, 0);
        // SAFETY: `self` is an open datatype; the five places outlive the call.
        check(unsafe {
            H5Tget_fields(self.raw(), &raw mut s, &raw mut e, &raw mut es, &raw mut m, &raw mut ms)
        })?;
        // SAFETY: as above.
        let bias = unsafe { H5Tget_ebias(self.raw()) };
        Ok(FloatFields { exponent_bits: es, mantissa_bits: ms, bias })
    }

    /// Whether both describe the same bytes.
    pub(crate) fn equals(&self, other: &Self) -> ObjectResult<bool> {
        // SAFETY: both are open datatypes.
        check(unsafe { H5Tequal(self.raw(), other.raw()) }).map(|equal| equal > 0)
    }

    /// The type that an enum, array, complex or variable-length type is made of.
    pub(crate) fn base(&self) -> ObjectResult<Self> {
        // SAFETY: `self` is an open datatype.
        Self::own(unsafe { H5Tget_super(self.raw()) })
    }

    /// The extents of an array type.
    pub(crate) fn array_dims(&self) -> ObjectResult<Vec<u64>> {
        // SAFETY: `self` is an open datatype.
        let rank = check(unsafe { H5Tget_array_ndims(self.raw()) })?;
        let mut dims: Vec<hsize_t> = vec![0; usize::try_from(rank).unwrap_or(0)];
        // SAFETY: there is room for as many extents as the library just counted.
        check(unsafe { H5Tget_array_dims2(self.raw(), dims.as_mut_ptr()) })?;
        Ok(dims)
    }

    /// How many fields a compound, or names an enum, has.
    pub(crate) fn members(&self) -> ObjectResult<c_uint> {
        // SAFETY: `self` is an open datatype.
        let count = check(unsafe { H5Tget_nmembers(self.raw()) })?;
        Ok(count.unsigned_abs())
    }

    pub(crate) fn member_name(&self, index: c_uint) -> ObjectResult<Vec<u8>> {
        // SAFETY: `self` is an open datatype; the index is checked by the library.
        take_string(unsafe { H5Tget_member_name(self.raw(), index) })
    }

    pub(crate) fn member_type(&self, index: c_uint) -> ObjectResult<Self> {
        // SAFETY: as above.
        Self::own(unsafe { H5Tget_member_type(self.raw(), index) })
    }

    pub(crate) fn member_offset(&self, index: c_uint) -> usize {
        // SAFETY: as above.
        unsafe { H5Tget_member_offset(self.raw(), index) }
    }

    /// The value of an enum's name, as a 64-bit number.
    pub(crate) fn member_value(&self, index: c_uint) -> ObjectResult<i128> {
        let base = self.base()?;
        let size = base.size()?;
        if size > 64 {
            return damaged("an enum of more than 64 bytes");
        }
        let mut room = [0_u64; 8];
        let place = room.as_mut_ptr();
        // SAFETY: the value is as long as its type, and the room is 64 bytes.
        check(unsafe { H5Tget_member_value(self.raw(), index, place.cast()) })?;
        let signed = base.is_signed();
        let native = if signed { *H5T_NATIVE_LLONG } else { *H5T_NATIVE_ULLONG };
        // SAFETY: the room holds source and result, one element each, in place.
        check(unsafe { H5Tconvert(base.raw(), native, 1, place.cast(), std::ptr::null_mut(), 0) })?;
        Ok(if signed { i128::from(room[0].cast_signed()) } else { i128::from(room[0]) })
    }

    /// The tag of an opaque type.
    pub(crate) fn tag(&self) -> ObjectResult<Vec<u8>> {
        // SAFETY: `self` is an open datatype.
        take_string(unsafe { H5Tget_tag(self.raw()) })
    }

    pub(crate) fn is_variable_string(&self) -> ObjectResult<bool> {
        // SAFETY: `self` is an open datatype.
        check(unsafe { H5Tis_variable_str(self.raw()) }).map(|yes| yes > 0)
    }

    pub(crate) fn charset(&self) -> H5T_cset_t {
        answers::charset(self.raw())
    }

    pub(crate) fn is_space_padded(&self) -> bool {
        answers::is_space_padded(self.raw())
    }

    /// The same fixed string, padded with NUL.
    pub(crate) fn null_padded(&self) -> ObjectResult<Self> {
        let copy = self.copy()?;
        // SAFETY: the copy is an open, changeable string type.
        check(unsafe { H5Tset_strpad(copy.raw(), H5T_str_t::H5T_STR_NULLPAD) })?;
        Ok(copy)
    }

    /// A pointer to a NUL-terminated string in this string type's character set.
    pub(crate) fn variable_string(&self) -> ObjectResult<Self> {
        let made = Self::predefined(*H5T_C_S1)?;
        // SAFETY: `made` is an open, changeable string type.
        check(unsafe { H5Tset_size(made.raw(), H5T_VARIABLE) })?;
        // SAFETY: as above.
        check(unsafe { H5Tset_cset(made.raw(), self.charset()) })?;
        Ok(made)
    }

    /// The same number in the other byte order.
    pub(crate) fn with_order(self, order: H5T_order_t) -> ObjectResult<Self> {
        // SAFETY: `self` is an open, changeable number type.
        check(unsafe { H5Tset_order(self.raw(), order) })?;
        Ok(self)
    }

    /// A compound of `size` bytes without fields.
    pub(crate) fn compound(size: usize) -> ObjectResult<Self> {
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Tcreate(H5T_class_t::H5T_COMPOUND, size) })
    }

    /// Adds a field to a compound that we made.
    pub(crate) fn insert(&self, name: &str, offset: usize, field: &Self) -> ObjectResult<()> {
        let Ok(name) = CString::new(name) else { return damaged("a field name with NUL") };
        // SAFETY: both are open datatypes, the name ends with NUL.
        check(unsafe { H5Tinsert(self.raw(), name.as_ptr(), offset, field.raw()) }).map(|_| ())
    }

    /// An array of this type.
    pub(crate) fn array(&self, dims: &[u64]) -> ObjectResult<Self> {
        let rank = c_uint::try_from(dims.len()).unwrap_or(c_uint::MAX);
        // SAFETY: `self` is an open datatype; `dims` has `rank` extents.
        Self::own(unsafe { H5Tarray_create2(self.raw(), rank, dims.as_ptr()) })
    }

    /// A complex number of two of this float type.
    pub(crate) fn complex(&self) -> ObjectResult<Self> {
        // SAFETY: `self` is an open datatype.
        Self::own(unsafe { H5Tcomplex_create(self.raw()) })
    }

    /// A variable-length sequence of this type.
    pub(crate) fn ragged(&self) -> ObjectResult<Self> {
        // SAFETY: `self` is an open datatype.
        Self::own(unsafe { H5Tvlen_create(self.raw()) })
    }

    /// The enum by which h5py knows a boolean: `FALSE` and `TRUE` in one byte.
    pub(crate) fn boolean() -> ObjectResult<Self> {
        // SAFETY: the base type is one of the library's own.
        let made = Self::own(unsafe { H5Tenum_create(*H5T_NATIVE_INT8) })?;
        for (name, value) in [(c"FALSE", 0_i8), (c"TRUE", 1)] {
            // SAFETY: the value is one byte, as the base type says.
            check(unsafe { H5Tenum_insert(made.raw(), name.as_ptr(), (&raw const value).cast()) })?;
        }
        Ok(made)
    }
}

/// Copies a string that HDF5 allocated, and frees it.
fn take_string(text: *mut c_char) -> ObjectResult<Vec<u8>> {
    if text.is_null() {
        return Err(ObjectError::last());
    }
    // SAFETY: HDF5 returned a NUL-terminated string that is ours to free.
    unsafe {
        let bytes = CStr::from_ptr(text).to_bytes().to_vec();
        H5free_memory(text.cast());
        Ok(bytes)
    }
}
