//! The destination of an export: a regular file, which is replaced only by a complete one, or a stream.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::byte_writer::ByteWriter;
use super::copy::{FilePosition, write_error};
use super::interrupt::CheckInterrupt;
use super::temporary_file::TemporaryFile;
use crate::error::{Error, Kind, Result};

/// The destination of an export.
#[derive(Debug)]
pub(crate) enum Target {
    /// A regular file, written under a temporary name until [`Target::finish`].
    File(TemporaryFile),
    /// Standard output, a pipe or a device, and the directory for a temporary file.
    Stream(ByteWriter, PathBuf),
}

impl Target {
    /// Standard output. A format that needs a regular file is first written to one in `temporary_dir`.
    ///
    /// # Errors
    /// Returns an I/O error if stdout is closed.
    pub(crate) fn stdout(temporary_dir: PathBuf) -> Result<Self> {
        let file = io::stdout().as_fd().try_clone_to_owned();
        let file = file.map_err(|e| Error::io("cannot write to standard output", e))?;
        let writer = ByteWriter::to_stream(file.into(), "standard output".to_owned());
        Ok(Self::Stream(writer, temporary_dir))
    }

    /// The file at `path`. A regular file of this name is unchanged until [`Target::finish`]; a pipe or a device is
    /// opened for writing like [`Target::stdout`].
    ///
    /// # Errors
    /// Returns [`Kind::Exists`] if the file exists and `replace` is not set, [`Kind::Usage`] for a directory, and an
    /// I/O error if a system call fails.
    pub(crate) fn open(path: &Path, replace: bool, temporary_dir: PathBuf) -> Result<Self> {
        let name = path.display().to_string();
        match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => {
                let message = format!("'{name}' is a directory");
                Err(Error::new(Kind::Usage, message).with_subject(name))
            }
            Ok(existing) if !existing.is_file() => {
                let file = OpenOptions::new().write(true).open(path);
                let file = file.map_err(|e| write_error(&name, e))?;
                Ok(Self::Stream(ByteWriter::to_stream(file, name), temporary_dir))
            }
            Ok(_) if !replace => {
                let message = format!("'{name}' exists already");
                let hint = "use --overwrite to replace it";
                Err(Error::new(Kind::Exists, message).with_subject(name).with_hint(hint))
            }
            Ok(existing) => {
                // A symbolic link remains; the file that it leads to is replaced.
                let real = fs::canonicalize(path).map_err(|e| write_error(&name, e))?;
                let file = TemporaryFile::create(&real, true)?;
                let permissions = Permissions::from_mode(existing.permissions().mode() & 0o7777);
                file.set_permissions(permissions).map_err(|e| write_error(&name, e))?;
                Ok(Self::File(file))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                TemporaryFile::create(path, replace).map(Self::File)
            }
            Err(e) => Err(write_error(&name, e)),
        }
    }

    /// Whether this is a stream: written bytes cannot be removed.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(..))
    }

    /// The writer of the file or stream.
    pub(super) fn writer(&mut self) -> &mut ByteWriter {
        match self {
            Self::File(file) => &mut file.writer,
            Self::Stream(writer, _) => writer,
        }
    }

    /// Calls `write` with the path of a regular file, and the start of the open file. For a stream this is a
    /// temporary file, which is then copied to the stream.
    ///
    /// # Errors
    /// Returns the errors of `write`, and an I/O error if a system call fails.
    pub(super) fn with_file<T>(
        &mut self,
        write: impl FnOnce(&Path, FilePosition) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::File(file) => write(&file.path, file.writer.position()),
            Self::Stream(stream, temporary_dir) => {
                let path = temporary_dir.join("cute-shm-export");
                let mut temporary = TemporaryFile::create(&path, true)?;
                let display_name = &stream.display_name;
                let position = FilePosition { display_name, ..temporary.writer.position() };
                let result = write(&temporary.path, position)?;
                stream.append_file(&mut temporary.writer.file)?;
                Ok(result)
            }
        }
    }

    /// Gives the file its final name. Returns its size, or the number of bytes written to a stream.
    ///
    /// # Errors
    /// Returns the errors of [`TemporaryFile::finish`].
    pub(crate) fn finish(self, check_interrupt: CheckInterrupt) -> Result<u64> {
        match self {
            Self::File(file) => file.finish(check_interrupt),
            Self::Stream(writer, _) => Ok(writer.written()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, replace: bool) -> Result<Target> {
        Target::open(path, replace, PathBuf::new())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn file_appears_only_when_it_is_complete() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.npy");
        let mut target = open(&path, false).unwrap();
        target.writer().write(b"abc").unwrap();
        assert!(!path.exists());
        assert_eq!(target.finish(&mut || Ok(())).unwrap(), 3);
        assert_eq!(names(temp.path()), ["a.npy"]);
    }

    #[test]
    fn failed_export_leaves_the_old_file_and_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.npy");
        fs::write(&path, "old").unwrap();
        assert_eq!(open(&path, false).unwrap_err().kind(), Kind::Exists);
        let mut target = open(&path, true).unwrap();
        target.writer().write(b"new").unwrap();
        drop(target);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(temp.path()), ["a.npy"]);
    }

    #[test]
    fn file_that_another_process_creates_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.npy");
        let target = open(&path, false).unwrap();
        fs::write(&path, "other").unwrap();
        assert_eq!(target.finish(&mut || Ok(())).unwrap_err().kind(), Kind::Exists);
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(names(temp.path()), ["a.npy"]);
    }

    #[test]
    fn symbolic_link_remains_and_device_is_a_stream() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut target = open(&link, true).unwrap();
        target.writer().write(b"new").unwrap();
        target.finish(&mut || Ok(())).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(open(Path::new("/dev/null"), false).unwrap().is_stream());
    }
}
