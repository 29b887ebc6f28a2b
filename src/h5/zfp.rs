//! Filter 32013, zfp: arrays of numbers in blocks of four on each axis, decoded by the reference library.
//!
//! That library takes its input on trust, so this module proves first that nothing is read or written
//! beyond a buffer: the extents must be those of the chunk, and the code is copied into a buffer of the
//! largest size that such an array can take.
//! Source: <https://zfp.readthedocs.io>, "Low-Level C API"; <https://h5z-zfp.readthedocs.io>, "Interfaces".
#![allow(unsafe_code)]

use std::ffi::c_uint;

use zfp_sys::{
    ZFP_HEADER_FULL, bitstream, stream_close, stream_open, zfp_decompress, zfp_field,
    zfp_field_alloc, zfp_field_free, zfp_field_set_pointer, zfp_read_header, zfp_stream,
    zfp_stream_close, zfp_stream_maximum_size, zfp_stream_open, zfp_stream_set_bit_stream,
    zfp_type_size,
};

/// The most parameters of a filter: version, and a header of 148 bits.
const MOST_VALUES: usize = 16;

/// How chunks were encoded: zfp's own header, which the filter keeps in its parameters.
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
        // Zeros behind it are what a reader may run into.
        let mut words = vec![0; MOST_VALUES];
        fill(&mut words, &bytes);
        let (bytes, most) = Decoder::open(&mut words)?.sizes()?;
        Some(Self { header: words, bytes, most })
    }

    /// Bytes of a decoded chunk.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decodes a chunk into `target`; `None` if it is damaged, or of another size.
    pub(super) fn chunk(&self, source: &[u8], target: &mut [u8]) -> Option<()> {
        if target.len() != self.bytes || source.len() > self.most {
            return None;
        }
        let (mut code, mut plain) = (words(self.most)?, words(self.bytes)?);
        fill(&mut code, source);
        let mut header = self.header.clone();
        Decoder::open(&mut header)?.decode(&mut code, &mut plain)?;
        for (place, word) in target.chunks_mut(8).zip(&plain) {
            place.copy_from_slice(word.to_ne_bytes().get(..place.len())?);
        }
        Some(())
    }
}

/// Zeros for that many bytes, and a word more.
fn words(bytes: usize) -> Option<Vec<u64>> {
    let count = bytes / 8 + 2;
    let mut words = Vec::new();
    words.try_reserve_exact(count).ok()?;
    words.resize(count, 0);
    Some(words)
}

/// The library reads words of 64 bits, the first byte the least significant.
fn fill(words: &mut [u64], bytes: &[u8]) {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(whole);
    }
}

/// A stream of the library's with what a header says, and that header's bits.
struct Decoder {
    bits: *mut bitstream,
    stream: *mut zfp_stream,
    field: *mut zfp_field,
}

impl Decoder {
    /// Reads the header in `words`, which has zeros behind it.
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

    /// Bytes of the decoded array, and the most that its code may take; `None` for sizes that are odd.
    fn sizes(&self) -> Option<(usize, usize)> {
        // SAFETY: the field was allocated and filled by the library.
        let (kind, extents) = unsafe {
            let field = &*self.field;
            (field.type_, [field.nx, field.ny, field.nz, field.nw])
        };
        // SAFETY: a call without pointers.
        let size = unsafe { zfp_type_size(kind) };
        if !matches!(size, 4 | 8) || extents[0] == 0 {
            return None;
        }
        let extents = || extents.into_iter().filter(|&extent| extent > 0);
        let bytes = extents().try_fold(size, usize::checked_mul)?;
        let blocks = extents()
            .try_fold(size, |all, extent| all.checked_mul(extent.checked_next_multiple_of(4)?))?;
        // SAFETY: both were allocated and filled by the library.
        let most = unsafe { zfp_stream_maximum_size(self.stream, self.field) };
        // Blocks of a fixed size may be padded; more than twice the numbers themselves is a mistake.
        let limit = blocks.checked_mul(2)?.checked_add(4096)?;
        // The library counts what it writes; what it may read is a bit more in a block of odd bits.
        (most > 0 && most <= limit).then(|| Some((bytes, most.checked_add(most / 4 + 64)?)))?
    }

    /// Decodes `code`, which is as large as [`Self::sizes`] tells, into `plain`, which is so, too.
    fn decode(self, code: &mut [u64], plain: &mut [u64]) -> Option<()> {
        let (bytes, most) = self.sizes()?;
        if size_of_val(code) < most || size_of_val(plain) < bytes {
            return None;
        }
        // SAFETY: the library reads no more bits than the code has, which is what it may take at most, and
        // writes the array's numbers, for which there is room.
        unsafe {
            let bits = stream_open(code.as_mut_ptr().cast(), size_of_val(code));
            if bits.is_null() {
                return None;
            }
            zfp_stream_set_bit_stream(self.stream, bits);
            zfp_field_set_pointer(self.field, plain.as_mut_ptr().cast());
            let read = zfp_decompress(self.stream, self.field);
            stream_close(bits);
            (read > 0).then_some(())
        }
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
        zfp_stream_set_accuracy, zfp_stream_set_precision, zfp_stream_set_rate,
        zfp_stream_set_reversible, zfp_type, zfp_type_zfp_type_double, zfp_type_zfp_type_float,
        zfp_type_zfp_type_int32, zfp_type_zfp_type_int64, zfp_write_header,
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
                assert!(known.chunk(&code, &mut target).is_some());
                assert!(known.chunk(&code, &mut target[1..]).is_none());
                known.chunk(&code[..code.len() / 2], &mut target);
                for _ in 0..20 {
                    let noise: Vec<u8> = (0..known.most).map(|_| dice()).collect();
                    known.chunk(&noise, &mut target);
                    let mut odd = params.clone();
                    odd[1 + usize::from(dice()) % 6] ^= 1 << (dice() % 32);
                    if let Some(odd) = Params::new(&odd).filter(|odd| odd.bytes() < 1 << 20) {
                        odd.chunk(&noise[..odd.most.min(noise.len())], &mut vec![0; odd.bytes()]);
                    }
                }
            }
        }
    }

    #[test]
    fn parameters_without_a_header_are_unknown() {
        assert!(Params::new(&[]).is_none());
        assert!(Params::new(&[1]).is_none());
        assert!(Params::new(&[1, 2, 3, 4, 5, 6]).is_none());
        assert!(Params::new(&[0; 40]).is_none());
    }
}
