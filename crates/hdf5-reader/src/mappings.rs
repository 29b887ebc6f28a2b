//! The mappings of a virtual dataset in its creation list. Source of the rules: `H5Dvirtual.c`
//! and `H5Shyper.c` of HDF5 2.0, and the reference manual of `H5Pset_virtual`.

use crate::error::{ObjectResult, damaged};
use crate::ffi::creation::Creation;
use crate::ffi::dataspace::{Dataspace, Selected, UNLIMITED};
use crate::selection::{Axis, Selection};

/// Boxes that an irregular selection may have.
const MAX_BOXES: u64 = 1 << 20;

/// One mapping.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// The name of the file: `.` is the file of the virtual dataset.
    pub(crate) file: Vec<u8>,
    pub(crate) dataset: Vec<u8>,
    /// The elements of the virtual dataset.
    pub(crate) to: Span,
    /// The elements of the source.
    pub(crate) from: Span,
}

/// A selection whose array may not be known yet.
#[derive(Debug)]
pub(crate) enum Span {
    All,
    None,
    Regular(Vec<Slab>),
    Boxes(Vec<(Vec<u64>, Vec<u64>)>),
}

/// A hyperslab on one axis, as HDF5 has it: count or block may be unlimited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slab {
    start: u64,
    stride: u64,
    count: u64,
    block: u64,
}

/// All mappings of a virtual dataset, and its dataspace as its file stores it.
pub(crate) struct Stored {
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) extents: Vec<u64>,
    /// The largest size of each dimension.
    pub(crate) limits: Vec<u64>,
}

/// Reads the mappings from a creation list; `None` without any mapping.
pub(crate) fn read(creation: &Creation) -> ObjectResult<Option<Stored>> {
    let mut mappings = Vec::new();
    let mut space = None;
    for index in 0..creation.mapping_count()? {
        let (to, from) = creation.mapping_spaces(index)?;
        let (file, dataset) = creation.mapping_names(index)?;
        if space.is_none()
            && let Some(extents) = to.shape()?
        {
            space = Some((extents, to.limits()?));
        }
        mappings.push(Mapping { file, dataset, to: span(&to)?, from: span(&from)? });
    }
    Ok(space.map(|(extents, limits)| Stored { mappings, extents, limits }))
}

fn span(space: &Dataspace) -> ObjectResult<Span> {
    match space.selected(MAX_BOXES)? {
        Selected::None => Ok(Span::None),
        Selected::All => Ok(Span::All),
        Selected::Regular(axes) => {
            let slab =
                |[start, stride, count, block]: [u64; 4]| Slab { start, stride, count, block };
            Ok(Span::Regular(axes.into_iter().map(slab).collect()))
        }
        Selected::Blocks(blocks) => Ok(Span::Boxes(blocks)),
        Selected::Points => damaged("a mapping with a selection of single points"),
    }
}

impl Slab {
    fn is_unlimited(&self) -> bool {
        self.count == UNLIMITED || self.block == UNLIMITED
    }

    /// Its first `len` indices; all for a limited one.
    fn axis(&self, len: u64) -> ObjectResult<Axis> {
        let axis = match (self.count, self.block) {
            (_, UNLIMITED) => Some(Axis::row(self.start, len)),
            (UNLIMITED, block) => Axis::blocks(self.start, self.stride, block, len),
            (count, block) => count
                .checked_mul(block)
                .and_then(|all| Axis::blocks(self.start, self.stride, block, all)),
        };
        axis.map_or_else(|| damaged("a mapping with blocks that overlap"), Ok)
    }

    /// The number of its indices on an axis of this extent.
    fn len_within(&self, extent: u64) -> ObjectResult<u64> {
        Ok(self.axis(extent)?.below(extent))
    }
}

impl Span {
    /// The axis without a limit, and its hyperslab.
    pub(crate) fn unlimited(&self) -> Option<(usize, Slab)> {
        let Self::Regular(slabs) = self else { return None };
        let axis = slabs.iter().position(Slab::is_unlimited)?;
        Some((axis, slabs[axis]))
    }

