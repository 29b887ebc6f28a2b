//! The filters of a dataset, and whether libhdf5 can undo them.

use std::ops::ControlFlow;

use hdf5_filters::Filter;

use crate::error::{ObjectError, ObjectResult};
use crate::ffi::codecs::{self, Provided};
use crate::ffi::creation::Creation;
use crate::ffi::dataset;
use crate::ffi::ids::Id;

/// The registered numbers and names.
/// Source: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.
const NAMES: [(i32, &str); 37] = [
    (1, "deflate"),
    (2, "shuffle"),
    (3, "fletcher32"),
    (4, "szip"),
    (5, "nbit"),
    (6, "scaleoffset"),
    (305, "lzo"),
    (307, "bzip2"),
    (32000, "lzf"),
    (32001, "blosc"),
    (32002, "mafisc"),
    (32003, "snappy"),
    (32004, "lz4"),
    (32005, "apax"),
    (32006, "cbf"),
    (32007, "jpeg-xr"),
    (32008, "bitshuffle"),
    (32009, "spdp"),
    (32010, "lpc-rice"),
    (32011, "ccsds-123"),
    (32012, "jpeg-ls"),
    (32013, "zfp"),
    (32014, "fpzip"),
    (32015, "zstd"),
    (32016, "b3d"),
    (32017, "sz"),
    (32018, "fcidecomp"),
    (32019, "jpeg"),
    (32020, "vbz"),
    (32021, "faspfloat"),
    (32022, "bitgroom"),
    (32023, "granular-bitround"),
    (32024, "sz3"),
    (32025, "delta-rice"),
    (32026, "blosc2"),
    (32027, "flac"),
    (32028, "sperr"),
];

/// The filters of a dataset in the order of writing, with the names that are registered.
pub(crate) fn filters(creation: &Creation) -> ObjectResult<Vec<Filter>> {
    let mut filters = creation.filters()?;
    for filter in &mut filters {
        if let Some((_, name)) = NAMES.iter().find(|(number, _)| *number == filter.id) {
            (*name).clone_into(&mut filter.name);
        }
    }
    Ok(filters)
}

/// Whether libhdf5 needs the codecs here, or a plugin that is missing, for one of the filters.
pub(crate) fn lacks_any(filters: &[Filter]) -> bool {
    filters.iter().any(|filter| codecs::provide(filter.id) != Provided::ByLibrary)
}

/// Whether libhdf5 can undo every filter that some chunk went through without the codecs of this program; fails for a
/// filter that neither has. Chunks that cannot be listed
/// (`bounded` is false) count as having gone through every filter.
pub(crate) fn check_available(
    dataset: &Id,
    filters: &[Filter],
    bounded: bool,
) -> ObjectResult<bool> {
    let mut unused = None;
    for (place, why) in hdf5_filters::corrupt_filters(filters) {
        if *unused.get_or_insert_with(|| unused_by_all(dataset)) >> place & 1 == 0 {
            return Err(ObjectError::Damaged(why.to_owned()));
        }
    }
    let mut without_codecs = true;
    for (place, filter) in filters.iter().enumerate() {
        let provided = codecs::provide(filter.id);
        let known = provided == Provided::Here && hdf5_filters::is_supported(filter);
        if provided == Provided::ByLibrary
            || *unused.get_or_insert_with(|| if bounded { unused_by_all(dataset) } else { 0 })
                >> place
                & 1
                != 0
        {
            continue;
        }
        if !known {
            return Err(ObjectError::MissingFilter(shown(filter)));
        }
        without_codecs = false;
    }
    Ok(without_codecs)
}

fn shown(Filter { id, name, .. }: &Filter) -> String {
    match name.as_str() {
        "" => format!("filter {id}"),
        _ => format!("{name} (filter {id})"),
    }
}

/// One bit for each place in the pipeline: whether every stored chunk lacks that filter.
fn unused_by_all(dataset: &Id) -> u32 {
    let mut unused = u32::MAX;
    let visited = dataset::visit_chunks(dataset, &mut |chunk| {
        unused &= chunk.mask;
        ControlFlow::Continue(())
    });
    visited.map_or(0, |()| unused)
}
