//! HDF5 datatypes: their properties, and new ones.

use std::ffi::{CStr, CString, c_char, c_int, c_uint};

use hdf5_sys::h5::{H5free_memory, hsize_t};
use hdf5_sys::h5i::hid_t;
#[allow(clippy::wildcard_imports)] // forty names of one family
use hdf5_sys::h5t::*;

use super::error_stack::{self, check};
use super::ids::{Id, lock};
use super::object::{self, Token};
use crate::error::{ObjectResult, damaged, unsupported};

unsafe extern "C" {
    /// The library's 16-bit floats, which the bindings lack.
    static H5T_IEEE_F16LE_g: hid_t;
    static H5T_IEEE_F16BE_g: hid_t;
}

/// Calls whose answer can be a number from a file. The bindings declare enums for them, and a number that an enum
/// lacks is undefined behavior.
mod number {
    use std::ffi::c_int;

    use hdf5_sys::h5i::hid_t;

    unsafe extern "C" {
        pub(super) fn H5Tget_class(datatype: hid_t) -> c_int;
        pub(super) fn H5Tget_order(datatype: hid_t) -> c_int;
        pub(super) fn H5Tget_sign(datatype: hid_t) -> c_int;
        pub(super) fn H5Tget_cset(datatype: hid_t) -> c_int;
        pub(super) fn H5Tget_strpad(datatype: hid_t) -> c_int;
    }
}

/// The class of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeClass {
    Integer,
    Float,
    Time,
    String,
    Bitfield,
    Opaque,
    Compound,
    Reference,
    Enum,
    /// A sequence of variable length.
    Sequence,
    Array,
    Complex,
    Unknown,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
    /// The type has no order, such as one of a single byte.
    None,
    /// VAX or mixed order.
    Other,
}

