//! The errors of this crate: why an object of a file cannot be read, and the error of a whole call.

use std::fmt;
use std::path::Path;

use nix::errno::Errno;

use crate::plugin_directories;

/// The reason why an object of the file is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// Shared memory cannot represent it.
    Unsupported(String),
    /// Compressed with a filter that neither HDF5 nor this program has; its name and number.
    MissingFilter(String),
    /// There is not enough memory to read it.
    NoMemory(String),
    /// It is in another file, which must not be read. Always ends the load.
    Refused(String),
    /// A system call of this program failed: the reason with the message of the system, and the error number.
    System(String, Errno),
    /// The file fails: a checksum, a structure that contradicts itself.
    Damaged(String),
    /// The HDF5 library fails.
    Library(LibraryFailure),
}

/// A failure of the HDF5 library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LibraryFailure {
    /// The reason in plain English.
    pub(crate) reason: String,
    /// The message of the library.
    pub(crate) original: String,
    /// The cause.
    pub(crate) cause: Cause,
    /// The action of the user that can help, if the message implies one.
    pub(crate) advice: Option<Advice>,
}

/// The cause of a failure, as far as callers distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
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
    /// The object is in another file, which must not be read.
    Refused,
    /// The data cannot be represented, or need a filter that is missing.
    Unsupported,
    /// Reading or writing failed for a reason that has no error number.
    Io,
    /// Everything else: the file is damaged.
    Damage,
}

/// The result of a function that concerns one object of the file.
pub(crate) type ObjectResult<T> = std::result::Result<T, ObjectError>;

impl ObjectError {
    /// The failure of a system call that concerns a file which another one names. A file that this user may not
    /// read, or whose links lead to each other, counts as damage of the file that names it.
    pub(crate) fn of_system(reason: String, errno: Option<i32>) -> Self {
        match errno.map(Errno::from_raw) {
            None | Some(Errno::EACCES | Errno::EPERM | Errno::ELOOP) => Self::Damaged(reason),
            Some(errno) => Self::System(reason, errno),
        }
    }

    /// Whether the file cannot be read, in contrast to content that cannot be represented.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::System(..) | Self::Library(_))
    }

    /// The cause.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::System(_, errno) => Cause::System(*errno),
            Self::NoMemory(_) => Cause::NoMemory,
            Self::Library(failure) => failure.cause,
            Self::Unsupported(_) | Self::MissingFilter(_) | Self::Refused(_) | Self::Damaged(_) => {
                Cause::Damage
            }
        }
    }

    /// The message of the HDF5 library, if it reported the failure.
    pub(crate) fn original(&self) -> Option<&str> {
        match self {
            Self::Library(failure) => Some(&failure.original),
            _ => None,
        }
    }

    /// The failure of a part as that of the whole: whatever the reason is, it cannot be read.
    pub(crate) fn within(self, part: &str) -> Self {
        let whole = |reason: String| format!("{part}: {reason}");
        match self {
            Self::Refused(reason) => Self::Refused(whole(reason)),
            Self::NoMemory(reason) => Self::NoMemory(whole(reason)),
            Self::System(reason, errno) => Self::System(whole(reason), errno),
            Self::Library(LibraryFailure { reason, original, cause, advice }) => {
                Self::Library(LibraryFailure { reason: whole(reason), original, cause, advice })
            }
            other => Self::Damaged(whole(other.into_reason())),
        }
    }

    /// The reason as text.
    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::Unsupported(reason)
            | Self::Damaged(reason)
            | Self::System(reason, _)
            | Self::NoMemory(reason)
            | Self::Refused(reason) => reason,
            Self::Library(failure) => failure.reason,
            Self::MissingFilter(filter) => {
                let refused = plugin_directories::refused();
                format!("compressed with {filter}, which is not built in{refused}")
            }
        }
    }
}

/// The action of the user that can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Wait until the program that writes the file has closed it.
    CloseWriter,
    /// The file is one part of several: join them.
    JoinParts,
    /// The end of the file is missing: copy it again.
    CopyAgain,
    /// Load the other datasets.
    KeepGoing,
    /// Load less, or raise the limit on memory.
    LoadLess,
    /// Allow reading of other files.
    AllowExternal,
    /// The file has another format: an instruction that contains `FILE` in place of the quoted path.
    Convert(&'static str),
}

