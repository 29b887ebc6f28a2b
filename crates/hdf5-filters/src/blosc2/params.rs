//! The parameters of the Blosc2 filter, and the decoding of its chunks.

use super::chunk::Chunk;
use super::damaged::DAMAGED;
use super::frame::{Content, Frame};
use super::grid::Grid;
use crate::buffer::resize_buffer;
use crate::decoder::{BlockBuffers, Decoder};
use crate::error::{Decoded, Error};

/// The smallest element size that a chunk's header cannot contain.
const TOO_LARGE: u32 = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    /// Extents of a chunk, where the filter knows them.
    shape: Option<Vec<usize>>,
}

impl Params {
    /// From the filter's parameters: four of its own, then level, filter and coder for writing, rank and
    /// extents. Filters and coders of Blosc2 plugins are not supported.
    pub(crate) fn new(params: &[u32]) -> Option<Self> {
        let filter = params.get(5).copied().unwrap_or(0);
        let coder = params.get(6).copied().unwrap_or(0);
        if filter > 4 || !matches!(coder, 0..=2 | 4 | 5) {
            return None;
        }
        let shape = match params {
            // In the latter, arrays of too large elements, the filter cannot read what it writes.
            [] | [_] | [_, _] | [_, _, _] | [_, _, (TOO_LARGE..), _, _, _, _, _, ..] => {
                return None;
            }
            [_, _, _, _, _, _, _, rank, shape @ ..] => {
                let shape = shape.get(..usize::try_from(*rank).ok()?)?;
                Some(shape.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?)
            }
            _ => None,
        };
        Some(Self { shape })
    }

    /// The decoded size in a chunk's header, if it is valid.
    pub(crate) fn size(decoder: &mut Decoder, source: &[u8]) -> Result<Option<usize>, Error> {
        let mut room = std::mem::take(&mut decoder.blocks);
        let frame = Frame::parse(decoder, &mut room, source);
        decoder.blocks = room;
        Ok(match frame {
            Ok(Frame { grid: Some(grid), element, .. }) => grid.bytes(element),
            Ok(frame) => Some(frame.bytes),
            Err(Error::NoMemory) => return Err(Error::NoMemory),
            Err(_) => None,
        })
    }

    /// Decodes the first blocks of a chunk of `whole` bytes, which have the first `least` bytes; all of them
    /// if blocks do not follow each other.
    pub(crate) fn begin(
        &self,
        decoder: &mut Decoder,
        source: &[u8],
        (least, whole): (usize, usize),
        target: &mut Vec<u8>,
    ) -> Decoded {
        let mut room = std::mem::take(&mut decoder.blocks);
        let done = (|| {
            let frame = Frame::parse(decoder, &mut room, source)?;
            let bytes = match (&frame.grid, &frame.content) {
                (None, Content::Chunk(chunk)) => {
                    least.checked_next_multiple_of(chunk.block).unwrap_or(whole).min(whole)
                }
                _ => whole,
            };
            resize_buffer(target, bytes)?;
            self.decode_in(&mut room, decoder, source, whole, target)
        })();
        decoder.blocks = room;
        done
    }

    pub(crate) fn decode(
        &self,
        decoder: &mut Decoder,
        source: &[u8],
        target: &mut [u8],
    ) -> Decoded {
        let mut room = std::mem::take(&mut decoder.blocks);
        let whole = target.len();
        let done = self.decode_in(&mut room, decoder, source, whole, target);
        decoder.blocks = room;
        done
    }

    fn decode_in(
        &self,
        room: &mut BlockBuffers,
        decoder: &mut Decoder,
        source: &[u8],
        whole: usize,
        target: &mut [u8],
    ) -> Decoded {
        let frame = Frame::parse(decoder, room, source)?;
        let chunk_bytes = match &frame.grid {
            Some(grid) => {
                let other = self.shape.as_ref().is_some_and(|shape| *shape != grid.shape);
                if other || grid.bytes(frame.element) != Some(whole) {
                    return Err(Error::Corrupt("blosc2: an array of another shape than the chunk"));
                }
                grid.padded_bytes(frame.element).ok_or(DAMAGED)?
            }
            None => whole,
        };
        if frame.bytes != chunk_bytes {
            return Err(DAMAGED);
        }
        let chunk = match frame.content {
            Content::Same(same) => return same.fill(target),
            Content::Chunk(chunk) => chunk,
        };
        match (&frame.grid, chunk.same) {
            (_, Some(same)) => same.fill(target),
            (None, None) => chunk.decode(decoder, room, target),
            (Some(grid), None) => array(decoder, room, &chunk, (grid, frame.element), target),
        }
    }
}

