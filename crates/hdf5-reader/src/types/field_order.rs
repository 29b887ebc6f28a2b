//! The order of the fields in the elements of a dataset, for writing elements without the library.

use super::field_layout::{Content, Field};
use super::fields;

/// The arrays of a dataset, and the places of their values in its elements.
#[derive(Debug, Clone)]
pub struct FieldOrder {
    leaves: Vec<Field>,
    size: usize,
    bytes: u64,
}

impl FieldOrder {
    /// For elements of `size` bytes in a dataset of `shape`; `None` if there are too many.
    pub(crate) fn new(leaves: Vec<Field>, size: usize, shape: &[u64]) -> Option<Self> {
        let bytes = shape.iter().try_fold(size as u64, |all, &n| all.checked_mul(n))?;
        Some(Self { leaves, size, bytes })
    }

    /// Whether the dataset's bytes are those of its one array.
    pub fn is_plain(&self) -> bool {
        let [leaf] = &self.leaves[..] else { return false };
        leaf.content == Content::Value && leaf.offset == 0 && self.width(0) == self.size
    }

    /// Bytes of one element.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes of the dataset.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of array `number` in each element.
    pub fn width(&self, number: usize) -> usize {
        let leaf = &self.leaves[number];
        let width = leaf.per_element().saturating_mul(leaf.dtype.itemsize());
        usize::try_from(width).unwrap_or(usize::MAX)
    }

    /// Copies values of array `number` into as many `elements`.
    pub fn put(&self, number: usize, values: &[u8], elements: &mut [u8]) {
        // A layout without strings of variable length.
        let none = &mut |_: &[u8]| Ok(0);
        let put = fields::gather(&self.leaves[number], self.size, values, elements, none);
        debug_assert!(put.is_ok());
    }
}
