//! The one error type of the crate: a kind, a sentence, what it subject, a hint.
//! The only file that knows exit codes.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::os::limits;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of failure an [`Error`] is; every kind has one exit code and one code in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Unexpected, or an I/O failure that no other kind names.
    Io,
    /// The command line asks for something impossible.
    Usage,
    /// No such file, project, array or process.
    NotFound,
    /// A project or file of that name is there already.
    Exists,
    /// Shared memory, a cgroup or the node has too little memory left.
    NoMemory,
    /// Not allowed, or a directory that cannot be trusted.
    Permission,
    /// Somebody else is at it, or waited too long.
    Busy,
    /// The input is not what it claims to be.
    Corrupt,
    /// Sound input that has no form in shared memory (with `--strict`).
    Unsupported,
    /// Some of several targets failed.
    Partial,
    /// `--check` found something.
    Findings,
    /// Ended by the signal of this number.
    Signal(i32),
    /// A command that we ran ended with this status.
    Status(u8),
}

impl Kind {
    /// The exit code of the process (DESIGN section 4).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Io => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Exists => 4,
            Self::NoMemory => 5,
            Self::Permission => 6,
            Self::Busy => 7,
            Self::Corrupt => 8,
            Self::Unsupported => 9,
            Self::Partial => 10,
            Self::Findings => 11,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
            Self::Status(status) => status,
        }
    }

    /// The stable word for this kind in JSON output.
    pub fn code(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::NoMemory => "no_memory",
            Self::Permission => "permission",
            Self::Busy => "busy",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Partial => "partial",
            Self::Findings => "findings",
            Self::Signal(_) => "signal",
            Self::Status(_) => "status",
        }
    }
}

/// A failure: what happened, to what, why, and what to do about it.
///
/// # Examples
/// ```
/// use cute_shm::{Kind, Node};
/// let error = Node::with_root("/tmp/of-nobody").open("demo").unwrap_err();
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
    kind: Kind,
    message: String,
    subject: Option<String>,
    hint: Option<String>,
    detail: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is a sentence without a capital and a full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (subject, hint, detail, source) = (None, None, None, None);
        Self { kind, message: message.into(), subject, hint, detail, source }
    }

    /// An I/O failure while doing `what`; its kind follows from the system's error number.
    pub fn io(what: impl Into<String>, error: impl Into<std::io::Error>) -> Self {
        let error = error.into();
        Self { source: Some(Box::new(error)), ..Self::new(Kind::Io, what) }.refine()
    }

    /// Adds the error behind this one, which completes the message.
    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Takes kind and hint from the system's error number, where they follow from it.
    fn refine(mut self) -> Self {
        let error = self.source.as_ref().and_then(|source| source.downcast_ref::<std::io::Error>());
        match error.and_then(std::io::Error::raw_os_error) {
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => self.kind = Kind::Permission,
            Some(libc::ENOENT) => self.kind = Kind::NotFound,
            Some(libc::ENOMEM) => self.kind = Kind::NoMemory,
            _ => {}
        }
        self.hint = error.and_then(std::io::Error::raw_os_error).and_then(limits::hint);
        self
    }

    /// The same error as another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds what to do about it: a sentence with the command to type.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the project, file or array that this error subject.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Adds the words of the library behind this error, for users who ask for details.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: Option<impl Into<String>>) -> Self {
        self.detail = detail.map(Into::into);
        self
    }

    /// Adds a sentence to the message.
    #[must_use]
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.message = format!("{self}; {more}");
        self.source = None;
        self
    }

    /// Puts what was tried before the message.
    #[must_use]
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The words of the library behind this error, where it reported it: the HDF5 library.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The project, file or array that it subject.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The system's error number behind this error, where there is one.
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
                Some(io) => write!(f, ": {}", os_sentence(io)),
                None => write!(f, ": {source}"),
            },
            None => Ok(()),
        }
    }
}

/// The system's words for an error number, without Rust's "(os error N)".
fn os_sentence(error: &std::io::Error) -> String {
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

/// An [`Error`] as it crosses the pipe between loader and keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    kind: Kind,
    message: String,
    subject: Option<String>,
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind,
            message: error.to_string(),
            subject: error.subject.clone(),
            hint: error.hint.clone(),
            detail: error.detail.clone(),
        }
    }
}

impl From<ErrorReport> for Error {
    fn from(told: ErrorReport) -> Self {
        Self {
            kind: told.kind,
            message: told.message,
            subject: told.subject,
            hint: told.hint,
            detail: told.detail,
            source: None,
        }
    }
}

/// A name as one word of a shell's command line, for the commands in hints.
pub(crate) fn shell_quote(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/+=:@%,".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    let escape = |c| matches!(c, '"' | '\\' | '$' | '`').then_some('\\').into_iter().chain([c]);
    format!("\"{}\"", name.chars().flat_map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_number_decides_the_kind() {
        let denied = std::io::Error::from_raw_os_error(libc::EACCES);
        let error = Error::io("cannot open 'x'", denied);
        assert_eq!(error.kind(), Kind::Permission);
        assert_eq!(error.to_string(), "cannot open 'x': Permission denied");
        assert_eq!(error.errno(), Some(libc::EACCES));
    }

    #[test]
    fn an_error_survives_the_pipe() {
        let error = Error::new(Kind::Corrupt, "bad").with_subject("f.h5").with_hint("try another");
        let told = ErrorReport::from(&error);
        let back = Error::from(told);
        assert_eq!(
            (back.kind(), back.subject(), back.hint()),
            (Kind::Corrupt, Some("f.h5"), Some("try another"))
        );
    }

    #[test]
    fn signals_end_with_128_and_their_number() {
        assert_eq!(Kind::Signal(15).exit_code(), 143);
    }

    #[test]
    fn names_in_hints_are_one_word() {
        assert_eq!(
            ["a-b.c", "größe", "a b", "a$\"", ""].map(shell_quote),
            ["a-b.c", "größe", "\"a b\"", r#""a\$\"""#, "\"\""]
        );
    }
}
