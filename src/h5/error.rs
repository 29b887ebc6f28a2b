//! What goes wrong while reading a file, in HDF5's own words.
//! The words come from the library's error stack, which every failing call leaves behind.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_uint, c_void};

use super::messages;
use crate::error::{Error, Kind};
use hdf5_sys::h5::herr_t;
use hdf5_sys::h5e::{
    H5E_CANTALLOC, H5E_DEFAULT, H5E_NOSPACE, H5E_RESOURCE, H5E_direction_t, H5E_error2_t, H5Ewalk2,
};

/// Why an object of the file is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Sound, but it has no form in shared memory.
    Unsupported(String),
    /// Compressed with a filter that neither HDF5 nor this program has; its name and number.
    MissingFilter(String),
    /// There is no memory to read it in.
    NoMemory(String),
    /// It stands in another file, which must not be read. Ends the load whatever the options are.
    Refused(String),
    /// The file fails: I/O, checksum, a structure that contradicts itself.
    Damaged(String),
    /// The HDF5 library fails, which counts as damage of the file.
    Library(Failure),
}

/// A failure of the HDF5 library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The reason in plain English.
    pub(super) reason: String,
    /// The library's own words.
    pub(super) original: String,
}

/// The result of everything here that concerns one object of the file.
pub(super) type Outcome<T> = Result<T, Trouble>;

impl Trouble {
    /// The failure that the last HDF5 call reported.
    pub(super) fn last() -> Self {
        Self::Library(failure())
    }

    /// Whether the file fails, as opposed to what it holds.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Library(_))
    }

    /// The HDF5 library's own words, where it reported the failure.
    pub(super) fn original(&self) -> Option<&str> {
        match self {
            Self::Library(failure) => Some(&failure.original),
            _ => None,
        }
    }

    /// The same for a call that reads data: the library may lack memory for that.
    pub(super) fn last_of_read() -> Self {
        let mut lacks_memory = false;
        let data = (&raw mut lacks_memory).cast::<c_void>();
        let upward = H5E_direction_t::H5E_WALK_UPWARD;
        // SAFETY: `look` matches the callback's signature and gets the flag it expects.
        unsafe { H5Ewalk2(H5E_DEFAULT, upward, Some(look), data) };
        if lacks_memory { Self::NoMemory(failure().reason) } else { Self::last() }
    }

    /// The failure of a part as that of the whole: whatever the reason is, it cannot be read.
    pub(super) fn within(self, part: &str) -> Self {
        match self {
            Self::Refused(reason) => Self::Refused(format!("{part}: {reason}")),
            Self::NoMemory(reason) => Self::NoMemory(format!("{part}: {reason}")),
            Self::Library(Failure { reason, original }) => {
                Self::Library(Failure { reason: format!("{part}: {reason}"), original })
            }
            other => Self::Damaged(format!("{part}: {}", other.into_reason())),
        }
    }

    /// The sentence without its sort, in the library's own words where it reported it; empty for a filter.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Unsupported(reason)
            | Self::Damaged(reason)
            | Self::NoMemory(reason)
            | Self::Refused(reason) => reason,
            Self::Library(failure) => &failure.original,
            Self::MissingFilter(_) => "",
        }
    }

    /// The sentence, whichever sort it is.
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Unsupported(reason)
            | Self::Damaged(reason)
            | Self::NoMemory(reason)
            | Self::Refused(reason) => reason,
            Self::Library(failure) => failure.reason,
            Self::MissingFilter(filter) => {
                let refused = super::plugins::refused();
                format!("compressed with {filter}, which is not built in{refused}")
            }
        }
    }
}

/// The error of an object that cannot be read.
pub(super) fn unreadable(path: &str, trouble: Trouble) -> Error {
    let original = trouble.original().map(str::to_owned);
    let (kind, hint) = match trouble {
        Trouble::NoMemory(_) => (Kind::NoMemory, super::NO_MEMORY_HINT),
        _ => (Kind::Corrupt, super::KEEP_GOING_HINT),
    };
    let text = format!("cannot read '{path}': {}", trouble.into_reason());
    Error::new(kind, text).about(path).with_hint(hint).with_detail(original)
}

/// Shorthand for what has no form in shared memory.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Trouble::Unsupported(reason.into()))
}

/// Shorthand for what contradicts itself.
pub(super) fn damaged<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Trouble::Damaged(reason.into()))
}

/// Passes a status or count on; a negative one is a failed call.
pub(super) fn check<T: Copy + PartialOrd + Default>(status: T) -> Outcome<T> {
    if status < T::default() { Err(Trouble::last()) } else { Ok(status) }
}

/// The innermost description on HDF5's error stack: the cause, not what it led to.
fn failure() -> Failure {
    let mut words: Vec<String> = Vec::new();
    let data = (&raw mut words).cast::<c_void>();
    // SAFETY: `collect` matches the callback's signature and gets the vector it expects.
    unsafe { H5Ewalk2(H5E_DEFAULT, H5E_direction_t::H5E_WALK_DOWNWARD, Some(collect), data) };
    let cause = words.into_iter().rev().find(|text| !text.trim().is_empty());
    let original = cause.unwrap_or_else(|| "no reason given".to_owned());
    Failure { reason: messages::translate(&original), original }
}

/// Called for every entry of the error stack, until it tells that memory could not be allocated.
unsafe extern "C" fn look(_: c_uint, entry: *const H5E_error2_t, data: *mut c_void) -> herr_t {
    // SAFETY: HDF5 passes a valid entry for the time of the call and hands on our pointer.
    unsafe {
        let is_resource = (*entry).maj_num == *H5E_RESOURCE;
        if is_resource && matches!((*entry).min_num, n if n == *H5E_NOSPACE || n == *H5E_CANTALLOC)
        {
            *data.cast::<bool>() = true;
            return 1;
        }
    }
    0
}

/// Called for every entry of the error stack; the last call is the innermost.
unsafe extern "C" fn collect(_: c_uint, entry: *const H5E_error2_t, data: *mut c_void) -> herr_t {
    // SAFETY: HDF5 passes a valid entry for the time of the call and hands on our pointer.
    unsafe {
        if !(*entry).desc.is_null() {
            let text = CStr::from_ptr((*entry).desc).to_string_lossy();
            (*data.cast::<Vec<String>>()).push(text.into_owned());
        }
    }
    0
}
