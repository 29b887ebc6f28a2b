//! LZF (filter 32000) and LZ4 in HDF5's framing (filter 32004).
//! Source: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.

use crate::error::Error;

/// Bytes that are copied at a time where both sides have room: cheaper than the exact number.
const WIDE: usize = 16;

/// LZF data that fills `target` exactly. An opcode below 32 is a run of literals one longer; others have
/// the match's length less 2 in the three upper bits (7 means that the next byte adds to it) and its
/// distance less 1 in the rest and the next byte.
/// Source: <http://software.schmorp.de/pkg/liblzf.html>, its description of the format.
pub(super) fn lzf(source: &[u8], target: &mut [u8]) -> Result<(), Error> {
    match lzf_fills(source, target) {
        Some(done) if done == target.len() => Ok(()),
        _ => Err(Error::Corrupt("lzf: damaged data")),
    }
}

/// The number of bytes of `target` that the data fill.
pub(super) fn lzf_fills(source: &[u8], target: &mut [u8]) -> Option<usize> {
    let (mut at, mut done) = (0, 0);
    while let Some(&opcode) = source.get(at) {
        let opcode = usize::from(opcode);
        at += 1;
        if opcode < 32 {
            let run = opcode + 1;
            match (source.get(at..at + 2 * WIDE), target.get_mut(done..done + 2 * WIDE)) {
                // The next step overwrites the surplus.
                (Some(from), Some(to)) => to.copy_from_slice(from),
                _ => target.get_mut(done..done + run)?.copy_from_slice(source.get(at..at + run)?),
            }
            if at + run > source.len() {
                return None;
            }
            at += run;
            done += run;
        } else {
            let mut length = opcode >> 5;
            if length == 7 {
                length += usize::from(*source.get(at)?);
                at += 1;
            }
            length += 2;
            let distance = ((opcode & 31) << 8 | usize::from(*source.get(at)?)) + 1;
            at += 1;
            repeat(target, done, distance, length)?;
            done += length;
        }
    }
    Some(done)
}

/// Repeats the bytes at `distance` before; the two may overlap.
pub(super) fn repeat(target: &mut [u8], at: usize, distance: usize, length: usize) -> Option<()> {
    let (start, end) = (at.checked_sub(distance)?, at.checked_add(length)?);
    if end > target.len() {
        return None;
    }
    if distance >= WIDE && end + WIDE <= target.len() {
        for step in (0..length).step_by(WIDE) {
            let wide: [u8; WIDE] = *target.get(start + step..)?.first_chunk()?;
            *target.get_mut(at + step..)?.first_chunk_mut()? = wide;
        }
    } else if distance == 1 {
        let byte = target[start];
        target[at..end].fill(byte);
    } else if distance >= length {
        target.copy_within(start..start + length, at);
    } else {
        // A pattern shorter than the match: each copy doubles it.
        let mut there = distance;
        while there < length + distance {
            let more = there.min(length + distance - there);
            target.copy_within(start..start + more, start + there);
            there += more;
        }
    }
    Some(())
}

/// The whole size in 8 bytes, a block's in 4, then blocks with 4 bytes of size each; a block that did
/// not shrink is stored as it is. All numbers have their most significant byte first.
pub(super) fn lz4_framed(source: &[u8], target: &mut [u8]) -> Result<(), Error> {
    let damaged = Error::Corrupt("lz4: damaged data");
    let (whole, rest) = source.split_first_chunk::<8>().ok_or(damaged)?;
    let (block, mut rest) = rest.split_first_chunk::<4>().ok_or(damaged)?;
    let block = u32::from_be_bytes(*block) as usize;
    if u64::from_be_bytes(*whole) != target.len() as u64 || block == 0 {
        return Err(damaged);
    }
    for part in target.chunks_mut(block) {
        let (size, after) = rest.split_first_chunk::<4>().ok_or(damaged)?;
        let size = u32::from_be_bytes(*size) as usize;
        let (code, after) = after.split_at_checked(size).ok_or(damaged)?;
        rest = after;
        if size == part.len() {
            part.copy_from_slice(code);
        } else {
            lz4(code, part)?;
        }
    }
    Ok(())
}

/// The whole size in the header of such data.
pub(super) fn framed_size(source: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*source.first_chunk()?))
}

/// The first four bytes as a number, least significant byte first.
pub(super) fn first_u32(source: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*source.first_chunk()?))
}

/// One LZ4 block that fills `target` exactly.
pub(super) fn lz4(source: &[u8], target: &mut [u8]) -> Result<(), Error> {
    let damaged = Error::Corrupt("lz4: damaged data");
    // The C library counts with signed 32 bits.
    let (Ok(_), Ok(size)) = (i32::try_from(source.len()), i32::try_from(target.len())) else {
        return Err(damaged);
    };
    match lz4::block::decompress_to_buffer(source, Some(size), target) {
        Ok(size) if size == target.len() => Ok(()),
        _ => Err(damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lzf_literals_and_matches_fill_the_target() {
        let mut target = [0; 9];
        lzf(&[2, b'a', b'b', b'c', 0x80, 2], &mut target).unwrap();
        assert_eq!(&target, b"abcabcabc");
        for bad in [&[2, b'a', b'b', b'c', 0x80, 3][..], &[2, b'a'], &[], &[0xe0], &[0x20, 0]] {
            assert!(lzf(bad, &mut target).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn matches_of_every_distance_and_length_are_copied() {
        for distance in 1..40 {
            for length in 1..100 {
                let mut target: Vec<u8> = (0..200_u8).collect();
                let mut slow = target.clone();
                for at in 50..50 + length {
                    slow[at] = slow[at - distance];
                }
                repeat(&mut target, 50, distance, length).unwrap();
                assert_eq!(target[..50 + length], slow[..50 + length], "{distance} {length}");
            }
        }
    }
}
