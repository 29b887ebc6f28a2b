//! The elements that a mapping of a virtual dataset takes from its source, or puts into the virtual
//! dataset, in the order in which HDF5 pairs them. Pure arithmetic.

use crate::error::{ObjectResult, damaged};

/// HDF5's limit.
const MAX_RANK: usize = 32;

/// Runs that an irregular selection may have: 24 bytes each.
const MAX_RUNS: usize = 1 << 22;

/// The indices on one axis: blocks of `block` indices, one every `stride`, `len` indices in all. The
/// last block may be cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    start: u64,
    stride: u64,
    block: u64,
    len: u64,
}

impl Axis {
    /// All indices of an axis of this extent.
    pub(crate) fn whole(extent: u64) -> Self {
        Self::row(0, extent)
    }

    /// `len` indices in a row.
    pub(crate) fn row(start: u64, len: u64) -> Self {
        Self { start, stride: len.max(1), block: len.max(1), len }
    }

    /// `len` indices in blocks; `None` for blocks that overlap.
    pub(crate) fn blocks(start: u64, stride: u64, block: u64, len: u64) -> Option<Self> {
        if len <= block || stride == block {
            return Some(Self::row(start, len));
        }
        (block > 0 && stride > block).then_some(Self { start, stride, block, len })
    }

    /// The number of indices.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The index after the last one; `None` if that is larger than a number can be.
    pub(crate) fn end(&self) -> Option<u64> {
        let Some(last) = self.len.checked_sub(1) else { return Some(0) };
        let (number, within) = (last / self.block, last % self.block);
        number
            .checked_mul(self.stride)?
            .checked_add(self.start)?
            .checked_add(within)?
            .checked_add(1)
    }

    /// The index number `position`, and how many indices follow without a gap, itself included.
    fn at(&self, position: u64) -> (u64, u64) {
        let (number, within) = (position / self.block, position % self.block);
        let follow = (self.block - within).min(self.len - position);
        (self.start + number * self.stride + within, follow)
    }

    /// The number of indices below `index`.
    pub(crate) fn below(&self, index: u64) -> u64 {
        let Some(from) = index.checked_sub(self.start) else { return 0 };
        let (number, within) = (from / self.stride, (from % self.stride).min(self.block));
        number.saturating_mul(self.block).saturating_add(within).min(self.len)
    }

    /// Whether some index is in both; may err on the side of yes.
    fn meets(&self, other: &Self) -> bool {
        const MAX_STEPS: u64 = 4096;
        let (few, many) = if self.len <= other.len { (self, other) } else { (other, self) };
        let steps = few.len.div_ceil(few.block);
        (0..steps.min(MAX_STEPS)).any(|number| {
            let (start, len) = few.at(number * few.block);
            !many.positions(start, start.saturating_add(len)).is_empty()
        }) || steps > MAX_STEPS
    }

    /// The positions of the indices from `start` on, before `end`.
    fn positions(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        self.below(start)..self.below(end)
    }
}

/// Selected elements of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    shape: Vec<u64>,
    kind: Kind,
    elements: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The product of the indices of every axis.
    Regular(Vec<Axis>),
    /// Runs of neighbors in C order, each with its first element, its length, and how many elements
    /// are selected before it.
    Runs(Vec<(u64, u64, u64)>),
}

impl Selection {
    /// Elements of an array of this shape, within which they must be.
    pub(crate) fn regular(shape: &[u64], axes: Vec<Axis>) -> ObjectResult<Self> {
        let fits = |(axis, &extent): (&Axis, &u64)| axis.end().is_some_and(|end| end <= extent);
        if axes.len() != shape.len() || shape.len() > MAX_RANK {
            return damaged("a selection that does not match its array");
        }
        if !axes.iter().zip(shape).all(fits) {
            return damaged("a selection beyond the extent of its array");
        }
        let elements = axes.iter().try_fold(1_u64, |all, axis| all.checked_mul(axis.len()));
        let whole = shape.iter().try_fold(1_u64, |all, &extent| all.checked_mul(extent));
        let (Some(elements), Some(_)) = (elements, whole) else {
            return damaged("an array of more elements than can be counted");
        };
        Ok(Self { shape: shape.to_vec(), kind: Kind::Regular(axes), elements })
    }

    /// All elements of an array.
    pub(crate) fn all(shape: &[u64]) -> ObjectResult<Self> {
        Self::regular(shape, shape.iter().map(|&extent| Axis::whole(extent)).collect())
    }

