//! Hyperslabs of a dataset that are in a buffer of their own, as runs that are contiguous in dataset and buffer.

/// A part of a dataset that lies in a buffer of its own.
#[derive(Debug, Clone, Copy)]
pub struct Hyperslab<'a> {
    /// The dataset's extents.
    pub shape: &'a [u64],
    /// First index on each axis.
    pub start: &'a [u64],
    /// The buffer's extents; the part beyond the dataset is ignored.
    pub extent: &'a [u64],
}

impl Hyperslab<'_> {
    fn count(&self, axis: usize) -> u64 {
        self.extent[axis].min(self.shape[axis].saturating_sub(self.start[axis]))
    }

    /// How many axes are run through, and elements of a run: the innermost axes that are whole in both
    /// dataset and buffer, and the next one.
    fn inner(&self) -> (usize, u64) {
        let (mut outer, mut run) = (self.shape.len(), 1);
        while outer > 0 {
            let axis = outer - 1;
            let count = self.count(axis);
            outer = axis;
            run *= count;
            if count != self.shape[axis] || count != self.extent[axis] {
                break;
            }
        }
        (outer, run)
    }

    /// Elements of a run.
    pub fn run(&self) -> u64 {
        self.inner().1
    }

    /// Calls `visit` with each run's first index in the dataset, first index in the buffer, and length.
    /// Every index is below the number of elements of a dataset or buffer that exists.
    pub fn runs<E>(&self, mut visit: impl FnMut(u64, u64, u64) -> Result<(), E>) -> Result<(), E> {
        let (outer, run) = self.inner();
        if run == 0 || (0..outer).any(|axis| self.count(axis) == 0) {
            return Ok(());
        }
        let mut at = vec![0; outer];
        loop {
            let (mut to, mut from) = (0, 0);
            for axis in 0..self.shape.len() {
                let within = at.get(axis).copied().unwrap_or(0);
                to = to * self.shape[axis] + self.start[axis] + within;
                from = from * self.extent[axis] + within;
            }
            visit(to, from, run)?;
            let mut axis = outer;
            loop {
                if axis == 0 {
                    return Ok(());
                }
                axis -= 1;
                at[axis] += 1;
                if at[axis] < self.count(axis) {
                    break;
                }
                at[axis] = 0;
            }
        }
    }
}

/// A box of the dataset that elements are put into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputBox {
    /// First index on each axis.
    pub start: Vec<u64>,
    /// Its extents.
    pub shape: Vec<u64>,
    /// Elements of it that are before the first wanted one.
    pub before: u64,
}

impl OutputBox {
    /// Everything.
    pub fn whole(shape: &[u64], before: u64) -> Self {
        Self { start: vec![0; shape.len()], shape: shape.to_vec(), before }
    }

    /// The part of the box of this extent at `start` that is in a dataset.
    pub fn within(shape: &[u64], start: Vec<u64>, extent: &[u64]) -> Self {
        let rest =
            |((&n, &start), &extent): ((&u64, &u64), &u64)| extent.min(n.saturating_sub(start));
        let shape = shape.iter().zip(&start).zip(extent).map(rest).collect();
        Self { start, shape, before: 0 }
    }

    /// The number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// A place in the dataset, relative to the start of this box, which is not after it.
    pub fn relative(&self, mut start: Vec<u64>) -> Vec<u64> {
        for (at, &first) in start.iter_mut().zip(&self.start) {
            *at = at.saturating_sub(first);
        }
        start
    }
}

/// The rest of a run of elements without those `before` the first wanted one: its first index
/// counted from that one, its first index in the buffer, and its length.
pub fn wanted((to, from, run): (u64, u64, u64), before: u64) -> Option<(u64, u64, u64)> {
    let cut = before.saturating_sub(to).min(run);
    (cut < run).then(|| (to + cut - before, from + cut, run - cut))
}

