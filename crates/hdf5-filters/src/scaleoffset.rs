//! Filter 6, scaleoffset: numbers minus the minimum of their chunk, in as few bits as hold the differences. Floats
//! are rounded to a decimal place first. Source: HDF5's own filter, `H5Zscaleoffset.c`, read for the format: 4
//! bytes of bits per number, one of 8, the minimum in 8 bytes, and from byte 21 on the numbers, most significant
//! bit first. All ones are the fill value, if there is one.

use crate::buffer::same_size;
use crate::error::Error;
use crate::unpack::{Word, each, swap};

/// The number of parameters.
const COUNT: usize = 20;
/// The offset of the packed numbers.
const HEADER: usize = 21;
const DAMAGED: Error = Error::Corrupt("scaleoffset: damaged data");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    kind: Kind,
    count: usize,
    /// Bytes of a number: 1, 2, 4 or 8.
    size: usize,
    big_endian: bool,
    fill: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    /// The writer requested all bits, so that the filter did nothing.
    Plain,
    /// Digits after the decimal point, of 4 bytes or 8.
    Float(i32),
}

impl Params {
    /// From the filter's parameters: scale type and factor, count, class, size, sign, order, whether
    /// there is a fill value, and that.
    pub(super) fn new(params: &[u32]) -> Option<Self> {
        let &[scale, factor, count, class, size, sign, order, filled, low, high, ..] = params
        else {
            return None;
        };
        if params.len() != COUNT || sign > 1 || order > 1 || filled > 1 {
            return None;
        }
        let (count, size) = (usize::try_from(count).ok()?, usize::try_from(size).ok()?);
        let kind = match (class, scale, size) {
            (0, 2, 1 | 2 | 4 | 8) => {
                let asked = usize::try_from(factor.cast_signed()).unwrap_or(0);
                match asked.cmp(&(size * 8)) {
                    std::cmp::Ordering::Less => Kind::Integer,
                    std::cmp::Ordering::Equal => Kind::Plain,
                    std::cmp::Ordering::Greater => return None,
                }
            }
            (1, 0, 4 | 8) => Kind::Float(factor.cast_signed()),
            _ => return None,
        };
        let fill = u64::from(low) | u64::from(high) << 32;
        Some(Self {
            kind,
            count,
            size,
            big_endian: order == 1,
            fill: (filled == 1).then_some(fill),
        })
    }

    /// The most bytes that the filter writes for a chunk of `bytes`; `None` if they do not fit its parameters.
    pub(super) fn most(self, bytes: usize) -> Option<usize> {
        let fits = self.count.checked_mul(self.size) == Some(bytes);
        if fits { bytes.checked_add(HEADER + 1) } else { None }
    }

    /// Bytes of a decoded chunk, where these are not those of the stored one.
    pub(super) fn decoded_bytes(self) -> Option<usize> {
        if self.kind == Kind::Plain { None } else { self.count.checked_mul(self.size) }
    }

    pub(super) fn decode(self, source: &[u8], target: &mut [u8]) -> Result<(), Error> {
        if self.most(target.len()).is_none() {
            return Err(Error::Corrupt(
                "scaleoffset: a chunk of another size than its dataset says",
            ));
        }
        if self.kind == Kind::Plain {
            return same_size(source, target).map(|()| target.copy_from_slice(source));
        }
        let (header, code) = source.split_first_chunk::<HEADER>().ok_or(DAMAGED)?;
        let [a, b, c, d, width, least @ ..] = header;
        let bits = u32::from_le_bytes([*a, *b, *c, *d]);
        // The least has as many bytes as the writer's largest integer, and the reader's at most.
        let least = least.iter().take(usize::from(*width).min(size_of::<u64>())).rev();
        let least = least.fold(0, |least, &byte| least << 8 | u64::from(byte));
        match usize::try_from(bits).map_err(|_| DAMAGED)?.cmp(&(self.size * 8)) {
            std::cmp::Ordering::Greater => return Err(DAMAGED),
            std::cmp::Ordering::Equal => {
                target.copy_from_slice(code.get(..target.len()).ok_or(DAMAGED)?);
            }
            std::cmp::Ordering::Less => self.unpack(code, bits, least, target)?,
        }
        if self.big_endian {
            swap(self.size, target);
        }
        Ok(())
    }

