//! Functions for the fuzz targets: the division of chunks into items, and globs.

use crate::fuzzing::Bytes;
use crate::shm::format::glob::PathFilter;
use hdf5_reader::hyperslab::{self, Hyperslab};

/// Computes the runs of a chunk: each is within the dataset and the chunk, and none overlaps another.
///
/// # Panics
/// If the items of a chunk do not cover it once.
pub fn chunk_items(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rank = bytes.below(4) + 1;
    let mut extents = || (0..rank).map(|_| u64::from(bytes.byte() % 9) + 1).collect::<Vec<_>>();
    let (shape, chunk) = (extents(), extents());
    let grid: Vec<u64> = shape.iter().zip(&chunk).map(|(&n, &c)| n.div_ceil(c)).collect();
    let elements: u64 = shape.iter().product();
    let chunk_elements: u64 = chunk.iter().product();
    let before = u64::from(bytes.byte()) % elements;
    let mut seen = vec![0_u8; usize::try_from(elements).unwrap_or(0)];
    for number in 0..grid.iter().product() {
        let start = hyperslab::chunk_start(number, &grid, &chunk);
        assert!(hdf5_reader::fuzzing::least_elements(&shape, &start, &chunk) <= chunk_elements);
        let (first, count) = hyperslab::slab(&shape, &start, &chunk);
        assert!(first + count <= elements);
        let part = Hyperslab { shape: &shape, start: &start, extent: &chunk };
        let done = part.runs(|to, from, run| {
            assert!(to + run <= elements && from + run <= chunk_elements && run > 0);
            assert!(to >= first && to + run <= first + count, "a run outside its slab");
            for at in to..to + run {
                seen[usize::try_from(at).unwrap_or(0)] += 1;
            }
            if let Some((to, from, run)) = hyperslab::wanted((to, from, run), before) {
                assert!(to + run <= elements - before && from + run <= chunk_elements);
            }
            Ok::<(), ()>(())
        });
        assert!(done.is_ok());
    }
    assert!(seen.iter().all(|&times| times == 1), "an element is in no chunk, or in several");
}

/// Builds a filter of two globs, and matches a path.
///
/// # Panics
/// If an excluded path is selected.
pub fn globs(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\0');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (include, exclude, path) = ([next()], [next()], next());
    if PathFilter::new(&include, &exclude).is_ok_and(|filter| filter.takes(&path)) {
        let all = PathFilter::new(&[], &exclude).is_ok_and(|filter| filter.takes(&path));
        assert!(all, "a path that is excluded is taken");
    }
}
