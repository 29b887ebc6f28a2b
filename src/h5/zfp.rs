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
