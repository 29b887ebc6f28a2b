//! Undoes filter pipelines outside libhdf5, so that several threads can. A pipeline or a chunk with a
//! feature that this module lacks is left to libhdf5. A damaged chunk is an error, and libhdf5 never gets it.

mod bitshuffle;
mod blosc;
mod blosc2;
mod blosclz;
mod bzip2;
mod checksum;
mod convert;
mod lz;
mod nbit;
mod pipeline;
mod scaleoffset;
mod shuffle;
mod unpack;
mod vbz;
mod widen;

pub(crate) use self::convert::Convert;
pub(super) use self::convert::Resize;
pub(super) use self::pipeline::damaged_filters;
pub(crate) use self::pipeline::{LARGE, Pipeline, Streamed};
pub(super) use self::widen::Widen;
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
    Nbit(nbit::Params),
    ScaleOffset(scaleoffset::Params),
    Lzf,
    #[cfg(feature = "szip")]
    Szip(super::szip::Params),
    Lz4,
    Zstd,
    Blosc,
    Blosc2(blosc2::Params),
    Bitshuffle(bitshuffle::Params),
    Bzip2,
    #[cfg(feature = "zfp")]
    Zfp(super::zfp::Params),
    Vbz(vbz::Params),
}

/// What is known of the bytes that a step was given on writing.
#[derive(Debug, Clone, Copy)]
enum Size {
    Exactly(usize),
    /// A bound, where there is one.
    AtMost(Option<usize>),
}

/// The same before there is a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Size,
    Bound,
    Nothing,
}

/// The reason why a chunk was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The chunk needs a version, a coder or a filter that this module lacks. The library, or a plugin, may
    /// have it.
    Unknown(&'static str),
    /// The stored bytes are damaged. This is final: the decoders of libhdf5 trust what they read, and
    /// would read past their buffers.
    Damaged(&'static str),
    /// There is no memory for the decoded bytes.
    NoMemory,
}

type Decoded = Result<(), Refused>;

/// What a thread decodes with: it keeps its memory from chunk to chunk. The contexts of the C libraries are
/// created for the first chunk that needs them.
#[derive(Default)]
pub(crate) struct Decoder {
    inflate: Option<libdeflater::Decompressor>,
    zstd: Option<zstd_safe::DCtx<'static>>,
    scratch: Vec<u8>,
    planes: Vec<u8>,
    blocks: blosc2::Room,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Gives back the memory that it keeps.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }
}

/// The step of a filter. Parameters that contradict themselves are damage where this module and libhdf5
/// give them the same meaning.
fn step(filter: &Filter) -> Result<Step, Refused> {
    const UNKNOWN: Refused = Refused::Unknown("a filter that is not known here");
    match filter.id {
        #[cfg(feature = "szip")]
        4 => super::szip::Params::new(&filter.params)
            .map(Step::Szip)
            .ok_or(Refused::Damaged("szip: parameters beyond the limits of the format")),
        5 => nbit::Params::new(&filter.params).map(Step::Nbit),
        6 => scaleoffset::Params::new(&filter.params)
            .map(Step::ScaleOffset)
            .ok_or(Refused::Damaged("scaleoffset: invalid parameters")),
        _ => other_step(filter).ok_or(UNKNOWN),
    }
}

fn other_step(filter: &Filter) -> Option<Step> {
    let param = |index: usize| filter.params.get(index).copied();
    let size = |index: usize| param(index).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    Some(match filter.id {
        1 => Step::Deflate,
        2 => Step::Shuffle(size(0)?),
        3 => Step::Fletcher32,
        307 => Step::Bzip2,
        32000 => Step::Lzf,
        32001 => Step::Blosc,
        32004 => Step::Lz4,
        32008 => Step::Bitshuffle(bitshuffle::Params::new(&filter.params)?),
        #[cfg(feature = "zfp")]
        32013 => Step::Zfp(super::zfp::Params::new(&filter.params)?),
        32015 => Step::Zstd,
        32020 => Step::Vbz(vbz::Params::new(&filter.params)?),
        32026 => Step::Blosc2(blosc2::Params::new(&filter.params)?),
        _ => return None,
    })
}

