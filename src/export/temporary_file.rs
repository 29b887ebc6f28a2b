//! A new file under a temporary name, which gets its final name when it is complete.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::byte_writer::ByteWriter;
use super::copy::write_error;
use super::interrupt::CheckInterrupt;
use super::sync;
use crate::error::{Error, Kind, Result};

/// Characters of the final name in the temporary one. A full name with a suffix can exceed the limit of the file
/// system.
const MAX_NAME_CHARS: usize = 32;

/// A file under a temporary name. It is removed on drop, unless it was finished.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    pub(super) writer: ByteWriter,
    pub(super) path: PathBuf,
    final_path: PathBuf,
    replace: bool,
    finished: bool,
}

impl TemporaryFile {
    /// Creates the file in the directory of `final_path`.
    ///
    /// # Errors
    /// Returns an I/O error if the file cannot be created.
    pub(super) fn create(final_path: &Path, replace: bool) -> Result<Self> {
        let name = final_path.file_name().unwrap_or_default().to_string_lossy();
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)
            .map_err(|e| Error::new(Kind::Io, format!("cannot read random bytes: {e}")))?;
        let random = u64::from_ne_bytes(random);
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        let path = final_path.with_file_name(format!(".{name}.{random:016x}.tmp"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o666)
            .open(&path)
            .map_err(|e| write_error(&final_path.to_string_lossy(), e))?;
        let writer = ByteWriter::to_file(file, final_path.display().to_string());
        Ok(Self { writer, path, final_path: final_path.to_owned(), replace, finished: false })
    }

    /// Sets the permissions of the file.
    ///
    /// # Errors
    /// Returns an I/O error if the system call fails.
    pub(super) fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.writer.file.set_permissions(permissions)
    }

    /// Gives the file its final name and returns its size. A file that replaces another is on the disk before: a
    /// power failure keeps the old file or the new one. Any other new file is left to the write-back of the kernel.
    ///
    /// # Errors
    /// Returns [`Kind::Exists`] if another process created a file of this name in the meantime and `replace` is not
    /// set, an I/O error if a system call fails, and the errors of `check_interrupt`.
    pub(super) fn finish(mut self, check_interrupt: CheckInterrupt) -> Result<u64> {
        let (file, path) = (&self.writer.file, &self.final_path);
        let error = |e| write_error(&path.to_string_lossy(), e);
        let size = file.metadata().map_err(error)?.len();
        let replaces = self.replace && path.exists();
        match replaces {
            true => sync::sync_file(file, size, check_interrupt)?.map_err(error)?,
            false => sync::report_failed_writes(file).map_err(error)?,
        }
        match self.replace {
            true => fs::rename(&self.path, path).map_err(error)?,
            false => self.link()?,
        }
        self.finished = true;
        let folder = self.final_path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|_| replaces) {
            // An error is not reported: without the new name, the old file remains.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(size)
    }

    /// Renames the file to a name that must not exist. A hard link, unlike a rename, never replaces a file.
    fn link(&self) -> Result<()> {
        let path = &self.final_path;
        match fs::hard_link(&self.path, path) {
            Ok(()) => fs::remove_file(&self.path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let name = path.display().to_string();
                let message = format!("'{name}' was created by another process during the export");
                return Err(Error::new(Kind::Exists, message).with_subject(name));
            }
            // Some file systems have no hard links.
            Err(_) => fs::rename(&self.path, path),
        }
        .map_err(|e| write_error(&path.to_string_lossy(), e))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}
