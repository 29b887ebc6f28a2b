//! Filter 32013, zfp: arrays of numbers in blocks of four on each axis, decoded by the reference library.
//!
//! That library does not check its input, so this module first proves that nothing is read or written beyond a
//! buffer: the extents must be those of the chunk, and the code is copied into a buffer of the size that the
//! library can read for such an array.
//! Source: <https://zfp.readthedocs.io>, "Low-Level C API"; <https://h5z-zfp.readthedocs.io>, "Interfaces".
#![allow(unsafe_code)]

use std::ffi::c_uint;

use zfp_sys::{
    ZFP_HEADER_FULL, ZFP_HEADER_MAX_BITS, ZFP_MIN_EXP, bitstream, stream_close, stream_open,
    zfp_decompress, zfp_field, zfp_field_alloc, zfp_field_free, zfp_field_set_pointer,
    zfp_read_header, zfp_stream, zfp_stream_close, zfp_stream_open, zfp_stream_set_bit_stream,
    zfp_type, zfp_type_size, zfp_type_zfp_type_double, zfp_type_zfp_type_float,
};

use crate::error::Error;

const DAMAGED: Error = Error::Corrupt("zfp: damaged data");

/// The most parameters of a filter: version, and a header of 148 bits.
const MOST_VALUES: usize = 16;

/// The encoding of chunks: zfp's own header, which the filter keeps in its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Params {
    header: Vec<u64>,
    /// Bytes of a decoded chunk.
    bytes: usize,
    /// The most bytes that the code may take.
    most: usize,
}

impl Params {
    /// From the filter's parameters: a version, then the header.
    pub(super) fn new(values: &[c_uint]) -> Option<Self> {
        let (_, header) = values.split_first()?;
        if header.is_empty() || header.len() > MOST_VALUES {
            return None;
        }
        let bytes: Vec<u8> = header.iter().flat_map(|value| value.to_le_bytes()).collect();
        // A reader may read the zeros after it.
        let mut words = vec![0; MOST_VALUES];
        fill(&mut words, &bytes);
        let (bytes, most) = Decoder::open(&mut words)?.sizes()?;
        Some(Self { header: words, bytes, most })
    }

    /// Bytes of a decoded chunk.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decodes a chunk into `target`. One of another size is damaged.
    pub(super) fn chunk(&self, source: &[u8], target: &mut [u8]) -> Result<(), Error> {
        if target.len() != self.bytes || source.len() > self.most {
            return Err(DAMAGED);
        }
        let (mut code, mut plain) = (words(self.most)?, words(self.bytes)?);
        fill(&mut code, source);
        let mut header = self.header.clone();
        // The header was read before: now only memory can be missing.
        let decoder = Decoder::open(&mut header).ok_or(Error::NoMemory)?;
        decoder.decode(&mut code, &mut plain)?;
        for (place, word) in target.chunks_mut(8).zip(&plain) {
            place.copy_from_slice(&word.to_ne_bytes()[..place.len()]);
        }
        Ok(())
    }
}

/// Zeros for this many bytes, and one word more.
fn words(bytes: usize) -> Result<Vec<u64>, Error> {
    let count = bytes / 8 + 2;
    let mut words = Vec::new();
    words.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
    words.resize(count, 0);
    Ok(words)
}

/// The library reads words of 64 bits, the first byte the least significant.
fn fill(words: &mut [u64], bytes: &[u8]) {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(whole);
    }
}

/// A stream of the library with the values of a header, and that header's bits.
struct Decoder {
    bits: *mut bitstream,
    stream: *mut zfp_stream,
    field: *mut zfp_field,
}

impl Decoder {
    /// Reads the header in `words`, which has zeros after it.
    fn open(words: &mut [u64]) -> Option<Self> {
        // SAFETY: the words outlive the stream of bits, which is not used after this function; the
        // library allocates the other two.
        let (bits, stream, field) = unsafe {
            let bits = stream_open(words.as_mut_ptr().cast(), size_of_val(words));
            (bits, zfp_stream_open(bits), zfp_field_alloc())
        };
        let decoder = Self { bits, stream, field };
        if bits.is_null() || stream.is_null() || field.is_null() {
            return None;
        }
        // SAFETY: all are the library's own; a header takes 19 bytes, for which there is room.
        let read = unsafe { zfp_read_header(stream, field, ZFP_HEADER_FULL) };
        (read > 0 && size_of_val(words) >= 32).then_some(decoder)
    }

