//! Functions for the fuzz targets: decoders, object headers, chunk indexes and mappings of virtual datasets.

use hdf5_filters::{Decoder, Pipeline, decode_filter};

use crate::mappings::numbered;
use crate::selection::{Axis, Selection};
use crate::{Filter, chunk_index, object_header};

/// Takes numbers from arbitrary bytes; zeros behind their end.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u8) -> usize {
        usize::from(self.byte() % end)
    }

    /// The remaining bytes.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// The filters that are decoded here.
const FILTERS: [i32; 16] =
    [1, 2, 3, 4, 5, 6, 307, 32000, 32001, 32004, 32008, 32013, 32015, 32020, 32026, 7];

fn filter(bytes: &mut Bytes<'_>) -> Filter {
    let id = FILTERS[bytes.below(16)];
    let count = bytes.below(32);
    // Most numbers are small.
    let params = (0..count).map(|_| match bytes.byte() {
        byte @ ..=0xf0 => u32::from(byte),
        _ => bytes.u32(),
    });
    Filter { id, name: String::new(), optional: false, params: params.collect() }
}

/// Decodes one chunk through one to three filters, as a worker does and as libhdf5 asks for it.
///
/// # Panics
/// If a decoder leaves a part of the target unwritten.
pub fn chunk(data: &[u8]) {
    let mut bytes = Bytes(data);
    let head = bytes.byte();
    let filters: Vec<Filter> = (0..=head % 3).map(|_| filter(&mut bytes)).collect();
    let chunk_bytes = u64::from(bytes.u32() & 0xffff);
    let (mask, least) = (bytes.byte(), usize::from(bytes.byte()));
    let stored = bytes.rest();
    let mut decoder = Decoder::default();
    let mut target = Vec::new();
    if let Some(pipeline) = Pipeline::new(&filters, chunk_bytes) {
        let least = if head & 0x80 == 0 { usize::MAX } else { least };
        let mask = u32::from(mask & 7);
        if pipeline.decode(&mut decoder, mask, (stored, least), &mut target).is_ok() {
            assert_eq!(target.len(), pipeline.plain_bytes());
            // The same chunk is the same bytes, whatever was in the buffers before.
            let first = std::mem::replace(&mut target, vec![0x5a; 100]);
            let mut other = Decoder::default();
            pipeline.decode(&mut other, mask, (stored, least), &mut target).unwrap();
            assert!(first == target, "decoding depends on memory");
        }
    }
    let most = 1 << 16;
    if let Ok(decoded) = decode_filter(&filters[0], &mut decoder, stored, most) {
        assert!(decoded.len() <= most);
    }
}

/// Reads a superblock, and an object header of either version.
pub fn object_header(data: &[u8]) {
    object_header::fuzz(data);
}

/// Takes chunks at arbitrary places into the index of a dataset of arbitrary extents.
pub fn chunk_index(data: &[u8]) {
    chunk_index::fuzz(Bytes(data));
}

/// Selects elements of an array as a mapping of a virtual dataset does, and numbers the name of a source.
///
/// # Panics
/// If the runs of a selection overlap or leave its extent.
pub fn mapping(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rank = bytes.below(3) + 1;
    let shape: Vec<u64> = (0..rank).map(|_| u64::from(bytes.byte() % 20)).collect();
    let mut number = || match bytes.byte() {
        byte @ ..=0xf0 => u64::from(byte % 24),
        _ => bytes.u64(),
    };
    let axes: Option<Vec<Axis>> =
        (0..rank).map(|_| Axis::blocks(number(), number(), number(), number())).collect();
    let mut corners = || (0..rank).map(|_| number()).collect::<Vec<_>>();
    let boxes = [(corners(), corners()), (corners(), corners())];
    let regular = axes.and_then(|axes| Selection::regular(&shape, axes).ok());
    for selection in [regular, Selection::boxes(&shape, &boxes).ok()].into_iter().flatten() {
        let all: u64 = shape.iter().product();
        let (mut seen, mut next) = (vec![false; usize::try_from(all).unwrap_or(0)], 0);
        let done = selection.runs(|first, ordinal, len| {
            assert!(ordinal == next && len > 0 && first + len <= all);
            for at in first..first + len {
                assert!(!std::mem::replace(&mut seen[usize::try_from(at).unwrap_or(0)], true));
            }
            next += len;
            Ok(())
        });
        assert!(done.is_ok() && next == selection.elements());
        let (first, len) = (all / 3, all / 2);
        let mut found = 0;
        let done = selection.within(first, len, |ordinal, at, len_here| {
            assert!(ordinal + len_here <= next && at + len_here <= len);
            found += len_here;
            Ok::<(), ()>(())
        });
        let inside = seen
            .iter()
            .enumerate()
            .filter(|(at, seen)| **seen && (first..first + len).contains(&(*at as u64)));
        assert!(done.is_ok() && found == inside.count() as u64);
    }
    if let Ok((name, _)) = numbered(data, 7) {
        assert!(name.len() <= data.len());
    }
}

/// The number of elements that a chunk at `start` must have at least in a dataset of the extents `edge`.
pub fn least_elements(edge: &[u64], start: &[u64], chunk: &[u64]) -> u64 {
    chunk_index::needed(edge, start, chunk)
}
