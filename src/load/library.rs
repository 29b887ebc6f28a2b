//! Datasets by way of libhdf5: read where there is no faster way, or once more for `--verify`.

use super::geometry::Part;
use super::plan::{Piece, Task};
use super::reader::bytes_of;
use super::sink::{Bench, Sink};
use crate::h5::Inventory;
use crate::{Error, Kind, Result};

/// Hands on everything that libhdf5 reads of a dataset; `moved` is told the bytes.
///
/// # Errors
/// [`Kind::Corrupt`] when libhdf5 cannot read it; what the sink says.
pub fn through_library(
    inventory: &Inventory,
    task: &Task,
    pieces: &[Piece],
    sink: &mut Sink<'_, '_>,
    bench: &mut Bench,
    moved: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let Some(dataset) = inventory.datasets.get(task.dataset) else {
        return Err(Error::new(Kind::Io, "a task without its dataset"));
    };
    let size = usize::try_from(dataset.element_size).unwrap_or(0);
    inventory.visit(task.dataset, &mut |start, count, elements| {
        let part = Part { shape: &dataset.shape, start, extent: count };
        part.runs(|to, from, run| {
            let bytes = bytes_of(from, run, size).and_then(|range| elements.get(range));
            let bytes = bytes.ok_or_else(|| Error::new(Kind::Io, "a block of odd extents"))?;
            sink.put(pieces, bench, size, to, bytes)
        })?;
        moved(elements.len() as u64)
    })
}
