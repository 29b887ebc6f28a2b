//! Filter 32008, bitshuffle: the first bits of all elements of a block, then the second ones, and so
//! on; alone, or with LZ4 or Zstandard after it.
//! Source: <https://github.com/kiyo-masui/bitshuffle>, its README and the header of its filter.

use crate::buffer::{resize_buffer, same_size};
use crate::decoder::Decoder;
use crate::error::{Decoded, Error};
use crate::{lz, shuffle};

/// Elements are in groups of this many; elements after the last group are stored as they are.
const GROUP: usize = 8;
/// Words of a row that are transposed at once, and their groups.
const WORDS: usize = 8;
const WIDE: usize = WORDS * 8;
/// Bytes of a block if the file does not contain its number of elements.
const TARGET: usize = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    element: usize,
    /// Elements of a block.
    block: usize,
    coder: Coder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coder {
    Plain,
    Lz4,
    Zstd,
}

impl Params {
    /// From the filter's parameters: two of version, bytes of an element, elements of a block, coder.
    pub(super) fn new(params: &[u32]) -> Option<Self> {
        let at = |index: usize| usize::try_from(params.get(index).copied().unwrap_or(0)).ok();
        let element = at(2).filter(|&n| n > 0 && n <= 1 << 20)?;
        let block = match at(3)? {
            0 => usual_block(element),
            n => Some(n).filter(|n| n % GROUP == 0)?,
        };
        let coder = match at(4)? {
            2 => Coder::Lz4,
            3 => Coder::Zstd,
            // The filter's own code treats every other number as no coder.
            _ => Coder::Plain,
        };
        Some(Self { element, block, coder })
    }

    /// The decoded size in a chunk's header.
    pub(super) fn size(self, source: &[u8]) -> Option<usize> {
        match self.coder {
            Coder::Plain => Some(source.len()),
            _ => usize::try_from(lz::framed_size(source)?).ok(),
        }
    }

    pub(super) fn decode(self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        match self.coder {
            Coder::Plain => self.plain(decoder, source, target),
            _ => self.coded(decoder, source, target),
        }
    }

    fn plain(self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        same_size(source, target)?;
        let shuffled = target.len() / (self.element * GROUP) * self.element * GROUP;
        let block = self.block.saturating_mul(self.element);
        let parts = target[..shuffled].chunks_mut(block);
        for (part, bits) in parts.zip(source[..shuffled].chunks(block)) {
            unbitshuffle(self.element, bits, &mut decoder.planes, part)?;
        }
        target[shuffled..].copy_from_slice(&source[shuffled..]);
        Ok(())
    }

    /// The whole size in 8 bytes, a block's in 4, then coded blocks with 4 bytes of size each.
    fn coded(self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        let damaged = Error::Corrupt("bitshuffle: damaged data");
        let (whole, rest) = source.split_first_chunk::<8>().ok_or(damaged)?;
        let (block, mut rest) = rest.split_first_chunk::<4>().ok_or(damaged)?;
        let block = match u32::from_be_bytes(*block) as usize {
            0 => usual_block(self.element).saturating_mul(self.element),
            block => block,
        };
        let group = self.element * GROUP;
        if u64::from_be_bytes(*whole) != target.len() as u64 || block % group != 0 {
            return Err(damaged);
        }
        let shuffled = target.len() / group * group;
        let (body, tail) = target.split_at_mut(shuffled);
        let mut bits = Vec::new();
        resize_buffer(&mut bits, block.min(shuffled))?;
        for part in body.chunks_mut(block) {
            let (size, after) = rest.split_first_chunk::<4>().ok_or(damaged)?;
            let size = u32::from_be_bytes(*size) as usize;
            let (code, after) = after.split_at_checked(size).ok_or(damaged)?;
            rest = after;
            let bits = &mut bits[..part.len()];
            match self.coder {
                Coder::Zstd => decoder.unzstd(code, bits)?,
                _ => lz::lz4(code, bits)?,
            }
            unbitshuffle(self.element, bits, &mut decoder.planes, part)?;
        }
        tail.copy_from_slice(rest.get(..tail.len()).ok_or(damaged)?);
        Ok(())
    }
}

fn usual_block(element: usize) -> usize {
    (TARGET / element / GROUP * GROUP).max(128)
}

