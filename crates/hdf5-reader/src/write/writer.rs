//! Writes HDF5 files: groups, attributes and datasets, from arrays that a caller returns piece by piece.

use std::ffi::CString;
use std::path::Path;

use super::dataset_spec::DatasetSpec;
use super::unpack::Unpacker;
use crate::buffer::zeroed;
use crate::error::{Error, ObjectError, ObjectResult, Result, cannot_write, damaged};
use crate::ffi::create::{self, NewCreation, NewFile};
use crate::ffi::creation::FillTime;
use crate::ffi::dataspace::Dataspace;
use crate::ffi::datatype::Datatype;
use crate::ffi::elements::{Elements, Heap};
use crate::ffi::ids::{self, Id};
use crate::ffi::{dataset, object};
use crate::raw_attribute::RawAttribute;
use crate::read::blocks::{Block, Blocks, first_index};
use crate::storage::{Fill, FillWrite};
use crate::types::field_layout::Field;
use crate::types::fields;

/// Contiguous datasets of more bytes than this begin on a page: aligned writes are faster.
const ALIGNED: u64 = 1 << 16;

const PAGE: u64 = 4096;

/// A contiguous dataset of more bytes than this is not filled before its elements are written.
const MAX_FILLED: u64 = 16 << 20;

/// How a dataset is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packing {
    /// The extents of a chunk; `None` for a contiguous dataset, which is allocated at once.
    pub chunk: Option<Vec<u64>>,
    /// Shuffle and deflate of this level, for chunks.
    pub deflate: Option<u8>,
    /// The largest size of each dimension; `u64::MAX` is no limit.
    pub limits: Option<Vec<u64>>,
    /// The fill value.
    pub fill: Fill,
    /// HDF5's encoding of the type of the fill value.
    pub fill_type: Vec<u8>,
    /// When it is written; `None` for HDF5's default.
    pub fill_time: Option<FillWrite>,
}

/// Reads the bytes of an array from an offset on: its number in the spec, the offset, the buffer.
pub type ReadPiece<'a, E> = &'a mut dyn FnMut(usize, u64, &mut [u8]) -> std::result::Result<(), E>;

/// A new HDF5 file.
#[derive(Debug)]
pub struct Writer(NewFile);

/// A group, dataset or committed datatype of a new file.
#[derive(Debug)]
pub struct Object(Id);

impl Writer {
    /// Creates the file at `path`, or replaces its content.
    ///
    /// # Errors
    /// Returns an error if libhdf5 cannot create the file.
    pub fn create(path: &Path) -> Result<Self> {
        let _lock = ids::lock();
        let created = NewFile::create(path, (ALIGNED, PAGE));
        created.map(Self).map_err(|trouble| cannot_write(&path.display().to_string(), trouble))
    }

    /// The root group.
    ///
    /// # Errors
    /// Returns an error if libhdf5 cannot open it.
    pub fn root(&self) -> Result<Object> {
        let _lock = ids::lock();
        object::root(self.0.id()).map(Object).map_err(|trouble| cannot_write("/", trouble))
    }

    /// Creates a group.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept the name.
    pub fn group(&self, at: &Object, name: &str) -> Result<Object> {
        let _lock = ids::lock();
        let create = || self.0.group(&at.0, &link_name(name)?);
        create().map(Object).map_err(|trouble| cannot_write(name, trouble))
    }

    /// Creates a committed datatype from its encoding.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept the name or the type.
    pub fn commit(&self, at: &Object, name: &str, encoded: &[u8]) -> Result<Object> {
        let _lock = ids::lock();
        let commit = || {
            let (text, kind) = (link_name(name)?, Datatype::decode(encoded)?);
            self.0.commit(Some((&at.0, &text)), &kind)?;
            Ok(kind.into_object())
        };
        commit().map(Object).map_err(|trouble| cannot_write(name, trouble))
    }

    /// Creates a committed datatype that no path leads to. The file keeps it if a dataset or an attribute
    /// refers to it.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept the type.
    pub fn commit_without_path(&self, encoded: &[u8]) -> Result<Object> {
        let _lock = ids::lock();
        let commit = || {
            let kind = Datatype::decode(encoded)?;
            self.0.commit(None, &kind)?;
            Ok(kind.into_object())
        };
        commit().map(Object).map_err(|trouble| cannot_write("a committed datatype", trouble))
    }

    /// Creates another link to an object.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept the name.
    pub fn link(&self, object: &Object, at: &Object, name: &str) -> Result<()> {
        let _lock = ids::lock();
        let create = || self.0.link(&object.0, &at.0, &link_name(name)?);
        create().map_err(|trouble| cannot_write(name, trouble))
    }

