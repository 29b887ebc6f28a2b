//! Why an object of a file cannot be read. Where the HDF5 library failed, its error stack holds the reason: this module and
//! [`messages`] are the only ones that read it, and they turn it into a [`Cause`].
#![allow(unsafe_code)]

use std::error::Error as StdError;
use std::ffi::{CStr, c_uint, c_void};
use std::fmt;
use std::path::Path;

use hdf5_sys::h5::herr_t;
use hdf5_sys::h5e::{
    H5E_CANTALLOC, H5E_DEFAULT, H5E_NLINKS, H5E_NOSPACE, H5E_NOTFOUND, H5E_NOTHDF5, H5E_RESOURCE,
    H5E_direction_t, H5E_error2_t, H5Ewalk2,
};
use hdf5_sys::h5i::hid_t;
use nix::errno::Errno;

use super::messages::{self, Advice};
use super::{KEEP_GOING_HINT, NO_MEMORY_HINT};
use crate::error::{Error, Kind};

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
    /// A system call of this program failed: the reason with the system's words, and the error number.
    System(String, Errno),
    /// The file fails: a checksum, a structure that contradicts itself.
    Damaged(String),
    /// The HDF5 library fails.
    Library(Failure),
}

/// A failure of the HDF5 library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The reason in plain English.
    pub(super) reason: String,
    /// The library's own words.
    pub(super) original: String,
    /// What the reason comes down to.
    pub(super) cause: Cause,
    /// What the user can do, if the library's words tell it.
    pub(super) advice: Option<Advice>,
}

/// What a failure comes down to, as far as it decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A system call failed with this error; `UnknownErrno` if the HDF5 library does not report the number.
    System(Errno),
    /// Memory could not be allocated.
    NoMemory,
    /// The file is not an HDF5 file.
    NotHdf5,
    /// No object has the name that a link gives.
    NotFound,
    /// Links lead to each other.
    LinkLoop,
    /// Everything else: the file is damaged.
    Damage,
}

impl Cause {
    /// The kind of an error with this cause.
    fn kind(self) -> Kind {
        match self {
            Self::System(errno) => Error::io("", errno).kind(),
            Self::NoMemory => Kind::NoMemory,
            _ => Kind::Corrupt,
        }
    }

    /// The hint that the cause alone gives.
    fn hint(self) -> Option<String> {
        match self {
            Self::System(errno) => Error::io("", errno).hint().map(str::to_owned),
            Self::NoMemory => Some(NO_MEMORY_HINT.to_owned()),
            _ => None,
        }
    }
}

/// The result of everything here that concerns one object of the file.
pub(super) type Outcome<T> = Result<T, Trouble>;

impl Trouble {
    /// The failure that the last HDF5 call reported.
    pub(super) fn last() -> Self {
        Self::Library(failure())
    }

    /// The failure of a system call that concerns a file which another one names. A file that this user may not
    /// read, or whose links lead to each other, is damage of what names it.
    pub(super) fn of_system(reason: String, errno: Option<i32>) -> Self {
        match errno.map(Errno::from_raw) {
            None | Some(Errno::EACCES | Errno::EPERM | Errno::ELOOP) => Self::Damaged(reason),
            Some(errno) => Self::System(reason, errno),
        }
    }

    /// Whether the file fails, as opposed to what it holds.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::System(..) | Self::Library(_))
    }

    /// What it comes down to.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::System(_, errno) => Cause::System(*errno),
            Self::NoMemory(_) => Cause::NoMemory,
            Self::Library(failure) => failure.cause,
            Self::Unsupported(_) | Self::MissingFilter(_) | Self::Refused(_) | Self::Damaged(_) => {
                Cause::Damage
            }
        }
    }

    /// The HDF5 library's own words, where it reported the failure.
    pub(super) fn original(&self) -> Option<&str> {
        match self {
            Self::Library(failure) => Some(&failure.original),
            _ => None,
        }
    }

    /// The failure of a part as that of the whole: whatever the reason is, it cannot be read.
    pub(super) fn within(self, part: &str) -> Self {
        let whole = |reason: String| format!("{part}: {reason}");
        match self {
            Self::Refused(reason) => Self::Refused(whole(reason)),
            Self::NoMemory(reason) => Self::NoMemory(whole(reason)),
            Self::System(reason, errno) => Self::System(whole(reason), errno),
            Self::Library(Failure { reason, original, cause, advice }) => {
                Self::Library(Failure { reason: whole(reason), original, cause, advice })
            }
            other => Self::Damaged(whole(other.into_reason())),
        }
    }

    /// The sentence, whichever sort it is.
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Unsupported(reason)
            | Self::Damaged(reason)
            | Self::System(reason, _)
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

/// The reason why a file, or an object in it, cannot be read: the source of every [`Error`] that reports such a
/// failure.
#[derive(Debug)]
pub(crate) struct Unreadable {
    reason: String,
    system: Option<std::io::Error>,
}

impl Unreadable {
    /// The reason of an error, if the error reports that something cannot be read.
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        StdError::source(error)?.downcast_ref()
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl StdError for Unreadable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.system.as_ref().map(|error| error as _)
    }
}