    /// Numbers of less than their full precision, least significant byte first.
    fn unpack(self, code: &[u8], bits: u32, least: u64, target: &mut [u8]) -> Result<(), Error> {
        let bits = usize::try_from(bits).map_err(|_| DAMAGED)?;
        let needed = self.count.checked_mul(bits).ok_or(DAMAGED)?.div_ceil(8);
        let code = code.get(..needed).ok_or(DAMAGED)?;
        match (self.kind, self.size) {
            (Kind::Float(digits), 4) => self.singles(code, bits, (digits, least), target),
            (Kind::Float(digits), _) => self.doubles(code, bits, (digits, least), target),
            (_, 1) => self.integers::<u8>(code, bits, least, target),
            (_, 2) => self.integers::<u16>(code, bits, least, target),
            (_, 4) => self.integers::<u32>(code, bits, least, target),
            _ => self.integers::<u64>(code, bits, least, target),
        }
        Ok(())
    }

    fn integers<W: Word>(self, code: &[u8], bits: usize, least: u64, target: &mut [u8]) {
        let (ones, least) = (W::low(ones(bits)), W::low(least));
        match self.fill.map(W::low) {
            None => each(code, bits, target, |value: W| value.plus(least)),
            Some(fill) => each(code, bits, target, |value: W| match value == ones {
                true => fill,
                false => value.plus(least),
            }),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // the upper bytes are zero
    #[allow(clippy::cast_precision_loss)] // the filter counts so
    fn singles(self, code: &[u8], bits: usize, (digits, least): (i32, u64), target: &mut [u8]) {
        // The filter takes these powers from the C library, as does `powf`.
        let (scale, least) = (10_f32.powf(digits as f32), f32::from_bits(least as u32));
        let plain = |value: u32| (value.cast_signed() as f32 / scale + least).to_bits();
        let ones = ones(bits) as u32;
        match self.fill.map(|fill| fill as u32) {
            None => each(code, bits, target, plain),
            Some(fill) => each(code, bits, target, |value| match value == ones {
                true => fill,
                false => plain(value),
            }),
        }
    }

    #[allow(clippy::cast_precision_loss)] // the filter counts so
    fn doubles(self, code: &[u8], bits: usize, (digits, least): (i32, u64), target: &mut [u8]) {
        let (scale, least) = (10_f64.powf(f64::from(digits)), f64::from_bits(least));
        let plain = |value: u64| (value.cast_signed() as f64 / scale + least).to_bits();
        let ones = ones(bits);
        match self.fill {
            None => each(code, bits, target, plain),
            Some(fill) => each(code, bits, target, |value| match value == ones {
                true => fill,
                false => plain(value),
            }),
        }
    }
}

/// The packed number of the fill value.
fn ones(bits: usize) -> u64 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of `count` numbers.
    fn params(kind: [u32; 2], count: u32, type_: [u32; 4], fill: Option<u64>) -> Vec<u32> {
        let half = |places: u32| u32::try_from(fill.unwrap_or(0) >> places & 0xffff_ffff).unwrap();
        let (low, high) = (half(0), half(32));
        let filled = u32::from(fill.is_some());
        let [class, size, sign, order] = type_;
        let parameters = [kind[0], kind[1], count, class, size, sign, order, filled, low, high];
        parameters.into_iter().chain([0; 10]).collect()
    }

    fn stored(bits: u32, least: u64, code: &[u8]) -> Vec<u8> {
        let mut stored = bits.to_le_bytes().to_vec();
        stored.push(8);
        stored.extend(least.to_le_bytes());
        stored.resize(HEADER, 0);
        stored.extend(code);
        stored
    }

    fn decode(params: &[u32], stored: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut target = vec![0xee; bytes];
        Params::new(params)?.decode(stored, &mut target).ok().map(|()| target)
    }

    #[test]
    fn integers_are_offsets_from_the_minimum_and_all_ones_are_the_fill_value() {
        let code = stored(4, 1000, &[0x01, 0x2f]);
        let plain = |numbers: [u16; 4]| Some(numbers.map(u16::to_le_bytes).concat());
        let parameters = params([2, 0], 4, [0, 2, 0, 0], None);
        assert_eq!(decode(&parameters, &code, 8), plain([1000, 1001, 1002, 1015]));
        let parameters = params([2, 0], 4, [0, 2, 1, 1], Some(0x0102));
        let swapped = [1000, 1001, 1002, 0x0102].map(u16::swap_bytes);
        assert_eq!(decode(&parameters, &code, 8), plain(swapped));
        let below = stored(4, (-3_i64).cast_unsigned(), &[0x01, 0x2f]);
        let parameters = params([2, 0], 4, [0, 2, 1, 0], None);
        assert_eq!(decode(&parameters, &below, 8), plain([-3, -2, -1, 12].map(i16::cast_unsigned)));
    }

    #[test]
    fn floats_are_restored_from_decimal_digits() {
        let code = stored(4, u64::from(1.5_f32.to_bits()), &[0x0f]);
        let parameters = params([0, 1], 2, [1, 4, 0, 0], Some(u64::from(9.0_f32.to_bits())));
        assert_eq!(
            decode(&parameters, &code, 8).unwrap(),
            [1.5_f32, 9.0].map(f32::to_le_bytes).concat()
        );
        let code = stored(4, 1.5_f64.to_bits(), &[0x5f]);
        let doubles = |digits: i32| {
            let parameters = params([0, digits.cast_unsigned()], 2, [1, 8, 0, 0], None);
            decode(&parameters, &code, 16).unwrap()
        };
        assert_eq!(doubles(1), [2.0_f64, 3.0].map(f64::to_le_bytes).concat());
        assert_eq!(doubles(-2), [501.5_f64, 1501.5].map(f64::to_le_bytes).concat());
        assert_eq!(doubles(400), [1.5_f64, 1.5].map(f64::to_le_bytes).concat());
    }

    #[test]
    fn zero_bits_repeat_one_value_and_all_bits_copy_the_values() {
        let parameters = params([2, 0], 2, [0, 4, 0, 1], None);
        assert_eq!(decode(&parameters, &stored(0, 7, &[]), 8).unwrap(), [0, 0, 0, 7, 0, 0, 0, 7]);
        let all = stored(32, 0, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(decode(&parameters, &all, 8).unwrap(), [4, 3, 2, 1, 8, 7, 6, 5]);
        let parameters = params([2, 32], 2, [0, 4, 0, 1], None);
        assert_eq!(decode(&parameters, b"abcdefgh", 8).unwrap(), b"abcdefgh");
    }

    #[test]
    fn invalid_parameters_and_data_are_refused() {
        let good = params([2, 0], 4, [0, 2, 0, 0], None);
        let code = stored(4, 1000, &[0x01, 0x2f]);
        assert!(decode(&good, &code, 8).is_some());
        assert!(decode(&good, &code, 6).is_none());
        for short in 0..code.len() {
            assert!(decode(&good, &code[..short], 8).is_none(), "{short} bytes");
        }
        assert!(decode(&good, &stored(17, 0, &[0; 40]), 8).is_none());
        assert!(decode(&good, &stored(16, 0, &[0; 7]), 8).is_none());
        for (place, value) in [(0, 1), (1, 17), (3, 1), (3, 2), (4, 3), (5, 2), (6, 2), (7, 2)] {
            let mut bad = good.clone();
            bad[place] = value;
            assert!(Params::new(&bad).is_none(), "{value} at {place}");
        }
        assert!(Params::new(&good[..19]).is_none());
        // More than any memory.
        let huge = params([2, 0], u32::MAX, [0, 8, 0, 0], None);
        assert!(decode(&huge, &code, 8).is_none());
    }
}
