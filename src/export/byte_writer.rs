//! Sequential output to a regular file or a stream.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use super::copy::{self, FilePosition};
use super::interrupt::CheckInterrupt;
use super::source::{BLOCK_BYTES, Source};
use crate::error::Result;

/// Appends bytes to a file or a stream.
#[derive(Debug)]
pub(crate) struct ByteWriter {
    pub(super) file: File,
    pub(super) display_name: String,
    seekable: bool,
    written: u64,
}

impl ByteWriter {
    /// Writes to an empty regular file.
    pub(super) fn to_file(file: File, display_name: String) -> Self {
        Self { file, display_name, seekable: true, written: 0 }
    }

    /// Writes to a pipe or a device.
    pub(super) fn to_stream(file: File, display_name: String) -> Self {
        Self { file, display_name, seekable: false, written: 0 }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Returns an I/O error if the write fails.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| self.position().write_error(e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Allocates space for the next `bytes`, if the output is a regular file.
    ///
    /// # Errors
    /// Returns an I/O error if the space is not available, and the errors of `check_interrupt`.
    pub(super) fn preallocate(&self, bytes: u64, check_interrupt: CheckInterrupt) -> Result<()> {
        match self.seekable {
            true => copy::preallocate(self.position(), bytes, check_interrupt),
            false => Ok(()),
        }
    }

    /// Appends all bytes of a source.
    ///
    /// # Errors
    /// Returns an I/O error if a read or a write fails, and the errors of `check_interrupt`.
    pub(super) fn append(
        &mut self,
        source: &Source,
        check_interrupt: CheckInterrupt,
    ) -> Result<()> {
        if !self.seekable {
            return self.append_blocks(source, &mut |_| {}, check_interrupt);
        }
        copy::copy(source, self.position(), check_interrupt)?;
        self.written += source.bytes();
        self.file
            .seek(SeekFrom::Start(self.written))
            .map(drop)
            .map_err(|e| self.position().write_error(e))
    }

    /// Appends all bytes of a source in blocks, each after a call of `change`.
    ///
    /// # Errors
    /// Returns the same errors as [`Self::append`].
    pub(super) fn append_blocks(
        &mut self,
        source: &Source,
        change: &mut dyn FnMut(&mut [u8]),
        check_interrupt: CheckInterrupt,
    ) -> Result<()> {
        let (mut buffer, mut field) = (vec![0_u8; BLOCK_BYTES], Vec::new());
        let mut done = 0;
        while done < source.bytes() {
            let length = usize::try_from(source.bytes() - done).unwrap_or(BLOCK_BYTES);
            let block = &mut buffer[..length.min(BLOCK_BYTES)];
            source.read_at(done, block, &mut field)?;
            change(block);
            self.write(block)?;
            done += block.len() as u64;
            check_interrupt()?;
        }
        Ok(())
    }

    /// Appends the content of a file.
    ///
    /// # Errors
    /// Returns an I/O error if a read or a write fails.
    pub(super) fn append_file(&mut self, source: &mut File) -> Result<()> {
        let copied = source.rewind().and_then(|()| io::copy(source, &mut self.file));
        self.written += copied.map_err(|e| self.position().write_error(e))?;
        Ok(())
    }

    /// The position of the next byte in a regular file.
    pub(super) fn position(&self) -> FilePosition<'_> {
        let Self { file, display_name, written, .. } = self;
        FilePosition { file, display_name, offset: *written }
    }

    /// Number of bytes written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether written bytes can be overwritten.
    pub(super) fn is_seekable(&self) -> bool {
        self.seekable
    }

    /// Overwrites bytes that were written before.
    ///
    /// # Errors
    /// Returns an I/O error if the write fails.
    pub(super) fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| self.position().write_error(e))
    }
}
