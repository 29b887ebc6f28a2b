//! Undoes filter pipelines outside libhdf5, so that several threads can. What is odd in any way is
//! refused: the caller then leaves the dataset to libhdf5, which decides and says why.

mod bitshuffle;
mod blosc;
mod blosclz;
mod checksum;
mod lz;
mod shuffle;

use super::Filter;

/// For the benchmarks.
pub(super) mod kernels {
    pub(crate) use super::bitshuffle::untranspose;
    pub(crate) use super::shuffle::unshuffle;
}

/// One step that this module can undo.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Deflate,
    /// Bytes of an element.
    Shuffle(usize),
    Fletcher32,
    Lzf,
    #[cfg(feature = "szip")]
    Szip(super::szip::Params),
    Lz4,
    Zstd,
    Blosc,
    Bitshuffle(bitshuffle::Params),
}

/// Why a chunk was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) &'static str);

type Decoded = Result<(), Refused>;

/// A dataset's filters, in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pipeline {
    steps: Vec<Step>,
    chunk_bytes: usize,
}

/// What a thread decodes with: it keeps its memory from chunk to chunk.
pub(crate) struct Decoder {
    inflate: libdeflater::Decompressor,
    zstd: zstd_safe::DCtx<'static>,
    scratch: Vec<u8>,
    planes: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            inflate: libdeflater::Decompressor::new(),
            zstd: zstd_safe::DCtx::create(),
            scratch: Vec::new(),
            planes: Vec::new(),
        }
    }
}

/// Whether a filter can be undone here.
pub(super) fn is_known(filter: &Filter) -> bool {
    step(filter).is_some()
}

fn step(filter: &Filter) -> Option<Step> {
    let param = |index: usize| filter.params.get(index).copied();
    let size = |index: usize| param(index).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    Some(match filter.id {
        1 => Step::Deflate,
        2 => Step::Shuffle(size(0)?),
        3 => Step::Fletcher32,
        #[cfg(feature = "szip")]
        4 => Step::Szip(super::szip::Params::new(&filter.params)?),
        32000 => Step::Lzf,
        32001 => Step::Blosc,
        32004 => Step::Lz4,
        32008 => Step::Bitshuffle(bitshuffle::Params::new(&filter.params)?),
        32015 => Step::Zstd,
        _ => return None,
    })
}

impl Pipeline {
    /// A pipeline for chunks of `chunk_bytes`; `None` if a filter is not known here.
    pub(in crate::h5) fn new(filters: &[Filter], chunk_bytes: u64) -> Option<Self> {
        let steps = filters.iter().map(step).collect::<Option<Vec<_>>>()?;
        // The library's mask has 32 bits.
        (steps.len() <= 32)
            .then_some(Self { steps, chunk_bytes: usize::try_from(chunk_bytes).ok()? })
    }

    /// Bytes of a decoded chunk.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Whether a chunk with this mask is stored as it is.
    pub(crate) fn is_plain(&self, mask: u32) -> bool {
        self.applied(mask).next().is_none()
    }

    fn applied(&self, mask: u32) -> impl DoubleEndedIterator<Item = &Step> {
        let used = move |place: usize| mask.checked_shr(u32::try_from(place).unwrap_or(32));
        let steps = self.steps.iter().enumerate();
        steps.filter(move |(place, _)| used(*place).is_some_and(|bits| bits & 1 == 0)).map(|s| s.1)
    }

    /// Bytes of what each step was given when the chunk was written; `None` where a compressor that is
    /// not the last to be undone makes it unknown.
    fn sizes(&self, mask: u32) -> Option<Vec<usize>> {
        let mut size = Some(self.chunk_bytes);
        let mut sizes = Vec::with_capacity(self.steps.len());
        for step in self.applied(mask) {
            sizes.push(size?);
            size = match step {
                Step::Shuffle(_) => size,
                Step::Fletcher32 => size?.checked_add(4),
                _ => None,
            };
        }
        Some(sizes)
    }

