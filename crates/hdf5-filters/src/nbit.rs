//! Filter 5, nbit: the significant bits of each number.
//! Source: HDF5's own filter, `H5Znbit.c`, read for the format: numbers follow each other without
//! gaps, most significant bit first. All other types except compounds and arrays of numbers are stored byte by byte.

use crate::buffer::same_size;
use crate::error::Error;
use crate::unpack::{Word, each, swap};

const DAMAGED: Error = Error::Corrupt("nbit: damaged data");
const INVALID: Error = Error::Corrupt("nbit: invalid parameters");
const TOO_LARGE: Error = Error::Unsupported("nbit: a type with more parts than are known here");

/// The most numbers and other parts of an element: a plan with more takes more memory than decoding.
const MOST_PARTS: usize = 1 << 16;
/// How deep tables and arrays may nest.
const MOST_DEEP: usize = 32;

/// The numbers of the classes of types in the parameters.
const NUMBER: u32 = 1;
const ARRAY: u32 = 2;
const TABLE: u32 = 3;
const OTHER: u32 = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Params {
    /// Every bit is significant: the filter did nothing.
    Plain,
    Packed {
        count: usize,
        /// Bytes of an element.
        size: usize,
        /// The stored parts of an element, in this order.
        parts: Vec<Part>,
    },
}

/// A part of an element, and its first byte there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Number(usize, Number),
    Bytes(usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    /// Bytes, at most 16.
    size: usize,
    big_endian: bool,
    /// Bits that are stored, at least 1.
    bits: usize,
    /// Bits below these.
    below: usize,
}

impl Part {
    fn bits(&self) -> usize {
        match self {
            Self::Number(_, number) => number.bits,
            Self::Bytes(_, count) => count.saturating_mul(8),
        }
    }
}

impl Params {
    /// From the filter's parameters: their number, whether it does nothing, the count of elements,
    /// and their type.
    pub(super) fn new(params: &[u32]) -> Result<Self, Error> {
        let &[told, plain, count, ref kind @ ..] = params else { return Err(INVALID) };
        if usize::try_from(told) != Ok(params.len()) {
            return Err(INVALID);
        }
        if plain != 0 {
            return Ok(Self::Plain);
        }
        let mut reader = Reader { rest: kind, parts: Vec::new(), deep: 0 };
        let Some(size) = reader.kind(0) else {
            let is_large = reader.deep > MOST_DEEP || reader.parts.len() > MOST_PARTS;
            return Err(if is_large { TOO_LARGE } else { INVALID });
        };
        let is_whole = reader.rest.is_empty() && kind.first() != Some(&OTHER);
        let count = usize::try_from(count).map_err(|_| INVALID)?;
        if is_whole { Ok(Self::Packed { count, size, parts: reader.parts }) } else { Err(INVALID) }
    }

    /// The most bytes that the filter writes for a chunk of `bytes`; `None` if they do not fit its parameters.
    pub(super) fn most(&self, bytes: usize) -> Option<usize> {
        match self {
            Self::Plain => Some(bytes),
            Self::Packed { count, size, .. } => {
                let fits = count.checked_mul(*size) == Some(bytes);
                // One byte more than the bits need, always.
                if fits { Some(self.code_bits()? / 8 + 1) } else { None }
            }
        }
    }

    /// Bytes of a decoded chunk, where these are not those of the stored one.
    pub(super) fn decoded_bytes(&self) -> Option<usize> {
        let Self::Packed { count, size, .. } = self else { return None };
        count.checked_mul(*size)
    }

    fn code_bits(&self) -> Option<usize> {
        let Self::Packed { count, parts, .. } = self else { return None };
        parts
            .iter()
            .try_fold(0, |all: usize, part| all.checked_add(part.bits()))?
            .checked_mul(*count)
    }

    pub(super) fn decode(&self, source: &[u8], target: &mut [u8]) -> Result<(), Error> {
        let Self::Packed { size, parts, .. } = self else {
            return same_size(source, target).map(|()| target.copy_from_slice(source));
        };
        self.most(target.len()).ok_or(DAMAGED)?;
        let needed = self.code_bits().ok_or(DAMAGED)?.div_ceil(8);
        let code = source.get(..needed).ok_or(DAMAGED)?;
        match (&parts[..], size) {
            ([Part::Number(0, number)], 1) if number.size == 1 => number.all::<u8>(code, target),
            ([Part::Number(0, number)], 2) if number.size == 2 => number.all::<u16>(code, target),
            ([Part::Number(0, number)], 4) if number.size == 4 => number.all::<u32>(code, target),
            ([Part::Number(0, number)], 8) if number.size == 8 => number.all::<u64>(code, target),
            (parts, &size) => elements(parts, size, code, target),
        }
        Ok(())
    }
}

