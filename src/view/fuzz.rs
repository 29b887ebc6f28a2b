//! A function for the fuzz target of slices.

use super::slice::select;
use crate::fuzzing::Bytes;

/// Selects a part of an array of arbitrary extents: every element of it is an element of the array.
pub fn slices(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rank = bytes.below(5);
    let shape: Vec<u64> = (0..rank)
        .map(|_| match bytes.byte() {
            byte @ ..=0xf0 => u64::from(byte),
            _ => bytes.u64(),
        })
        .collect();
    let text = String::from_utf8_lossy(bytes.rest());
    select(&shape, &text);
}