/// The character set of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CharSet {
    Ascii,
    Utf8,
    Unknown,
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
    /// Another owner of the same open object.
    pub(super) fn share(&self) -> ObjectResult<Self> {
        self.0.share().map(Self)
    }

    /// Takes the result of a call of libhdf5.
    pub(super) fn own(id: hid_t) -> ObjectResult<Self> {
        Id::own(id).map(Self)
    }

    /// A copy that can be changed of a type of the library.
    pub(crate) fn predefined(id: hid_t) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Tcopy(id) })
    }

    /// An integer of 1, 2, 4 or 8 bytes.
    pub(crate) fn integer(size: usize, signed: bool, big_endian: bool) -> ObjectResult<Self> {
        Self::predefined(match (size, signed, big_endian) {
            (1, true, _) => *H5T_STD_I8LE,
            (1, false, _) => *H5T_STD_U8LE,
            (2, true, false) => *H5T_STD_I16LE,
            (2, true, true) => *H5T_STD_I16BE,
            (2, false, false) => *H5T_STD_U16LE,
            (2, false, true) => *H5T_STD_U16BE,
            (4, true, false) => *H5T_STD_I32LE,
            (4, true, true) => *H5T_STD_I32BE,
            (4, false, false) => *H5T_STD_U32LE,
            (4, false, true) => *H5T_STD_U32BE,
            (_, true, false) => *H5T_STD_I64LE,
            (_, true, true) => *H5T_STD_I64BE,
            (_, false, false) => *H5T_STD_U64LE,
            (_, false, true) => *H5T_STD_U64BE,
        })
    }

    /// A float of 2, 4 or 8 bytes in IEEE format; of any other size, the long double of this machine.
    pub(crate) fn float(size: usize, big_endian: bool) -> ObjectResult<Self> {
        Self::predefined(match (size, big_endian) {
            // SAFETY: the library fills both in when it starts, and never changes them.
            (2, false) => unsafe { H5T_IEEE_F16LE_g },
            // SAFETY: as above.
            (2, true) => unsafe { H5T_IEEE_F16BE_g },
            (4, false) => *H5T_IEEE_F32LE,
            (4, true) => *H5T_IEEE_F32BE,
            (8, false) => *H5T_IEEE_F64LE,
            (8, true) => *H5T_IEEE_F64BE,
            _ => {
                let order =
                    if big_endian { H5T_order_t::H5T_ORDER_BE } else { H5T_order_t::H5T_ORDER_LE };
                let _lock = lock();
                let float = Self::predefined(*H5T_NATIVE_LDOUBLE)?;
                // SAFETY: a call without pointers; the library checks the type.
                check(unsafe { H5Tset_order(float.raw(), order) })?;
                return Ok(float);
            }
        })
    }

    /// A 64-bit integer of this machine.
    pub(crate) fn native_int64() -> ObjectResult<Self> {
        Self::predefined(*H5T_NATIVE_INT64)
    }

    /// A 64-bit float of this machine.
    pub(crate) fn native_double() -> ObjectResult<Self> {
        Self::predefined(*H5T_NATIVE_DOUBLE)
    }

    /// A string of this many bytes, padded with NUL.
    pub(crate) fn fixed_string(size: usize) -> ObjectResult<Self> {
        let _lock = lock();
        let text = Self::predefined(*H5T_C_S1)?;
        // SAFETY: calls without pointers; the library checks type and size.
        check(unsafe { H5Tset_size(text.raw(), size) })?;
        text.pad_with_nul()?;
        Ok(text)
    }

    /// A string of variable length in UTF-8.
    pub(crate) fn utf8() -> ObjectResult<Self> {
        Self::text(H5T_cset_t::H5T_CSET_UTF8)
    }

    fn text(charset: H5T_cset_t) -> ObjectResult<Self> {
        let _lock = lock();
        let text = Self::predefined(*H5T_C_S1)?;
        // SAFETY: calls without pointers; the library checks the type.
        check(unsafe { H5Tset_size(text.raw(), H5T_VARIABLE) })?;
        // SAFETY: as above.
        check(unsafe { H5Tset_cset(text.raw(), charset) })?;
        Ok(text)
    }

    /// Bytes with a tag.
    pub(crate) fn opaque(size: usize, tag: &str) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        let opaque = Self::own(unsafe { H5Tcreate(H5T_class_t::H5T_OPAQUE, size) })?;
        let tag = CString::new(tag).unwrap_or_default();
        // SAFETY: the tag ends with NUL.
        check(unsafe { H5Tset_tag(opaque.raw(), tag.as_ptr()) })?;
        Ok(opaque)
    }

    /// Takes an open committed datatype.
    pub(crate) fn of_object(id: Id) -> Self {
        Self(id)
    }

    /// The object of a committed datatype.
    pub(crate) fn into_object(self) -> Id {
        self.0
    }

    /// The open identifier.
    pub(crate) fn id(&self) -> &Id {
        &self.0
    }

    /// The token of a committed datatype; `None` for one that is part of its dataset or attribute.
    pub(crate) fn committed_token(&self) -> ObjectResult<Option<Token>> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        if check(unsafe { H5Tcommitted(self.raw()) })? == 0 {
            return Ok(None);
        }
        object::object(&self.0).map(|object| Some(object.token))
    }

    pub(crate) fn raw(&self) -> hid_t {
        self.0.raw()
    }

    /// A copy that can be changed.
    pub(crate) fn copy(&self) -> ObjectResult<Self> {
        Self::predefined(self.raw())
    }

    /// The class.
    pub(crate) fn class(&self) -> TypeClass {
        const CLASSES: [(H5T_class_t, TypeClass); 12] = [
            (H5T_class_t::H5T_INTEGER, TypeClass::Integer),
            (H5T_class_t::H5T_FLOAT, TypeClass::Float),
            (H5T_class_t::H5T_TIME, TypeClass::Time),
            (H5T_class_t::H5T_STRING, TypeClass::String),
            (H5T_class_t::H5T_BITFIELD, TypeClass::Bitfield),
            (H5T_class_t::H5T_OPAQUE, TypeClass::Opaque),
            (H5T_class_t::H5T_COMPOUND, TypeClass::Compound),
            (H5T_class_t::H5T_REFERENCE, TypeClass::Reference),
            (H5T_class_t::H5T_ENUM, TypeClass::Enum),
            (H5T_class_t::H5T_VLEN, TypeClass::Sequence),
            (H5T_class_t::H5T_ARRAY, TypeClass::Array),
            (H5T_class_t::H5T_COMPLEX, TypeClass::Complex),
        ];
        let _lock = lock();
        // SAFETY: a call without pointers.
        let number = unsafe { number::H5Tget_class(self.raw()) };
        let known = CLASSES.into_iter().find(|(class, _)| *class as c_int == number);
        known.map_or(TypeClass::Unknown, |(_, class)| class)
    }

    /// Bytes of one element; never 0.
    pub(crate) fn size(&self) -> ObjectResult<usize> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        match unsafe { H5Tget_size(self.raw()) } {
            0 => Err(error_stack::last()),
            size => Ok(size),
        }
    }

    /// The byte order.
    pub(crate) fn order(&self) -> ByteOrder {
        let _lock = lock();
        // SAFETY: a call without pointers.
        match unsafe { number::H5Tget_order(self.raw()) } {
            order if order == H5T_order_t::H5T_ORDER_LE as c_int => ByteOrder::Little,
            order if order == H5T_order_t::H5T_ORDER_BE as c_int => ByteOrder::Big,
            order if order == H5T_order_t::H5T_ORDER_NONE as c_int => ByteOrder::None,
            _ => ByteOrder::Other,
        }
    }

    /// Whether an integer has a sign.
    pub(crate) fn is_signed(&self) -> bool {
        let _lock = lock();
        // SAFETY: a call without pointers.
        unsafe { number::H5Tget_sign(self.raw()) == H5T_sign_t::H5T_SGN_2 as c_int }
    }

    /// The number of significant bits of a number, and of unused bits below them.
    pub(crate) fn bits(&self) -> ObjectResult<(usize, usize)> {
        let _lock = lock();
        // SAFETY: calls without pointers, here and below.
        let bits = unsafe { H5Tget_precision(self.raw()) };
        // SAFETY: as above.
        let below = check(unsafe { H5Tget_offset(self.raw()) })?;
        Ok((bits, usize::try_from(below).unwrap_or(usize::MAX)))
    }

    pub(crate) fn float_fields(&self) -> ObjectResult<FloatFields> {
        let _lock = lock();
        let (mut s, mut e, mut es, mut m, mut ms) = (0, 0, 0, 0, 0);
        // SAFETY: the five places outlive the call.
        check(unsafe {
            H5Tget_fields(self.raw(), &raw mut s, &raw mut e, &raw mut es, &raw mut m, &raw mut ms)
        })?;
        // SAFETY: as above.
        let bias = unsafe { H5Tget_ebias(self.raw()) };
        Ok(FloatFields { exponent_bits: es, mantissa_bits: ms, bias })
    }

    /// Whether both describe the same bytes.
    pub(crate) fn equals(&self, other: &Self) -> ObjectResult<bool> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        check(unsafe { H5Tequal(self.raw(), other.raw()) }).map(|equal| equal > 0)
    }

    /// The type of the elements of an array or a sequence, of the values of an enum, or of the parts of a complex
    /// number.
    pub(crate) fn base(&self) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Tget_super(self.raw()) })
    }

    /// The extents of an array type.
    pub(crate) fn array_dims(&self) -> ObjectResult<Vec<u64>> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        let rank = check(unsafe { H5Tget_array_ndims(self.raw()) })?;
        let mut dims: Vec<hsize_t> = vec![0; usize::try_from(rank).unwrap_or(0)];
        // SAFETY: there is room for as many extents as the library just counted.
        check(unsafe { H5Tget_array_dims2(self.raw(), dims.as_mut_ptr()) })?;
        Ok(dims)
    }

    /// The number of fields of a compound, or of names of an enum.
    pub(crate) fn members(&self) -> ObjectResult<c_uint> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        let count = check(unsafe { H5Tget_nmembers(self.raw()) })?;
        Ok(count.unsigned_abs())
    }

    pub(crate) fn member_name(&self, index: c_uint) -> ObjectResult<Vec<u8>> {
        let _lock = lock();
        // SAFETY: the library checks the index, here and below.
        take_string(unsafe { H5Tget_member_name(self.raw(), index) })
    }

    pub(crate) fn member_type(&self, index: c_uint) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: as above.
        Self::own(unsafe { H5Tget_member_type(self.raw(), index) })
    }

    pub(crate) fn member_offset(&self, index: c_uint) -> usize {
        let _lock = lock();
        // SAFETY: as above.
        unsafe { H5Tget_member_offset(self.raw(), index) }
    }

    /// The value of an enum's name, as a 64-bit number.
    pub(crate) fn member_value(&self, index: c_uint) -> ObjectResult<i128> {
        let _lock = lock();
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
        let _lock = lock();
        // SAFETY: a call without pointers.
        take_string(unsafe { H5Tget_tag(self.raw()) })
    }

    pub(crate) fn is_variable_string(&self) -> ObjectResult<bool> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        check(unsafe { H5Tis_variable_str(self.raw()) }).map(|yes| yes > 0)
    }

    /// The character set of a string.
    pub(crate) fn charset(&self) -> CharSet {
        let _lock = lock();
        // SAFETY: a call without pointers.
        match unsafe { number::H5Tget_cset(self.raw()) } {
            set if set == H5T_cset_t::H5T_CSET_ASCII as c_int => CharSet::Ascii,
            set if set == H5T_cset_t::H5T_CSET_UTF8 as c_int => CharSet::Utf8,
            _ => CharSet::Unknown,
        }
    }

    /// Whether a string is padded with spaces.
    pub(crate) fn is_space_padded(&self) -> bool {
        let _lock = lock();
        // SAFETY: a call without pointers.
        unsafe { number::H5Tget_strpad(self.raw()) == H5T_str_t::H5T_STR_SPACEPAD as c_int }
    }

    /// The same fixed string, padded with NUL.
    pub(crate) fn null_padded(&self) -> ObjectResult<Self> {
        let copy = self.copy()?;
        copy.pad_with_nul()?;
        Ok(copy)
    }

    fn pad_with_nul(&self) -> ObjectResult<()> {
        let _lock = lock();
        // SAFETY: a call without pointers; the library checks the type.
        check(unsafe { H5Tset_strpad(self.raw(), H5T_str_t::H5T_STR_NULLPAD) }).map(|_| ())
    }

    /// A string of variable length in this string type's character set.
    pub(crate) fn variable_string(&self) -> ObjectResult<Self> {
        match self.charset() {
            CharSet::Ascii => Self::text(H5T_cset_t::H5T_CSET_ASCII),
            CharSet::Utf8 => Self::text(H5T_cset_t::H5T_CSET_UTF8),
            CharSet::Unknown => unsupported("strings in an unknown character set"),
        }
    }

    /// A compound of `size` bytes without fields.
    pub(crate) fn compound(size: usize) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Tcreate(H5T_class_t::H5T_COMPOUND, size) })
    }

    /// Adds a field to a compound.
    pub(crate) fn insert(&self, name: &str, offset: usize, field: &Self) -> ObjectResult<()> {
        let _lock = lock();
        let Ok(name) = CString::new(name) else { return damaged("a field name with NUL") };
        // SAFETY: the name ends with NUL.
        check(unsafe { H5Tinsert(self.raw(), name.as_ptr(), offset, field.raw()) }).map(|_| ())
    }

    /// An array of this type.
    pub(crate) fn array(&self, dims: &[u64]) -> ObjectResult<Self> {
        let _lock = lock();
        let rank = c_uint::try_from(dims.len()).unwrap_or(c_uint::MAX);
        // SAFETY: `dims` has `rank` extents.
        Self::own(unsafe { H5Tarray_create2(self.raw(), rank, dims.as_ptr()) })
    }

    /// A complex number of two of this float type.
    pub(crate) fn complex(&self) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Tcomplex_create(self.raw()) })
    }

    /// A variable-length sequence of this type.
    pub(crate) fn ragged(&self) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        Self::own(unsafe { H5Tvlen_create(self.raw()) })
    }

    /// The library's own bytes for this type.
    pub(crate) fn encode(&self) -> ObjectResult<Vec<u8>> {
        let _lock = lock();
        let mut size = 0;
        // SAFETY: without a buffer the call only returns the size.
        check(unsafe { H5Tencode(self.raw(), std::ptr::null_mut(), &raw mut size) })?;
        let mut bytes = vec![0_u8; size];
        // SAFETY: the buffer has the size that the library returned.
        check(unsafe { H5Tencode(self.raw(), bytes.as_mut_ptr().cast(), &raw mut size) })?;
        Ok(bytes)
    }

    /// The type that [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: the library gets the number of bytes.
        Self::own(unsafe { H5Tdecode2(bytes.as_ptr().cast(), bytes.len()) })
    }

    /// Whether some part of the type is of this class.
    fn has(&self, class: H5T_class_t) -> ObjectResult<bool> {
        let _lock = lock();
        // SAFETY: a call without pointers.
        check(unsafe { H5Tdetect_class(self.raw(), class) }).map(|found| found > 0)
    }

    /// Whether some part of the type is a reference.
    pub(crate) fn has_references(&self) -> ObjectResult<bool> {
        self.has(H5T_class_t::H5T_REFERENCE)
    }

    /// Whether elements consist of their own bytes alone: without references, sequences, and strings that may
    /// have a variable length.
    pub(crate) fn is_flat(&self) -> ObjectResult<bool> {
        // A variable-length string counts as a string for the library, not as a sequence.
        let variable = match self.class() {
            TypeClass::String => self.is_variable_string()?,
            _ => self.has(H5T_class_t::H5T_STRING)?,
        };
        Ok(!variable && !self.has(H5T_class_t::H5T_VLEN)? && !self.has_references()?)
    }

    /// Whether a type of the class of references is one to an object. By its size: a reference within a type
    /// that was decoded is not equal to the predefined type, because it does not count as one in memory.
    pub(crate) fn is_object_reference(&self) -> ObjectResult<bool> {
        Ok(self.size()? == Self::predefined(*H5T_STD_REF_OBJ)?.size()?)
    }

    /// Fails for a type with references that are not addresses of objects: in memory these are pointers.
    pub(super) fn check_references(&self, depth: usize) -> ObjectResult<()> {
        if depth == 0 {
            return unsupported("a type that is nested too deep");
        }
        match self.class() {
            TypeClass::Reference if !self.is_object_reference()? => {
                unsupported("a reference to a region, or of the newer sort")
            }
            _ if !self.has_references()? => Ok(()),
            TypeClass::Reference => Ok(()),
            TypeClass::Compound => (0..self.members()?)
                .try_for_each(|index| self.member_type(index)?.check_references(depth - 1)),
            TypeClass::Array | TypeClass::Sequence => self.base()?.check_references(depth - 1),
            _ => unsupported("references or sequences in an unexpected place"),
        }
    }

    /// The enum by which h5py knows a boolean: `FALSE` and `TRUE` in one byte.
    pub(crate) fn boolean() -> ObjectResult<Self> {
        let _lock = lock();
        // SAFETY: the base type is one of the library's own.
        let created = Self::own(unsafe { H5Tenum_create(*H5T_NATIVE_INT8) })?;
        for (name, value) in [(c"FALSE", 0_i8), (c"TRUE", 1)] {
            // SAFETY: the value is one byte, as is the base type.
            check(unsafe {
                H5Tenum_insert(created.raw(), name.as_ptr(), (&raw const value).cast())
            })?;
        }
        Ok(created)
    }
}

/// Copies a string that HDF5 allocated, and frees it.
fn take_string(text: *mut c_char) -> ObjectResult<Vec<u8>> {
    if text.is_null() {
        return Err(error_stack::last());
    }
    // SAFETY: HDF5 returned a string that ends with NUL, and that the caller frees.
    unsafe {
        let bytes = CStr::from_ptr(text).to_bytes().to_vec();
        H5free_memory(text.cast());
        Ok(bytes)
    }
}