impl Step {
    /// What will be known of a chunk's size once it went through here; `None` if what is known before
    /// is not enough to undo it.
    fn known_after(&self, known: Known) -> Option<Known> {
        match self {
            Self::Shuffle(_) | Self::Fletcher32 => Some(known),
            Self::Nbit(_) | Self::ScaleOffset(_) => (known == Known::Size).then_some(Known::Bound),
            Self::Deflate | Self::Lzf | Self::Zstd | Self::Bzip2 => {
                (known != Known::Nothing).then_some(Known::Nothing)
            }
            _ => (known == Known::Size).then_some(Known::Nothing),
        }
    }

    /// What is known of the size of a chunk of `size` once it went through here.
    fn size_after(&self, size: Size) -> Size {
        let most = |most: Option<usize>| Size::AtMost(most);
        match (self, size) {
            (Self::Shuffle(_), size) => size,
            (Self::Fletcher32, Size::Exactly(bytes)) => {
                bytes.checked_add(4).map_or(most(None), Size::Exactly)
            }
            (Self::Fletcher32, Size::AtMost(bytes)) => most(bytes.and_then(|n| n.checked_add(4))),
            (Self::Nbit(params), Size::Exactly(bytes)) => most(params.most(bytes)),
            (Self::ScaleOffset(params), Size::Exactly(bytes)) => most(params.most(bytes)),
            _ => most(None),
        }
    }

    /// The size of what the step was given on writing, if the stored bytes tell it.
    fn claimed_size(&self, decoder: &mut Decoder, source: &[u8]) -> Result<Option<usize>, Refused> {
        let size = |size: Option<u64>| usize::try_from(size?).ok();
        Ok(match self {
            Self::Shuffle(_) => Some(source.len()),
            Self::Fletcher32 => source.len().checked_sub(4),
            #[cfg(feature = "szip")]
            Self::Szip(_) => size(lz::first_u32(source).map(u64::from)),
            Self::Lz4 => size(lz::framed_size(source)),
            Self::Zstd => size(zstd_safe::get_frame_content_size(source).ok().flatten()),
            Self::Blosc => blosc::size(source),
            Self::Blosc2(_) => blosc2::Params::size(decoder, source)?,
            Self::Bitshuffle(params) => params.size(source),
            #[cfg(feature = "zfp")]
            Self::Zfp(params) => Some(params.bytes()),
            Self::Vbz(_) => size(lz::first_u32(source).map(u64::from)),
            Self::Nbit(params) => Some(params.decoded_bytes().unwrap_or(source.len())),
            Self::ScaleOffset(params) => Some(params.decoded_bytes().unwrap_or(source.len())),
            Self::Deflate | Self::Lzf | Self::Bzip2 => None,
        })
    }

    /// Makes `target` what the step was given on writing, of which only a bound is known.
    fn undo_some(
        &self,
        decoder: &mut Decoder,
        source: &[u8],
        most: Option<usize>,
        target: &mut Vec<u8>,
    ) -> Decoded {
        let damaged = Refused::Damaged("damaged data");
        let unknown = Refused::Unknown("two compressors, one after the other");
        let bounded = matches!(self, Self::Shuffle(_) | Self::Fletcher32);
        // Not more than there is.
        let most = most.or(bounded.then_some(source.len()));
        let most = most.ok_or(unknown)?;
        if let Some(size) = self.claimed_size(decoder, source)? {
            if size > most {
                return Err(damaged);
            }
            resize(target, size)?;
            return self.undo(decoder, source, target);
        }
        if bounded {
            return Err(damaged);
        }
        resize(target, most)?;
        let size = match self {
            Self::Deflate => inflate_fills(decoder, source, target)?,
            Self::Lzf => lz::lzf_fills(source, target).ok_or(damaged)?,
            Self::Zstd => zstd_fills(decoder, source, target)?,
            Self::Bzip2 => bzip2::fills(source, target)?,
            _ => return Err(unknown),
        };
        target.truncate(size);
        Ok(())
    }