/// The error of a failed action on a file or an object; the cause decides its kind and its hint.
fn failed(action: String, cause: Cause, reason: impl Into<String>) -> Error {
    let system = match cause {
        Cause::System(errno) if errno != Errno::UnknownErrno => Some(errno.into()),
        _ => None,
    };
    let error = Error::new(cause.kind(), action);
    let error = error.caused_by(Unreadable { reason: reason.into(), system });
    match cause.hint() {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The error of the object at `path` in `file` that cannot be read.
pub(crate) fn cannot_read(
    (path, file): (&str, Option<&Path>),
    cause: Cause,
    reason: impl Into<String>,
) -> Error {
    let file = file.filter(|file| !file.as_os_str().is_empty());
    let file = file.map_or_else(String::new, |file| format!(" in '{}'", file.display()));
    let error = failed(format!("cannot read '{path}'{file}"), cause, reason).with_subject(path);
    if error.hint().is_some() { error } else { error.with_hint(KEEP_GOING_HINT) }
}

/// The same for a failure that this module describes.
pub(super) fn unreadable(path: &str, file: &Path, trouble: Trouble) -> Error {
    let original = trouble.original().map(str::to_owned);
    cannot_read((path, Some(file)), trouble.cause(), trouble.into_reason()).with_detail(original)
}

/// The error of a file that cannot be opened.
pub(super) fn cannot_open(file: &Path, trouble: Trouble) -> Error {
    let shown = file.display().to_string();
    let original = trouble.original().map(str::to_owned);
    let advice = match &trouble {
        Trouble::Library(failure) => failure.advice,
        _ => None,
    };
    let action = format!("cannot open '{shown}'");
    let error = failed(action, trouble.cause(), trouble.into_reason()).with_subject(shown.clone());
    let error = error.with_detail(original);
    match advice {
        Some(advice) => error.with_hint(advice.hint(&shown)),
        None => error,
    }
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

/// What the error stack of the HDF5 library holds.
#[derive(Default)]
struct Stack {
    /// The innermost description: the cause, not what it led to.
    description: Option<String>,
    /// The innermost error, by the library's minor number.
    innermost: hid_t,
    lacks_memory: bool,
}

/// The failure that the error stack holds.
fn failure() -> Failure {
    let mut stack = Stack::default();
    let data = (&raw mut stack).cast::<c_void>();
    // SAFETY: `collect` matches the callback's signature and gets the stack it expects.
    unsafe { H5Ewalk2(H5E_DEFAULT, H5E_direction_t::H5E_WALK_DOWNWARD, Some(collect), data) };
    let original = stack.description.unwrap_or_else(|| "no reason given".to_owned());
    let meaning = messages::interpret(&original);
    let cause = match meaning.errno {
        Some(errno) => Cause::System(errno),
        None if stack.lacks_memory => Cause::NoMemory,
        None if stack.innermost == *H5E_NOTHDF5 => Cause::NotHdf5,
        None if stack.innermost == *H5E_NOTFOUND => Cause::NotFound,
        None if stack.innermost == *H5E_NLINKS => Cause::LinkLoop,
        None => Cause::Damage,
    };
    Failure { reason: meaning.reason, original, cause, advice: meaning.advice }
}

/// Called for every entry of the error stack; the last call is the innermost.
unsafe extern "C" fn collect(_: c_uint, entry: *const H5E_error2_t, data: *mut c_void) -> herr_t {
    // SAFETY: HDF5 passes a valid entry for the time of the call and hands on our pointer.
    unsafe {
        let stack = &mut *data.cast::<Stack>();
        let (major, minor) = ((*entry).maj_num, (*entry).min_num);
        stack.innermost = minor;
        stack.lacks_memory |=
            major == *H5E_RESOURCE && (minor == *H5E_NOSPACE || minor == *H5E_CANTALLOC);
        if !(*entry).desc.is_null() {
            let text = CStr::from_ptr((*entry).desc).to_string_lossy();
            if !text.trim().is_empty() {
                stack.description = Some(text.into_owned());
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(cause: Cause) -> Trouble {
        let (reason, original) = ("a reason".to_owned(), "original words".to_owned());
        Trouble::Library(Failure { reason, original, cause, advice: None })
    }

    #[test]
    fn cause_decides_the_kind_of_an_error() {
        let kind = |cause| unreadable("/x", Path::new("f.h5"), library(cause)).kind();
        assert_eq!(kind(Cause::System(Errno::EIO)), Kind::Io);
        assert_eq!(kind(Cause::System(Errno::EMFILE)), Kind::Io);
        assert_eq!(kind(Cause::System(Errno::UnknownErrno)), Kind::Io);
        assert_eq!(kind(Cause::System(Errno::EACCES)), Kind::Permission);
        assert_eq!(kind(Cause::System(Errno::ENOMEM)), Kind::NoMemory);
        assert_eq!(kind(Cause::NoMemory), Kind::NoMemory);
        assert_eq!(kind(Cause::Damage), Kind::Corrupt);
        assert_eq!(
            cannot_open(Path::new("f.h5"), library(Cause::System(Errno::EIO))).kind(),
            Kind::Io
        );
    }

    #[test]
    fn error_of_an_unreadable_object_names_object_and_file_and_keeps_the_error_number() {
        let trouble = Trouble::System("the reason".to_owned(), Errno::EIO).within("source s.h5");
        let error = unreadable("/x", Path::new("f.h5"), trouble);
        assert_eq!(error.to_string(), "cannot read '/x' in 'f.h5': source s.h5: the reason");
        assert_eq!(error.errno(), Some(libc::EIO));
        assert_eq!(Unreadable::of(&error).unwrap().to_string(), "source s.h5: the reason");
        assert_eq!(Unreadable::of(&Error::new(Kind::Corrupt, "another")).map(|_| ()), None);
    }
}
