//! A chunk of Blosc2: a header of 32 bytes that names up to six filters, then blocks of one part or of
//! one for each byte of an element; or a header with a flag for a single element that is repeated.

use super::damaged::DAMAGED;
use crate::bitshuffle::unbitshuffle;
use crate::buffer::resize_buffer;
use crate::decoder::{BlockBuffers, Decoder};
use crate::error::{Decoded, Error};
use crate::{blosc, shuffle};

const HEADER: usize = 32;
/// Both types of shuffle at once, which distinguishes this header from that of Blosc 1.
const EXTENDED: u8 = 5;
const COPY: u8 = 2;
const WHOLE: u8 = 16;

/// Filters by their numbers; truncation of floats cannot be undone.
const NONE: u8 = 0;
const SHUFFLE: u8 = 1;
const BITSHUFFLE: u8 = 2;
const DELTA: u8 = 3;
const TRUNCATE: u8 = 4;

/// The element that a chunk repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same<'a> {
    Zeros,
    /// An element of this many bytes.
    NaN(usize),
    Value(&'a [u8]),
    /// The element was never written, so that any value is correct.
    Anything,
}

impl Same<'_> {
    pub(super) fn fill(self, target: &mut [u8]) -> Decoded {
        let (single, double) = (0x7fc0_0000_u32.to_le_bytes(), (0x7ff8_u64 << 48).to_le_bytes());
        let value = match self {
            Self::Zeros | Self::Anything => &[0][..],
            Self::NaN(4) => &single,
            Self::NaN(8) => &double,
            Self::NaN(_) => return Err(Error::Corrupt("blosc2: NaN of an odd size")),
            Self::Value(value) => value,
        };
        if value.is_empty() || !target.len().is_multiple_of(value.len()) {
            return Err(DAMAGED);
        }
        match value {
            [byte] => target.fill(*byte),
            _ => target.chunks_exact_mut(value.len()).for_each(|e| e.copy_from_slice(value)),
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Chunk<'a> {
    /// The chunk with its header.
    source: &'a [u8],
    flags: u8,
    element: usize,
    /// Decoded bytes.
    bytes: usize,
    /// Decoded bytes of a block: at least 1, at most all.
    pub(super) block: usize,
    /// Shuffles, in the order of undoing.
    shuffles: Vec<u8>,
    /// Whether blocks are differences from the first block.
    delta: bool,
    /// The element that it repeats, if it does.
    pub(super) same: Option<Same<'a>>,
}

impl<'a> Chunk<'a> {
    /// The chunk of `bytes` decoded bytes at the beginning of `source`.
    pub(super) fn parse(source: &'a [u8], bytes: usize) -> Result<Self, Error> {
        let header = source.first_chunk::<HEADER>().ok_or(DAMAGED)?;
        let at = |index: usize| {
            let number: [u8; 4] = std::array::from_fn(|byte| header[index + byte]);
            usize::try_from(i32::from_le_bytes(number)).map_err(|_| DAMAGED)
        };
        let (flags, element) = (header[2], usize::from(header[3]));
        let (block, coded) = (at(8)?, at(12)?);
        // The versions whose flags and filters are known here.
        if !matches!(header[0], 4 | 5) || flags & EXTENDED != EXTENDED {
            return Err(Error::Unsupported("blosc2: a chunk of a version that is not known here"));
        }
        if at(4)? != bytes || element == 0 || !(1..=bytes).contains(&block) {
            return Err(DAMAGED);
        }
        let source = source.get(..coded).filter(|source| source.len() >= HEADER).ok_or(DAMAGED)?;
        let same = match header[31] {
            0 => None,
            0x10 => Some(Same::Zeros),
            0x20 => Some(Same::NaN(element)),
            0x30 => Some(Same::Value(source.get(HEADER..HEADER + element).ok_or(DAMAGED)?)),
            0x40 => Some(Same::Anything),
            _ => {
                return Err(Error::Unsupported(
                    "blosc2: a chunk with a dictionary, or of another sort that is not known here",
                ));
            }
        };
        let (shuffles, delta) = filters(&header[16..22], &header[24..30])?;
        Ok(Self { source, flags, element, bytes, block, shuffles, delta, same })
    }

    /// Decodes the blocks that `target` has from the first on: all of them, or some that are whole.
    pub(super) fn decode(
        &self,
        decoder: &mut Decoder,
        room: &mut BlockBuffers,
        target: &mut [u8],
    ) -> Decoded {
        let is_whole = target.len() == self.bytes || target.len().is_multiple_of(self.block);
        if target.len() > self.bytes || !is_whole {
            return Err(DAMAGED);
        }
        let mut blocks = target.chunks_mut(self.block).enumerate();
        blocks.try_for_each(|(number, part)| self.decode_block(decoder, room, number, part))
    }

    /// Decodes one block; the first before all others.
    pub(super) fn decode_block(
        &self,
        decoder: &mut Decoder,
        room: &mut BlockBuffers,
        number: usize,
        target: &mut [u8],
    ) -> Decoded {
        let start = number.checked_mul(self.block).filter(|&at| at < self.bytes).ok_or(DAMAGED)?;
        if target.len() != self.block.min(self.bytes - start) {
            return Err(DAMAGED);
        }
        if self.flags & COPY != 0 {
            let plain = self.source.get(HEADER..).filter(|plain| plain.len() == self.bytes);
            let plain = plain.and_then(|plain| plain.get(start..start + target.len()));
            target.copy_from_slice(plain.ok_or(DAMAGED)?);
            return Ok(());
        }
        let entry = HEADER + number * 4;
        let entry = self.source.get(entry..).and_then(|at| at.first_chunk()).ok_or(DAMAGED)?;
        let code = usize::try_from(u32::from_le_bytes(*entry)).map_err(|_| DAMAGED)?;
        let code = self.source.get(code..).ok_or(DAMAGED)?;
        if self.shuffles.is_empty() {
            self.streams(decoder, code, target)?;
        } else {
            resize_buffer(&mut room.coded, target.len())?;
            self.streams(decoder, code, &mut room.coded)?;
            self.unshuffle(decoder, room, target)?;
        }
        if self.delta {
            self.undo_delta(number, &mut room.first, target)?;
        }
        Ok(())
    }

    /// Undoes the coder: one stream for the block, or one for each byte of an element.
    fn streams(&self, decoder: &mut Decoder, mut code: &[u8], target: &mut [u8]) -> Decoded {
        let split = self.flags & WHOLE == 0 && target.len() == self.block;
        let streams = if split { self.element } else { 1 };
        if !target.len().is_multiple_of(streams) {
            return Err(DAMAGED);
        }
        for part in target.chunks_mut(target.len() / streams) {
            let (size, rest) = code.split_first_chunk().ok_or(DAMAGED)?;
            code = match (i32::from_le_bytes(*size), rest) {
                (0, rest) => {
                    part.fill(0);
                    rest
                }
                // A run of one byte, whose value is the negated size.
                (size @ -255..=-1, [token, rest @ ..]) if token & 1 != 0 => {
                    part.fill(u8::try_from(size.unsigned_abs()).map_err(|_| DAMAGED)?);
                    rest
                }
                (size, rest) => {
                    let size = usize::try_from(size).map_err(|_| DAMAGED)?;
                    let (bytes, rest) = rest.split_at_checked(size).ok_or(DAMAGED)?;
                    match self.flags >> 5 {
                        2 => {
                            return Err(Error::Unsupported(
                                "blosc2: a coder that is not known here",
                            ));
                        }
                        coder => blosc::stream(decoder, coder, bytes, part)?,
                    }
                    rest
                }
            };
        }
        Ok(())
    }

    /// Undoes the shuffles, from memory to memory and the last one into `target`.
    fn unshuffle(
        &self,
        decoder: &mut Decoder,
        room: &mut BlockBuffers,
        target: &mut [u8],
    ) -> Decoded {
        let Some((last, first)) = self.shuffles.split_last() else { return Ok(()) };
        for &kind in first {
            resize_buffer(&mut room.between, target.len())?;
            self.undo(kind, &room.coded, decoder, &mut room.between)?;
            std::mem::swap(&mut room.coded, &mut room.between);
        }
        self.undo(*last, &room.coded, decoder, target)
    }

    fn undo(&self, kind: u8, source: &[u8], decoder: &mut Decoder, target: &mut [u8]) -> Decoded {
        if kind == SHUFFLE {
            shuffle::unshuffle(self.element, source, target);
            return Ok(());
        }
        // Elements after the last whole group of eight are stored as they are.
        let whole = source.len() / self.element / 8 * 8 * self.element;
        let (bits, rest) = source.split_at(whole);
        let (elements, end) = target.split_at_mut(whole);
        unbitshuffle(self.element, bits, &mut decoder.planes, elements)?;
        end.copy_from_slice(rest);
        Ok(())
    }

    /// Undoes the difference, by bits, to the first block, whose elements differ from those before.
    fn undo_delta(&self, number: usize, first: &mut Vec<u8>, target: &mut [u8]) -> Decoded {
        let width = match self.element {
            1 | 2 | 4 | 8 => self.element,
            size if size % 8 == 0 => 8,
            _ => 1,
        };
        let whole = target.len() / width * width;
        if number == 0 {
            for at in width..whole {
                target[at] ^= target[at - width];
            }
            resize_buffer(first, target.len())?;
            first.copy_from_slice(target);
        } else {
            target[..whole].iter_mut().zip(&*first).for_each(|(byte, first)| *byte ^= first);
        }
        Ok(())
    }
}

/// Shuffles in the order of undoing, and whether a difference was applied before them.
fn filters(filters: &[u8], meta: &[u8]) -> Result<(Vec<u8>, bool), Error> {
    let mut shuffles = Vec::new();
    let mut delta = false;
    for (&filter, &meta) in filters.iter().zip(meta).rev() {
        match filter {
            NONE | TRUNCATE => {}
            // Only as the first on writing; and a shuffle by other than elements means many things.
            SHUFFLE | BITSHUFFLE if !delta && meta == 0 => shuffles.push(filter),
            DELTA if !delta => delta = true,
            _ => return Err(Error::Unsupported("blosc2: filters that are not known here")),
        }
    }
    Ok((shuffles, delta))
}
