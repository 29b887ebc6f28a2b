//! Large chunks, decoded piece by piece: a chunk of any size takes little memory if it is stored as it is or
//! deflated, and its own size if it was shuffled before.

use std::fs::File;
use std::io::{BufRead, Error as IoError, ErrorKind, Read, Result as IoResult};
use std::os::unix::fs::FileExt as _;

use flate2::bufread::ZlibDecoder;

use hdf5_filters::{Streaming, resize_buffer};

use crate::load::worker::read_error::ReadError;

/// The stored bytes of one read.
const READ: usize = 1 << 20;

/// The decoded bytes of a chunk, in ascending order.
#[derive(Debug)]
pub(crate) enum Decoded<'f> {
    /// In the order of the file.
    Sequence { source: EncodedBytes<'f>, at: u64, spare: Vec<u8> },
    /// The first bytes of all elements of `size` bytes, then the second ones, and so on.
    Planes { planes: Vec<u8>, size: usize },
}

/// The stored bytes of a sequence.
#[derive(Debug)]
pub(crate) enum EncodedBytes<'f> {
    /// Stored without a filter.
    Stored(FileRange<'f>),
    /// Deflated.
    Inflated(Box<ZlibDecoder<Buffered<'f>>>),
}

/// A part of a file.
#[derive(Debug)]
pub(crate) struct FileRange<'f> {
    /// The file.
    pub file: &'f File,
    /// Where the rest begins.
    pub at: u64,
    /// Bytes of the rest.
    pub left: u64,
}

impl Read for FileRange<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let done = self.file.read_at(&mut buffer[..most], self.at)?;
        if done == 0 && most > 0 {
            return Err(IoError::new(ErrorKind::UnexpectedEof, "the file ends within a chunk"));
        }
        self.at += done as u64;
        self.left -= done as u64;
        Ok(done)
    }
}

/// A part of a file that is read into a buffer. `BufReader` would abort the process if there is no memory for it.
#[derive(Debug)]
pub(crate) struct Buffered<'f> {
    range: FileRange<'f>,
    buffer: Vec<u8>,
    /// The bytes of the buffer that are not used yet.
    unread: std::ops::Range<usize>,
}

impl<'f> Buffered<'f> {
    fn new(range: FileRange<'f>) -> Result<Self, ReadError> {
        let mut buffer = Vec::new();
        let bytes = usize::try_from(range.left).unwrap_or(READ).clamp(1, READ);
        resize_buffer(&mut buffer, bytes)?;
        Ok(Self { range, buffer, unread: 0..0 })
    }
}

impl BufRead for Buffered<'_> {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if self.unread.is_empty() {
            self.unread = 0..self.range.read(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.unread.start = self.unread.end.min(self.unread.start + count);
    }
}

impl Read for Buffered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let done = self.fill_buf()?.read(buffer)?;
        self.consume(done);
        Ok(done)
    }
}

impl Read for EncodedBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        match self {
            Self::Stored(range) => range.read(buffer),
            Self::Inflated(decoder) => decoder.read(buffer),
        }
    }
}

impl<'f> Decoded<'f> {
    /// Opens the chunk in this part of the file. A complete chunk has `whole` bytes.
    pub(crate) fn open(
        range: FileRange<'f>,
        streamed: Streaming,
        whole: usize,
    ) -> Result<Self, ReadError> {
        let inflate =
            |range| Buffered::new(range).map(|buffered| Box::new(ZlibDecoder::new(buffered)));
        let source = match streamed {
            Streaming::Stored => EncodedBytes::Stored(range),
            Streaming::Deflate => EncodedBytes::Inflated(inflate(range)?),
            Streaming::ShuffleDeflate(size) => {
                let mut planes = Vec::new();
                resize_buffer(&mut planes, whole)?;
                let mut decoder = inflate(range)?;
                let mut done = 0;
                while done < whole {
                    match decoder.read(&mut planes[done..]).map_err(damaged)? {
                        0 => break,
                        more => done += more,
                    }
                }
                planes.truncate(done);
                if decoder.read(&mut [0]).map_err(damaged)? > 0 {
                    return Err(TOO_LARGE);
                }
                return Ok(Self::Planes { planes, size });
            }
        };
        let mut spare = Vec::new();
        resize_buffer(&mut spare, 64 << 10)?;
        Ok(Self::Sequence { source, at: 0, spare })
    }

