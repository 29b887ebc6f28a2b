//! Filter 2, shuffle: the first bytes of all elements, then the second ones, and so on.

/// Elements that are joined at a time, so that the intermediate bytes stay in the cache.
const RUN: usize = 512;

/// Joins elements of `size` bytes; bytes after the last whole element are copied.
/// Both slices are equally long.
pub fn unshuffle(size: usize, source: &[u8], target: &mut [u8]) {
    match size {
        1 => target.copy_from_slice(source),
        2 => by_runs::<2>(source, target, |planes, elements| {
            for ((element, &a), &b) in elements.iter_mut().zip(planes[0]).zip(planes[1]) {
                *element = [a, b];
            }
        }),
        4 => by_runs::<4>(source, target, join4),
        8 => by_runs::<8>(source, target, join8::<RUN>),
        16 => by_runs::<16>(source, target, |planes, elements| {
            let (mut low, mut high) = ([[0; 8]; RUN], [[0; 8]; RUN]);
            let (Some(first), Some(last)) = (planes.first_chunk(), planes.last_chunk()) else {
                return;
            };
            join8::<RUN>(first, &mut low[..elements.len()]);
            join8::<RUN>(last, &mut high[..elements.len()]);
            for ((element, low), high) in elements.iter_mut().zip(&low).zip(&high) {
                element[..8].copy_from_slice(low);
                element[8..].copy_from_slice(high);
            }
        }),
        _ => any(size, source, target),
    }
}

/// Passes `join` up to [`RUN`] elements at a time, and their bytes in each plane.
fn by_runs<const N: usize>(
    source: &[u8],
    target: &mut [u8],
    join: impl Fn(&[&[u8]; N], &mut [[u8; N]]),
) {
    let count = source.len() / N;
    let planes: [&[u8]; N] = std::array::from_fn(|n| &source[n * count..(n + 1) * count]);
    let (elements, rest) = target.as_chunks_mut::<N>();
    for (run, elements) in elements.chunks_mut(RUN).enumerate() {
        let first = run * RUN;
        join(&planes.map(|plane| &plane[first..first + elements.len()]), elements);
    }
    rest.copy_from_slice(&source[count * N..]);
}

// Two at a time, then two of those: the compiler vectorizes each step as an interleaving, but not one step of four or
// eight.

fn join4(planes: &[&[u8]; 4], elements: &mut [[u8; 4]]) {
    let (mut low, mut high) = ([0; RUN], [0; RUN]);
    join_bytes(planes[0], planes[1], &mut low);
    join_bytes(planes[2], planes[3], &mut high);
    for ((element, &low), &high) in elements.iter_mut().zip(&low).zip(&high) {
        *element = (u32::from(low) | u32::from(high) << 16).to_le_bytes();
    }
}

/// Joins elements of eight bytes, `MOST` at a time.
pub(super) fn join8<const MOST: usize>(planes: &[&[u8]; 8], elements: &mut [[u8; 8]]) {
    let mut pairs = [[0; MOST]; 4];
    for (pair, planes) in pairs.iter_mut().zip(planes.as_chunks::<2>().0) {
        join_bytes(planes[0], planes[1], pair);
    }
    let mut fours = [[0_u32; MOST]; 2];
    for (four, pairs) in fours.iter_mut().zip(pairs.as_chunks::<2>().0) {
        for ((four, &low), &high) in
            four.iter_mut().zip(&pairs[0]).zip(&pairs[1]).take(elements.len())
        {
            *four = u32::from(low) | u32::from(high) << 16;
        }
    }
    for ((element, &low), &high) in elements.iter_mut().zip(&fours[0]).zip(&fours[1]) {
        *element = (u64::from(low) | u64::from(high) << 32).to_le_bytes();
    }
}

fn join_bytes(low: &[u8], high: &[u8], pairs: &mut [u16]) {
    for ((pair, &low), &high) in pairs.iter_mut().zip(low).zip(high) {
        *pair = u16::from_le_bytes([low, high]);
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
    fn elements_of_every_size_are_unshuffled() {
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