    /// Creates a dataset, without its data. Its type is the committed datatype `named`, if that is equal.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept it.
    pub fn dataset(
        &self,
        at: &Object,
        name: &str,
        spec: &DatasetSpec,
        packing: &Packing,
        named: Option<&Object>,
    ) -> Result<Object> {
        let _lock = ids::lock();
        let create = || {
            let text = link_name(name)?;
            let space = match &packing.limits {
                Some(limits) => Dataspace::growing(&spec.shape, limits)?,
                None => space(Some(&spec.shape))?,
            };
            let creation = self.creation(spec, packing)?;
            let kind = named_if_equal(named, &spec.file_type);
            self.0.dataset((&at.0, &text), kind, &space, &creation)
        };
        create().map(Object).map_err(|trouble| cannot_write(name, trouble))
    }

    /// The creation list of a dataset.
    fn creation(&self, spec: &DatasetSpec, packing: &Packing) -> ObjectResult<NewCreation> {
        let list = NewCreation::new()?;
        let is_early = packing.chunk.is_none() && spec.layout().is_some();
        if is_early {
            list.allocate_early()?;
        }
        if let Some(chunk) = &packing.chunk {
            list.set_chunk(chunk)?;
        }
        if let Some(level) = packing.deflate {
            list.set_deflate(level)?;
        }
        match &packing.fill {
            Fill::Undefined => list.set_no_fill_value(&spec.file_type)?,
            Fill::Value(value) => {
                let kind = Datatype::decode(&packing.fill_type)?;
                let mut element = zeroed(1, kind.size()?)?;
                let mut unpacker = Unpacker::new(self.0.id(), &str::to_owned);
                unpacker.elements(&kind, &mut &value[..], &mut element)?;
                list.set_fill_value(&kind, Elements::new(&element, &unpacker.heap))?;
            }
            Fill::Zero | Fill::Unknown => {}
        }
        let element = spec.element.size as u64;
        let bytes = spec.shape.iter().fold(element, |all, &n| all.saturating_mul(n));
        list.set_fill_time(match packing.fill_time {
            // Every element is written anyway: to fill a large dataset first would double the work.
            _ if is_early && bytes > MAX_FILLED => FillTime::Never,
            Some(FillWrite::Allocation) => FillTime::Allocation,
            Some(FillWrite::Never) => FillTime::Never,
            None => FillTime::IfSet,
        })?;
        Ok(list)
    }

    /// The place of a contiguous dataset in the file; `None` if it has none.
    pub fn offset(&self, dataset: &Object) -> Option<u64> {
        let _lock = ids::lock();
        dataset::offset(&dataset.0)
    }

    /// Writes a dataset block by block. `read` receives the number of an array, an offset in bytes, and the
    /// buffer for the bytes there.
    ///
    /// # Errors
    /// Returns an error if libhdf5 cannot write it, and the errors of `read`.
    pub fn write<E: From<Error>>(
        &self,
        dataset: &Object,
        name: &str,
        spec: &DatasetSpec,
        read: ReadPiece<'_, E>,
    ) -> std::result::Result<(), E> {
        let width = |field: &&Field| field.per_element().saturating_mul(field.dtype.itemsize());
        let all: u64 = spec.fields().iter().map(width).sum();
        let size = (spec.element.size as u64).max(all);
        for block in Blocks::new(&spec.shape, None, size) {
            let first = first_index(&spec.shape, &block.start);
            let elements = block.elements();
            let wrong = |trouble| E::from(cannot_write(name, trouble));
            let mut buffer = zeroed(elements, spec.element.size).map_err(wrong)?;
            let mut heap = Heap::default();
            for (number, field) in spec.fields().iter().enumerate() {
                let width = width(field);
                let bytes = usize::try_from(width).unwrap_or(usize::MAX);
                let mut piece = zeroed(elements, bytes).map_err(wrong)?;
                read(number, first.saturating_mul(width), &mut piece)?;
                let add = &mut |text: &[u8]| heap.add(text);
                fields::gather(field, spec.element.size, &piece, &mut buffer, add)
                    .map_err(wrong)?;
            }
            let _lock = ids::lock();
            write_block(dataset, spec, &block, Elements::new(&buffer, &heap)).map_err(wrong)?;
        }
        Ok(())
    }

