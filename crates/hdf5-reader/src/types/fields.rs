//! Copies the values of one field between elements and the field's own array.

use super::field_layout::{Content, Field};
use crate::error::ObjectResult;
use crate::ffi::elements::Elements;

/// Copies the values of `leaf` from the `elements` of a block, of `size` bytes each, to `sink`, the whole array of a
/// dataset of `shape`. The block has `count` elements from `start` on. Values that do not fit are left out.
pub(crate) fn scatter(
    leaf: &Field,
    size: usize,
    shape: &[u64],
    (start, count): (&[u64], &[u64]),
    elements: Elements<'_>,
    sink: &mut [u8],
) {
    let Ok(item) = usize::try_from(leaf.dtype.itemsize()) else { return };
    let Ok(each) = usize::try_from(leaf.per_element()) else { return };
    let Some(width) = item.checked_mul(each).filter(|&width| width > 0) else { return };
    let whole = is_contiguous(leaf);
    let row = count.last().map_or(1, |&n| usize::try_from(n).unwrap_or(usize::MAX));
    let Some(row_bytes) = row.checked_mul(size).filter(|&bytes| bytes > 0) else { return };
    let rows = row_starts(shape, (start, count));
    for (source, first) in elements.bytes().chunks_exact(row_bytes).zip(rows) {
        let start = usize::try_from(first).ok().and_then(|n| n.checked_mul(width));
        let end = start.and_then(|start| row.checked_mul(width)?.checked_add(start));
        let Some(target) = start.zip(end).and_then(|(start, end)| sink.get_mut(start..end)) else {
            return;
        };
        let targets = target.chunks_exact_mut(width);
        for (element, target) in source.chunks_exact(size).zip(targets) {
            match leaf.offset.checked_add(width).filter(|_| whole) {
                Some(end) => copy_bytes(element.get(leaf.offset..end), target),
                None => copy(leaf, item, elements.with_bytes(element), target),
            }
        }
    }
}

/// Copies the values of `leaf` from `elements` of `size` bytes each to `target`, one after the other.
pub fn pick(leaf: &Field, size: usize, all: Elements<'_>, target: &mut Vec<u8>) {
    let elements = all.bytes();
    let item = usize::try_from(leaf.dtype.itemsize()).unwrap_or(0);
    let each = usize::try_from(leaf.per_element()).unwrap_or(0);
    let (Some(width), true) = (item.checked_mul(each).filter(|&width| width > 0), size > 0) else {
        target.clear();
        return;
    };
    target.resize(elements.len() / size * width, 0);
    let whole =
        leaf.content == Content::Value && is_contiguous(leaf) && leaf.offset + width <= size;
    match width {
        1 if whole => pick_fixed::<1>(leaf.offset, size, elements, target),
        2 if whole => pick_fixed::<2>(leaf.offset, size, elements, target),
        4 if whole => pick_fixed::<4>(leaf.offset, size, elements, target),
        8 if whole => pick_fixed::<8>(leaf.offset, size, elements, target),
        16 if whole => pick_fixed::<16>(leaf.offset, size, elements, target),
        _ => {
            for (element, place) in elements.chunks_exact(size).zip(target.chunks_exact_mut(width))
            {
                match whole {
                    true => place.copy_from_slice(&element[leaf.offset..leaf.offset + width]),
                    false => copy(leaf, item, all.with_bytes(element), place),
                }
            }
        }
    }
}

/// A width that is known to the compiler is one load and one store.
fn pick_fixed<const N: usize>(offset: usize, size: usize, elements: &[u8], target: &mut [u8]) {
    let places = target.as_chunks_mut::<N>().0;
    for (element, place) in elements.chunks_exact(size).zip(places) {
        if let Some(value) = element[offset..].first_chunk::<N>() {
            *place = *value;
        }
    }
}

/// The index in the whole dataset at which each row of the block begins.
fn row_starts(shape: &[u64], (start, count): (&[u64], &[u64])) -> impl Iterator<Item = u64> {
    let rank = shape.len();
    let rows: u64 = count.iter().take(rank.saturating_sub(1)).product();
    (0..rows).map(move |row| {
        let (mut rest, mut stride) = (row, 1_u64);
        let mut index = 0_u64;
        for (axis, (&n, (&start, &count))) in
            shape.iter().zip(start.iter().zip(count)).enumerate().rev()
        {
            let within = if axis + 1 == rank { 0 } else { rest % count.max(1) };
            if axis + 1 != rank {
                rest /= count.max(1);
            }
            index = index.saturating_add((start + within).saturating_mul(stride));
            stride = stride.saturating_mul(n);
        }
        index
    })
}

/// Whether the values of an element follow each other as in the array.
fn is_contiguous(leaf: &Field) -> bool {
    let mut stride = leaf.size as u64;
    let follows = leaf.steps.iter().rev().all(|&(count, step)| {
        let follows = step as u64 == stride;
        stride = stride.saturating_mul(count);
        follows
    });
    follows && leaf.content == Content::Value
}

