//! The error type of the crate.

use std::error::Error as StdError;
use std::fmt;

use super::Kind;
use super::limit_hint::limit_hint;

/// The result of a function that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error: kind, message, subject, cause and hint.
///
/// # Examples
/// ```
/// use cute_shm::{Kind, Node};
/// let error = Node::with_root("/tmp/absent-root").open("demo").unwrap_err();
/// assert_eq!(error.kind(), Kind::NotFound);
/// assert_eq!(error.subject(), Some("demo"));
/// eprintln!("error: {error}");
/// if let Some(hint) = error.hint() {
///     eprintln!("hint: {hint}");
/// }
/// # Ok::<(), cute_shm::Error>(())
/// ```
#[derive(Debug)]
pub struct Error {
    pub(super) kind: Kind,
    pub(super) message: String,
    pub(super) subject: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` starts in lower case and has no full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (subject, hint, detail, source) = (None, None, None, None);
        Self { kind, message: message.into(), subject, hint, detail, source }
    }

    /// An I/O error of the operation `what`. The error number determines its kind.
    pub fn io(what: impl Into<String>, error: impl Into<std::io::Error>) -> Self {
        let source = error.into();
        let errno = source.raw_os_error();
        let kind = match errno {
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => Kind::Permission,
            Some(libc::ENOENT) => Kind::NotFound,
            Some(libc::ENOMEM) => Kind::NoMemory,
            _ => Kind::Io,
        };
        let hint = errno.and_then(limit_hint);
        Self { hint, source: Some(Box::new(source)), ..Self::new(kind, what) }
    }

    /// Adds the error behind this one, which completes the message.
    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the hint: an action with the command to type.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the subject: the project, file or array that failed.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets the message of the library that failed, for `-v`.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: Option<impl Into<String>>) -> Self {
        self.detail = detail.map(Into::into);
        self
    }

    /// Appends a clause to the message.
    #[must_use]
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.message = format!("{self}; {more}");
        self.source = None;
        self
    }

    /// Prepends the failed operation to the message.
    #[must_use]
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The hint: an action that may help.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message of the HDF5 library, if it reported the error.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The project, file or array that failed.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The error number of the system call that failed, if any.
    pub fn errno(&self) -> Option<i32> {
        let first = self.source.as_deref().map(|error| error as &(dyn StdError + 'static));
        let mut chain = std::iter::successors(first, |&error| error.source());
        chain.find_map(|error| error.downcast_ref::<std::io::Error>()?.raw_os_error())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => match source.downcast_ref::<std::io::Error>() {
                Some(io) => write!(f, ": {}", describe_os_error(io)),
                None => write!(f, ": {source}"),
            },
            None => Ok(()),
        }
    }
}

/// The description of an error number, without Rust's "(os error N)".
fn describe_os_error(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_number_determines_the_kind() {
        let denied = std::io::Error::from_raw_os_error(libc::EACCES);
        let error = Error::io("cannot open 'x'", denied);
        assert_eq!(error.kind(), Kind::Permission);
        assert_eq!(error.to_string(), "cannot open 'x': Permission denied");
        assert_eq!(error.errno(), Some(libc::EACCES));
    }
}
