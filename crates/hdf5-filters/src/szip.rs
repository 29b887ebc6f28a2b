//! Filter 4, szip: decoding by libaec. The bundled HDF5 is built without it and uses this decoder. A
//! system's library has its own, or none.
//!
//! Szip is the extended Rice coder with conventions of its own: samples of 32 and 64 bits are stored
//! as planes of bytes, and each scanline is filled up to whole blocks.
//! Source: CCSDS 121.0-B-3, libaec's `README.SZIP`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint};

use libaec_sys::{
    AEC_DATA_MSB, AEC_DATA_PREPROCESS, AEC_MEM_ERROR, AEC_OK, aec_buffer_decode, aec_stream,
};

use crate::buffer::resize_buffer;
use crate::error::Error;

/// Bits of the options parameter that concern decoding: most significant byte first, and
/// prediction from the nearest neighbor.
const MSB: c_uint = 16;
const NEAREST_NEIGHBOUR: c_uint = 32;

/// The status of a call of libaec that succeeded.
const OK: c_int = AEC_OK.cast_signed();

const DAMAGED: Error = Error::Corrupt("szip: damaged data");

/// The limits of the format: pixels of a block and of a scanline.
const MOST_IN_BLOCK: usize = 32;
const MOST_IN_SCANLINE: usize = 4096;

/// The encoding of a chunk: HDF5's four parameters, within the limits of the format. libaec checks none
/// of the first two, and writes past its buffers with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    options: c_uint,
    pixels_per_block: usize,
    bits_per_pixel: usize,
    pixels_per_scanline: usize,
}

impl Params {
    pub(super) fn new(values: &[c_uint]) -> Option<Self> {
        let at = |index: usize| usize::try_from(*values.get(index)?).ok();
        let params = Self {
            options: *values.first()?,
            pixels_per_block: at(1)?,
            bits_per_pixel: at(2)?,
            pixels_per_scanline: at(3)?,
        };
        let block = params.pixels_per_block;
        let is_valid = (2..=MOST_IN_BLOCK).contains(&block)
            && block.is_multiple_of(2)
            && matches!(params.bits_per_pixel, 1..=32 | 64)
            && (1..=MOST_IN_SCANLINE).contains(&params.pixels_per_scanline);
        is_valid.then_some(params)
    }

    /// Decodes a chunk as HDF5 stores it: its decoded size in 4 bytes, then the code. One that is larger than
    /// `most` is damaged.
    pub(super) fn chunk(self, source: &[u8], most: usize) -> Result<Vec<u8>, Error> {
        let (size, code) = source.split_first_chunk::<4>().ok_or(DAMAGED)?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok().filter(|&size| size <= most);
        self.decode(code, size.ok_or(DAMAGED)?)
    }

    fn decode(self, code: &[u8], size: usize) -> Result<Vec<u8>, Error> {
        let planes = matches!(self.bits_per_pixel, 32 | 64);
        let bits = if planes { 8 } else { self.bits_per_pixel };
        let pixel = match bits {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        };
        let blocks = self.pixels_per_scanline.div_ceil(self.pixels_per_block);
        // The limits of the parameters keep these small.
        let line = self.pixels_per_scanline * pixel;
        let padded = blocks * self.pixels_per_block * pixel;
        let lines = size.div_ceil(line);
        let room = if padded == line { Some(size) } else { padded.checked_mul(lines) };
        let room = room.ok_or(DAMAGED)?;
        // One bit encodes at most 64 blocks: a larger size is invalid.
        let most = code.len().saturating_mul(8 * 64).saturating_mul(self.pixels_per_block * pixel);
        if room > most {
            return Err(DAMAGED);
        }
        let mut plain = self.rice(code, room, bits, blocks)?;
        if padded != line {
            remove_padding(&mut plain, padded, line);
        }
        plain.truncate(size);
        if plain.len() < size {
            return Err(DAMAGED);
        }
        if planes { interleave(&plain, self.bits_per_pixel / 8) } else { Ok(plain) }
    }

