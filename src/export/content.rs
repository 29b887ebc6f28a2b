//! The content of an export: a tree of arrays, its attributes, and the open segments.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hdf5_reader::FieldOrder;
use numpy_dtype::Dtype;

use super::source::Source;
use crate::error::{Kind, Result};
use crate::os::directory::Directory;
use crate::shm::format::ledger::Note;
use crate::shm::format::origin::Origin;
use crate::shm::format::tree::{self, Array, Group};
use crate::shm::segment::published::PublishedSegment;

/// The selected part of one version of a project.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// The shm directory with the segments.
    pub(super) shm: &'a Directory,
    /// The selected groups and arrays.
    pub(crate) root: Group,
    /// Types and raw attributes of the sources, if the ledger has a trustworthy record.
    pub(super) origin: Option<Origin>,
    /// Committed datatypes that are selected, or used by selected objects and their attributes: indices into
    /// those of `origin`.
    pub(super) named_types: BTreeSet<usize>,
    /// The attributes of groups by path that TOML can represent.
    pub(super) group_attrs: toml::Table,
    /// Names of the groups that each hold one source file.
    pub(super) source_groups: Vec<String>,
    /// The level of deflate, for HDF5.
    pub(super) gzip: Option<u8>,
    /// The selected objects that the load left out.
    pub(super) left_out: Vec<Note>,
    /// Open segments by name. Their bytes remain readable after the project is replaced.
    pub(super) segments: HashMap<String, Arc<PublishedSegment>>,
}

impl Content<'_> {
    /// Size of the arrays in bytes. Arrays that share a segment count once.
    pub(crate) fn bytes(&self) -> u64 {
        let arrays = tree::arrays(&self.root);
        let by_segment: HashMap<_, _> =
            arrays.iter().map(|(_, array)| (&array.segment, array.nbytes().unwrap_or(0))).collect();
        by_segment.values().sum()
    }

    /// Opens up to `max` segments, so that all are of one version of the project during a long export. A segment
    /// that cannot be opened for a reason other than [`Kind::NotFound`] fails when its array is written.
    ///
    /// # Errors
    /// Returns [`Kind::NotFound`] if a segment is missing.
    pub(super) fn open_segments(&mut self, max: usize) -> Result<()> {
        let mut segments = HashMap::new();
        for (_, array) in tree::arrays(&self.root) {
            if segments.len() >= max {
                break;
            }
            if segments.contains_key(&array.segment) {
                continue;
            }
            match PublishedSegment::open(self.shm, array) {
                Ok(segment) => drop(segments.insert(array.segment.clone(), Arc::new(segment))),
                Err(error) if error.kind() == Kind::NotFound => return Err(error),
                Err(_) => {}
            }
        }
        self.segments = segments;
        Ok(())
    }

    /// Returns the segment of an array; opens it if it is not open yet.
    pub(super) fn open_segment(&self, path: &str, array: &Array) -> Result<Arc<PublishedSegment>> {
        if let Some(segment) = self.segments.get(&array.segment) {
            return Ok(Arc::clone(segment));
        }
        PublishedSegment::open(self.shm, array).map(Arc::new).map_err(|error| match error.kind() {
            Kind::Unsupported => error.with_subject(path),
            _ => error,
        })
    }

    /// Opens the segment of an array as a source.
    pub(super) fn open_array(&self, path: &str, array: &Array) -> Result<Source> {
        self.open_segment(path, array).map(Source::Segment)
    }

    /// Opens the segments of the arrays of a dataset as a source.
    pub(super) fn open_dataset(
        &self,
        path: &str,
        arrays: &[&Array],
        field_order: &FieldOrder,
    ) -> Result<Source> {
        let open = |array: &&Array| self.open_segment(path, array);
        let mut segments: Vec<_> = arrays.iter().map(open).collect::<Result<_>>()?;
        Ok(match segments.pop() {
            Some(only) if field_order.is_plain() => Source::Segment(only),
            last => {
                segments.extend(last);
                Source::Fields(field_order.clone(), segments)
            }
        })
    }

    /// The attributes of a group or a compound dataset that TOML can represent.
    pub(super) fn group_attrs(&self, path: &str) -> impl Iterator<Item = (&String, &toml::Value)> {
        self.group_attrs.get(path).and_then(toml::Value::as_table).into_iter().flatten()
    }

    /// Removes every array for which `reason` returns a reason, and all but the first of those with the same
    /// path. Returns a note for each removed array.
    pub(super) fn leave_out(
        &mut self,
        reason: impl Fn(&str, &Array, &Dtype) -> Option<String>,
    ) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut kept = HashSet::new();
        tree::retain_arrays(&mut self.root, &mut |path, array| {
            let reason = match Dtype::parse(&array.dtype).filter(|_| array.nbytes().is_some()) {
                Some(_) if kept.contains(path) => {
                    Some("another array has the same path".to_owned())
                }
                Some(dtype) => reason(path, array, &dtype),
                None => Some(format!("unknown dtype '{}'", array.dtype)),
            };
            match reason {
                Some(reason) => notes.push(Note::new(path, reason)),
                None => return kept.insert(path.to_owned()),
            }
            false
        });
        notes
    }
}