fn copy_bytes(source: Option<&[u8]>, target: &mut [u8]) {
    if let Some(source) = source.filter(|source| source.len() == target.len()) {
        target.copy_from_slice(source);
    }
}

/// Copies the values of one element.
fn copy(leaf: &Field, item: usize, element: Elements<'_>, target: &mut [u8]) {
    let values = target.chunks_exact_mut(item).enumerate();
    for (number, target) in values {
        let Some(value) = value(leaf, number as u64, element.bytes()) else { return };
        match leaf.content {
            Content::Value | Content::Spaced => copy_bytes(Some(value), target),
            Content::Text => {
                let text = element.value(value).unwrap_or_default();
                let length = text.len().min(target.len());
                target[..length].copy_from_slice(&text[..length]);
                target[length..].fill(0);
            }
        }
    }
}

/// The reverse of [`scatter`] for elements that follow each other: puts the values of `leaf` from
/// `source` into `elements`, of `size` bytes each. Strings end at their padding; `add` adds one to the heap of the
/// elements and returns its handle.
///
/// # Errors
/// Returns the errors of `add`.
pub(crate) fn gather(
    leaf: &Field,
    size: usize,
    source: &[u8],
    elements: &mut [u8],
    add: &mut dyn FnMut(&[u8]) -> ObjectResult<usize>,
) -> ObjectResult<()> {
    let Ok(item) = usize::try_from(leaf.dtype.itemsize()) else { return Ok(()) };
    let Ok(each) = usize::try_from(leaf.per_element()) else { return Ok(()) };
    let Some(width) = item.checked_mul(each).filter(|&width| width > 0) else { return Ok(()) };
    let whole = is_contiguous(leaf);
    match width {
        1 if whole => put_fixed::<1>(leaf.offset, size, source, elements),
        2 if whole => put_fixed::<2>(leaf.offset, size, source, elements),
        4 if whole => put_fixed::<4>(leaf.offset, size, source, elements),
        8 if whole => put_fixed::<8>(leaf.offset, size, source, elements),
        16 if whole => put_fixed::<16>(leaf.offset, size, source, elements),
        _ => return gather_each(leaf, (item, width, size), source, elements, add),
    }
    Ok(())
}

/// The same for values of any width, element by element.
fn gather_each(
    leaf: &Field,
    (item, width, size): (usize, usize, usize),
    source: &[u8],
    elements: &mut [u8],
    add: &mut dyn FnMut(&[u8]) -> ObjectResult<usize>,
) -> ObjectResult<()> {
    let whole = is_contiguous(leaf);
    for (values, element) in source.chunks_exact(width).zip(elements.chunks_exact_mut(size)) {
        if whole {
            if let Some(target) = element.get_mut(leaf.offset..leaf.offset.saturating_add(width)) {
                target.copy_from_slice(values);
            }
            continue;
        }
        for (number, value) in values.chunks_exact(item).enumerate() {
            let Some(range) = self::range(leaf, number as u64) else { return Ok(()) };
            let Some(target) = element.get_mut(range) else { return Ok(()) };
            match leaf.content {
                Content::Value => target.copy_from_slice(value),
                Content::Text => {
                    let handle = add(&value[..text_length(value)])?.to_ne_bytes();
                    if target.len() == handle.len() {
                        target.copy_from_slice(&handle);
                    }
                }
                Content::Spaced => {
                    target.copy_from_slice(value);
                    target[text_length(value)..].fill(b' ');
                }
            }
        }
    }
    Ok(())
}

/// A width that is known to the compiler is one load and one store.
fn put_fixed<const N: usize>(offset: usize, size: usize, source: &[u8], elements: &mut [u8]) {
    let values = source.as_chunks::<N>().0;
    for (element, value) in elements.chunks_exact_mut(size).zip(values) {
        if let Some(place) = element.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<N>) {
            *place = *value;
        }
    }
}

/// Bytes of a string without the NULs after it.
fn text_length(value: &[u8]) -> usize {
    value.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1)
}

/// The bytes of value `number` of `leaf` in an element.
pub(crate) fn value<'a>(leaf: &Field, number: u64, element: &'a [u8]) -> Option<&'a [u8]> {
    element.get(range(leaf, number)?)
}

/// The place of value `number` of `leaf` in an element.
fn range(leaf: &Field, number: u64) -> Option<std::ops::Range<usize>> {
    let (mut rest, mut offset) = (number, leaf.offset);
    for &(count, stride) in leaf.steps.iter().rev() {
        let index = usize::try_from(rest % count.max(1)).ok()?;
        rest /= count.max(1);
        offset = offset.checked_add(index.checked_mul(stride)?)?;
    }
    Some(offset..offset.checked_add(leaf.size)?)
}