    /// The elements in any of these boxes, each with first and last index on every axis.
    pub(crate) fn boxes(shape: &[u64], boxes: &[(Vec<u64>, Vec<u64>)]) -> ObjectResult<Self> {
        let mut runs: Vec<(u64, u64, u64)> = Vec::new();
        for (first, last) in boxes {
            let range = |(&start, &last): (&u64, &u64)| {
                Some(Axis::row(start, last.checked_sub(start)?.checked_add(1)?))
            };
            let axes: Option<Vec<Axis>> = first.iter().zip(last).map(range).collect();
            let Some(axes) = axes else { return damaged("a selection with a reversed box") };
            Self::regular(shape, axes)?.runs(|first, _, len| {
                if runs.len() == MAX_RUNS {
                    return damaged("a selection of more than 4 million pieces");
                }
                runs.push((first, len, 0));
                Ok(())
            })?;
        }
        runs.sort_unstable();
        runs.dedup_by(|next, before| {
            let adjoins = next.0 <= before.0 + before.1;
            if adjoins {
                before.1 = before.1.max(next.0 + next.1 - before.0);
            }
            adjoins
        });
        let mut elements = 0;
        for run in &mut runs {
            run.2 = elements;
            elements += run.1;
        }
        Ok(Self { shape: shape.to_vec(), kind: Kind::Runs(runs), elements })
    }

    /// How many elements are selected.
    pub(crate) fn elements(&self) -> u64 {
        self.elements
    }

    /// Calls `visit` with the first element, the ordinal and the length of each run of selected
    /// neighbors.
    pub(crate) fn runs(
        &self,
        visit: impl FnMut(u64, u64, u64) -> ObjectResult<()>,
    ) -> ObjectResult<()> {
        self.runs_of(0, self.elements, visit)
    }