    /// Writes a chunk that has been through its filters; `skipped` has a bit for each that it has not.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept it.
    pub fn write_chunk(
        &self,
        dataset: &Object,
        start: &[u64],
        skipped: u32,
        bytes: &[u8],
    ) -> Result<()> {
        let _lock = ids::lock();
        dataset::write_chunk(&dataset.0, start, skipped, bytes)
            .map_err(|trouble| cannot_write("a chunk", trouble))
    }

    /// Writes an attribute; `rename` returns the path in this file for a path that a reference has in the
    /// source. Its type is the committed datatype `named`, if that is equal. Returns the number
    /// of references that became null because the file lacks their objects.
    ///
    /// # Errors
    /// Returns an error if the record is damaged, or if libhdf5 does not accept it.
    pub fn attribute(
        &self,
        object: &Object,
        attribute: &RawAttribute,
        rename: &dyn Fn(&str) -> String,
        named: Option<&Object>,
    ) -> Result<usize> {
        let _lock = ids::lock();
        let created = self.create_attribute(object, attribute, rename, named);
        created.map_err(|trouble| cannot_write(&format!("@{}", attribute.name), trouble))
    }

    fn create_attribute(
        &self,
        object: &Object,
        attribute: &RawAttribute,
        rename: &dyn Fn(&str) -> String,
        named: Option<&Object>,
    ) -> ObjectResult<usize> {
        let kind = Datatype::decode(&attribute.kind)?;
        let space = space(attribute.shape.as_deref())?;
        let name = attribute_name(&attribute.name)?;
        let shape = attribute.shape.as_deref().unwrap_or(&[0]);
        let elements = shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n));
        let Some(elements) = elements else { return damaged("an attribute too large") };
        // Before the attribute exists: a damaged record creates none.
        let mut buffer = zeroed(elements, kind.size()?)?;
        let mut unpacker = Unpacker::new(self.0.id(), rename);
        unpacker.elements(&kind, &mut &attribute.data[..], &mut buffer)?;
        let elements = Elements::new(&buffer, &unpacker.heap);
        let file_type = named_if_equal(named, &kind);
        create::attribute((&object.0, &name), file_type, &kind, &space, elements)?;
        Ok(unpacker.lost)
    }

    /// Writes everything that is not written yet, and closes the file.
    ///
    /// # Errors
    /// Returns an error if libhdf5 cannot write it.
    pub fn close(self) -> Result<()> {
        let _lock = ids::lock();
        // Dropping the file would not return an error.
        self.0.flush().map_err(|trouble| cannot_write("the file", trouble))
    }
}

impl RawAttribute {
    /// Whether it contains references, so that the objects that it refers to must be written first.
    pub fn refers(&self) -> bool {
        let _lock = ids::lock();
        let kind = Datatype::decode(&self.kind);
        kind.and_then(|kind| kind.has_references()).unwrap_or(false)
    }
}

/// The committed datatype `named` if it describes the same bytes as `kind`, else `kind`.
fn named_if_equal<'a>(named: Option<&'a Object>, kind: &'a Datatype) -> &'a Id {
    let is_equal = |named: &&Object| create::are_equal_types(&named.0, kind.id());
    named.filter(is_equal).map_or(kind.id(), |named| &named.0)
}

fn attribute_name(name: &str) -> ObjectResult<CString> {
    match CString::new(name) {
        Ok(text) if !name.is_empty() => Ok(text),
        _ => no_name(name),
    }
}

/// The name of a link. HDF5 treats a slash as a separator, and a dot as the group itself.
fn link_name(name: &str) -> ObjectResult<CString> {
    if name == "." || name.contains('/') {
        return no_name(name);
    }
    attribute_name(name)
}

fn no_name<T>(name: &str) -> ObjectResult<T> {
    Err(ObjectError::Unsupported(format!("HDF5 cannot represent the name {name:?}")))
}

fn space(shape: Option<&[u64]>) -> ObjectResult<Dataspace> {
    match shape {
        None => Dataspace::null(),
        Some([]) => Dataspace::scalar(),
        Some(shape) => Dataspace::simple(shape),
    }
}

fn write_block(
    dataset: &Object,
    spec: &DatasetSpec,
    block: &Block,
    elements: Elements<'_>,
) -> ObjectResult<()> {
    let file = dataset::space(&dataset.0)?;
    if file.shape()?.as_ref() != Some(&spec.shape) {
        return damaged("elements for a dataset of another shape");
    }
    if !spec.shape.is_empty() {
        file.select(&block.start, &block.count)?;
    }
    let memory = space(Some(&block.count))?;
    dataset::write(&dataset.0, &spec.element.memory, (&memory, &file), elements)
}
