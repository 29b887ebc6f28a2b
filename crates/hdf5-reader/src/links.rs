//! The links of a group: their names, what sort they are, and the objects behind them.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use hdf5_sys::h5::{H5_index_t, H5_iter_order_t, herr_t};
use hdf5_sys::h5g::H5Gget_create_plist;
use hdf5_sys::h5i::{H5Iget_file_id, hid_t};
use hdf5_sys::h5l::{H5L_info2_t, H5Lget_val, H5Literate2, H5Lunpack_elink_val};
use hdf5_sys::h5o::{
    H5O_INFO_BASIC, H5O_info2_t, H5O_token_t, H5O_type_t, H5Oget_info3, H5Oopen, H5Oopen_by_idx,
    H5Oopen_by_token,
};
use hdf5_sys::h5p::{
    H5P_CLS_LINK_ACCESS, H5P_CRT_ORDER_TRACKED, H5P_DEFAULT, H5Pcreate, H5Pget_link_creation_order,
    H5Pset_elink_cb,
};

use super::error::{ObjectResult, check, damaged};
use super::external_files::Files;
use super::ids::Id;

/// Longest target of a soft or external link that is shown.
const LONGEST_TARGET: usize = 1 << 16;

/// A link as the group lists it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: CString,
    pub(crate) kind: LinkKind,
    /// Its place in the listing, in the order `by`.
    position: u64,
    by: H5_index_t,
}

/// What sort a link is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkKind {
    /// To an object of the same file.
    Hard(H5O_token_t),
    /// To a path.
    Soft,
    /// To a path in another file.
    External,
    /// Of a sort that some program defined, by number.
    User(c_int),
}

/// What an object is, and its identity among all open files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) kind: H5O_type_t,
    pub(crate) token: H5O_token_t,
    pub(crate) key: (u64, [u8; 16]),
}

impl Object {
    /// The index of its file, once the walk has put it in place of libhdf5's number.
    pub(crate) fn file(&self) -> usize {
        usize::try_from(self.key.0).unwrap_or(usize::MAX)
    }
}

/// What the listing's callback fills.
struct Listing {
    links: Vec<Link>,
    by: H5_index_t,
}

/// Lists a group: by creation if the file keeps that order, else by name.
pub(crate) fn list(group: &Id) -> ObjectResult<Vec<Link>> {
    let by = match keeps_order(group)? {
        true => H5_index_t::H5_INDEX_CRT_ORDER,
        false => H5_index_t::H5_INDEX_NAME,
    };
    let mut listing = Listing { links: Vec::new(), by };
    let data = (&raw mut listing).cast::<c_void>();
    let (order, start) = (H5_iter_order_t::H5_ITER_INC, std::ptr::null_mut());
    // SAFETY: `group` is open; `collect` gets the listing it expects.
    check(unsafe { H5Literate2(group.raw(), by, order, start, Some(collect), data) })?;
    Ok(listing.links)
}

fn keeps_order(group: &Id) -> ObjectResult<bool> {
    // SAFETY: `group` is an open group.
    let list = Id::own(unsafe { H5Gget_create_plist(group.raw()) })?;
    let mut flags: c_uint = 0;
    // SAFETY: `list` is open and `flags` outlives the call.
    check(unsafe { H5Pget_link_creation_order(list.raw(), &raw mut flags) })?;
    Ok(flags & H5P_CRT_ORDER_TRACKED != 0)
}

unsafe extern "C" fn collect(
    _: hid_t,
    name: *const c_char,
    info: *const H5L_info2_t,
    data: *mut c_void,
) -> herr_t {
    // SAFETY: HDF5 passes a NUL-terminated name, a link's info and our pointer. The sort is read as
    // a number, because user-defined ones are not among the enum's values; the union's largest
    // member is a token's 16 bytes.
    unsafe {
        let listing = &mut *data.cast::<Listing>();
        let kind = match (&raw const (*info).type_).cast::<c_int>().read() {
            0 => LinkKind::Hard((&raw const (*info).u).cast::<H5O_token_t>().read()),
            1 => LinkKind::Soft,
            64 => LinkKind::External,
            number => LinkKind::User(number),
        };
        let (name, position) = (CStr::from_ptr(name).to_owned(), listing.links.len() as u64);
        listing.links.push(Link { name, kind, position, by: listing.by });
    }
    0
}

impl Link {
    /// Opens what the link leads to; `access` is what [`access`] returns.
    pub(crate) fn open(&self, group: &Id, access: &Id) -> ObjectResult<Id> {
        let name = self.name.to_bytes();
        if let LinkKind::Hard(token) = self.kind {
            // SAFETY: `group` is open; the library checks the token.
            return Id::own(unsafe { H5Oopen_by_token(group.raw(), token) });
        }
        if name.is_empty() || name == b"." || name.contains(&b'/') {
            let (dot, order) = (c".".as_ptr(), H5_iter_order_t::H5_ITER_INC);
            let (by, position) = (self.by, self.position);
            // SAFETY: `group` is open, the name ends with NUL.
            return Id::own(unsafe {
                H5Oopen_by_idx(group.raw(), dot, by, order, position, access.raw())
            });
        }
        // SAFETY: as above.
        Id::own(unsafe { H5Oopen(group.raw(), self.name.as_ptr(), access.raw()) })
    }

