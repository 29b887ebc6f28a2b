//! The errors of the reader of HDF5 files as errors of the program: kinds, and hints with the options of commands.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use hdf5_reader::{Advice, Cause};
use nix::errno::Errno;

use crate::error::{Error, Kind, shell_quote};

const KEEP_GOING_HINT: &str = "load the other datasets with --keep-going";
/// The hint if there is no memory to read a dataset.
pub(crate) const NO_MEMORY_HINT: &str =
    "load less with --include or --rows, or raise the limit (--mem, ulimit -v)";
const EXTERNAL_HINT: &str =
    "--external allows it; --as-user USER reads it as that user; --exclude leaves it out";

/// The reason why a file, or an object in it, cannot be read: the source of every [`Error`] that reports such a
/// failure.
#[derive(Debug)]
pub(crate) struct Unreadable {
    reason: String,
    file: Option<PathBuf>,
    system: Option<std::io::Error>,
}

impl Unreadable {
    /// The reason of an error, if the error reports that something cannot be read.
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        StdError::source(error)?.downcast_ref()
    }

    /// The reason with the file, for a message that names the object only.
    pub(crate) fn reason_with_file(&self) -> String {
        match &self.file {
            Some(file) => format!("in '{}': {self}", file.display()),
            None => self.to_string(),
        }
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

impl From<hdf5_reader::Error> for Error {
    fn from(error: hdf5_reader::Error) -> Self {
        let mut mapped = Self::new(kind(error.cause()), error.action())
            .with_detail(error.original().map(str::to_owned));
        if let Some(reason) = error.reason() {
            let system = match error.cause() {
                Cause::System(errno) if errno != Errno::UnknownErrno => Some(errno.into()),
                _ => None,
            };
            let file = error.file().map(Path::to_owned);
            mapped = mapped.caused_by(Unreadable { reason: reason.to_owned(), file, system });
        }
        if let Some(hint) = hint(&error) {
            mapped = mapped.with_hint(hint);
        }
        match error.subject() {
            Some(subject) => mapped.with_subject(subject),
            None => mapped,
        }
    }
}

fn kind(cause: Cause) -> Kind {
    match cause {
        Cause::System(errno) => Error::io("", errno).kind(),
        Cause::Io => Kind::Io,
        Cause::NoMemory => Kind::NoMemory,
        Cause::Refused => Kind::Permission,
        Cause::Unsupported => Kind::Unsupported,
        Cause::NotHdf5 | Cause::NotFound | Cause::LinkLoop | Cause::Damage => Kind::Corrupt,
    }
}

/// The hint of an error. The hint for an error number is more specific than [`Advice::KeepGoing`].
fn hint(error: &hdf5_reader::Error) -> Option<String> {
    let of_system = || match error.cause() {
        Cause::System(errno) => Error::io("", errno).hint().map(str::to_owned),
        _ => None,
    };
    let path = || shell_quote(error.subject().unwrap_or_default());
    let text = match error.advice() {
        None => return of_system(),
        Some(Advice::KeepGoing) => of_system().unwrap_or_else(|| KEEP_GOING_HINT.to_owned()),
        Some(Advice::LoadLess) => NO_MEMORY_HINT.to_owned(),
        Some(Advice::AllowExternal) => EXTERNAL_HINT.to_owned(),
        Some(Advice::CloseWriter) => format!(
            "wait until the writing program has closed the file; only if no program writes it, run 'h5clear -s {}'",
            path()
        ),
        Some(Advice::JoinParts) => {
            "join its parts into one file with 'h5repart -family_to_single PATTERN OUT'".to_owned()
        }
        Some(Advice::CopyAgain) => "copy or download the file again".to_owned(),
        Some(Advice::Convert(instruction)) => instruction.replace("FILE", &path()),
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(cause: Cause) -> Error {
        hdf5_reader::Error::cannot_read(("/x", None), cause, "the reason").into()
    }

    #[test]
    fn cause_decides_the_kind_of_an_error() {
        for (cause, kind) in [
            (Cause::System(Errno::EIO), Kind::Io),
            (Cause::System(Errno::EMFILE), Kind::Io),
            (Cause::System(Errno::UnknownErrno), Kind::Io),
            (Cause::System(Errno::EACCES), Kind::Permission),
            (Cause::System(Errno::ENOMEM), Kind::NoMemory),
            (Cause::NoMemory, Kind::NoMemory),
            (Cause::Damage, Kind::Corrupt),
        ] {
            assert_eq!(mapped(cause).kind(), kind, "{cause:?}");
        }
    }

    #[test]
    fn error_of_an_unreadable_object_keeps_reason_error_number_and_subject() {
        let error = mapped(Cause::System(Errno::EIO));
        assert_eq!(error.to_string(), "cannot read '/x': the reason");
        assert_eq!((error.errno(), error.subject()), (Some(libc::EIO), Some("/x")));
        assert_eq!(Unreadable::of(&error).unwrap().to_string(), "the reason");
        assert_eq!(Unreadable::of(&Error::new(Kind::Corrupt, "another")).map(|_| ()), None);
    }

    #[test]
    fn instruction_for_another_format_names_the_quoted_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.h5");
        std::fs::write(&path, b"BZh91AY").unwrap();
        let options = hdf5_reader::Options {
            select: &|_| true,
            seen: &mut |_| {},
            rows: None,
            keep_going: false,
            external: hdf5_reader::External::Allow,
        };
        let error = Error::from(hdf5_reader::inventory(&path, options).unwrap_err());
        let hint = format!("decompress it with 'bunzip2 -k \"{}\"'", path.display());
        assert_eq!((error.kind(), error.hint()), (Kind::Corrupt, Some(&*hint)));
    }
}