    /// Bytes of the decoded array, and the most that the library reads of its code; `None` for invalid sizes.
    fn sizes(&self) -> Option<(usize, usize)> {
        // SAFETY: the field and the stream were allocated and filled by the library.
        let (field, stream) = unsafe { (&*self.field, &*self.stream) };
        // SAFETY: a call without pointers.
        let size = unsafe { zfp_type_size(field.type_) };
        let extents = [field.nx, field.ny, field.nz, field.nw];
        if !matches!(size, 4 | 8) || extents[0] == 0 {
            return None;
        }
        let extents = || extents.into_iter().filter(|&extent| extent > 0);
        let bytes = extents().try_fold(size, usize::checked_mul)?;
        let padded = extents()
            .try_fold(size, |all, extent| all.checked_mul(extent.checked_next_multiple_of(4)?))?;
        let values = extents().fold(1, |all, _| all * 4);
        let block = Block::of(field.type_, stream, size).bits(values)?;
        let bits = (padded / size / values).checked_mul(block)?;
        let most = bits.div_ceil(8).checked_add(ZFP_HEADER_MAX_BITS.div_ceil(8) as usize)?;
        // Blocks of a fixed size may be padded; more than twice the numbers themselves is a mistake.
        let limit = padded.checked_mul(2)?.checked_add(4096)?;
        // The library reads whole words ahead.
        (most <= limit).then(|| Some((bytes, most.checked_add(64)?)))?
    }

    /// Decodes `code` into `plain`. Both have the sizes that [`Self::sizes`] returns.
    fn decode(self, code: &mut [u64], plain: &mut [u64]) -> Result<(), Error> {
        let (bytes, most) = self.sizes().ok_or(DAMAGED)?;
        if size_of_val(code) < most || size_of_val(plain) < bytes {
            return Err(DAMAGED);
        }
        // SAFETY: the library reads no more bits than the code has, which is what it may take at most, and
        // writes the array's numbers, for which there is room.
        unsafe {
            let bits = stream_open(code.as_mut_ptr().cast(), size_of_val(code));
            if bits.is_null() {
                return Err(Error::NoMemory);
            }
            zfp_stream_set_bit_stream(self.stream, bits);
            zfp_field_set_pointer(self.field, plain.as_mut_ptr().cast());
            let read = zfp_decompress(self.stream, self.field);
            stream_close(bits);
            if read > 0 { Ok(()) } else { Err(DAMAGED) }
        }
    }
}

/// The limits for the bits of one block.
struct Block {
    least: usize,
    most: usize,
    /// Bits before the numbers: flags, an exponent, a precision.
    prefix: usize,
    /// The most bits of each number.
    precision: usize,
}

impl Block {
    fn of(kind: zfp_type, stream: &zfp_stream, size: usize) -> Self {
        let of_number = size * 8;
        let is_reversible = stream.minexp < ZFP_MIN_EXP;
        let exponent = if kind == zfp_type_zfp_type_float {
            1 + 8
        } else if kind == zfp_type_zfp_type_double {
            1 + 11
        } else {
            0
        };
        let (prefix, precision) = if is_reversible {
            // The code gives a precision for each block, and `maxprec` does not limit it.
            let of_precision = if size == 8 { 6 } else { 5 };
            (exponent + usize::from(exponent > 0) + of_precision, of_number)
        } else {
            (exponent, of_number.min(stream.maxprec as usize))
        };
        let (least, most) = (stream.minbits as usize, stream.maxbits as usize);
        Self { least, most, prefix, precision }
    }