    /// Undoes the extended Rice code: up to `room` bytes.
    fn rice(self, code: &[u8], room: usize, bits: usize, blocks: usize) -> Result<Vec<u8>, Error> {
        let number = |number: usize| c_uint::try_from(number).map_err(|_| DAMAGED);
        let mut plain = Vec::new();
        resize_buffer(&mut plain, room)?;
        let mut flags = 0;
        if self.options & MSB != 0 {
            flags |= AEC_DATA_MSB;
        }
        if self.options & NEAREST_NEIGHBOUR != 0 {
            flags |= AEC_DATA_PREPROCESS;
        }
        let mut stream = aec_stream {
            next_in: code.as_ptr(),
            avail_in: code.len(),
            total_in: 0,
            next_out: plain.as_mut_ptr(),
            avail_out: room,
            total_out: 0,
            bits_per_sample: number(bits)?,
            block_size: number(self.pixels_per_block)?,
            rsi: number(blocks)?,
            flags,
            state: std::ptr::null_mut(),
        };
        // SAFETY: both buffers outlive the call, and the stream contains their lengths.
        let status = unsafe { aec_buffer_decode(&raw mut stream) };
        match status {
            OK => {}
            AEC_MEM_ERROR => return Err(Error::NoMemory),
            _ => return Err(DAMAGED),
        }
        plain.truncate(stream.total_out);
        Ok(plain)
    }
}

/// Moves lines of `line` bytes together that take `padded` bytes each.
fn remove_padding(plain: &mut Vec<u8>, padded: usize, line: usize) {
    let mut done = 0;
    for start in (0..plain.len()).step_by(padded) {
        let end = plain.len().min(start + line);
        plain.copy_within(start..end, done);
        done += end - start;
    }
    plain.truncate(done);
}

/// Joins planes of bytes to words.
fn interleave(planes: &[u8], word: usize) -> Result<Vec<u8>, Error> {
    let count = planes.len() / word;
    let mut words = Vec::new();
    resize_buffer(&mut words, planes.len())?;
    for (plane, bytes) in planes.chunks_exact(count.max(1)).take(word).enumerate() {
        for (word, &byte) in words.chunks_exact_mut(word).zip(bytes) {
            word[plane] = byte;
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_words() {
        assert_eq!(interleave(&[1, 3, 2, 4], 2).unwrap(), [1, 2, 3, 4]);
        assert_eq!(interleave(&[], 4).unwrap(), [0_u8; 0]);
    }

    #[test]
    fn padding_of_scanlines_is_removed() {
        let mut plain = vec![1, 2, 0, 3, 4, 0, 5];
        remove_padding(&mut plain, 3, 2);
        assert_eq!(plain, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn invalid_data_is_refused() {
        let params = Params::new(&[141, 32, 8, 256]).unwrap();
        assert!(params.chunk(&[1, 0], 1 << 20) == Err(DAMAGED));
        assert!(params.chunk(&[255, 255, 255, 255, 7], usize::MAX) == Err(DAMAGED));
        assert!(params.chunk(&[9, 0, 0, 0, 0], 8) == Err(DAMAGED));
    }

    #[test]
    fn parameters_beyond_the_limits_of_the_format_are_refused() {
        for (at, values) in [
            (1, &[0, 1, 3, 7, 31, 33, 34, 64, 0x2000_0000, u32::MAX - 1][..]),
            (2, &[0, 33, 63, 65, u32::MAX]),
            (3, &[0, 4097, 0x2000_0001, u32::MAX]),
        ] {
            for &value in values {
                let mut params = [141, 32, 8, 256];
                params[at] = value;
                assert!(Params::new(&params).is_none(), "{params:?}");
            }
        }
        assert!(Params::new(&[141, 32, 8]).is_none());
        assert!(Params::new(&[141, 2, 64, 4096]).is_some());
    }
}
