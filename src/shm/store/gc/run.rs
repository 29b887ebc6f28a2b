//! One run of `gc`.

use std::time::Instant;

use super::collector::Collector;
use super::decide::is_allowed;
use super::inventory::Inventory;
use super::outcome::{Options, Outcome};
use super::{other_roots, squatters};
use crate::error::Result;
use crate::shm::store::node_dirs::{NodeDirs, Paths};
use crate::shm::store::scan::Scan;

/// Judges every project and acts on it; `report` receives one outcome for each. A failure with one project is
/// its outcome and does not end the run.
///
/// # Errors
/// Returns an error if a directory cannot be opened or listed. With [`Options::all_roots`], a root in force that
/// cannot be opened is an error too, after all other projects are done.
pub(crate) fn run(paths: &Paths, options: &Options, report: &mut dyn FnMut(Outcome)) -> Result<()> {
    let deadline = options.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    // Without --all-roots there is no other work: `gc` may wait for the root.
    let is_silent = options.all_roots && !other_roots::answers(paths);
    let opened = if is_silent { Err(other_roots::silent(paths)) } else { NodeDirs::open(paths) };
    let rootless = NodeDirs::without_root(paths)?;
    let (opened, refused) = match opened {
        Ok(dirs) => (Some(dirs), None),
        Err(error) if options.all_roots => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let dirs = opened.as_ref().unwrap_or(&rootless);
    let mut inventory = Inventory::read(dirs)?;
    squatters::clear(dirs, &mut inventory, options, report);
    let settled = inventory.settled(dirs, |uid| is_allowed(uid, options));
    let scan = Scan::new(dirs);
    // With the listing, the judge also finds temporary files of interrupted changes.
    scan.list()?;
    let silent = is_silent.then(|| paths.root.clone());
    let (rootless, scan) = (&rootless, &scan);
    let collector = Collector { paths, dirs, rootless, silent, scan, settled, options, deadline };
    let later = collector.run(inventory, report);
    other_roots::handle(&collector, &later, report)?;
    refused.or_else(|| scan.unread()).map_or(Ok(()), Err)
}
