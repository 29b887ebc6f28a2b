//! The frame around a chunk: its header, the place of the chunk, and the shape of an array.

use super::chunk::{Chunk, Same};
use super::damaged::DAMAGED;
use super::grid::Grid;
use crate::decoder::{BlockBuffers, Decoder};
use crate::error::Error;

/// The size of a header without metalayers.
const HEADER: usize = 87;
const MAGIC: &[u8] = b"\xa8b2frame\0";
/// Bytes of an entry of the index.
const ENTRY: usize = 8;

/// A frame of one chunk.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// Bytes of an element.
    pub(super) element: usize,
    /// Decoded bytes of the chunk.
    pub(super) bytes: usize,
    pub(super) content: Content<'a>,
    pub(super) grid: Option<Grid>,
}

/// The content of a frame.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Chunk(Chunk<'a>),
    /// One element that is repeated, which the index describes.
    Same(Same<'a>),
}

impl<'a> Frame<'a> {
    pub(super) fn parse(
        decoder: &mut Decoder,
        room: &mut BlockBuffers,
        source: &'a [u8],
    ) -> Result<Self, Error> {
        let header = Header::parse(source)?;
        let mut entry = [0; ENTRY];
        let index = Chunk::parse(source.get(header.index..).ok_or(DAMAGED)?, ENTRY)?;
        match index.same {
            Some(same) => same.fill(&mut entry)?,
            None => index.decode(decoder, room, &mut entry)?,
        }
        let content = match entry {
            [0, 0, 0, 0, 0, 0, 0, kind] if kind >= 0x80 => {
                // One bit each, unlike the same in a chunk.
                Content::Same(match kind {
                    0x81 => Same::Zeros,
                    0x82 => Same::NaN(header.element),
                    0x84 => Same::Anything,
                    _ => return Err(DAMAGED),
                })
            }
            entry => {
                let offset = usize::try_from(u64::from_le_bytes(entry)).map_err(|_| DAMAGED)?;
                let start = header.size.checked_add(offset).filter(|&at| at < header.index);
                let chunk = source.get(start.ok_or(DAMAGED)?..header.index).ok_or(DAMAGED)?;
                Content::Chunk(Chunk::parse(chunk, header.bytes)?)
            }
        };
        Ok(Self {
            element: header.element,
            bytes: header.bytes,
            content,
            grid: grid(source.get(..header.size).ok_or(DAMAGED)?)?,
        })
    }
}

/// Numbers in a frame's own parts have their most significant byte first.
struct Header {
    size: usize,
    bytes: usize,
    element: usize,
    /// The offset of the index of chunks, after the chunks.
    index: usize,
}

impl Header {
    fn parse(source: &[u8]) -> Result<Self, Error> {
        let (Some(magic), Some(flags)) = (source.get(..10), source.get(0x19..0x1b)) else {
            return Err(DAMAGED);
        };
        if magic[0] & 0xf0 != 0x90 || magic[1..] != *MAGIC {
            return Err(DAMAGED);
        }
        // Contiguous, in a version that is known, with offsets of 64 bits and chunks of equal size.
        if !matches!(flags[0], 0x11 | 0x12) || flags[1] & 0x0f != 0 {
            return Err(Error::Unsupported("blosc2: a frame of a version that is not known here"));
        }
        Self::of_one_chunk(source).ok_or(DAMAGED)
    }

    fn of_one_chunk(source: &[u8]) -> Option<Self> {
        let size = long_tagged(source, 0x0a, 0xd2)?;
        let whole = longer_tagged(source, 0x0f, 0xcf)?;
        let bytes = longer_tagged(source, 0x1d, 0xd3)?;
        let coded = longer_tagged(source, 0x26, 0xd3)?;
        let element = long_tagged(source, 0x2f, 0xd2)?;
        let chunk = long_tagged(source, 0x39, 0xd2)?;
        let index = size.checked_add(coded)?;
        let fits = size >= HEADER && index < whole && whole <= source.len();
        let is_one = (1..=chunk).contains(&bytes);
        (fits && is_one && element > 0).then_some(Self { size, bytes, element, index })
    }
}

/// A signed number of 32 bits after its tag.
fn long_tagged(source: &[u8], at: usize, tag: u8) -> Option<usize> {
    let (&found, rest) = source.get(at..)?.split_first()?;
    let number = i32::from_be_bytes(*rest.first_chunk()?);
    usize::try_from(number).ok().filter(|_| found == tag)
}

/// The same of 64 bits.
fn longer_tagged(source: &[u8], at: usize, tag: u8) -> Option<usize> {
    let (&found, rest) = source.get(at..)?.split_first()?;
    let number = i64::from_be_bytes(*rest.first_chunk()?);
    usize::try_from(number).ok().filter(|_| found == tag)
}

/// The shape in a frame's metalayers; `None` if it is not an array.
fn grid(header: &[u8]) -> Result<Option<Grid>, Error> {
    match layer(header).ok_or(DAMAGED)? {
        (b"", _) => Ok(None),
        (b"b2nd", content) => Grid::parse(content).map(Some),
        _ => Err(Error::Unsupported("blosc2: an array of a kind that is not known here")),
    }
}

type Layer<'a> = (&'a [u8], &'a [u8]);

/// The metalayer of an array: its name, empty if there is none, and its content.
fn layer(header: &[u8]) -> Option<Layer<'_>> {
    let [0x93, 0xcd, _, _, 0xde, count @ ..] = header.get(HEADER..)? else { return None };
    let (count, mut rest) = count.split_first_chunk::<2>()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let (tag, after) = rest.split_first()?;
        if tag & 0xe0 != 0xa0 {
            return None;
        }
        let (name, after) = after.split_at_checked(usize::from(tag & 0x1f))?;
        let at = long_tagged(after, 0, 0xd2)?;
        rest = after.get(5..)?;
        if matches!(name, b"b2nd" | b"caterva") {
            let length = long_tagged(header, at, 0xc6)?;
            return Some((name, header.get(at + 5..)?.get(..length)?));
        }
    }
    Some((b"", b""))
}