    /// What a soft or external link names, for people to read.
    pub(crate) fn target(&self, group: &Id) -> String {
        let mut value = vec![0_u8; LONGEST_TARGET];
        let (place, room) = (value.as_mut_ptr(), value.len() - 1);
        // SAFETY: the library writes at most as many bytes as the call allows.
        let status =
            unsafe { H5Lget_val(group.raw(), self.name.as_ptr(), place.cast(), room, H5P_DEFAULT) };
        if status < 0 {
            return "?".to_owned();
        }
        match self.kind {
            LinkKind::External => external_target(&value),
            _ => until_nul(&value),
        }
    }
}

fn external_target(value: &[u8]) -> String {
    let (mut flags, mut file, mut object) = (0, std::ptr::null(), std::ptr::null());
    let (place, size) = (value.as_ptr().cast(), value.len());
    // SAFETY: the results point into `value`, whose last byte is NUL.
    unsafe {
        let status =
            H5Lunpack_elink_val(place, size, &raw mut flags, &raw mut file, &raw mut object);
        if status < 0 || file.is_null() || object.is_null() {
            return "?".to_owned();
        }
        let (file, object) = (CStr::from_ptr(file), CStr::from_ptr(object));
        format!("{}:{}", file.to_string_lossy(), object.to_string_lossy())
    }
}

fn until_nul(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// A link access list with which libhdf5 asks `files` before it follows an external link. The list
/// must not be used longer than `files` lives.
pub(crate) fn access(files: &Arc<Files>) -> ObjectResult<Id> {
    // SAFETY: the property list class is one of the library's own.
    let list = Id::own(unsafe { H5Pcreate(*H5P_CLS_LINK_ACCESS) })?;
    let data = Arc::as_ptr(files).cast_mut().cast::<c_void>();
    // SAFETY: `list` is open; `may_follow` gets the files that it expects.
    check(unsafe { H5Pset_elink_cb(list.raw(), Some(may_follow), data) })?;
    Ok(list)
}

extern "C" fn may_follow(
    parent: *const c_char,
    _: *const c_char,
    file: *const c_char,
    _: *const c_char,
    _: *mut c_uint,
    _: hid_t,
    data: *mut c_void,
) -> herr_t {
    // SAFETY: HDF5 passes NUL-terminated names, and our pointer, which outlives the access list.
    let (files, parent, file) = unsafe {
        (&*data.cast::<Files>(), CStr::from_ptr(parent), CStr::from_ptr(file).to_bytes())
    };
    let parent = Path::new(OsStr::from_bytes(parent.to_bytes()));
    if files.may_follow(file, parent) { 0 } else { -1 }
}

/// What an open object is.
pub(crate) fn object(id: &Id) -> ObjectResult<Object> {
    let mut info = MaybeUninit::<H5O_info2_t>::uninit();
    // SAFETY: `id` is open, and there is room for the answer.
    check(unsafe { H5Oget_info3(id.raw(), info.as_mut_ptr(), H5O_INFO_BASIC) })?;
    // SAFETY: the call succeeded, so the basic fields are filled in; the token is 16 plain bytes.
    unsafe {
        let info = info.as_ptr();
        let token = (&raw const (*info).token).read();
        let kind = match (&raw const (*info).type_).cast::<c_int>().read() {
            0 => H5O_type_t::H5O_TYPE_GROUP,
            1 => H5O_type_t::H5O_TYPE_DATASET,
            2 => H5O_type_t::H5O_TYPE_NAMED_DATATYPE,
            number => return damaged(format!("an object of unknown type {number}")),
        };
        Ok(Object { kind, token, key: ((&raw const (*info).fileno).read(), bytes(token)) })
    }
}

/// The bytes of a token, which tell it from others of the same file.
pub(crate) fn bytes(token: H5O_token_t) -> [u8; 16] {
    // SAFETY: a token is 16 plain bytes.
    unsafe { std::mem::transmute::<H5O_token_t, [u8; 16]>(token) }
}

/// The token of these bytes.
pub(crate) fn token(bytes: [u8; 16]) -> H5O_token_t {
    // SAFETY: any 16 bytes are a token; the library checks it.
    unsafe { std::mem::transmute::<[u8; 16], H5O_token_t>(bytes) }
}

/// The file of an open object, as an id of its own.
pub(crate) fn file_of(id: &Id) -> ObjectResult<Id> {
    // SAFETY: `id` is an open object.
    Id::own(unsafe { H5Iget_file_id(id.raw()) })
}

/// The root group of an open file.
pub(crate) fn root(file: &Id) -> ObjectResult<Id> {
    // SAFETY: `file` is open, the name ends with NUL.
    Id::own(unsafe { H5Oopen(file.raw(), c"/".as_ptr(), H5P_DEFAULT) })
}