    /// The same for `count` selected elements from number `ordinal` on.
    pub(crate) fn runs_of<E>(
        &self,
        mut ordinal: u64,
        count: u64,
        mut visit: impl FnMut(u64, u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = ordinal.saturating_add(count).min(self.elements);
        while ordinal < end {
            let (first, run) = self.nth(ordinal);
            let len = run.min(end - ordinal);
            visit(first, ordinal, len)?;
            ordinal += len;
        }
        Ok(())
    }

    /// The place of selected element number `ordinal`, and how many that follow it are its neighbors,
    /// itself included.
    fn nth(&self, ordinal: u64) -> (u64, u64) {
        match &self.kind {
            Kind::Runs(runs) => {
                let at = runs.partition_point(|run| run.2 <= ordinal).saturating_sub(1);
                let (first, len, before) = runs[at];
                (first + (ordinal - before), len - (ordinal - before))
            }
            Kind::Regular(axes) => {
                let (mut rest, mut place, mut stride) = (ordinal, 0, 1);
                // Neighbors so far, as long as all inner axes are whole.
                let (mut run, mut whole, mut inner) = (1, true, 1);
                for (axis, &extent) in axes.iter().zip(&self.shape).rev() {
                    let position = rest % axis.len();
                    rest /= axis.len();
                    let (index, follow) = axis.at(position);
                    place += index * stride;
                    if whole {
                        // The rest of this block, whose innermost element may not be the first.
                        run += (follow - 1) * inner;
                        whole = axis.len() == extent;
                        inner *= extent;
                    }
                    stride *= extent;
                }
                (place, run)
            }
        }
    }

    /// Calls `visit` for each run of selected elements among the `len` elements from `first` on: with
    /// its ordinal, its distance from `first`, and its length.
    pub(crate) fn within<E>(
        &self,
        first: u64,
        len: u64,
        mut visit: impl FnMut(u64, u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(end) = first.checked_add(len) else { return Ok(()) };
        match &self.kind {
            Kind::Runs(runs) => {
                let from = runs.partition_point(|run| run.0 + run.1 <= first);
                for &(start, len, before) in runs[from..].iter().take_while(|run| run.0 < end) {
                    let (from, to) = (start.max(first), (start + len).min(end));
                    visit(before + (from - start), from - first, to - from)?;
                }
                Ok(())
            }
            Kind::Regular(axes) => {
                // The innermost axes that are selected whole count as part of the next one.
                let mut inner = 1;
                let mut rank = axes.len();
                while rank > 1 && axes[rank - 1].len() == self.shape[rank - 1] {
                    inner *= self.shape[rank - 1];
                    rank -= 1;
                }
                let (extent, last) = match rank {
                    0 => (1, Axis::whole(1)),
                    _ => (self.shape[rank - 1], axes[rank - 1]),
                };
                let row = extent * inner;
                if row == 0 || last.len() == 0 {
                    return Ok(());
                }
                let mut at = first;
                while at < end {
                    let (number, from) = (at / row, at % row);
                    let to = (from + (end - at)).min(row);
                    if let Some(before) = self.row(number, rank) {
                        row_runs(last, inner, (from, to), |ordinal, start, len| {
                            visit(before * last.len() * inner + ordinal, at - first + start, len)
                        })?;
                    }
                    at += to - from;
                }
                Ok(())
            }
        }
    }

    /// How many rows are selected before row number `number`, if it is selected too. Rows follow the
    /// axes before number `rank - 1`.
    fn row(&self, number: u64, rank: usize) -> Option<u64> {
        let Kind::Regular(axes) = &self.kind else { return None };
        let (mut rest, mut before, mut stride) = (number, 0, 1);
        for (axis, &extent) in axes.iter().zip(&self.shape).take(rank.saturating_sub(1)).rev() {
            let index = rest % extent;
            rest /= extent;
            let positions = axis.positions(index, index + 1);
            if positions.is_empty() {
                return None;
            }
            before += positions.start * stride;
            stride *= axis.len();
        }
        Some(before)
    }

    /// Whether any selected element is in the box of this extent at `start`; may err on the side of yes.
    pub(crate) fn touches(&self, start: &[u64], extent: &[u64]) -> bool {
        match &self.kind {
            Kind::Runs(_) => true,
            Kind::Regular(axes) => {
                axes.iter().zip(start.iter().zip(extent)).all(|(axis, (&start, &extent))| {
                    !axis.positions(start, start.saturating_add(extent)).is_empty()
                })
            }
        }
    }

    /// Whether some element is in both selections of the same array; may err on the side of yes.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Regular(one), Kind::Regular(other)) => {
                one.iter().zip(other).all(|(one, other)| one.meets(other))
            }
            _ => true,
        }
    }

    /// The first and the last selected element; `None` if none is selected.
    pub(crate) fn bounds(&self) -> Option<(u64, u64)> {
        let last = self.elements.checked_sub(1)?;
        Some((self.nth(0).0, self.nth(last).0))
    }

    /// How many neighbors a run has, as a rule.
    pub(crate) fn typical_run(&self) -> u64 {
        match &self.kind {
            Kind::Runs(runs) => self.elements / (runs.len() as u64).max(1),
            Kind::Regular(_) if self.elements == 0 => 0,
            Kind::Regular(_) => self.nth(0).1,
        }
    }
}