/// Joins an array from blocks that are stored whole on each axis.
fn array(
    decoder: &mut Decoder,
    room: &mut BlockBuffers,
    chunk: &Chunk<'_>,
    (grid, element): (&Grid, usize),
    target: &mut [u8],
) -> Decoded {
    if grid.block_bytes(element) != Some(chunk.block) {
        return Err(DAMAGED);
    }
    let mut plain = std::mem::take(&mut room.plain);
    let done = (|| {
        resize_buffer(&mut plain, chunk.block)?;
        for number in 0..grid.count().ok_or(DAMAGED)? {
            chunk.decode_block(decoder, room, number, &mut plain)?;
            grid.put(number, element, &plain, target).ok_or(DAMAGED)?;
        }
        Ok(())
    })();
    room.plain = plain;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk whose `body` follows the header; `flags` are those of Blosc 1 and of Blosc 2.
    fn chunk(
        flags: [u8; 2],
        element: u8,
        [bytes, block]: [u32; 2],
        filters: [u8; 6],
        body: &[u8],
    ) -> Vec<u8> {
        let coded = u32::try_from(32 + body.len()).unwrap();
        let mut chunk = vec![5, 1, flags[0] | 5, element];
        chunk.extend([bytes, block, coded].map(u32::to_le_bytes).as_flattened());
        chunk.extend(filters);
        chunk.resize(31, 0);
        chunk.push(flags[1]);
        chunk.extend(body);
        chunk
    }

    /// A frame with a chunk, if there is one, and this index.
    fn frame(
        bytes: u64,
        element: u32,
        chunk: &[u8],
        index: [u8; 8],
        array: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut layers = vec![0x93, 0xcd, 0, 7, 0xde, 0, u8::from(array.is_some())];
        if let Some(array) = array {
            layers.extend(b"\xa4b2nd\xd2\0\0\0\x6b\xdc\0\x01\xc6\0\0\0");
            layers.push(u8::try_from(array.len()).unwrap());
            layers.extend(array);
        } else {
            layers.extend([0xdc, 0, 0]);
        }
        let size = u32::try_from(87 + layers.len()).unwrap();
        let index = super::tests::chunk([2, 0], 8, [8, 8], [0; 6], &index);
        let whole = u64::from(size) + (chunk.len() + index.len()) as u64 + 1;
        let mut frame = b"\x9e\xa8b2frame\0\xd2".to_vec();
        frame.extend(size.to_be_bytes());
        frame.push(0xcf);
        frame.extend(whole.to_be_bytes());
        frame.extend([0xa4, 0x12, 0, 0x51, 3, 0xd3]);
        frame.extend(bytes.to_be_bytes());
        frame.push(0xd3);
        frame.extend((chunk.len() as u64).to_be_bytes());
        for number in [element, 8, u32::try_from(bytes).unwrap()] {
            frame.push(0xd2);
            frame.extend(number.to_be_bytes());
        }
        frame.resize(87, 0);
        [&frame, &layers, chunk, &index, &[0][..]].concat()
    }

    fn decode(params: &[u32], source: &[u8], bytes: usize) -> Option<Vec<u8>> {
        let mut target = vec![0xee; bytes];
        let params = Params::new(params)?;
        params.decode(&mut Decoder::default(), source, &mut target).ok().map(|()| target)
    }

    const PLAIN: [u32; 7] = [1, 0, 2, 8, 5, 1, 1];

    /// Two blocks of four bytes: the first split, with a run of a byte and one of zeros, the second not.
    fn shuffled(filters: [u8; 6]) -> Vec<u8> {
        let mut body = vec![40, 0, 0, 0, 49, 0, 0, 0];
        body.extend([0xf9, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0]);
        body.extend([2, 0, 0, 0, 1, 2]);
        chunk([0, 0], 2, [6, 4], filters, &body)
    }

    #[test]
    fn blocks_are_joined_from_their_parts() {
        let plain = |filters| decode(&PLAIN, &frame(6, 2, &shuffled(filters), [0; 8], None), 6);
        assert_eq!(plain([0; 6]).unwrap(), [7, 7, 0, 0, 1, 2]);
        assert_eq!(plain([4, 0, 0, 0, 0, 1]).unwrap(), [7, 0, 7, 0, 1, 2]);
        // The second element differs from the first by nothing, the third from it by 0x0201.
        assert_eq!(plain([3, 0, 0, 0, 0, 1]).unwrap(), [7, 0, 0, 0, 6, 2]);
        assert_eq!(plain([0, 0, 0, 0, 0, 2]).unwrap(), [7, 7, 0, 0, 1, 2]);
        assert_eq!(plain([0, 0, 0, 0, 1, 1]).unwrap(), [7, 7, 0, 0, 1, 2]);
        for odd in [[0, 0, 0, 0, 1, 3], [0, 0, 0, 0, 0, 5], [3, 3, 0, 0, 0, 0]] {
            assert!(plain(odd).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn an_element_that_is_repeated_everywhere_is_in_the_index_or_in_the_chunk() {
        let index = |kind| decode(&PLAIN, &frame(8, 4, &[], [0, 0, 0, 0, 0, 0, 0, kind], None), 8);
        assert_eq!(index(0x81).unwrap(), [0; 8]);
        assert_eq!(index(0x82).unwrap(), [f32::NAN; 2].map(f32::to_le_bytes).concat());
        assert!(index(0x84).is_some() && index(0x88).is_none());
        let told = |flag, body: &[u8]| {
            let chunk = chunk([0, flag], 4, [8, 8], [0; 6], body);
            decode(&PLAIN, &frame(8, 4, &chunk, [0; 8], None), 8)
        };
        assert_eq!(told(0x10, &[]).unwrap(), [0; 8]);
        assert_eq!(told(0x20, &[]).unwrap(), [f32::NAN; 2].map(f32::to_le_bytes).concat());
        assert_eq!(told(0x30, b"abcd").unwrap(), b"abcdabcd");
        assert!(
            told(0x30, b"abc").is_none() && told(0x50, &[]).is_none() && told(1, &[]).is_none()
        );
    }

    /// An array of 2 x 3 elements of one byte in blocks of 2 x 2.
    fn array() -> Vec<u8> {
        let mut array = vec![0x97, 0, 2, 0x92];
        for extent in [2_u64, 3] {
            array.push(0xd3);
            array.extend(extent.to_be_bytes());
        }
        for extents in [[2_u32, 3], [2, 2]] {
            array.push(0x92);
            for extent in extents {
                array.push(0xd2);
                array.extend(extent.to_be_bytes());
            }
        }
        let body = [0, 1, 3, 4, 2, 99, 5, 99];
        frame(8, 1, &chunk([2, 0], 1, [8, 4], [0; 6], &body), [0; 8], Some(&array))
    }

    #[test]
    fn an_array_is_joined_from_blocks_of_several_axes() {
        let told = |shape: [u32; 2]| [&PLAIN[..], &[2], &shape].concat();
        assert_eq!(decode(&told([2, 3]), &array(), 6).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(decode(&PLAIN, &array(), 6).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert!(decode(&told([3, 2]), &array(), 6).is_none());
        assert!(decode(&PLAIN, &array(), 8).is_none());
    }

    #[test]
    fn damaged_frames_are_refused_or_read_within_their_bounds() {
        for (good, bytes) in
            [(array(), 6), (frame(6, 2, &shuffled([0, 0, 0, 0, 0, 1]), [0; 8], None), 6)]
        {
            assert!(decode(&PLAIN, &good, bytes).is_some());
            for length in 0..good.len() {
                assert!(decode(&PLAIN, &good[..length], bytes).is_none(), "{length} bytes");
            }
            for place in 0..good.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff, good[place] ^ 1, good[place].wrapping_add(1)]
                {
                    let mut bad = good.clone();
                    bad[place] = value;
                    decode(&PLAIN, &bad, bytes);
                }
            }
        }
        assert!(Params::new(&[1, 0, 2]).is_none());
        assert!(Params::new(&[1, 0, 2, 8, 5, 1, 38]).is_none());
        assert!(Params::new(&[1, 0, 2, 8, 5, 35, 1]).is_none());
        assert!(Params::new(&[1, 0, 256, 8, 5, 1, 1, 1, 3]).is_none());
        assert!(Params::new(&[1, 0, 256, 8, 5, 1, 1]).is_some());
        assert!(Params::new(&[1, 0, 2, 8, 5, 1, 1, 3, 2, 3]).is_none());
    }
}
