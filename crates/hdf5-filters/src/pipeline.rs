//! The filters of a dataset in their order: those that a chunk went through, and the sizes between them.

use crate::blosc;
use crate::buffer::resize_buffer;
use crate::conversion::Conversion;
use crate::decoder::Decoder;
use crate::error::{Decoded, Error};
use crate::filter::Filter;
use crate::step::{Known, Size, Step, step};

/// A stored chunk may be larger than a decoded one by no more than this and a half.
const SLACK: u64 = 64 << 10;
/// Unless it is an array in blocks on each axis: those at the ends are whole too. With the smallest
/// blocks on eight axes it is ten times as large.
const PADDED: u64 = 10;

/// A chunk of more bytes than this is decoded in pieces if possible.
pub const LARGE_CHUNK_BYTES: usize = 16 << 20;
/// Bytes that decoding in pieces takes.
const PIECES: u64 = 2 << 20;

/// The way to decode a chunk in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streaming {
    /// It is stored as it is.
    Stored,
    /// It is only deflated.
    Deflate,
    /// It was shuffled, in elements of this many bytes, and then deflated.
    ShuffleDeflate(usize),
}

/// A dataset's filters, in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    steps: Vec<Step>,
    chunk_bytes: usize,
    /// The conversion of the decoded elements.
    convert: Option<Conversion>,
}

/// The places of filters whose parameters contradict themselves, and the reasons.
pub fn corrupt_filters(filters: &[Filter]) -> impl Iterator<Item = (usize, &'static str)> {
    filters.iter().enumerate().filter_map(|(place, filter)| match step(filter) {
        Err(Error::Corrupt(why)) => Some((place, why)),
        _ => None,
    })
}

/// The steps of filters; `None` if one is not supported, or cannot follow those before it.
fn steps(filters: &[Filter]) -> Option<Vec<Step>> {
    let steps = filters.iter().map(step).collect::<Result<Vec<_>, _>>().ok()?;
    let mut known = Known::Size;
    for step in &steps {
        known = step.known_after(known)?;
    }
    // The library's mask has 32 bits.
    (steps.len() <= 32).then_some(steps)
}

impl Pipeline {
    /// A pipeline for chunks of `chunk_bytes`; `None` if it cannot be undone here.
    pub fn new(filters: &[Filter], chunk_bytes: u64) -> Option<Self> {
        let steps = steps(filters)?;
        Some(Self { steps, chunk_bytes: usize::try_from(chunk_bytes).ok()?, convert: None })
    }

    /// The same for elements that are also converted.
    #[must_use]
    pub fn converting(self, convert: Option<Conversion>) -> Self {
        Self { convert, ..self }
    }