impl Number {
    /// Elements that consist of one such number.
    fn all<W: Word>(self, code: &[u8], target: &mut [u8]) {
        each(code, self.bits, target, |value: W| value.up(self.below));
        if self.big_endian {
            swap(self.size, target);
        }
    }
}

fn elements(parts: &[Part], size: usize, code: &[u8], target: &mut [u8]) {
    let mut at = 0;
    for element in target.chunks_exact_mut(size) {
        element.fill(0);
        for part in parts {
            match part {
                Part::Number(first, number) => {
                    let high = number.bits.saturating_sub(64);
                    let value = u128::from(bits(code, at, high)) << 64
                        | u128::from(bits(code, at + high, number.bits - high));
                    let (value, target) = (value << number.below, &mut element[*first..]);
                    let target = &mut target[..number.size];
                    if number.big_endian {
                        target.copy_from_slice(&value.to_be_bytes()[16 - number.size..]);
                    } else {
                        target.copy_from_slice(&value.to_le_bytes()[..number.size]);
                    }
                }
                Part::Bytes(first, count) => {
                    for (byte, value) in element[*first..*first + *count].iter_mut().enumerate() {
                        let [.., low] = bits(code, at + byte * 8, 8).to_be_bytes();
                        *value = low;
                    }
                }
            }
            at += part.bits();
        }
    }
}

/// The `count` bits, 64 at the most, from bit `at` on.
fn bits(code: &[u8], at: usize, count: usize) -> u64 {
    let mut bytes = [0; 16];
    let there = code.get(at / 8..).unwrap_or_default();
    let there = &there[..there.len().min(9)];
    bytes[..there.len()].copy_from_slice(there);
    let from = u128::from_be_bytes(bytes) << (at % 8);
    // In two steps: none at all is no shift by all of them.
    u64::try_from(from >> 1 >> (127 - count)).unwrap_or(0)
}

