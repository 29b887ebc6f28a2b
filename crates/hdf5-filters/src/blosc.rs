//! Filter 32001, Blosc 1: a container of blocks, each in one part or one part for each byte of an
//! element, shuffled by bytes or bits before.
//! Source: <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>.

use crate::bitshuffle::unbitshuffle;
use crate::buffer::resize_buffer;
use crate::decoder::Decoder;
use crate::error::{Decoded, Error};
use crate::{blosclz, lz, shuffle};

const HEADER: usize = 16;
const DAMAGED: Error = Error::Corrupt("blosc: damaged data");

struct Header {
    flags: u8,
    element: usize,
    bytes: usize,
    block: usize,
}

/// Shuffled by bytes, stored without a coder, shuffled by bits.
const SHUFFLE: u8 = 1;
const COPY: u8 = 2;
const BITSHUFFLE: u8 = 4;
/// The newest version of Blosc 1. Chunks of Blosc 2 count on from here.
const VERSION: u8 = 2;

impl Header {
    fn parse(source: &[u8]) -> Option<Self> {
        let at = |index: usize| {
            let bytes = source.get(index..index + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let flags = *source.get(2)?;
        let element = usize::from(*source.get(3)?).max(1);
        Some(Self { flags, element, bytes: at(4)?, block: at(8)? })
    }

    /// Three bits contain the number of the coder.
    fn coder(&self) -> u8 {
        self.flags >> 5
    }

    /// Whether a whole block is in one part for each byte of an element.
    fn is_split(&self, block: usize) -> bool {
        let few = self.element <= 16 && block / self.element >= 128;
        // A flag for blocks that are not split; older versions always split them.
        self.flags & 0x10 == 0 && few && block.is_multiple_of(self.element)
    }
}

/// The decoded size in a chunk's header.
pub(super) fn size(source: &[u8]) -> Option<usize> {
    Header::parse(source).map(|header| header.bytes)
}

/// Decodes the first blocks of a chunk of `whole` bytes, which have the first `least` bytes.
pub(super) fn begin(
    decoder: &mut Decoder,
    source: &[u8],
    (least, whole): (usize, usize),
    target: &mut Vec<u8>,
) -> Decoded {
    let block = Header::parse(source).ok_or(DAMAGED)?.block.max(1);
    let bytes = least.checked_next_multiple_of(block).unwrap_or(whole).min(whole);
    resize_buffer(target, bytes)?;
    decode_blocks(decoder, source, whole, target)
}

pub(super) fn decode(decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
    let whole = target.len();
    decode_blocks(decoder, source, whole, target)
}

/// Fills `target`, which has the first blocks of a chunk of `whole` bytes, or all of them.
fn decode_blocks(decoder: &mut Decoder, source: &[u8], whole: usize, target: &mut [u8]) -> Decoded {
    if source.first().is_some_and(|&version| version > VERSION) {
        return Err(Error::Unsupported("blosc: a chunk of a version that is not known here"));
    }
    let header = Header::parse(source).ok_or(DAMAGED)?;
    // No writer sets both shuffles, and the versions of Blosc undo different ones of the two.
    let shuffles = header.flags & (SHUFFLE | BITSHUFFLE);
    if header.bytes != whole || shuffles == SHUFFLE | BITSHUFFLE {
        return Err(DAMAGED);
    }
    if header.flags & COPY != 0 {
        let plain = source.get(HEADER..).and_then(|rest| rest.get(..target.len()));
        target.copy_from_slice(plain.ok_or(DAMAGED)?);
        return Ok(());
    }
    if header.block == 0 {
        return if target.is_empty() { Ok(()) } else { Err(DAMAGED) };
    }
    let mut plain = Vec::new();
    resize_buffer(&mut plain, header.block.min(target.len()))?;
    for (number, part) in target.chunks_mut(header.block).enumerate() {
        let start = number.checked_mul(4).and_then(|at| at.checked_add(HEADER)).ok_or(DAMAGED)?;
        let start = source.get(start..start + 4).and_then(|s| s.try_into().ok()).ok_or(DAMAGED)?;
        let code = usize::try_from(u32::from_le_bytes(start)).ok().and_then(|at| source.get(at..));
        let plain = &mut plain[..part.len()];
        block(decoder, &header, code.ok_or(DAMAGED)?, plain)?;
        unfilter(&header, decoder, plain, part)?;
    }
    Ok(())
}

fn block(decoder: &mut Decoder, header: &Header, mut code: &[u8], target: &mut [u8]) -> Decoded {
    let split = target.len() == header.block && header.is_split(target.len());
    let parts = if split { header.element } else { 1 };
    for part in target.chunks_mut((target.len() / parts).max(1)) {
        let (size, rest) = code.split_first_chunk::<4>().ok_or(DAMAGED)?;
        let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| DAMAGED)?;
        let (bytes, rest) = rest.split_at_checked(size).ok_or(DAMAGED)?;
        code = rest;
        stream(decoder, header.coder(), bytes, part)?;
    }
    Ok(())
}

/// Undoes the coder: fills `part` exactly. Data that did not shrink are stored as they are.
pub(super) fn stream(decoder: &mut Decoder, coder: u8, bytes: &[u8], part: &mut [u8]) -> Decoded {
    match coder {
        _ if bytes.len() == part.len() => part.copy_from_slice(bytes),
        0 => blosclz::decode(bytes, part).ok_or(DAMAGED)?,
        1 => lz::lz4(bytes, part)?,
        2 => match snap::raw::Decoder::new().decompress(bytes, part) {
            Ok(size) if size == part.len() => {}
            _ => return Err(DAMAGED),
        },
        3 => decoder.inflate(bytes, part)?,
        4 => decoder.unzstd(bytes, part)?,
        _ => return Err(Error::Unsupported("blosc: a coder that is not known here")),
    }
    Ok(())
}

/// Undoes the shuffles before the coder.
fn unfilter(header: &Header, decoder: &mut Decoder, plain: &[u8], target: &mut [u8]) -> Decoded {
    let element = header.element;
    if header.flags & BITSHUFFLE != 0 {
        // Blocks without whole groups of eight elements are not shuffled.
        let (count, rest) = (plain.len() / element, plain.len() % element);
        let whole = if count % 8 == 0 { plain.len() - rest } else { 0 };
        unbitshuffle(element, &plain[..whole], &mut decoder.planes, &mut target[..whole])?;
        target[whole..].copy_from_slice(&plain[whole..]);
    } else if header.flags & SHUFFLE != 0 && element > 1 {
        shuffle::unshuffle(element, plain, target);
    } else {
        target.copy_from_slice(plain);
    }
    Ok(())
}