    /// Whether the parameters for decoding are in the chunks, and not in the dataset.
    pub fn has_parameters_in_chunks(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Blosc | Step::Blosc2(_)))
    }

    /// Bytes of a decoded chunk.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Bytes of a chunk whose elements are converted, too.
    pub fn plain_bytes(&self) -> usize {
        self.convert.as_ref().map_or(self.chunk_bytes, |convert| {
            (self.chunk_bytes / convert.file_size().max(1)).saturating_mul(convert.size())
        })
    }

    /// The most bytes of a stored chunk.
    pub fn most_stored(&self) -> u64 {
        let plain = self.chunk_bytes as u64;
        let padded = self.steps.iter().any(|step| matches!(step, Step::Blosc2(_)));
        let most = if padded { plain.saturating_mul(PADDED) } else { plain };
        most.saturating_mul(3) / 2 + SLACK
    }

    /// Whether a chunk with this mask is stored as it is read.
    pub fn is_plain(&self, mask: u32) -> bool {
        self.convert.is_none() && self.applied(mask).next().is_none()
    }

    /// The way to decode a chunk with this mask in pieces, if there is one.
    pub fn streamed(&self, mask: u32) -> Option<Streaming> {
        match self.applied(mask).collect::<Vec<_>>()[..] {
            [] => Some(Streaming::Stored),
            [Step::Deflate] => Some(Streaming::Deflate),
            [Step::Shuffle(size), Step::Deflate] => Some(Streaming::ShuffleDeflate(*size)),
            _ => None,
        }
    }

    /// Whether the first bytes of a chunk with this mask can be decoded alone.
    pub fn begins_alone(&self, mask: u32) -> bool {
        let steps: Vec<_> = self.applied(mask).collect();
        matches!(steps[..], [Step::Blosc | Step::Blosc2(_)])
    }

    /// Decodes the first `least` bytes of a chunk, and some more.
    pub fn begin(
        &self,
        decoder: &mut Decoder,
        mask: u32,
        (stored, least): (&[u8], usize),
        target: &mut Vec<u8>,
    ) -> Decoded {
        let whole = self.chunk_bytes;
        match self.applied(mask).collect::<Vec<_>>()[..] {
            [Step::Blosc] => blosc::begin(decoder, stored, (least, whole), target)?,
            [Step::Blosc2(params)] => params.begin(decoder, stored, (least, whole), target)?,
            _ => return Err(Error::Unsupported("a filter that decodes whole chunks")),
        }
        self.convert(decoder, target)
    }

    fn convert(&self, decoder: &mut Decoder, target: &mut Vec<u8>) -> Decoded {
        let Some(convert) = &self.convert else { return Ok(()) };
        convert.apply(target, &mut decoder.scratch)?;
        std::mem::swap(target, &mut decoder.scratch);
        Ok(())
    }

    /// Bytes that decoding a chunk of `stored` bytes takes, besides the result; `least` of its
    /// decoded bytes are needed.
    pub fn memory(&self, (stored, least): (u64, u64), mask: u32) -> u64 {
        let mut chunk = self.chunk_bytes as u64;
        if self.begins_alone(mask) {
            chunk = chunk.min(least.saturating_add(LARGE_CHUNK_BYTES as u64));
        }
        match self.streamed(mask).filter(|_| self.chunk_bytes > LARGE_CHUNK_BYTES) {
            Some(Streaming::ShuffleDeflate(_)) => return chunk.saturating_add(PIECES),
            Some(_) => return PIECES,
            None => {}
        }
        let steps = self.applied(mask).count() + usize::from(self.convert.is_some());
        let own = |step: &Step| match step {
            #[cfg(feature = "zfp")]
            Step::Zfp(_) => 2,
            Step::Vbz(_) => 3,
            _ => 0,
        };
        let copies = steps.min(2) as u64 + self.applied(mask).map(own).sum::<u64>();
        let grown = match &self.convert {
            Some(convert) if convert.size() > convert.file_size() => chunk.saturating_mul(2),
            _ => chunk,
        };
        grown.saturating_mul(copies).saturating_add(stored)
    }

    fn applied(&self, mask: u32) -> impl DoubleEndedIterator<Item = &Step> {
        let used = move |place: usize| mask.checked_shr(u32::try_from(place).unwrap_or(32));
        let steps = self.steps.iter().enumerate();
        steps.filter(move |(place, _)| used(*place).is_some_and(|bits| bits & 1 == 0)).map(|s| s.1)
    }

    /// The known size of each step's input when a chunk of `size` was written.
    fn sizes(&self, mask: u32, mut size: Size) -> Vec<Size> {
        let given = |step: &Step| {
            let after = step.size_after(size);
            std::mem::replace(&mut size, after)
        };
        self.applied(mask).map(given).collect()
    }

    /// Decodes `stored` into `target`, which then has [`Self::plain_bytes`]. A chunk at the dataset's edge may
    /// be stored without the part beyond it: at least `least` bytes, of [`Self::chunk_bytes`].
    pub fn decode(
        &self,
        decoder: &mut Decoder,
        mask: u32,
        (stored, least): (&[u8], usize),
        target: &mut Vec<u8>,
    ) -> Decoded {
        let whole = self.chunk_bytes;
        if let Err(refused) = self.undo(decoder, mask, stored, target, Size::Exactly(whole)) {
            let short = Size::AtMost(Some(whole));
            let is_short = least < whole && self.undo(decoder, mask, stored, target, short).is_ok();
            if !is_short || target.len() < least {
                return Err(refused);
            }
            resize_buffer(target, whole)?;
        }
        self.convert(decoder, target)
    }

    /// Undoes the filters of a chunk that had this size.
    fn undo(
        &self,
        decoder: &mut Decoder,
        mask: u32,
        stored: &[u8],
        target: &mut Vec<u8>,
        size: Size,
    ) -> Decoded {
        let mut spare = std::mem::take(&mut decoder.scratch);
        let mut first = true;
        let mut steps = self.applied(mask).rev().zip(self.sizes(mask, size).into_iter().rev());
        let result = steps.try_for_each(|(step, size)| {
            let source = if first { stored } else { &target[..] };
            match size {
                Size::Exactly(size) => {
                    resize_buffer(&mut spare, size)?;
                    step.undo(decoder, source, &mut spare)?;
                }
                Size::AtMost(most) => step.undo_some(decoder, source, most, &mut spare)?,
            }
            std::mem::swap(target, &mut spare);
            first = false;
            Ok(())
        });
        decoder.scratch = spare;
        result?;
        if first {
            resize_buffer(target, stored.len())?;
            target.copy_from_slice(stored);
        }
        match size {
            Size::Exactly(size) if target.len() != size => {
                Err(Error::Corrupt("a chunk of another size than its dataset says"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(id: i32, params: &[u32]) -> Filter {
        Filter { id, name: String::new(), optional: false, params: params.to_vec() }
    }

    fn decode(filters: &[Filter], mask: u32, stored: &[u8], size: u64) -> Result<Vec<u8>, Error> {
        let mut target = Vec::new();
        let pipeline = Pipeline::new(filters, size).unwrap();
        let stored = (stored, usize::MAX);
        pipeline.decode(&mut Decoder::default(), mask, stored, &mut target).map(|()| target)
    }

    #[test]
    fn a_masked_filter_is_skipped() {
        let filters = [filter(2, &[2]), filter(1, &[4])];
        assert_eq!(decode(&filters, 0b11, b"abcd", 4).unwrap(), b"abcd");
        assert_eq!(decode(&filters, 0b10, b"acbd", 4).unwrap(), b"abcd");
        assert!(decode(&filters, 0b10, b"acb", 4).is_err());
        assert!(decode(&filters, 0, b"abcd", 4).is_err());
    }

    #[test]
    fn unknown_filters_and_two_compressors_are_refused() {
        assert!(Pipeline::new(&[filter(5, &[])], 4).is_none());
        assert!(Pipeline::new(&[filter(7, &[])], 4).is_none());
        assert!(Pipeline::new(&[filter(2, &[0])], 4).is_none());
        assert!(Pipeline::new(&[filter(1, &[]), filter(1, &[])], 4).is_none());
        assert!(Pipeline::new(&[filter(5, &[3, 1, 4]), filter(32004, &[])], 4).is_none());
        assert!(
            Pipeline::new(&[filter(5, &[3, 1, 4]), filter(1, &[]), filter(3, &[])], 4).is_some()
        );
        assert!(Pipeline::new(&[filter(1, &[]), filter(5, &[3, 1, 4])], 4).is_none());
    }

    #[test]
    fn output_of_an_uncertain_size_is_accepted_as_it_is() {
        // Four bits for each of two numbers above 7, compressed.
        let scaled = [&[4, 0, 0, 0, 8, 7][..], &[0; 15], &[0x12, 0]].concat();
        let mut params = [2, 0, 2, 0, 1, 0, 0, 0].to_vec();
        params.resize(20, 0);
        let mut engine = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut code = vec![0; 100];
        let size = engine.zlib_compress(&scaled, &mut code).unwrap();
        code.truncate(size);
        let filters = [filter(6, &params), filter(1, &[])];
        assert_eq!(decode(&filters, 0, &code, 2).unwrap(), [8, 9]);
        assert_eq!(decode(&filters, 2, &scaled, 2).unwrap(), [8, 9]);
        assert_eq!(
            decode(&filters, 1, &code[..0], 2),
            Err(Error::Corrupt("deflate: damaged data"))
        );
        assert!(decode(&filters, 0, &code, 4).is_err());
        assert!(decode(&filters, 0, &code[..size - 1], 2).is_err());
        // The checksum is applied before compression: the data are four bytes shorter.
        let sum = [&code[..], &checksum_of(&code)].concat();
        let filters = [filter(6, &params), filter(1, &[]), filter(3, &[])];
        assert_eq!(decode(&filters, 0, &sum, 2).unwrap(), [8, 9]);
        assert!(decode(&filters, 0, &sum[..3], 2).is_err());
    }

    fn checksum_of(data: &[u8]) -> [u8; 4] {
        crate::checksum::sum(data).to_le_bytes()
    }

    #[test]
    fn an_edge_chunk_may_end_at_the_edge_of_the_dataset() {
        let mut engine = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut code = vec![0; 100];
        let size = engine.zlib_compress(b"acebdf", &mut code).unwrap();
        let deflated = &code[..size];
        let sum = [deflated, &checksum_of(deflated)].concat();
        let lz4 = [&6_u64.to_be_bytes()[..], &[0, 0, 1, 0, 0, 0, 0, 6], b"acebdf"].concat();
        for (filters, stored) in [
            (&[filter(2, &[2]), filter(1, &[])][..], deflated),
            (&[filter(2, &[2]), filter(1, &[]), filter(3, &[])], &sum),
            (&[filter(2, &[2]), filter(32004, &[])], &lz4),
        ] {
            let decode = |least| {
                let (mut target, pipeline) = (Vec::new(), Pipeline::new(filters, 10).unwrap());
                let done =
                    pipeline.decode(&mut Decoder::default(), 0, (stored, least), &mut target);
                done.map(|()| target)
            };
            assert_eq!(decode(6).unwrap(), b"abcdef\0\0\0\0");
            assert!(decode(7).is_err() && decode(10).is_err());
        }
        // More than a chunk has is no chunk.
        let pipeline = Pipeline::new(&[filter(2, &[2]), filter(1, &[])], 4).unwrap();
        let stored = (deflated, 2);
        assert!(pipeline.decode(&mut Decoder::default(), 0, stored, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let filters = [filter(3, &[])];
        assert!(decode(&filters, 0, b"abcd\0\0\0\0", 4).is_err());
        assert!(decode(&filters, 0, b"ab", 4).is_err());
    }
}
