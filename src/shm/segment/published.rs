//! Segments of a published project, read like files. If another process writes to or truncates a segment in the
//! meantime, a read returns other bytes or an error, never a signal.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use nix::fcntl::OFlag;

use crate::error::{Error, Kind, Result};
use crate::os::directory::Directory;
use crate::shm::format::tree::Array;

/// The bytes of one array.
#[derive(Debug)]
pub(crate) struct PublishedSegment {
    file: File,
    name: String,
    bytes: u64,
}

impl PublishedSegment {
    /// Opens an array's segment.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if it is missing, [`Kind::Corrupt`] if it is shorter than its array, and
    /// [`Kind::Unsupported`] if the dtype is unknown.
    pub(crate) fn open(shm: &Directory, array: &Array) -> Result<Self> {
        let name = array.segment.clone();
        let Some(bytes) = array.nbytes() else {
            let what = format!("unknown dtype '{}'", array.dtype);
            return Err(Error::new(Kind::Unsupported, what).with_subject(name));
        };
        let Some((file, stat)) = shm.open_file(name.as_ref(), OFlag::O_RDONLY).known()? else {
            let what = format!("segment '{name}' is missing");
            return Err(Error::new(Kind::NotFound, what).with_subject(name));
        };
        if u64::try_from(stat.st_size).unwrap_or(0) < bytes {
            let what = format!("segment '{name}' is shorter than its array");
            return Err(Error::new(Kind::Corrupt, what).with_subject(name));
        }
        log::debug!(target: "cute_shm", "attached segment {name} ({bytes} bytes)");
        Ok(Self { file, name, bytes })
    }

    /// Bytes of the array.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the bytes from `offset` on.
    ///
    /// # Errors
    /// Returns an I/O error if the segment is too short or cannot be read.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(into, offset)
            .map_err(|e| Error::io(format!("cannot read segment '{}'", self.name), e))
    }
}
