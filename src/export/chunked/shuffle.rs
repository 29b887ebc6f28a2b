//! The shuffle filter of HDF5.

/// Writes the first byte of every element to `out`, then the second byte of every element, and so on.
pub(super) fn shuffle(plain: &[u8], item: usize, out: &mut [u8]) {
    match item {
        0 | 1 => out.copy_from_slice(plain),
        2 => transpose::<2>(plain, out),
        4 => transpose::<4>(plain, out),
        8 => transpose::<8>(plain, out),
        16 => transpose::<16>(plain, out),
        _ => {
            let count = plain.len() / item;
            for (number, element) in plain.chunks_exact(item).enumerate() {
                for (byte, value) in element.iter().enumerate() {
                    out[byte * count + number] = *value;
                }
            }
        }
    }
}

/// Shuffles elements of `N` bytes, in blocks that fit in the first-level cache.
fn transpose<const N: usize>(plain: &[u8], out: &mut [u8]) {
    const BLOCK: usize = 1024;
    let count = plain.len() / N;
    let (elements, _) = plain.as_chunks::<N>();
    for (number, block) in elements.chunks(BLOCK).enumerate() {
        for byte in 0..N {
            let begin = byte * count + number * BLOCK;
            let row = &mut out[begin..begin + block.len()];
            for (to, element) in row.iter_mut().zip(block) {
                *to = element[byte];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_groups_bytes_by_their_position() {
        for item in [2, 3, 4, 8] {
            let plain: Vec<u8> = (0..item * 5).map(|n| u8::try_from(n).unwrap()).collect();
            let mut out = vec![0; plain.len()];
            shuffle(&plain, item, &mut out);
            assert_eq!(usize::from(out[1]), item);
            assert_eq!(out[5], 1);
        }
    }
}