/// Reads the description of a type.
struct Reader<'a> {
    rest: &'a [u32],
    parts: Vec<Part>,
    deep: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Option<usize> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        usize::try_from(first).ok()
    }

    /// Reads a type whose first byte is at `first`; returns its size.
    fn kind(&mut self, first: usize) -> Option<usize> {
        let kind = u32::try_from(self.number()?).ok()?;
        let size = self.number().filter(|&size| size > 0)?;
        self.deep += 1;
        if self.deep > MOST_DEEP || self.parts.len() > MOST_PARTS {
            return None;
        }
        match kind {
            NUMBER => self.atomic(first, size)?,
            ARRAY => self.array(first, size)?,
            TABLE => self.table(first, size)?,
            OTHER => self.parts.push(Part::Bytes(first, size)),
            _ => return None,
        }
        self.deep -= 1;
        Some(size)
    }

    fn atomic(&mut self, first: usize, size: usize) -> Option<()> {
        let (order, bits, below) = (self.number()?, self.number()?, self.number()?);
        let fits = bits > 0 && size <= 16 && bits.checked_add(below)? <= size * 8;
        if !fits || order > 1 {
            return None;
        }
        self.parts.push(Part::Number(first, Number { size, big_endian: order == 1, bits, below }));
        Some(())
    }

    /// An array of one type; of an array of bytes only the size matters.
    fn array(&mut self, first: usize, size: usize) -> Option<()> {
        if self.rest.first() == Some(&OTHER) {
            self.rest = self.rest.get(2..)?;
            self.parts.push(Part::Bytes(first, size));
            return Some(());
        }
        let described = self.rest;
        let one = self.kind(first)?;
        if !size.is_multiple_of(one) {
            return None;
        }
        for place in (first..first.checked_add(size)?).step_by(one).skip(1) {
            self.rest = described;
            self.kind(place)?;
        }
        Some(())
    }

    /// The number of fields, then the place and type of each. All must be within the size of the compound.
    fn table(&mut self, first: usize, size: usize) -> Option<()> {
        let mut used = 0_usize;
        // One without fields would make an array of such endless work.
        for _ in 0..self.number().filter(|&fields| fields > 0)? {
            let offset = self.number()?;
            let field = self.kind(first.checked_add(offset)?)?;
            used = used.checked_add(field)?;
            if used > size || offset.checked_add(field)? > size {
                return None;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(count: u32, kind: &[u32]) -> Vec<u32> {
        let told = u32::try_from(kind.len() + 3).unwrap();
        [told, 0, count].iter().chain(kind).copied().collect()
    }

    fn decode(params: &[u32], code: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut target = vec![0xee; bytes];
        Params::new(params).ok()?.decode(code, &mut target).ok().map(|()| target)
    }

    #[test]
    fn numbers_are_restored_at_their_bit_offsets() {
        let twelve = |order| params(2, &[NUMBER, 2, order, 12, 3]);
        let code = [0xab, 0xcd, 0xef, 0];
        let plain = [0xabc_u16 << 3, 0xdef << 3];
        assert_eq!(decode(&twelve(0), &code, 4).unwrap(), plain.map(u16::to_le_bytes).concat());
        assert_eq!(decode(&twelve(1), &code, 4).unwrap(), plain.map(u16::to_be_bytes).concat());
        assert!(decode(&twelve(0), &code[..2], 4).is_none());
        assert!(decode(&twelve(0), &code, 6).is_none());
        // HDF5 reads as much as it needs.
        assert!(decode(&twelve(0), &[0; 5], 4).is_some());
    }

    #[test]
    fn tables_and_arrays_are_read_field_by_field() {
        // A byte of text, an array of two numbers of 4 bits, and one of 68 bits at the end.
        let kind = [
            &[TABLE, 20, 3, 0, OTHER, 1, 1, ARRAY, 2][..],
            &[NUMBER, 1, 0, 4, 2, 4, NUMBER, 16, 1, 68, 0],
        ];
        let code = [b'x', 0x5f, 1, 2, 3, 4, 5, 6, 7, 8, 0x90];
        let found = decode(&params(1, &kind.concat()), &code, 20).unwrap();
        assert_eq!(found[..4], [b'x', 5 << 2, 15 << 2, 0]);
        assert_eq!(found[4..], 0x0_1020_3040_5060_7089_u128.to_be_bytes());
    }

    #[test]
    fn a_table_larger_than_its_only_field_is_filled_with_zeros() {
        let kind = params(2, &[TABLE, 4, 1, 0, NUMBER, 3, 1, 24, 0]);
        assert_eq!(decode(&kind, &[1, 2, 3, 4, 5, 6, 0], 8).unwrap(), [1, 2, 3, 0, 4, 5, 6, 0]);
    }

    #[test]
    fn a_type_without_unused_bits_is_copied() {
        assert_eq!(decode(&[3, 1, 7], b"abc", 3).unwrap(), b"abc");
        assert!(decode(&[3, 1, 7], b"abc", 4).is_none());
    }

    #[test]
    fn invalid_type_parameters_are_refused() {
        for bad in [
            &[NUMBER, 2, 0, 12][..],
            &[NUMBER, 2, 0, 12, 5],
            &[NUMBER, 2, 2, 12, 0],
            &[NUMBER, 2, 0, 0, 0],
            &[NUMBER, 0, 0, 0, 0],
            &[NUMBER, 17, 0, 9, 0],
            &[NUMBER, 2, 0, u32::MAX, 9],
            &[NUMBER, 2, 0, 12, 0, 7],
            &[ARRAY, 3, NUMBER, 2, 0, 12, 0],
            &[TABLE, 4, 1, 3, NUMBER, 2, 0, 12, 0],
            &[TABLE, 3, 2, 0, NUMBER, 2, 0, 9, 0, 1, NUMBER, 2, 0, 9, 0],
            &[TABLE, 4, u32::MAX, 0, NUMBER, 1, 0, 8, 0],
            &[ARRAY, u32::MAX, TABLE, 1, 0],
            &[OTHER, 4],
            &[5, 4],
        ] {
            assert_eq!(Params::new(&params(2, bad)), Err(INVALID), "{bad:?}");
        }
        let wide = [ARRAY, u32::MAX, NUMBER, 1, 0, 1, 0];
        assert_eq!(Params::new(&params(2, &wide)), Err(TOO_LARGE));
        let mut deep = [ARRAY, 1].repeat(40);
        deep.extend([NUMBER, 1, 0, 4, 0]);
        assert_eq!(Params::new(&params(2, &deep)), Err(TOO_LARGE));
        assert_eq!(Params::new(&[9, 0, 2, NUMBER, 2, 0, 12, 0]), Err(INVALID));
    }
}