/// Converts rows of bits to elements; both slices contain the same whole groups of elements. `planes`
/// receives the first bytes of all elements, then the second ones, and so on.
///
/// # Errors
/// Returns [`Error::NoMemory`] if `planes` cannot grow.
pub fn unbitshuffle(
    element: usize,
    bits: &[u8],
    planes: &mut Vec<u8>,
    target: &mut [u8],
) -> Result<(), Error> {
    let row = bits.len() / element / 8;
    if row == 0 {
        return Ok(());
    }
    if element == 1 {
        plane(row, bits, target);
        return Ok(());
    }
    resize_buffer(planes, bits.len())?;
    for (rows, out) in bits.chunks_exact(row * 8).zip(planes.chunks_exact_mut(row * 8)) {
        plane(row, rows, out);
    }
    shuffle::unshuffle(element, planes, target);
    Ok(())
}

/// Eight rows of bits become as many bytes.
fn plane(row: usize, bits: &[u8], target: &mut [u8]) {
    let rows: [&[u8]; 8] = std::array::from_fn(|bit| &bits[bit * row..(bit + 1) * row]);
    let groups = target.as_chunks_mut::<GROUP>().0;
    let whole = row / WIDE * WIDE;
    for (number, groups) in groups[..whole].chunks_exact_mut(WIDE).enumerate() {
        let mut part = [&[][..]; 8];
        for (part, row) in part.iter_mut().zip(&rows) {
            *part = &row[number * WIDE..(number + 1) * WIDE];
        }
        wide(&part, groups);
    }
    for (at, group) in (whole..).zip(&mut groups[whole..]) {
        let square = u64::from_le_bytes(std::array::from_fn(|bit| rows[bit][at]));
        *group = transpose(square).to_le_bytes();
    }
}

/// The same for [`WIDE`] groups at once: swaps bits of whole words, then joins the words' bytes.
fn wide(rows: &[&[u8]; 8], groups: &mut [[u8; GROUP]]) {
    // Loops, because array::map copies whole arrays.
    let mut words = [[0; WORDS]; 8];
    for (words, row) in words.iter_mut().zip(rows) {
        for (word, bytes) in words.iter_mut().zip(row.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    }
    swap::<4>(&mut words, 0x0f0f_0f0f_0f0f_0f0f);
    swap::<2>(&mut words, 0x3333_3333_3333_3333);
    swap::<1>(&mut words, 0x5555_5555_5555_5555);
    let mut bytes = [[[0; 8]; WORDS]; 8];
    for (bytes, word) in bytes.as_flattened_mut().iter_mut().zip(words.as_flattened()) {
        *bytes = word.to_le_bytes();
    }
    shuffle::join8::<WIDE>(&bytes.each_ref().map(|bytes| bytes.as_flattened()), groups);
}

/// Swaps bits between the words of rows that are `DISTANCE` apart.
fn swap<const DISTANCE: usize>(words: &mut [[u64; WORDS]; 8], mask: u64) {
    for pair in words.chunks_exact_mut(2 * DISTANCE) {
        let (first, second) = pair.split_at_mut(DISTANCE);
        for (low, high) in first.iter_mut().zip(second) {
            for (low, high) in low.iter_mut().zip(high) {
                let swapped = ((*low >> DISTANCE) ^ *high) & mask;
                *low ^= swapped << DISTANCE;
                *high ^= swapped;
            }
        }
    }
}

/// Swaps rows and columns of 8 x 8 bits, by quarters of quarters.
/// Source: Henry S. Warren, Hacker's Delight, section 7-3.
fn transpose(square: u64) -> u64 {
    [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0_u64)]
        .iter()
        .fold(square, |x, &(shift, mask)| {
            let t = (x ^ (x >> shift)) & mask;
            x ^ t ^ (t << shift)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffle_restores_the_bits_of_elements() {
        for (element, row) in [1, 2, 4, 8, 3, 16].into_iter().flat_map(|e| [(e, 8), (e, 200)]) {
            let plain: Vec<u8> = (0..8 * row * element)
                .map(|n| u8::try_from(n * n / 7 * 37 % 253).unwrap_or(0))
                .collect();
            let mut bits = vec![0_u8; plain.len()];
            for (index, bytes) in plain.chunks(element).enumerate() {
                for bit in 0..element * 8 {
                    let value = bytes[bit / 8] >> (bit % 8) & 1;
                    bits[bit * row + index / 8] |= value << (index % 8);
                }
            }
            let mut target = vec![0; plain.len()];
            unbitshuffle(element, &bits, &mut Vec::new(), &mut target).unwrap();
            assert_eq!(target, plain, "{row} bytes a row of elements of {element}");
        }
    }

    #[test]
    fn invalid_data_is_refused() {
        assert!(Params::new(&[0, 4, 0, 0, 2]).is_none());
        assert!(Params::new(&[0, 4, 4, 7, 2]).is_none());
        let params = Params::new(&[0, 4, 4, 0, 2]).unwrap();
        let mut target = [0; 64];
        assert!(params.decode(&mut Decoder::default(), &[0; 3], &mut target).is_err());
    }
}
