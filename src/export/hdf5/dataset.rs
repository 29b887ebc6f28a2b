//! Writes the datasets of an HDF5 file: arrays, and compounds from several arrays.

use std::rc::Rc;
use std::sync::Arc;

use hdf5_reader::{DatasetSpec, Fill, Object, Packing};
use numpy_dtype::{Class, Dtype};

use super::file::{DeferredDataset, Hdf5Export};
use crate::error::{Error, Kind, Result};
use crate::export::chunked::{self, ChunkGrid};
use crate::shm::format::ledger::Note;
use crate::shm::format::tree::{Array, Group, Node};
use crate::shm::segment::published::PublishedSegment;

impl Hdf5Export<'_, '_> {
    /// Writes an array as a dataset, or links the dataset if its segment has one already.
    ///
    /// # Errors
    /// Returns [`Kind::Unsupported`] if HDF5 cannot represent the array.
    pub(super) fn write_array(
        &mut self,
        at: &Object,
        name: &str,
        array: &Array,
        path: &str,
    ) -> Result<()> {
        let key = vec![array.segment.clone()];
        if let Some(shared) = self.shared.get(&key) {
            return Ok(self.writer.link(shared, at, name)?);
        }
        let unsupported = |reason: String| Error::new(Kind::Unsupported, reason).with_subject(path);
        let Some(dtype) = Dtype::parse(&array.dtype).filter(|_| array.nbytes().is_some()) else {
            return Err(unsupported(format!("unknown dtype '{}'", array.dtype)));
        };
        let stored = self.content.origin.as_ref().and_then(|origin| origin.dataset(path));
        let restored = stored.and_then(|stored| {
            let encoded = self.content.origin.as_ref()?.encoded_type(stored.kind)?;
            let found = (dtype.clone(), array.shape.clone());
            let find = |path: &[String]| path.is_empty().then(|| found.clone());
            DatasetSpec::of_source(&encoded, &stored.shape, &find)
        });
        if stored.is_some() && restored.is_none() {
            self.notes.push(Note::new(path, "its HDF5 type cannot be restored"));
        }
        let is_text = *dtype.class() == Class::Text;
        let spec = match restored {
            Some(spec) => spec,
            // UTF-8 needs at most as many bytes as UTF-32.
            None if is_text => {
                let bytes = Dtype::bytes(dtype.itemsize());
                DatasetSpec::of_text(&bytes, &array.shape).map_err(unsupported)?
            }
            None => DatasetSpec::of_dtype(&dtype, &array.shape).map_err(unsupported)?,
        };
        let object = self.write_dataset(at, name, &spec, &[array], path, &dtype)?;
        match stored {
            Some(stored) => {
                self.write_raw_attributes(&object, &stored.attrs, path)?;
                self.write_other_attributes(&object, &stored.attrs, array.attrs.iter(), path);
            }
            None => self.write_toml_attributes(&object, array.attrs.iter(), path),
        }
        self.keep_if_shared(key, object);
        Ok(())
    }

    /// Writes a group as a compound dataset. Returns false if its source is not a compound, or if its type cannot be
    /// restored.
    pub(super) fn write_compound(
        &mut self,
        at: &Object,
        name: &str,
        table: &Group,
        path: &str,
    ) -> Result<bool> {
        let Some(origin) = &self.content.origin else { return Ok(false) };
        let Some(stored) = origin.dataset(path) else { return Ok(false) };
        let find = |path: &[String]| {
            let array = field_array(table, path)?;
            Some((Dtype::parse(&array.dtype)?, array.shape.clone()))
        };
        let spec = origin
            .encoded_type(stored.kind)
            .and_then(|encoded| DatasetSpec::of_source(&encoded, &stored.shape, &find));
        let Some(spec) = spec else {
            self.notes.push(Note::new(path, "its compound type cannot be restored"));
            return Ok(false);
        };
        let paths = spec.paths();
        let arrays: Option<Vec<&Array>> =
            paths.iter().map(|path| field_array(table, path)).collect();
        let Some(arrays) = arrays else { return Ok(false) };
        let key: Vec<String> = arrays.iter().map(|array| array.segment.clone()).collect();
        if let Some(shared) = self.shared.get(&key) {
            self.writer.link(shared, at, name)?;
            return Ok(true);
        }
        let object = self.write_dataset(at, name, &spec, &arrays, path, &Dtype::bool())?;
        self.write_all_attributes(&object, &stored.attrs, path)?;
        self.keep_if_shared(key, object);
        Ok(true)
    }

