//! Filter 3: Fletcher's checksum of 32 bits in HDF5's variant, which takes words most significant byte
//! first and pads an odd byte.
//! Source: the HDF5 file format specification, "Fletcher32 checksum".

use crate::error::Error;

/// Words that can be added before the sums must be folded.
const WORDS: usize = 360;

/// Checks the four bytes at the end and copies the bytes before them.
pub(super) fn check(source: &[u8], target: &mut [u8]) -> Result<(), Error> {
    let Some((data, stored)) = source.split_last_chunk::<4>() else {
        return Err(Error::Corrupt("fletcher32: data without a checksum"));
    };
    let (found, stored) = (sum(data), u32::from_le_bytes(*stored));
    // HDF5 before 1.6.3 stored each half of the sum with its bytes swapped.
    let is_right = stored == found || stored == found.swap_bytes().rotate_left(16);
    if data.len() != target.len() || !is_right {
        return Err(Error::Corrupt("fletcher32: a wrong checksum"));
    }
    target.copy_from_slice(data);
    Ok(())
}

pub(super) fn sum(data: &[u8]) -> u32 {
    let (mut first, mut second) = (0_u32, 0_u32);
    let (words, odd) = data.as_chunks::<2>();
    for run in words.chunks(WORDS) {
        for &word in run {
            first += u32::from(u16::from_be_bytes(word));
            second += first;
        }
        (first, second) = (fold(first), fold(second));
    }
    if let [byte] = odd {
        first += u32::from(*byte) << 8;
        second += first;
        (first, second) = (fold(first), fold(second));
    }
    fold(second) << 16 | fold(first)
}

fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}

#[cfg(test)]
mod tests {
    use super::{check, sum};

    #[test]
    fn check_accepts_the_sums_of_hdf5_before_1_6_3() {
        let mut target = [0; 4];
        let data = [1, 2, 3, 4];
        let [a, b, c, d] = sum(&data).to_le_bytes();
        for stored in [[a, b, c, d], [b, a, d, c]] {
            check(&[data, stored].concat(), &mut target).unwrap();
            assert_eq!(target, data);
        }
        assert!(check(&[data, [c, d, a, b]].concat(), &mut target).is_err());
    }

    #[test]
    fn sums_equal_those_of_a_plain_implementation() {
        assert_eq!(sum(&[]), 0);
        assert_eq!(sum(&[1]), 0x0100_0100);
        assert_eq!(sum(&[0, 1, 0, 1]), 0x0003_0002);
    }
}
