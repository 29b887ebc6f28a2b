//! Calls of libhdf5 that answer with a number from a file. The bindings declare Rust enums for these, and
//! a number that an enum lacks is undefined behavior. Here they are integers, and a number that HDF5 does
//! not define becomes the value for an error.
#![allow(unsafe_code)]

use std::ffi::c_int;

use hdf5_sys::h5::herr_t;
use hdf5_sys::h5d::{H5D_fill_time_t as FillTime, H5D_fill_value_t as FillValue, H5D_layout_t};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5s::H5S_class_t;
use hdf5_sys::h5t::{H5T_class_t, H5T_cset_t, H5T_order_t, H5T_sign_t, H5T_str_t};

use super::error::{ObjectResult, check};
use super::ids::Id;

unsafe extern "C" {
    fn H5Tget_class(datatype: hid_t) -> c_int;
    fn H5Tget_order(datatype: hid_t) -> c_int;
    fn H5Tget_sign(datatype: hid_t) -> c_int;
    fn H5Tget_cset(datatype: hid_t) -> c_int;
    fn H5Tget_strpad(datatype: hid_t) -> c_int;
    fn H5Sget_simple_extent_type(space: hid_t) -> c_int;
    fn H5Pget_layout(list: hid_t) -> c_int;
    fn H5Pget_fill_time(list: hid_t, time: *mut c_int) -> herr_t;
    fn H5Pfill_value_defined(list: hid_t, status: *mut c_int) -> herr_t;
}

/// The value of an enum with a given number, else the last one.
macro_rules! value {
    ($number:expr, $($value:path)|+, $else:path) => {{
        let number = $number;
        $(if number == $value as c_int { return $value; })+
        $else
    }};
}

pub(crate) fn class(datatype: hid_t) -> H5T_class_t {
    use H5T_class_t as C;
    // SAFETY: a call without pointers; the library checks the identifier. So are all below.
    let number = unsafe { H5Tget_class(datatype) };
    value!(
        number,
        C::H5T_INTEGER
            | C::H5T_FLOAT
            | C::H5T_TIME
            | C::H5T_STRING
            | C::H5T_BITFIELD
            | C::H5T_OPAQUE
            | C::H5T_COMPOUND
            | C::H5T_REFERENCE
            | C::H5T_ENUM
            | C::H5T_VLEN
            | C::H5T_ARRAY
            | C::H5T_COMPLEX,
        C::H5T_NO_CLASS
    )
}

pub(crate) fn order(datatype: hid_t) -> H5T_order_t {
    use H5T_order_t as O;
    // SAFETY: as above.
    let number = unsafe { H5Tget_order(datatype) };
    value!(
        number,
        O::H5T_ORDER_LE
            | O::H5T_ORDER_BE
            | O::H5T_ORDER_VAX
            | O::H5T_ORDER_MIXED
            | O::H5T_ORDER_NONE,
        O::H5T_ORDER_ERROR
    )
}

pub(crate) fn is_signed(datatype: hid_t) -> bool {
    // SAFETY: as above.
    unsafe { H5Tget_sign(datatype) == H5T_sign_t::H5T_SGN_2 as c_int }
}

pub(crate) fn charset(datatype: hid_t) -> H5T_cset_t {
    use H5T_cset_t as C;
    // SAFETY: as above.
    let number = unsafe { H5Tget_cset(datatype) };
    value!(number, C::H5T_CSET_ASCII | C::H5T_CSET_UTF8, C::H5T_CSET_ERROR)
}

pub(crate) fn is_space_padded(datatype: hid_t) -> bool {
    // SAFETY: as above.
    unsafe { H5Tget_strpad(datatype) == H5T_str_t::H5T_STR_SPACEPAD as c_int }
}

pub(crate) fn space_class(space: hid_t) -> H5S_class_t {
    use H5S_class_t as C;
    // SAFETY: as above.
    let number = unsafe { H5Sget_simple_extent_type(space) };
    value!(number, C::H5S_SCALAR | C::H5S_SIMPLE | C::H5S_NULL, C::H5S_NO_CLASS)
}

pub(crate) fn layout(creation: &Id) -> H5D_layout_t {
    use H5D_layout_t as L;
    // SAFETY: as above.
    let number = unsafe { H5Pget_layout(creation.raw()) };
    value!(
        number,
        L::H5D_COMPACT | L::H5D_CONTIGUOUS | L::H5D_CHUNKED | L::H5D_VIRTUAL,
        L::H5D_LAYOUT_ERROR
    )
}

/// When elements that were never written get the fill value; the error value for a time that HDF5 does not
/// define, which the library stores and never compares with.
pub(crate) fn fill_time(creation: &Id) -> ObjectResult<FillTime> {
    let mut number = -1;
    // SAFETY: the list is open and the place outlives the call.
    check(unsafe { H5Pget_fill_time(creation.raw(), &raw mut number) })?;
    let time = |number| {
        use FillTime as T;
        value!(
            number,
            T::H5D_FILL_TIME_ALLOC | T::H5D_FILL_TIME_NEVER | T::H5D_FILL_TIME_IFSET,
            T::H5D_FILL_TIME_ERROR
        )
    };
    Ok(time(number))
}

pub(crate) fn fill_value(creation: &Id) -> ObjectResult<FillValue> {
    let mut number = -1;
    // SAFETY: the list is open and the place outlives the call.
    check(unsafe { H5Pfill_value_defined(creation.raw(), &raw mut number) })?;
    let status = |number| {
        use FillValue as V;
        value!(
            number,
            V::H5D_FILL_VALUE_UNDEFINED
                | V::H5D_FILL_VALUE_DEFAULT
                | V::H5D_FILL_VALUE_USER_DEFINED,
            V::H5D_FILL_VALUE_ERROR
        )
    };
    Ok(status(number))
}