/// The result of reading or writing a file.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to open, read or write a file, or an object in it.
#[derive(Debug)]
pub struct Error {
    cause: Cause,
    action: Box<str>,
    reason: Option<Box<str>>,
    subject: Option<Box<str>>,
    file: Option<Box<Path>>,
    original: Option<Box<str>>,
    advice: Option<Advice>,
}

impl Error {
    /// An error without a subject; `action` is a sentence without a capital and a full stop.
    pub(crate) fn new(cause: Cause, action: impl Into<Box<str>>) -> Self {
        let (reason, subject, file, original, advice) = (None, None, None, None, None);
        Self { cause, action: action.into(), reason, subject, file, original, advice }
    }

    /// The error of the object at `path` in `file` that cannot be read.
    pub fn cannot_read(
        (path, file): (&str, Option<&Path>),
        cause: Cause,
        reason: impl Into<Box<str>>,
    ) -> Self {
        let file = file.filter(|file| !file.as_os_str().is_empty());
        let place = file.map_or_else(String::new, |file| format!(" in '{}'", file.display()));
        let advice = match cause {
            Cause::NoMemory => Advice::LoadLess,
            _ => Advice::KeepGoing,
        };
        Self {
            reason: Some(reason.into()),
            subject: Some(path.into()),
            file: file.map(Box::from),
            advice: Some(advice),
            ..Self::new(cause, format!("cannot read '{path}'{place}"))
        }
    }

    pub(crate) fn with_subject(self, subject: impl Into<Box<str>>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }

    pub(crate) fn with_advice(self, advice: Advice) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// The cause.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The action that failed: `cannot read '/a' in 'f.h5'`.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The reason, if the action does not contain it.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The file or object that cannot be opened, read or written.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The file of the object that cannot be read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The message of libhdf5, if it reported the failure.
    pub fn original(&self) -> Option<&str> {
        self.original.as_deref()
    }

    /// The action of the user that can help.
    pub fn advice(&self) -> Option<Advice> {
        self.advice
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.action)?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

impl std::error::Error for Error {}

/// The error of the object at `path` in `file` that cannot be read, for this reason.
pub(crate) fn unreadable(path: &str, file: &Path, trouble: ObjectError) -> Error {
    let original = trouble.original().map(Box::from);
    let error = Error::cannot_read((path, Some(file)), trouble.cause(), trouble.into_reason());
    Error { original, ..error }
}

/// The error of a file that cannot be opened.
pub(crate) fn cannot_open(file: &Path, trouble: ObjectError) -> Error {
    let subject = file.display().to_string();
    let cause = trouble.cause();
    let advice = match &trouble {
        ObjectError::Library(LibraryFailure { advice: Some(advice), .. }) => Some(*advice),
        _ if cause == Cause::NoMemory => Some(Advice::LoadLess),
        _ => None,
    };
    Error {
        original: trouble.original().map(Box::from),
        advice,
        reason: Some(trouble.into_reason().into()),
        ..Error::new(cause, format!("cannot open '{subject}'"))
    }
    .with_subject(subject)
}

/// The error of an object that cannot be written.
pub(crate) fn cannot_write(object: &str, trouble: ObjectError) -> Error {
    let cause = match trouble {
        ObjectError::Unsupported(_) | ObjectError::MissingFilter(_) => Cause::Unsupported,
        ObjectError::NoMemory(_) => Cause::NoMemory,
        ObjectError::Damaged(_)
        | ObjectError::System(..)
        | ObjectError::Library(_)
        | ObjectError::Refused(_) => Cause::Io,
    };
    let action = format!("cannot write '{object}': {}", trouble.into_reason());
    Error::new(cause, action).with_subject(object)
}

/// The error of an object that shared memory cannot represent.
pub(crate) fn unsupported<T>(reason: impl Into<String>) -> ObjectResult<T> {
    Err(ObjectError::Unsupported(reason.into()))
}

/// The error of a file that contradicts itself.
pub(crate) fn damaged<T>(reason: impl Into<String>) -> ObjectResult<T> {
    Err(ObjectError::Damaged(reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_an_unreadable_object_names_object_and_file_and_keeps_the_cause() {
        let trouble =
            ObjectError::System("the reason".to_owned(), Errno::EIO).within("source s.h5");
        let error = unreadable("/x", Path::new("f.h5"), trouble);
        assert_eq!(error.to_string(), "cannot read '/x' in 'f.h5': source s.h5: the reason");
        assert_eq!(error.cause(), Cause::System(Errno::EIO));
        assert_eq!((error.subject(), error.advice()), (Some("/x"), Some(Advice::KeepGoing)));
    }
}
