//! One filter of a pipeline: its parameters, and the function that undoes it.

use crate::buffer::{resize_buffer, same_size};
use crate::decoder::Decoder;
use crate::error::{Decoded, Error};
use crate::filter::Filter;
#[cfg(feature = "szip")]
use crate::szip;
#[cfg(feature = "zfp")]
use crate::zfp;
use crate::{bitshuffle, blosc, blosc2, bzip2, checksum, lz, nbit, scaleoffset, shuffle, vbz};

/// One step that this module can undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Deflate,
    /// Bytes of an element.
    Shuffle(usize),
    Fletcher32,
    Nbit(nbit::Params),
    ScaleOffset(scaleoffset::Params),
    Lzf,
    #[cfg(feature = "szip")]
    Szip(szip::Params),
    Lz4,
    Zstd,
    Blosc,
    Blosc2(blosc2::Params),
    Bitshuffle(bitshuffle::Params),
    Bzip2,
    #[cfg(feature = "zfp")]
    Zfp(zfp::Params),
    Vbz(vbz::Params),
}

/// The known size of a step's input on writing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Size {
    Exactly(usize),
    /// A bound, where there is one.
    AtMost(Option<usize>),
}

/// The same without a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Size,
    Bound,
    Nothing,
}

/// The step of a filter. Parameters that contradict themselves are damage where this module and libhdf5
/// give them the same meaning.
pub(crate) fn step(filter: &Filter) -> Result<Step, Error> {
    const UNKNOWN: Error = Error::Unsupported("a filter that is not known here");
    match filter.id {
        #[cfg(feature = "szip")]
        4 => szip::Params::new(&filter.params)
            .map(Step::Szip)
            .ok_or(Error::Corrupt("szip: parameters beyond the limits of the format")),
        5 => nbit::Params::new(&filter.params).map(Step::Nbit),
        6 => scaleoffset::Params::new(&filter.params)
            .map(Step::ScaleOffset)
            .ok_or(Error::Corrupt("scaleoffset: invalid parameters")),
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
        32013 => Step::Zfp(zfp::Params::new(&filter.params)?),
        32015 => Step::Zstd,
        32020 => Step::Vbz(vbz::Params::new(&filter.params)?),
        32026 => Step::Blosc2(blosc2::Params::new(&filter.params)?),
        _ => return None,
    })
}

impl Step {
    /// The known size of this step's output for any chunk; `None` if the known size of its input is not
    /// enough to undo it.
    pub(crate) fn known_after(&self, known: Known) -> Option<Known> {
        match self {
            Self::Shuffle(_) | Self::Fletcher32 => Some(known),
            Self::Nbit(_) | Self::ScaleOffset(_) => (known == Known::Size).then_some(Known::Bound),
            Self::Deflate | Self::Lzf | Self::Zstd | Self::Bzip2 => {
                (known != Known::Nothing).then_some(Known::Nothing)
            }
            _ => (known == Known::Size).then_some(Known::Nothing),
        }
    }

    /// The known size of this step's output for a chunk of `size`.
    pub(crate) fn size_after(&self, size: Size) -> Size {
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

    /// The size of the step's input on writing, if the stored bytes contain it.
    fn claimed_size(&self, decoder: &mut Decoder, source: &[u8]) -> Result<Option<usize>, Error> {
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

    /// Decodes to `target`, when only a limit for the size of the step's input on writing is known.
    pub(crate) fn undo_some(
        &self,
        decoder: &mut Decoder,
        source: &[u8],
        most: Option<usize>,
        target: &mut Vec<u8>,
    ) -> Decoded {
        let damaged = Error::Corrupt("damaged data");
        let unknown = Error::Unsupported("two compressors, one after the other");
        let bounded = matches!(self, Self::Shuffle(_) | Self::Fletcher32);
        // Not more than there is.
        let most = most.or(bounded.then_some(source.len()));
        let most = most.ok_or(unknown)?;
        if let Some(size) = self.claimed_size(decoder, source)? {
            if size > most {
                return Err(damaged);
            }
            resize_buffer(target, size)?;
            return self.undo(decoder, source, target);
        }
        if bounded {
            return Err(damaged);
        }
        resize_buffer(target, most)?;
        let size = match self {
            Self::Deflate => decoder.inflate_some(source, target)?,
            Self::Lzf => lz::lzf_fills(source, target).ok_or(damaged)?,
            Self::Zstd => decoder.unzstd_some(source, target)?,
            Self::Bzip2 => bzip2::fills(source, target)?,
            _ => return Err(unknown),
        };
        target.truncate(size);
        Ok(())
    }

    /// Fills `target`, which has exactly the size of the step's input on writing.
    pub(crate) fn undo(&self, decoder: &mut Decoder, source: &[u8], target: &mut [u8]) -> Decoded {
        match self {
            Self::Deflate => decoder.inflate(source, target),
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
            Self::Zstd => decoder.unzstd(source, target),
            Self::Blosc => blosc::decode(decoder, source, target),
            Self::Blosc2(params) => params.decode(decoder, source, target),
            Self::Bitshuffle(params) => params.decode(decoder, source, target),
            Self::Bzip2 => match bzip2::fills(source, target)? {
                size if size == target.len() => Ok(()),
                _ => Err(Error::Corrupt("bzip2: damaged data")),
            },
            #[cfg(feature = "zfp")]
            Self::Zfp(params) => params.chunk(source, target),
            Self::Vbz(params) => params.decode(decoder, source, target),
        }
    }
}

/// Undoes one filter, if it is supported, for a library that does not pass the size of the result. It has at most
/// `most` bytes.
pub fn decode_filter(
    filter: &Filter,
    decoder: &mut Decoder,
    source: &[u8],
    most: usize,
) -> Result<Vec<u8>, Error> {
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
            Err(Error::Corrupt(_)) if room < most => room = room.saturating_mul(4).min(most),
            done => return done.map(|()| target),
        }
    }
}

/// Whether a filter with these parameters is supported.
pub fn is_supported(filter: &Filter) -> bool {
    step(filter).is_ok()
}