    /// The selection in an array of this shape; `len` is the number of indices on the unlimited axis.
    pub(crate) fn select(&self, shape: &[u64], len: u64) -> ObjectResult<Selection> {
        match self {
            Self::All => Selection::all(shape),
            Self::None => Selection::boxes(shape, &[]),
            Self::Boxes(boxes) => Selection::boxes(shape, boxes),
            Self::Regular(slabs) => {
                let axes = slabs.iter().map(|slab| slab.axis(len));
                Selection::regular(shape, axes.collect::<ObjectResult<_>>()?)
            }
        }
    }

    /// The selection of block number `number` alone, on the axis that has no limit.
    pub(crate) fn block(&self, number: u64) -> ObjectResult<Self> {
        let (Self::Regular(slabs), Some((axis, slab))) = (self, self.unlimited()) else {
            return damaged("a mapping of numbered blocks without an unlimited axis");
        };
        let start = number.checked_mul(slab.stride).and_then(|at| at.checked_add(slab.start));
        let (Some(start), true) = (start, slab.block != UNLIMITED) else {
            return damaged("a mapping of numbered blocks without an end");
        };
        let mut slabs = slabs.clone();
        slabs[axis] = Slab { start, stride: slab.block.max(1), count: 1, block: slab.block };
        Ok(Self::Regular(slabs))
    }

    /// The number of indices of its unlimited axis in an array of this shape.
    pub(crate) fn len_within(&self, shape: &[u64]) -> ObjectResult<u64> {
        let Some((axis, slab)) = self.unlimited() else { return Ok(0) };
        match shape.get(axis) {
            Some(&extent) => slab.len_within(extent),
            None => damaged("a mapping of another rank than its source"),
        }
    }

    /// The extent that every limited axis needs at least; `len` indices count on the unlimited one.
    pub(crate) fn extents(&self, rank: usize, len: u64) -> ObjectResult<Vec<u64>> {
        let mut extents = vec![0_u64; rank];
        let mut at_least = |axis: usize, end: u64| {
            if let Some(extent) = extents.get_mut(axis) {
                *extent = end.max(*extent);
            }
        };
        match self {
            Self::All | Self::None => {}
            Self::Boxes(boxes) => {
                for (_, last) in boxes {
                    for (axis, &last) in last.iter().enumerate() {
                        at_least(axis, last.saturating_add(1));
                    }
                }
            }
            Self::Regular(slabs) => {
                for (axis, slab) in slabs.iter().enumerate() {
                    let indices = slab.axis(len)?;
                    let Some(end) = indices.end() else {
                        return damaged("a mapping beyond every extent");
                    };
                    if indices.len() > 0 {
                        at_least(axis, end);
                    }
                }
            }
        }
        Ok(extents)
    }
}

/// A name with the number of a block in place of `%b`, and whether there was one. A literal percent
/// sign is written twice.
pub(crate) fn numbered(name: &[u8], number: u64) -> ObjectResult<(Vec<u8>, bool)> {
    let mut text = Vec::with_capacity(name.len());
    let mut is_numbered = false;
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => {
                is_numbered = true;
                text.extend(number.to_string().into_bytes());
            }
            Some(b'%') => text.push(b'%'),
            _ => return damaged("a source name with a percent sign that stands for nothing"),
        }
    }
    Ok((text, is_numbered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_numbers_are_inserted_into_names() {
        assert_eq!(numbered(b"a-%b.h5", 12).unwrap(), (b"a-12.h5".to_vec(), true));
        assert_eq!(numbered(b"%b%%%b", 0).unwrap(), (b"0%0".to_vec(), true));
        assert_eq!(numbered(b"50%%", 3).unwrap(), (b"50%".to_vec(), false));
        assert!(numbered(b"50%", 3).is_err() && numbered(b"%d", 3).is_err());
    }

    #[test]
    fn unlimited_axis_has_as_many_indices_as_the_source() {
        let slab = Slab { start: 1, stride: 5, count: UNLIMITED, block: 2 };
        let span = Span::Regular(vec![slab]);
        for (extent, len) in [(0, 0), (1, 0), (2, 1), (3, 2), (6, 2), (7, 3), (8, 4), (11, 4)] {
            assert_eq!(span.len_within(&[extent]).unwrap(), len, "{extent}");
        }
        assert_eq!(span.extents(1, 3).unwrap(), [7]);
        assert_eq!(span.block(2).unwrap().extents(1, 0).unwrap(), [13]);
    }
}
