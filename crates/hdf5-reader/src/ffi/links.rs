//! The links of a group.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use hdf5_sys::h5::{H5_index_t, H5_iter_order_t, herr_t};
use hdf5_sys::h5g::H5Gget_create_plist;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5l::{H5L_info2_t, H5Lget_val, H5Literate2, H5Lunpack_elink_val};
use hdf5_sys::h5o::{H5O_token_t, H5Oopen_by_idx};
use hdf5_sys::h5p::{
    H5P_CLS_LINK_ACCESS, H5P_CRT_ORDER_TRACKED, H5P_DEFAULT, H5Pcreate, H5Pget_link_creation_order,
    H5Pset_elink_cb,
};

use super::error_stack::check;
use super::ids::{Id, lock};
use super::object::{self, Token};
use crate::error::ObjectResult;

/// The longest target of a soft or external link that messages contain.
const LONGEST_TARGET: usize = 1 << 16;

/// A link as the group lists it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: CString,
    pub(crate) kind: LinkKind,
    /// Its number in the listing in the order `by`.
    position: u64,
    by: H5_index_t,
}

/// The type of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkKind {
    /// To an object of the same file.
    Hard(Token),
    /// To a path.
    Soft,
    /// To a path in another file.
    External,
    /// Of a type that a program defined, by number.
    User(c_int),
}

/// The links that the callback has received.
struct Listing {
    links: Vec<Link>,
    by: H5_index_t,
}

/// Lists a group in the order of creation if the file keeps it, else by name.
pub(crate) fn list(group: &Id) -> ObjectResult<Vec<Link>> {
    let _lock = lock();
    let by = match keeps_order(group)? {
        true => H5_index_t::H5_INDEX_CRT_ORDER,
        false => H5_index_t::H5_INDEX_NAME,
    };
    let mut listing = Listing { links: Vec::new(), by };
    let data = (&raw mut listing).cast::<c_void>();
    let (order, start) = (H5_iter_order_t::H5_ITER_INC, std::ptr::null_mut());
    // SAFETY: `collect` gets the listing that it expects.
    check(unsafe { H5Literate2(group.raw(), by, order, start, Some(collect), data) })?;
    Ok(listing.links)
}

fn keeps_order(group: &Id) -> ObjectResult<bool> {
    // SAFETY: a call without pointers.
    let list = Id::own(unsafe { H5Gget_create_plist(group.raw()) })?;
    let mut flags: c_uint = 0;
    // SAFETY: `flags` outlives the call.
    check(unsafe { H5Pget_link_creation_order(list.raw(), &raw mut flags) })?;
    Ok(flags & H5P_CRT_ORDER_TRACKED != 0)
}

unsafe extern "C" fn collect(
    _: hid_t,
    name: *const c_char,
    info: *const H5L_info2_t,
    data: *mut c_void,
) -> herr_t {
    // SAFETY: HDF5 passes a name that ends with NUL, the properties of a link, and the pointer that `list` gave
    // it. The type is read as a number, because user-defined ones are not among the enum's values. The largest
    // member of the union is a token of 16 bytes.
    unsafe {
        let listing = &mut *data.cast::<Listing>();
        let kind = match (&raw const (*info).type_).cast::<c_int>().read() {
            0 => LinkKind::Hard(object::from_library(
                (&raw const (*info).u).cast::<H5O_token_t>().read(),
            )),
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
    /// Opens the object that the link leads to.
    pub(crate) fn open(&self, group: &Id, access: &LinkAccess) -> ObjectResult<Id> {
        let _lock = lock();
        let name = self.name.to_bytes();
        if let LinkKind::Hard(token) = self.kind {
            return object::open_by_token(group, token);
        }
        if name.is_empty() || name == b"." || name.contains(&b'/') {
            let (dot, order) = (c".".as_ptr(), H5_iter_order_t::H5_ITER_INC);
            let (by, position, access) = (self.by, self.position, access.list.raw());
            // SAFETY: the name ends with NUL.
            return Id::own(unsafe {
                H5Oopen_by_idx(group.raw(), dot, by, order, position, access)
            });
        }
        object::open(group, &self.name, Some(&access.list))
    }

    /// The target of a soft or external link, for messages.
    pub(crate) fn target(&self, group: &Id) -> String {
        let _lock = lock();
        let mut value = vec![0_u8; LONGEST_TARGET];
        let (place, room) = (value.as_mut_ptr(), value.len() - 1);
        // SAFETY: the name ends with NUL. The library writes at most as many bytes as the call allows.
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

/// File and object of an external link's value, whose last byte is NUL.
fn external_target(value: &[u8]) -> String {
    let (mut flags, mut file, mut object) = (0, std::ptr::null(), std::ptr::null());
    let (place, size) = (value.as_ptr().cast(), value.len());
    // SAFETY: the results point into the value, whose last byte is NUL.
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

/// Decides whether libhdf5 may follow an external link.
pub(crate) trait FollowLink: fmt::Debug + Send + Sync {
    /// Whether the link from the file `parent` to the file with this name may be followed.
    fn may_follow(&self, name: &[u8], parent: &Path) -> bool;
}

/// How links are followed: libhdf5 asks before it opens another file.
#[derive(Debug)]
pub(crate) struct LinkAccess {
    list: Id,
    /// The access list contains a pointer to it. Fields are dropped in this order.
    _files: Box<Arc<dyn FollowLink>>,
}

impl LinkAccess {
    /// Asks `files` before an external link is followed.
    pub(crate) fn new(files: Arc<dyn FollowLink>) -> ObjectResult<Self> {
        let _lock = lock();
        let files = Box::new(files);
        // SAFETY: the property list class belongs to the library.
        let list = Id::own(unsafe { H5Pcreate(*H5P_CLS_LINK_ACCESS) })?;
        let data = (&raw const *files).cast_mut().cast::<c_void>();
        // SAFETY: `may_follow` gets the pointer that it expects. It is valid while the list is open.
        check(unsafe { H5Pset_elink_cb(list.raw(), Some(may_follow), data) })?;
        Ok(Self { list, _files: files })
    }

    /// Opens an object by its path.
    pub(crate) fn open(&self, location: &Id, path: &CStr) -> ObjectResult<Id> {
        object::open(location, path, Some(&self.list))
    }
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
    // SAFETY: HDF5 passes names that end with NUL, and the pointer that `LinkAccess` gave it, which outlives the
    // access list.
    let (files, parent, file) = unsafe {
        let files = &*data.cast_const().cast::<Arc<dyn FollowLink>>();
        (files, CStr::from_ptr(parent), CStr::from_ptr(file).to_bytes())
    };
    let parent = Path::new(OsStr::from_bytes(parent.to_bytes()));
    if files.may_follow(file, parent) { 0 } else { -1 }
}