    /// Fills `buffer` with the bytes from `position` on. `position` must not be before the end of the last call.
    pub(crate) fn take(&mut self, position: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        match self {
            Self::Planes { planes, size } => unshuffle(planes, *size, position, buffer),
            Self::Sequence { source, at, spare } => {
                while *at < position {
                    let skip = usize::try_from(position - *at).unwrap_or(usize::MAX);
                    let skip = skip.min(spare.len());
                    source.read_exact(&mut spare[..skip]).map_err(damaged)?;
                    *at += skip as u64;
                }
                source.read_exact(buffer).map_err(damaged)?;
                *at += buffer.len() as u64;
                Ok(())
            }
        }
    }

    /// Returns the total number of bytes, at most `most`.
    pub(crate) fn finish(mut self, most: u64) -> Result<u64, ReadError> {
        match &mut self {
            Self::Planes { planes, .. } => Ok(planes.len() as u64),
            Self::Sequence { source, at, spare } => loop {
                match source.read(spare).map_err(damaged)? {
                    0 => return Ok(*at),
                    more => *at += more as u64,
                }
                if *at > most {
                    return Err(TOO_LARGE);
                }
            },
        }
    }
}

const TOO_LARGE: ReadError = ReadError::Damaged("a chunk of another size than its dataset says");

#[allow(clippy::needless_pass_by_value)] // the signature of `map_err`
fn damaged(error: IoError) -> ReadError {
    match error.raw_os_error() {
        Some(_) => ReadError::Refused("the file cannot be read"),
        None => ReadError::Damaged("deflate: damaged data"),
    }
}

/// Fills a buffer with the bytes from `position` on, with the bytes of each element adjacent again.
fn unshuffle(
    planes: &[u8],
    size: usize,
    position: u64,
    buffer: &mut [u8],
) -> Result<(), ReadError> {
    let start = usize::try_from(position).unwrap_or(usize::MAX);
    if start.checked_add(buffer.len()).is_none_or(|end| end > planes.len()) {
        return Err(TOO_LARGE);
    }
    let count = planes.len() / size;
    let whole = count * size;
    if start.is_multiple_of(size) && buffer.len().is_multiple_of(size) && start < whole {
        let (first, elements) = (start / size, buffer.len() / size);
        for (place, plane) in planes[..whole].chunks_exact(count).enumerate() {
            let bytes = plane.get(first..first + elements).ok_or(TOO_LARGE)?;
            for (element, &byte) in buffer.chunks_exact_mut(size).zip(bytes) {
                element[place] = byte;
            }
        }
        return Ok(());
    }
    for (place, byte) in buffer.iter_mut().enumerate() {
        let at = start + place;
        *byte = if at < whole { planes[at % size * count + at / size] } else { planes[at] };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Takes pieces of three bytes, a byte between them left out.
    fn pieces(
        stored: &[u8],
        streamed: Streaming,
        whole: usize,
    ) -> Result<(Vec<u8>, u64), ReadError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        file.write_all(stored).unwrap();
        let range = FileRange { file: &file, at: 6, left: stored.len() as u64 };
        let mut decoded = Decoded::open(range, streamed, whole)?;
        let mut all = Vec::new();
        for position in [0, 4] {
            let mut piece = [0; 3];
            decoded.take(position, &mut piece)?;
            all.extend(piece);
        }
        Ok((all, decoded.finish(whole as u64)?))
    }

    #[test]
    fn every_way_gives_the_same_bytes() {
        let plain = b"abcdefghi";
        for (stored, streamed) in [
            (plain.to_vec(), Streaming::Stored),
            (deflated(plain), Streaming::Deflate),
            (deflated(b"acegbdfhi"), Streaming::ShuffleDeflate(2)),
            (deflated(b"adgbehcfi"), Streaming::ShuffleDeflate(3)),
        ] {
            assert_eq!(pieces(&stored, streamed, 9).unwrap(), (b"abcefg".to_vec(), 9));
            assert!(pieces(&stored, streamed, 8).is_err());
            assert!(pieces(&stored[..stored.len() / 2], streamed, 9).is_err(), "{streamed:?}");
        }
    }
}
