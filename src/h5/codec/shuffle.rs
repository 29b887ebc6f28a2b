//! Filter 2, shuffle: the first bytes of all elements, then the second ones, and so on.

/// Elements that are put together at a time: their planes stay in the cache.
const RUN: usize = 1024;

/// Puts elements of `size` bytes back together; bytes beyond the last whole element are as they were.
/// Both slices are equally long.
pub(super) fn unshuffle(size: usize, source: &[u8], target: &mut [u8]) {
    match size {
        1 => target.copy_from_slice(source),
        2 => fixed::<2>(source, target),
        4 => fixed::<4>(source, target),
        8 => fixed::<8>(source, target),
        16 => fixed::<16>(source, target),
        _ => any(size, source, target),
    }
}

/// The compiler turns the inner loop into vector interleaving, since all lengths are known to it.
fn fixed<const N: usize>(source: &[u8], target: &mut [u8]) {
    let count = source.len() / N;
    let mut planes = [&source[..0]; N];
    for (index, plane) in planes.iter_mut().enumerate() {
        *plane = &source[index * count..(index + 1) * count];
    }
    let (elements, rest) = target.as_chunks_mut::<N>();
    for (run, elements) in elements.chunks_mut(RUN).enumerate() {
        let first = run * RUN;
        let parts = planes.map(|plane| &plane[first..first + elements.len()]);
        interleave(&parts, elements);
    }
    rest.copy_from_slice(&source[count * N..]);
}

fn interleave<const N: usize>(planes: &[&[u8]; N], elements: &mut [[u8; N]]) {
    let count = elements.len();
    let planes = planes.map(|plane| &plane[..count]);
    for (index, element) in elements.iter_mut().enumerate() {
        for (byte, plane) in element.iter_mut().zip(&planes) {
            *byte = plane[index];
        }
    }
}

fn any(size: usize, source: &[u8], target: &mut [u8]) {
    let count = source.len() / size;
    let whole = count * size;
    for (plane, bytes) in source[..whole].chunks_exact(count.max(1)).enumerate() {
        for (element, &byte) in target.chunks_exact_mut(size).zip(bytes) {
            element[plane] = byte;
        }
    }
    target[whole..].copy_from_slice(&source[whole..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_put_together() {
        for size in [1, 2, 3, 4, 5, 8, 16, 24, 100] {
            for length in [0, 1, size, 7 * size + 3, 3000 * size + 1] {
                let plain: Vec<u8> =
                    (0..length).map(|n| u8::try_from(n * 31 % 251).unwrap_or(0)).collect();
                let count = length / size;
                let mut shuffled = plain.clone();
                for element in 0..count {
                    for byte in 0..size {
                        shuffled[byte * count + element] = plain[element * size + byte];
                    }
                }
                let mut target = vec![0; length];
                unshuffle(size, &shuffled, &mut target);
                assert_eq!(target, plain, "{length} bytes of {size}");
            }
        }
    }
}
