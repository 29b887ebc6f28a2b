//! The storage of a dataset: chunks, filters, limits and fill value, as in the source if the ledger has a record.

use hdf5_reader::{DatasetSpec, FillWrite, Packing};

use super::file::Hdf5Export;
use crate::export::chunked::chunk_shape;
use crate::shm::format::origin::FillValue;

impl Hdf5Export<'_, '_> {
    /// Returns the storage of a dataset.
    pub(super) fn packing(&self, spec: &DatasetSpec, path: &str) -> Packing {
        let origin = self.content.origin.as_ref();
        let stored = origin.and_then(|origin| origin.dataset(path));
        let (item, shape) = spec.extents();
        let mut packing = Packing {
            deflate: self.content.gzip.filter(|_| !spec.has_pointers() && !shape.is_empty()),
            ..Packing::default()
        };
        let mut chunk = None;
        if let Some(stored) = stored {
            let fits = |limits: &Vec<u64>| {
                limits.len() == shape.len() && limits.iter().zip(shape).all(|(limit, n)| limit >= n)
            };
            packing.limits = stored.limits.clone().filter(fits);
            packing.fill = stored.fill.as_ref().map(FillValue::decode).unwrap_or_default();
            packing.fill_type =
                origin.and_then(|origin| origin.encoded_type(stored.kind)).unwrap_or_default();
            packing.fill_time = stored.fill_time.as_deref().and_then(FillWrite::from_name);
            chunk = stored.chunk.clone().filter(|chunk| chunk.len() == shape.len());
        }
        if packing.deflate.is_some() || packing.limits.is_some() || chunk.is_some() {
            let largest = packing.limits.as_deref().unwrap_or(shape);
            // HDF5 has no chunks in an empty dimension that cannot grow, and no chunks of 4 GiB.
            let clamp = |chunk: Vec<u64>| -> Option<Vec<u64>> {
                let chunk: Vec<u64> = chunk.iter().zip(largest).map(|(c, n)| *c.min(n)).collect();
                let bytes = chunk.iter().fold(item as u64, |all, &n| all.saturating_mul(n));
                (bytes > 0 && bytes < u64::from(u32::MAX)).then_some(chunk)
            };
            let default = || {
                let shape: Vec<u64> = shape.iter().map(|&n| n.max(1)).collect();
                chunk_shape(&shape, item as u64).and_then(clamp)
            };
            packing.chunk = chunk.and_then(clamp).or_else(default);
        }
        if packing.chunk.is_none() {
            (packing.deflate, packing.limits) = (None, None);
        }
        packing
    }
}