/// The first index of chunk `number` of a grid.
pub fn chunk_start(number: u64, grid: &[u64], chunk: &[u64]) -> Vec<u64> {
    let mut start = vec![0; grid.len()];
    let mut rest = number;
    for ((at, &count), &extent) in start.iter_mut().zip(grid).zip(chunk).rev() {
        *at = rest % count.max(1) * extent;
        rest /= count.max(1);
    }
    start
}

/// The axis on which slabs follow each other: chunks have one index only on those before it.
fn cut_axis(chunk: &[u64]) -> usize {
    chunk.iter().take_while(|&&extent| extent == 1).count().min(chunk.len().saturating_sub(1))
}

/// A slab is the chunks that together make up a contiguous range of the dataset: how many have numbers
/// in a row.
pub fn chunks_of_slab(grid: &[u64], chunk: &[u64]) -> u64 {
    grid.iter().skip(cut_axis(chunk) + 1).product()
}

/// The slab in which the chunk at `start` is: its first element, and how many it has.
pub fn slab(shape: &[u64], start: &[u64], chunk: &[u64]) -> (u64, u64) {
    let cut = cut_axis(chunk);
    let inner: u64 = shape.iter().skip(cut + 1).product();
    let at = start.iter().zip(shape).take(cut + 1).fold(0, |at, (&start, &n)| at * n + start);
    let (Some(&extent), Some(&n), Some(&start)) = (chunk.get(cut), shape.get(cut), start.get(cut))
    else {
        return (0, 1);
    };
    (at * inner, extent.min(n.saturating_sub(start)) * inner)
}

/// Returns the range of the bytes of `count` elements from `first` on.
pub fn bytes_of(first: u64, count: u64, size: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(first).ok()?.checked_mul(size)?;
    Some(start..usize::try_from(count).ok()?.checked_mul(size)?.checked_add(start)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(shape: &[u64], start: &[u64], extent: &[u64]) -> Vec<(u64, u64, u64)> {
        let mut all = Vec::new();
        Hyperslab { shape, start, extent }
            .runs(|to, from, run| {
                all.push((to, from, run));
                Ok::<_, ()>(())
            })
            .unwrap();
        all
    }

    #[test]
    fn runs_are_as_long_as_source_and_target_allow() {
        assert_eq!(runs(&[4, 6], &[2, 0], &[2, 6]), [(12, 0, 12)]);
        assert_eq!(runs(&[4, 6], &[2, 4], &[2, 4]), [(16, 0, 2), (22, 4, 2)]);
        assert_eq!(runs(&[5], &[4], &[4]), [(4, 0, 1)]);
        assert_eq!(runs(&[2, 3], &[0, 0], &[9, 9]), [(0, 0, 3), (3, 9, 3)]);
        assert_eq!(runs(&[], &[], &[]), [(0, 0, 1)]);
        assert_eq!(runs(&[2, 0], &[0, 0], &[1, 1]), []);
    }

    #[test]
    fn chunk_numbers_are_in_c_order() {
        assert_eq!(chunk_start(5, &[2, 3], &[10, 20]), [10, 40]);
        assert_eq!(chunk_start(0, &[], &[]), [0_u64; 0]);
    }

    #[test]
    fn runs_begin_at_the_first_wanted_element() {
        assert_eq!(wanted((0, 5, 10), 4), Some((0, 9, 6)));
        assert_eq!(wanted((0, 5, 4), 4), None);
        assert_eq!(wanted((6, 5, 10), 4), Some((2, 5, 10)));
    }

    #[test]
    fn a_slab_is_contiguous() {
        assert_eq!(chunks_of_slab(&[5, 2], &[2, 3]), 2);
        assert_eq!(slab(&[9, 6], &[8, 3], &[2, 3]), (48, 6));
        assert_eq!(chunks_of_slab(&[10, 3, 2], &[1, 3, 4]), 2);
        assert_eq!(slab(&[10, 7, 8], &[2, 6, 4], &[1, 3, 4]), (160, 8));
        assert_eq!(chunks_of_slab(&[3, 3], &[1, 1]), 1);
        assert_eq!(slab(&[3, 3], &[1, 2], &[1, 1]), (5, 1));
    }
}