    /// Decodes `stored` into `target`, which has the size of a chunk.
    pub(crate) fn decode(
        &self,
        decoder: &mut Decoder,
        mask: u32,
        stored: &[u8],
        target: &mut Vec<u8>,
    ) -> Decoded {
        let Some(sizes) = self.sizes(mask) else {
            return Err(Refused("two compressors, one after the other"));
        };
        let mut spare = std::mem::take(&mut decoder.scratch);
        let mut first = true;
        let steps = self.applied(mask).rev().zip(sizes.into_iter().rev());
        let result = steps.into_iter().try_for_each(|(step, size)| {
            let source = if first { stored } else { &target[..] };
            resize(&mut spare, size)?;
            step.undo(decoder, source, &mut spare)?;
            std::mem::swap(target, &mut spare);
            first = false;
            Ok(())
        });
        decoder.scratch = spare;
        result?;
        if first {
            target.clear();
            target.extend_from_slice(stored);
        }
        match target.len() == self.chunk_bytes {
            true => Ok(()),
            false => Err(Refused("a chunk of another size than its dataset says")),
        }
    }
}

impl Step {
    /// Fills `target`, whose size is exactly what the step was given on writing.
    fn undo(&self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        match self {
            Self::Deflate => inflate(&mut decoder.inflate, source, target),
            Self::Shuffle(size) => {
                same_size(source, target).map(|()| shuffle::unshuffle(*size, source, target))
            }
            Self::Fletcher32 => checksum::check(source, target),
            Self::Lzf => lz::lzf(source, target),
            #[cfg(feature = "szip")]
            Self::Szip(params) => match params.chunk(source) {
                Some(plain) if plain.len() == target.len() => {
                    target.copy_from_slice(&plain);
                    Ok(())
                }
                _ => Err(Refused("szip: damaged data")),
            },
            Self::Lz4 => lz::lz4_framed(source, target),
            Self::Zstd => zstd(&mut decoder.zstd, source, target),
            Self::Blosc => blosc::decode(decoder, source, target),
            Self::Bitshuffle(params) => params.decode(decoder, source, target),
        }
    }
}

fn same_size(source: &[u8], target: &[u8]) -> Decoded {
    if source.len() == target.len() { Ok(()) } else { Err(Refused("data of an unexpected size")) }
}

/// Zlib data that fills `target` exactly.
fn inflate(engine: &mut libdeflater::Decompressor, source: &[u8], target: &mut [u8]) -> Decoded {
    match engine.zlib_decompress(source, target) {
        Ok(size) if size == target.len() => Ok(()),
        _ => Err(Refused("deflate: damaged data")),
    }
}

/// Zstandard frames that fill `target` exactly.
fn zstd(engine: &mut zstd_safe::DCtx<'static>, source: &[u8], target: &mut [u8]) -> Decoded {
    let size = target.len();
    match engine.decompress(target, source) {
        Ok(done) if done == size => Ok(()),
        _ => Err(Refused("zstd: damaged data")),
    }
}

/// Makes `buffer` as long as `size`; what it holds does not matter.
pub(crate) fn resize(buffer: &mut Vec<u8>, size: usize) -> Decoded {
    let more = size.saturating_sub(buffer.len());
    buffer.try_reserve_exact(more).map_err(|_| Refused("no memory for a chunk"))?;
    buffer.resize(size, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(id: i32, params: &[u32]) -> Filter {
        Filter { id, name: String::new(), optional: false, params: params.to_vec() }
    }

    fn decode(filters: &[Filter], mask: u32, stored: &[u8], size: u64) -> Result<Vec<u8>, Refused> {
        let mut target = Vec::new();
        let pipeline = Pipeline::new(filters, size).unwrap();
        pipeline.decode(&mut Decoder::default(), mask, stored, &mut target).map(|()| target)
    }

    #[test]
    fn a_masked_filter_is_left_out() {
        let filters = [filter(2, &[2]), filter(1, &[4])];
        assert_eq!(decode(&filters, 0b11, b"abcd", 4).unwrap(), b"abcd");
        assert_eq!(decode(&filters, 0b10, b"acbd", 4).unwrap(), b"abcd");
        assert!(decode(&filters, 0b10, b"acb", 4).is_err());
        assert!(decode(&filters, 0, b"abcd", 4).is_err());
    }

    #[test]
    fn unknown_filters_and_two_compressors_are_refused() {
        assert!(Pipeline::new(&[filter(5, &[])], 4).is_none());
        assert!(Pipeline::new(&[filter(2, &[0])], 4).is_none());
        assert!(decode(&[filter(1, &[]), filter(1, &[])], 0, b"abcd", 4).is_err());
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let filters = [filter(3, &[])];
        assert!(decode(&filters, 0, b"abcd\0\0\0\0", 4).is_err());
        assert!(decode(&filters, 0, b"ab", 4).is_err());
    }
}