    /// Fills `target`, whose size is exactly what the step was given on writing.
    fn undo(&self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        match self {
            Self::Deflate => inflate(decoder, source, target),
            Self::Shuffle(size) => {
                same_size(source, target).map(|()| shuffle::unshuffle(*size, source, target))
            }
            Self::Fletcher32 => checksum::check(source, target),
            Self::Nbit(params) => params.decode(source, target),
            Self::ScaleOffset(params) => params.decode(source, target),
            Self::Lzf => lz::lzf(source, target),
            #[cfg(feature = "szip")]
            Self::Szip(params) => {
                let plain = params.chunk(source, target.len())?;
                same_size(&plain, target).map(|()| target.copy_from_slice(&plain))
            }
            Self::Lz4 => lz::lz4_framed(source, target),
            Self::Zstd => zstd(decoder, source, target),
            Self::Blosc => blosc::decode(decoder, source, target),
            Self::Blosc2(params) => params.decode(decoder, source, target),
            Self::Bitshuffle(params) => params.decode(decoder, source, target),
            Self::Bzip2 => match bzip2::fills(source, target)? {
                size if size == target.len() => Ok(()),
                _ => Err(Refused::Damaged("bzip2: damaged data")),
            },
            #[cfg(feature = "zfp")]
            Self::Zfp(params) => params.chunk(source, target),
            Self::Vbz(params) => params.decode(decoder, source, target),
        }
    }
}

/// Undoes one filter, if it is known here, for a library that does not say how large the chunk was before:
/// no more than `most` bytes.
pub(super) fn undo_alone(
    filter: &Filter,
    decoder: &mut Decoder,
    source: &[u8],
    most: usize,
) -> Result<Vec<u8>, Refused> {
    let step = step(filter)?;
    let mut target = Vec::new();
    if step.claimed_size(decoder, source)?.is_some() {
        step.undo_some(decoder, source, Some(most), &mut target)?;
        return Ok(target);
    }
    // The bound may be far too large: more is tried only when less is not enough.
    let mut room = source.len().saturating_mul(8).max(64 << 10).min(most);
    loop {
        match step.undo_some(decoder, source, Some(room), &mut target) {
            Err(Refused::Damaged(_)) if room < most => room = room.saturating_mul(4).min(most),
            done => return done.map(|()| target),
        }
    }
}

/// Whether a filter with these parameters is known here.
pub(super) fn knows(filter: &Filter) -> bool {
    step(filter).is_ok()
}

fn same_size(source: &[u8], target: &[u8]) -> Decoded {
    if source.len() == target.len() {
        Ok(())
    } else {
        Err(Refused::Damaged("data of an unexpected size"))
    }
}

/// Zlib data that fills `target` exactly.
fn inflate(decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
    match inflate_fills(decoder, source, target)? {
        size if size == target.len() => Ok(()),
        _ => Err(DEFLATE_DAMAGED),
    }
}

/// How much of `target` zlib data fill.
fn inflate_fills(
    decoder: &mut Decoder,
    source: &[u8],
    target: &mut [u8],
) -> Result<usize, Refused> {
    let context = match &mut decoder.inflate {
        Some(context) => context,
        none => {
            check_room()?;
            none.insert(libdeflater::Decompressor::new())
        }
    };
    context.zlib_decompress(source, target).map_err(|_| DEFLATE_DAMAGED)
}

/// Zstandard frames that fill `target` exactly.
fn zstd(decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
    match zstd_fills(decoder, source, target)? {
        size if size == target.len() => Ok(()),
        _ => Err(ZSTD_DAMAGED),
    }
}

/// How much of `target` Zstandard frames fill.
fn zstd_fills(decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Result<usize, Refused> {
    let context = match &mut decoder.zstd {
        Some(context) => context,
        none => none.insert(zstd_safe::DCtx::try_create().ok_or(Refused::NoMemory)?),
    };
    context.decompress(target, source).map_err(|_| ZSTD_DAMAGED)
}

const DEFLATE_DAMAGED: Refused = Refused::Damaged("deflate: damaged data");
const ZSTD_DAMAGED: Refused = Refused::Damaged("zstd: damaged data");

/// Makes sure that there is memory for the context of a C library whose crate panics when its allocation fails.
/// The contexts of libdeflate and bzip2 are smaller than this.
fn check_room() -> Decoded {
    const CONTEXT: usize = 256 << 10;
    Vec::<u8>::new().try_reserve_exact(CONTEXT).map_err(|_| Refused::NoMemory)
}

/// Makes `buffer` as long as `size`; what it holds does not matter.
pub(crate) fn resize(buffer: &mut Vec<u8>, size: usize) -> Decoded {
    let more = size.saturating_sub(buffer.len());
    buffer.try_reserve_exact(more).map_err(|_| Refused::NoMemory)?;
    buffer.resize(size, 0);
    Ok(())
}