    /// The most bits that the library reads for a block of this many numbers. `None` if the prefix does not fit: the
    /// library subtracts it from the limit without a check, and then reads without a limit.
    fn bits(&self, values: usize) -> Option<usize> {
        let numbers = values.checked_mul(self.precision + 1)?;
        (self.most >= self.prefix).then(|| self.most.min(self.prefix + numbers).max(self.least))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: each was opened by the library, and is closed once; it takes no null pointers.
        unsafe {
            if !self.field.is_null() {
                zfp_field_free(self.field);
            }
            if !self.stream.is_null() {
                zfp_stream_close(self.stream);
            }
            if !self.bits.is_null() {
                stream_close(self.bits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use zfp_sys::{
        zfp_compress, zfp_field_1d, zfp_field_2d, zfp_field_3d, zfp_field_4d,
        zfp_stream_set_accuracy, zfp_stream_set_params, zfp_stream_set_precision,
        zfp_stream_set_rate, zfp_stream_set_reversible, zfp_type_zfp_type_int32,
        zfp_type_zfp_type_int64, zfp_write_header,
    };

    use super::*;

    type SetMode = unsafe fn(*mut zfp_stream, zfp_type, u32);

    /// Parameters, code and decoded bytes of a chunk of zeros and ones.
    fn coded(kind: zfp_type, shape: &[usize], mode: SetMode) -> (Vec<u32>, Vec<u8>, usize) {
        let (mut header, mut code) = (vec![0_u64; 16], vec![0_u64; 4096]);
        let count: usize = shape.iter().product();
        let mut plain = vec![1_u64; count];
        // SAFETY: the arrays outlive the streams, and have room for as much as such small chunks take.
        unsafe {
            let size = zfp_type_size(kind);
            let data = plain.as_mut_ptr().cast();
            let field = match *shape {
                [x] => zfp_field_1d(data, kind, x),
                [x, y] => zfp_field_2d(data, kind, x, y),
                [x, y, z] => zfp_field_3d(data, kind, x, y, z),
                [x, y, z, w, ..] => zfp_field_4d(data, kind, x, y, z, w),
                [] => unreachable!(),
            };
            let bits = stream_open(header.as_mut_ptr().cast(), size_of_val(&header[..]));
            let stream = zfp_stream_open(bits);
            mode(stream, kind, u32::try_from(shape.len()).unwrap());
            assert!(zfp_write_header(stream, field, ZFP_HEADER_FULL) > 0);
            zfp_sys::zfp_stream_flush(stream);
            let output = stream_open(code.as_mut_ptr().cast(), size_of_val(&code[..]));
            zfp_stream_set_bit_stream(stream, output);
            let length = zfp_compress(stream, field);
            assert!(length > 0);
            zfp_stream_close(stream);
            zfp_field_free(field);
            stream_close(output);
            stream_close(bits);
            let words =
                |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
            let header = words(&header);
            let params = header[..24].as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
            let params = std::iter::once(0).chain(params).collect();
            (params, words(&code)[..length].to_vec(), count * size)
        }
    }

    #[test]
    fn damaged_chunks_are_refused_or_read_within_their_bounds() {
        let modes: [SetMode; 4] = [
            // SAFETY: the callers pass an open stream, here and below.
            |stream, _, _| unsafe { zfp_stream_set_reversible(stream) },
            |stream, kind, dims| {
                // SAFETY: as above.
                unsafe { zfp_stream_set_rate(stream, 7.0, kind, dims, 0) };
            },
            |stream, _, _| {
                // SAFETY: as above.
                unsafe { zfp_stream_set_precision(stream, 19) };
            },
            |stream, _, _| {
                // SAFETY: as above.
                unsafe { zfp_stream_set_accuracy(stream, 0.01) };
            },
        ];
        let kinds = [
            zfp_type_zfp_type_int32,
            zfp_type_zfp_type_int64,
            zfp_type_zfp_type_float,
            zfp_type_zfp_type_double,
        ];
        let mut random = 7_u64;
        let mut dice = move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u8::try_from(random >> 56).unwrap()
        };
        for (kind, mode) in kinds.into_iter().flat_map(|kind| modes.map(|mode| (kind, mode))) {
            for shape in [&[9][..], &[5, 6], &[4, 3, 5], &[2, 3, 4, 5]] {
                let (params, code, bytes) = coded(kind, shape, mode);
                let known = Params::new(&params).unwrap();
                let mut target = vec![0xee; bytes];
                assert_eq!(known.bytes(), bytes);
                assert!(known.chunk(&code, &mut target).is_ok());
                assert!(known.chunk(&code, &mut target[1..]).is_err());
                let _ = known.chunk(&code[..code.len() / 2], &mut target);
                for _ in 0..20 {
                    let noise: Vec<u8> = (0..known.most).map(|_| dice()).collect();
                    let _ = known.chunk(&noise, &mut target);
                    let mut odd = params.clone();
                    odd[1 + usize::from(dice()) % 6] ^= 1 << (dice() % 32);
                    if let Some(odd) = Params::new(&odd).filter(|odd| odd.bytes() < 1 << 20) {
                        let _ = odd
                            .chunk(&noise[..odd.most.min(noise.len())], &mut vec![0; odd.bytes()]);
                    }
                }
            }
        }
    }

    /// Parameters of 4 x 4 x 4 numbers in expert mode.
    fn expert(kind: zfp_type, maxbits: u32, maxprec: u32, minexp: i32) -> Vec<u32> {
        let header = |stream: *mut zfp_stream, field: *mut zfp_field| {
            // SAFETY: the caller passes a stream that it opened.
            unsafe {
                zfp_stream_set_params(stream, 1, maxbits, maxprec, minexp);
                assert!(zfp_write_header(stream, field, ZFP_HEADER_FULL) > 0);
                zfp_sys::zfp_stream_flush(stream);
            }
        };
        let mut words = [0_u64; 16];
        // SAFETY: the words outlive the stream; no number is read through the null pointer.
        unsafe {
            let bits = stream_open(words.as_mut_ptr().cast(), size_of_val(&words));
            let stream = zfp_stream_open(bits);
            let field = zfp_field_3d(std::ptr::null_mut(), kind, 4, 4, 4);
            header(stream, field);
            zfp_field_free(field);
            zfp_stream_close(stream);
            stream_close(bits);
        }
        let bytes: Vec<u8> = words[..3].iter().flat_map(|word| word.to_le_bytes()).collect();
        let values = bytes.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four));
        std::iter::once(0).chain(values).collect()
    }

    #[test]
    fn blocks_of_fewer_bits_than_their_prefix_are_refused() {
        for (kind, minexp, prefix) in [
            (zfp_type_zfp_type_float, -1000, 9),
            (zfp_type_zfp_type_double, -1000, 12),
            (zfp_type_zfp_type_int32, -1075, 5),
            (zfp_type_zfp_type_int64, -1075, 6),
            (zfp_type_zfp_type_float, -1075, 15),
            (zfp_type_zfp_type_double, -1075, 19),
        ] {
            assert!(Params::new(&expert(kind, prefix, 30, minexp)).is_some(), "{kind} {minexp}");
            for less in 1..prefix {
                assert!(Params::new(&expert(kind, less, 30, minexp)).is_none(), "{kind} {less}");
            }
        }
        assert!(Params::new(&expert(zfp_type_zfp_type_int32, 1, 30, -1000)).is_some());
    }

    #[test]
    fn a_reversible_code_may_use_more_bits_than_its_precision() {
        for kind in [zfp_type_zfp_type_int64, zfp_type_zfp_type_double] {
            let known = Params::new(&expert(kind, 16658, 1, -1075)).unwrap();
            assert!(known.most > known.bytes(), "{} {}", known.most, known.bytes());
        }
    }

    #[test]
    fn parameters_without_a_header_are_unsupported() {
        assert!(Params::new(&[]).is_none());
        assert!(Params::new(&[1]).is_none());
        assert!(Params::new(&[1, 2, 3, 4, 5, 6]).is_none());
        assert!(Params::new(&[0; 40]).is_none());
    }
}