/// The runs of selected elements between `from` and `to` of a row, whose indices have `inner` elements
/// each.
fn row_runs<E>(
    axis: Axis,
    inner: u64,
    (from, to): (u64, u64),
    mut visit: impl FnMut(u64, u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let positions = axis.positions(from / inner, to.div_ceil(inner));
    let mut position = positions.start;
    while position < positions.end {
        let (index, follow) = axis.at(position);
        let count = follow.min(positions.end - position);
        // The part may begin or end within an index.
        let (start, end) = ((index * inner).max(from), ((index + count) * inner).min(to));
        if start < end {
            visit(position * inner + (start - index * inner), start - from, end - start)?;
        }
        position += count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(start: u64, stride: u64, count: u64, block: u64) -> Axis {
        Axis::blocks(start, stride, block, count * block).unwrap()
    }

    /// The selected elements one by one, in C order.
    fn brute(shape: &[u64], axes: &[Axis]) -> Vec<u64> {
        let total: u64 = shape.iter().product();
        let selected = |axis: &Axis, index: u64| {
            (0..axis.len)
                .any(|n| axis.start + n / axis.block * axis.stride + n % axis.block == index)
        };
        let all = |&place: &u64| {
            let mut rest = place;
            shape.iter().zip(axes).rev().all(|(&extent, axis)| {
                let index = rest % extent;
                rest /= extent;
                selected(axis, index)
            })
        };
        (0..total).filter(all).collect()
    }

    fn layouts() -> Vec<(Vec<u64>, Vec<Axis>)> {
        vec![
            (vec![10], vec![axis(1, 3, 3, 2)]),
            (vec![10], vec![axis(0, 1, 10, 1)]),
            (vec![12], vec![Axis::blocks(1, 4, 3, 8).unwrap()]),
            (vec![12, 3], vec![Axis::blocks(0, 5, 2, 5).unwrap(), axis(0, 2, 2, 1)]),
            (vec![4, 6], vec![axis(1, 2, 2, 1), axis(0, 1, 1, 6)]),
            (vec![4, 6], vec![axis(1, 1, 1, 3), axis(2, 2, 2, 1)]),
            (vec![3, 4, 5], vec![axis(0, 2, 2, 1), axis(1, 1, 1, 2), axis(0, 1, 1, 5)]),
            (vec![3, 4, 5], vec![axis(0, 1, 1, 3), axis(0, 1, 1, 4), axis(0, 1, 1, 5)]),
            (vec![3, 4, 5], vec![axis(1, 1, 1, 1), axis(3, 1, 1, 1), axis(4, 1, 1, 1)]),
            (vec![2, 3], vec![axis(0, 1, 0, 1), axis(0, 1, 1, 3)]),
            (vec![], vec![]),
        ]
    }

    #[test]
    fn runs_are_the_selected_elements_in_c_order() {
        for (shape, axes) in layouts() {
            let selection = Selection::regular(&shape, axes.clone()).unwrap();
            let mut found = Vec::new();
            selection
                .runs(|first, ordinal, len| {
                    assert_eq!(ordinal, found.len() as u64);
                    found.extend(first..first + len);
                    Ok(())
                })
                .unwrap();
            assert_eq!(found, brute(&shape, &axes), "{shape:?} {axes:?}");
            assert_eq!(selection.elements(), found.len() as u64);
        }
    }

    #[test]
    fn elements_within_any_range_have_their_ordinals() {
        for (shape, axes) in layouts() {
            let selection = Selection::regular(&shape, axes.clone()).unwrap();
            let all = brute(&shape, &axes);
            let total: u64 = shape.iter().product();
            for first in 0..total {
                for len in 1..=total - first {
                    let mut found = Vec::new();
                    let visit = |ordinal: u64, start: u64, len: u64| {
                        found.extend((0..len).map(|n| (ordinal + n, first + start + n)));
                        Ok::<_, ()>(())
                    };
                    selection.within(first, len, visit).unwrap();
                    let numbered = (0..).zip(all.iter().copied());
                    let wanted: Vec<_> = numbered
                        .filter(|(_, place)| (first..first + len).contains(place))
                        .collect();
                    assert_eq!(found, wanted, "{shape:?} {axes:?} {first} {len}");
                }
            }
        }
    }

    #[test]
    fn boxes_that_touch_or_overlap_are_selected_once() {
        let boxes = [(vec![0, 0], vec![1, 2]), (vec![1, 1], vec![2, 3]), (vec![0, 3], vec![0, 3])];
        let selection = Selection::boxes(&[3, 5], &boxes).unwrap();
        let mut found = Vec::new();
        selection
            .runs(|first, _, len| {
                found.extend(first..first + len);
                Ok(())
            })
            .unwrap();
        assert_eq!(found, [0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13]);
        let mut within = Vec::new();
        selection
            .within(2, 5, |ordinal, start, len| {
                within.push((ordinal, start, len));
                Ok::<_, ()>(())
            })
            .unwrap();
        assert_eq!(within, [(2, 0, 2), (4, 3, 2)]);
    }

    #[test]
    fn interleaved_selections_do_not_meet() {
        let of = |start| Selection::regular(&[9], vec![axis(start, 3, 3, 1)]).unwrap();
        assert!(!of(0).meets(&of(1)) && of(2).meets(&of(2)));
    }

    #[test]
    fn selections_beyond_their_array_are_refused() {
        assert!(Selection::regular(&[4], vec![axis(2, 1, 1, 3)]).is_err());
        assert!(Axis::blocks(0, 2, 3, 6).is_none());
        assert!(Selection::regular(&[4], vec![axis(u64::MAX, 1, 1, 2)]).is_err());
        assert!(Selection::regular(&[4, 4], vec![axis(0, 1, 1, 4)]).is_err());
        assert!(Selection::boxes(&[4], &[(vec![2], vec![1])]).is_err());
    }
}
