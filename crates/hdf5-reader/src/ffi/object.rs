//! Objects of open files: their types, tokens and identity.

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;

use hdf5_sys::h5i::H5Iget_file_id;
use hdf5_sys::h5o::{
    H5O_INFO_BASIC, H5O_info2_t, H5O_token_t, H5Oget_info3, H5Oopen, H5Oopen_by_token,
};
use hdf5_sys::h5p::H5P_DEFAULT;

use super::error_stack::check;
use super::ids::{Id, lock};
use crate::error::{ObjectResult, damaged};

/// Identifies an object among those of its file.
pub(crate) type Token = [u8; 16];

/// The type of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Group,
    Dataset,
    /// A committed datatype.
    Datatype,
}

/// The type of an object, and its identity among all open files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) token: Token,
    /// The number that libhdf5 gives to the open file, and the token.
    pub(crate) key: (u64, Token),
}

impl Object {
    /// The index of its file, once the walk has replaced libhdf5's number with it.
    pub(crate) fn file(&self) -> usize {
        usize::try_from(self.key.0).unwrap_or(usize::MAX)
    }
}

/// Returns the type and identity of an open object.
pub(crate) fn object(id: &Id) -> ObjectResult<Object> {
    let _lock = lock();
    let mut info = MaybeUninit::<H5O_info2_t>::uninit();
    // SAFETY: there is room for the answer.
    check(unsafe { H5Oget_info3(id.raw(), info.as_mut_ptr(), H5O_INFO_BASIC) })?;
    // SAFETY: the call succeeded, so the basic fields are filled in. The type is read as a number, because a
    // damaged file must not create a value that the enum lacks.
    let (number, token, file) = unsafe {
        let info = info.as_ptr();
        let number = (&raw const (*info).type_).cast::<c_int>().read();
        (number, (&raw const (*info).token).read(), (&raw const (*info).fileno).read())
    };
    let kind = match number {
        0 => ObjectKind::Group,
        1 => ObjectKind::Dataset,
        2 => ObjectKind::Datatype,
        _ => return damaged(format!("an object of unknown type {number}")),
    };
    let token = from_library(token);
    Ok(Object { kind, token, key: (file, token) })
}

/// The bytes of a token.
pub(super) fn from_library(token: H5O_token_t) -> Token {
    // SAFETY: a token is 16 plain bytes.
    unsafe { std::mem::transmute::<H5O_token_t, Token>(token) }
}

/// Opens an object by its token; `location` is any open object of the same file.
pub(crate) fn open_by_token(location: &Id, token: Token) -> ObjectResult<Id> {
    let _lock = lock();
    // SAFETY: any 16 bytes are a token, which the library checks.
    unsafe {
        let token = std::mem::transmute::<Token, H5O_token_t>(token);
        Id::own(H5Oopen_by_token(location.raw(), token))
    }
}

/// Opens the file of an open object.
pub(crate) fn file_of(id: &Id) -> ObjectResult<Id> {
    let _lock = lock();
    // SAFETY: a call without pointers.
    Id::own(unsafe { H5Iget_file_id(id.raw()) })
}

/// Opens the root group of an open file.
pub(crate) fn root(file: &Id) -> ObjectResult<Id> {
    open(file, c"/", None)
}

/// Opens an object by its path; `access` is a link access list.
pub(super) fn open(location: &Id, path: &CStr, access: Option<&Id>) -> ObjectResult<Id> {
    let _lock = lock();
    let access = access.map_or(H5P_DEFAULT, Id::raw);
    // SAFETY: the path ends with NUL.
    Id::own(unsafe { H5Oopen(location.raw(), path.as_ptr(), access) })
}
