//! Filter 32020, vbz, for nanopore signals: differences between neighbors in zigzag form, stored in as few
//! bytes as each needs (StreamVByte), then Zstandard.
//! Source: <https://github.com/nanoporetech/vbz_compression>, its README;
//! <https://arxiv.org/abs/1709.08990> for StreamVByte.

use crate::buffer::{resize_buffer, same_size};
use crate::decoder::Decoder;
use crate::error::{Decoded, Error};

const DAMAGED: Error = Error::Corrupt("vbz: damaged data");

/// The encoding of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    /// Bytes of an integer; 0 if the bytes went into Zstandard as they were.
    size: usize,
    /// Whether integers of one byte are stored in units of half a byte.
    halves: bool,
    deltas: bool,
    zstd: bool,
}

impl Params {
    /// From the filter's parameters: version, bytes of an integer, whether differences were taken, and the
    /// level of Zstandard.
    pub(super) fn new(params: &[u32]) -> Option<Self> {
        let (&[version, size, deltas], rest) = params.split_first_chunk::<3>()?;
        let known = version <= 1 && matches!(size, 0 | 1 | 2 | 4);
        known.then_some(Self {
            size: size as usize,
            halves: version == 1 && size == 1,
            deltas: deltas != 0,
            zstd: rest.first() != Some(&0),
        })
    }

    /// Decodes the code after the decoded size, which is 4 bytes.
    pub(super) fn decode(self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        let (size, code) = source.split_first_chunk::<4>().ok_or(DAMAGED)?;
        if u32::from_le_bytes(*size) as usize != target.len() {
            return Err(DAMAGED);
        }
        match (self.size, self.zstd) {
            (0, true) => decoder.unzstd(code, target),
            (0, false) => same_size(code, target).map(|()| target.copy_from_slice(code)),
            (_, false) => self.integers(code, target),
            (_, true) => {
                let mut bytes = std::mem::take(&mut decoder.planes);
                // A quarter of a byte contains the number of bytes of an integer, which is at most 4.
                let most = (target.len() / self.size).saturating_mul(5);
                let done = resize_buffer(&mut bytes, most).and_then(|()| {
                    let done = decoder.unzstd_some(code, &mut bytes)?;
                    self.integers(&bytes[..done], target)
                });
                decoder.planes = bytes;
                done
            }
        }
    }

    fn integers(self, code: &[u8], target: &mut [u8]) -> Decoded {
        if !target.len().is_multiple_of(self.size) {
            return Err(DAMAGED);
        }
        let (keys, values) =
            code.split_at_checked((target.len() / self.size).div_ceil(4)).ok_or(DAMAGED)?;
        let done = match (self.size, self.halves) {
            (1, true) => self.fill(Halves { values, at: 0 }, keys, target.as_chunks_mut::<1>().0),
            (1, false) => self.fill(Bytes(values), keys, target.as_chunks_mut::<1>().0),
            (2, _) => self.fill(Bytes(values), keys, target.as_chunks_mut::<2>().0),
            _ => self.fill(Bytes(values), keys, target.as_chunks_mut::<4>().0),
        };
        done.ok_or(DAMAGED)
    }

    fn fill<const N: usize>(
        self,
        mut values: impl Values,
        keys: &[u8],
        target: &mut [[u8; N]],
    ) -> Option<()> {
        let mut before = 0_u32;
        for (places, &key) in target.chunks_mut(4).zip(keys) {
            for (number, place) in places.iter_mut().enumerate() {
                let mut value = values.next(key >> (2 * number) & 3)?;
                if self.deltas {
                    // Zigzag: the lowest bit is the sign.
                    before = before.wrapping_add(value >> 1 ^ (value & 1).wrapping_neg());
                    value = before;
                }
                *place = *value.to_le_bytes().first_chunk()?;
            }
        }
        values.is_at_end().then_some(())
    }
}

/// The values after the keys.
trait Values {
    /// The next value, whose length is in the key.
    fn next(&mut self, key: u8) -> Option<u32>;
    fn is_at_end(&self) -> bool;
}

/// Values of one to four bytes.
struct Bytes<'a>(&'a [u8]);

impl Values for Bytes<'_> {
    fn next(&mut self, key: u8) -> Option<u32> {
        let length = usize::from(key) + 1;
        let value = if let Some(bytes) = self.0.first_chunk::<4>() {
            u32::from_le_bytes(*bytes) & (u32::MAX >> (32 - 8 * length))
        } else {
            let bytes = self.0.get(..length)?;
            bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
        };
        self.0 = &self.0[length..];
        Some(value)
    }

    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Values of zero, one, two or four half bytes, the lower half of a byte first.
struct Halves<'a> {
    values: &'a [u8],
    at: usize,
}

impl Values for Halves<'_> {
    fn next(&mut self, key: u8) -> Option<u32> {
        let length = [0, 1, 2, 4][usize::from(key)];
        let mut value = 0;
        for number in 0..length {
            let byte = u32::from(*self.values.get(self.at / 2)?);
            value |= (byte >> (4 * (self.at % 2)) & 15) << (4 * number);
            self.at += 1;
        }
        Some(value)
    }

    fn is_at_end(&self) -> bool {
        self.at.div_ceil(2) == self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(params: &[u32], size: u32, code: &[u8]) -> Option<Vec<u8>> {
        let source = [&size.to_le_bytes()[..], code].concat();
        let mut target = vec![0xee; size as usize];
        let params = Params::new(params)?;
        params.decode(&mut Decoder::default(), &source, &mut target).ok().map(|()| target)
    }

    #[test]
    fn differences_in_zigzag_form_become_integers() {
        // 3, 2, 302, 300, -1: differences 3, -1, 300, -2, -301.
        let code = [0b0001_0000, 0b01, 6, 1, 0x58, 2, 3, 0x59, 2];
        let found = decode(&[0, 2, 1, 0], 10, &code).unwrap();
        let expected = [3_i16, 2, 302, 300, -1].map(i16::to_le_bytes).concat();
        assert_eq!(found, expected);
        let mut packed = [0; 100];
        let size = zstd_safe::CCtx::create().compress(&mut packed[..], &code, 1).unwrap();
        assert_eq!(decode(&[0, 2, 1, 1], 10, &packed[..size]).unwrap(), expected);
        assert_eq!(decode(&[0, 2, 1], 10, &packed[..size]).unwrap(), expected);
        assert!(decode(&[0, 2, 1, 0], 8, &code).is_none());
        assert!(decode(&[0, 2, 1, 0], 10, &code[..code.len() - 1]).is_none());
    }

    #[test]
    fn bytes_of_version_1_are_stored_in_halves() {
        // 0, 5, 0x3a and 0xb1 take no, one, two and two halves.
        let code = [0b1010_0100, 0xa5, 0x13, 0x0b];
        assert_eq!(decode(&[1, 1, 0, 0], 4, &code).unwrap(), [0, 5, 0x3a, 0xb1]);
        assert!(decode(&[1, 1, 0, 0], 4, &code[..3]).is_none());
        assert!(decode(&[1, 1, 0, 0], 4, &[&code[..], &[0]].concat()).is_none());
    }

    #[test]
    fn bytes_that_are_not_integers_are_copied() {
        assert_eq!(decode(&[0, 0, 0, 0], 3, b"abc").unwrap(), b"abc");
        assert!(decode(&[0, 0, 0, 0], 4, b"abc").is_none());
        assert!(Params::new(&[2, 2, 1, 1]).is_none());
        assert!(Params::new(&[0, 3, 1, 1]).is_none());
        assert!(Params::new(&[0, 2]).is_none());
    }
}