    /// Creates a dataset and writes its elements, or defers them.
    fn write_dataset(
        &mut self,
        at: &Object,
        name: &str,
        spec: &DatasetSpec,
        arrays: &[&Array],
        path: &str,
        dtype: &Dtype,
    ) -> Result<Rc<Object>> {
        let (item, shape) = spec.extents();
        let mut packing = self.packing(spec, path);
        let origin = self.content.origin.as_ref();
        let number = origin.and_then(|origin| origin.dataset(path)?.named_type);
        let named = number.map(|number| self.commit_type(number)).transpose()?.flatten();
        let mut object = self.writer.dataset(at, name, spec, &packing, named.as_deref());
        let is_filled = packing.fill != Fill::Zero || packing.fill_time.is_some();
        if packing.fill == Fill::Unknown || is_filled && object.is_err() {
            self.notes.push(Note::new(path, "its fill value cannot be restored"));
        }
        if is_filled && object.is_err() {
            packing = Packing { fill: Fill::Zero, fill_time: None, ..packing };
            object = self.writer.dataset(at, name, spec, &packing, named.as_deref());
        }
        let object = object.map_err(|error| Error::from(error).with_subject(path))?;
        if arrays.iter().any(|array| array.nbytes() == Some(0)) && shape.contains(&0) {
            return Ok(Rc::new(object));
        }
        let level = packing.deflate;
        match (spec.layout(), packing.chunk, self.writer.offset(&object)) {
            (Some(field_order), Some(chunk), _) => {
                let source = self.content.open_dataset(path, arrays, &field_order)?;
                let grid = ChunkGrid { shape: shape.to_vec(), chunk, item };
                chunked::write(self.writer, &object, &source, &grid, level, self.check_interrupt)?;
            }
            (Some(field_order), None, Some(offset)) => {
                let arrays = arrays.iter().map(|&array| array.clone()).collect();
                let path = path.to_owned();
                self.deferred.push(DeferredDataset { path, arrays, field_order, offset });
            }
            _ => self.write_elements(&object, name, spec, arrays, path, dtype)?,
        }
        Ok(Rc::new(object))
    }

    /// Writes elements that libhdf5 has to convert, or whose strings are outside of the elements.
    fn write_elements(
        &mut self,
        object: &Object,
        name: &str,
        spec: &DatasetSpec,
        arrays: &[&Array],
        path: &str,
        dtype: &Dtype,
    ) -> Result<()> {
        let open = |array: &&Array| self.content.open_segment(path, array);
        let sources: Vec<Arc<PublishedSegment>> = arrays.iter().map(open).collect::<Result<_>>()?;
        let check_interrupt = &mut *self.check_interrupt;
        let is_text = *dtype.class() == Class::Text && spec.has_pointers();
        let mut read = |number: usize, offset: u64, into: &mut [u8]| {
            sources[number].read_at(offset, into)?;
            if is_text {
                to_utf8(into, dtype);
            }
            check_interrupt()
        };
        self.writer.write(object, name, spec, &mut read)
    }

    /// Keeps a dataset if its segments have more than one path.
    fn keep_if_shared(&mut self, key: Vec<String>, object: Rc<Object>) {
        let count = key.first().and_then(|segment| self.path_counts.get(segment));
        if count.is_some_and(|&count| count > 1) {
            self.shared.insert(key, object);
        }
    }
}

/// Returns the array of a field.
fn field_array<'a>(table: &'a Group, path: &[String]) -> Option<&'a Array> {
    let (last, groups) = path.split_last()?;
    let mut table = table;
    for name in groups {
        let Node::Group(inner) = table.get(name)? else { return None };
        table = inner;
    }
    match table.get(last)? {
        Node::Array(array) => Some(array),
        Node::Group(_) => None,
    }
}

/// Converts values in place from UTF-32 to UTF-8, padded with NUL.
fn to_utf8(values: &mut [u8], dtype: &Dtype) {
    let Ok(size) = usize::try_from(dtype.itemsize()) else { return };
    for value in values.chunks_exact_mut(size.max(1)) {
        let point = |bytes: &[u8; 4]| match dtype.is_big_endian() {
            true => u32::from_be_bytes(*bytes),
            false => u32::from_le_bytes(*bytes),
        };
        let points = value.as_chunks::<4>().0.iter().map(point);
        let text: String = points
            .map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        value.fill(0);
        value[..text.len()].copy_from_slice(text.as_bytes());
    }
}
