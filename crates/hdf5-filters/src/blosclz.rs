//! BloscLZ, Blosc's own coder: runs of literals and matches within the last 72 KiB.
//! Source: <https://github.com/Blosc/c-blosc/blob/main/blosc/blosclz.c>, read for the format: an opcode
//! below 32 is a run of literals one longer; others have the match's length in the three upper bits (7
//! means that bytes of 255 follow and one below) and its distance in the rest and the next byte, both
//! ones meaning a distance of 16 bits beyond 8191.

use crate::lz::repeat;

/// The distance after which two more bytes contain the rest.
const FAR: usize = 8191;

/// Fills `target` exactly; `None` if the data do not.
pub(super) fn decode(source: &[u8], target: &mut [u8]) -> Option<()> {
    let mut source = source.iter();
    let mut done = 0;
    // The first opcode is always a run of literals: its upper bits mean something else.
    let mut opcode = usize::from(source.next()? & 31);
    loop {
        if opcode >= 32 {
            let mut length = (opcode >> 5) - 1;
            let mut distance = (opcode & 31) << 8;
            if length == 6 {
                loop {
                    let more = usize::from(*source.next()?);
                    length = length.checked_add(more)?;
                    if more != 255 {
                        break;
                    }
                }
            }
            let low = usize::from(*source.next()?);
            distance += low;
            if low == 255 && distance == FAR {
                let (high, low) = (*source.next()?, *source.next()?);
                distance = FAR + usize::from(u16::from_be_bytes([high, low]));
            }
            repeat(target, done, distance + 1, length + 3)?;
            done += length + 3;
        } else {
            let run = opcode + 1;
            let literals = source.as_slice().get(..run)?;
            target.get_mut(done..done.checked_add(run)?)?.copy_from_slice(literals);
            source = source.as_slice()[run..].iter();
            done += run;
        }
        match source.next() {
            Some(&next) => opcode = usize::from(next),
            None => break,
        }
    }
    (done == target.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn literals_and_matches_fill_the_target() {
        let mut target = [0; 9];
        decode(&[2, b'a', b'b', b'c', 0x80, 2], &mut target).unwrap();
        assert_eq!(&target, b"abcabcabc");
        assert!(decode(&[2, b'a', b'b', b'c', 0x80, 3], &mut target).is_none());
        assert!(decode(&[2, b'a'], &mut target).is_none());
        assert!(decode(&[], &mut target).is_none());
    }
}
