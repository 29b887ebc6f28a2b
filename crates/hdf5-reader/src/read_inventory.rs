//! Plans a file, and reads its datasets.

use std::path::{Path, PathBuf};

use crate::chunk_index::{self, ChunkIndex, Zeros};
use crate::dataset::Dataset;
use crate::error::{self, Cause, Error, Result};
use crate::ffi::elements::Elements;
use crate::ffi::ids;
use crate::inventory::{Inventory, Options};
use crate::read::blocks::Emit;
use crate::read::read_dataset;
use crate::virtual_sources::Way;
use crate::{file, walk};

/// Takes a block of a dataset: first index and count on each axis, and the elements.
pub type Visit<'a, E> = dyn FnMut(&[u64], &[u64], Elements<'_>) -> std::result::Result<(), E> + 'a;

/// Looks through the file at `path`: plans every selected dataset, copies none.
pub fn inventory(path: &Path, options: Options) -> Result<Inventory> {
    let _lock = ids::lock();
    let file = file::open(path)?;
    let mut walk = walk::walk(path, file, options)?;
    walk.count_paths()?;
    let root = walk.expand()?;
    Ok(walk.finish(root))
}

impl Inventory {
    /// The path of each open file that is one plain file on disk.
    pub fn raw_files(&self) -> Vec<Option<PathBuf>> {
        self.files.plain_paths()
    }

    /// The chunks of a dataset, if they can be read and decoded without libhdf5.
    ///
    /// # Errors
    /// Returns an error with [`Cause::Damage`] if they contradict the dataset in a way that libhdf5 ignores.
    pub fn chunk_index(&self, dataset: usize) -> Result<Option<ChunkIndex>> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else { return Ok(None) };
        let Ok(id) = dataset.place.open(&self.files) else { return Ok(None) };
        chunk_index::index(dataset, &id, Zeros::There)
            .map_err(|trouble| self.error(dataset, trouble))
    }

    /// The way to read source number `feed` of the virtual dataset `dataset`.
    ///
    /// # Errors
    /// As [`Self::chunk_index`].
    pub fn way(&self, dataset: usize, feed: usize) -> Result<Way> {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else { return Ok(Way::Library) };
        let feed = dataset.sources.as_ref().and_then(|sources| sources.feeds().get(feed));
        let Some(feed) = feed else { return Ok(Way::Library) };
        feed.way(&self.files).map_err(|trouble| self.error(dataset, feed.cannot(trouble)))
    }

    /// Passes the elements of source number `feed` of the virtual dataset `dataset` as libhdf5 reads them:
    /// the number of the first one, and those that follow it.
    pub fn visit_source<E: From<Error>>(
        &self,
        dataset: usize,
        feed: usize,
        visit: &mut Emit<'_, E>,
    ) -> std::result::Result<(), E> {
        let _lock = ids::lock();
        let dataset = self.dataset(dataset)?;
        let sources = dataset.sources.as_ref();
        let Some(feed) = sources.and_then(|sources| sources.feeds().get(feed)) else {
            return Err(
                Error::new(Cause::Io, format!("'{}' has no such source", dataset.path)).into()
            );
        };
        let mut failed = Ok(());
        let seen = feed.visit(&self.files, &dataset.place.node, &mut |first, elements| {
            failed = visit(first, elements);
            if failed.is_ok() {
                Ok(())
            } else {
                Err(error::ObjectError::Damaged("given up".to_owned()))
            }
        });
        failed?;
        seen.map_err(|trouble| self.error(dataset, feed.cannot(trouble)).into())
    }

    /// Bytes that decoding one chunk takes, and how many chunks there are; zeros if it is not in chunks.
    pub fn decoding(&self, dataset: usize) -> (u64, u64) {
        let _lock = ids::lock();
        let Some(dataset) = self.datasets.get(dataset) else { return (0, 0) };
        match &dataset.sources {
            Some(sources) => sources.decoding(&self.files),
            None => chunk_index::decoding(dataset, &self.files),
        }
    }

    /// One element of a dataset that was never written; `None` if only the library can read it.
    pub fn fill(&self, dataset: usize) -> Option<Vec<u8>> {
        let _lock = ids::lock();
        let dataset = self.datasets.get(dataset).filter(|dataset| dataset.is_unwritten())?;
        chunk_index::fill_of(dataset, &dataset.place.open(&self.files).ok()?).ok()
    }

    /// Passes dataset number `dataset` block by block: first index and count on each axis, and the
    /// elements as libhdf5 reads them.
    pub fn visit<E: From<Error>>(
        &self,
        dataset: usize,
        visit: &mut Visit<'_, E>,
    ) -> std::result::Result<(), E> {
        let _lock = ids::lock();
        let dataset = self.dataset(dataset)?;
        let mut failed = Ok(());
        let seen = read_dataset::visit(&self.files, dataset, &mut |block, elements| {
            if failed.is_ok() {
                failed = visit(&block.start, &block.count, elements);
            }
            failed.is_ok()
        });
        failed?;
        seen.map_err(|trouble| self.error(dataset, trouble).into())
    }

    /// Copies dataset number `dataset` into `sinks`, one for each field and exactly as long. They must be zero:
    /// HDF5 skips elements that have neither data nor a fill value. `progress` receives the bytes of each
    /// block.
    pub fn read(
        &self,
        dataset: usize,
        sinks: &mut [&mut [u8]],
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let _lock = ids::lock();
        let dataset = self.dataset(dataset)?;
        read_dataset::read(&self.files, dataset, sinks, progress)
            .map_err(|trouble| self.error(dataset, trouble))
    }

    /// Returns dataset number `number`.
    fn dataset(&self, number: usize) -> Result<&Dataset> {
        let missing = || Error::new(Cause::Io, format!("there is no dataset number {number}"));
        self.datasets.get(number).ok_or_else(missing)
    }

    /// The error of a dataset that cannot be read.
    fn error(&self, dataset: &Dataset, trouble: error::ObjectError) -> Error {
        error::unreadable(&dataset.path, &self.files.path(dataset.file()), trouble)
    }
}

/// The version of the HDF5 library that reads: `2.0.0`.
pub fn library_version() -> String {
    let (major, minor, release) = hdf5::library_version();
    format!("{major}.{minor}.{release}")
}
