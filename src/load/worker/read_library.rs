//! Reads datasets with libhdf5: those that the workers cannot decode, and all of them for `--verify`.

use hdf5_reader::{Inventory, Virtual};

use crate::error::{Error, Kind, Result};
use crate::load::plan::{SegmentPlan, Task};
use crate::load::worker::write::{Destination, Scratch};
use hdf5_reader::hyperslab::{Hyperslab, bytes_of};

/// Writes a dataset that libhdf5 reads to a destination. Calls `moved` with the number of bytes.
///
/// # Errors
/// Returns [`Kind::Corrupt`] if libhdf5 cannot read it, and the errors of the destination.
pub(crate) fn read_with_libhdf5(
    inventory: &Inventory,
    task: &Task,
    segments: &[SegmentPlan],
    destination: &mut Destination<'_, '_>,
    scratch: &mut Scratch,
    moved: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let Some(dataset) = inventory.datasets.get(task.dataset) else {
        return Err(Error::new(Kind::Io, "a task without its dataset"));
    };
    if let Some(layout) = &dataset.sources {
        let place = (inventory, task, segments);
        return (0..layout.feeds().len())
            .try_for_each(|number| source(place, (layout, number), destination, scratch, moved));
    }
    let size = usize::try_from(dataset.element_size).unwrap_or(0);
    inventory.visit(task.dataset, &mut |start, count, elements| {
        let part = Hyperslab { shape: &dataset.shape, start, extent: count };
        part.runs(|to, from, run| {
            let bytes = bytes_of(from, run, size).and_then(|range| elements.get(range));
            let bytes = bytes.ok_or_else(|| Error::new(Kind::Io, "a block of odd extents"))?;
            destination.put(segments, scratch, size, to, bytes)
        })?;
        moved(elements.len() as u64)
    })
}

/// Writes the elements of one source of a virtual dataset, read with libhdf5.
///
/// # Errors
/// Returns the errors of [`read_with_libhdf5`].
pub(crate) fn source(
    (inventory, task, segments): (&Inventory, &Task, &[SegmentPlan]),
    (layout, number): (&Virtual, usize),
    destination: &mut Destination<'_, '_>,
    scratch: &mut Scratch,
    moved: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let Some(feed) = layout.feeds().get(number) else { return Ok(()) };
    let size = element_size(inventory, task);
    inventory.visit_source(task.dataset, number, &mut |first, elements| {
        layout.route(feed, first, elements, size, &mut |to, bytes| {
            destination.put(segments, scratch, size, to, bytes)
        })?;
        moved(elements.len() as u64)
    })
}

/// Returns the size of one element as libhdf5 returns it.
pub(crate) fn element_size(inventory: &Inventory, task: &Task) -> usize {
    let dataset = inventory.datasets.get(task.dataset);
    dataset.and_then(|dataset| usize::try_from(dataset.element_size).ok()).unwrap_or(0)
}
