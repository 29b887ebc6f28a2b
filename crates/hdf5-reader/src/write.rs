//! Writes HDF5 files: groups, attributes and datasets, from arrays that are read piece by piece.
#![allow(unsafe_code)]

use std::ffi::{CString, c_uint};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use hdf5_sys::h5a::{H5Acreate2, H5Awrite};
use hdf5_sys::h5d::{
    H5D_alloc_time_t, H5D_fill_time_t, H5Dcreate2, H5Dget_offset, H5Dget_space, H5Dwrite,
    H5Dwrite_chunk,
};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5Fcreate};
use hdf5_sys::h5g::{H5Gcreate2, H5Gopen2};
use hdf5_sys::h5i::hid_t;
#[allow(clippy::wildcard_imports)] // the setters of property lists
use hdf5_sys::h5p::*;
use hdf5_sys::h5s::{H5S_ALL, H5S_class_t, H5Screate};
use hdf5_sys::h5t::{
    H5T_class_t, H5T_cset_t, H5Tcommit_anon, H5Tcommit2, H5Tdetect_class, H5Tequal,
};

use super::blocks::Blocks;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::error::{ObjectError, ObjectResult, check, damaged};
use super::ids::{self, Id};
use super::raw_attribute::RawAttribute;
use super::read::zeroed;
use super::serialized::{Arena, Unpacker};
use super::{DatasetSpec, Field, Fill, scatter};
use crate::error::{Error, Result, cannot_write};

/// Contiguous datasets of more bytes than this begin on a page: aligned writes are faster.
const ALIGNED: u64 = 1 << 16;

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
    /// When it is written: `alloc` or `never`; `None` for HDF5's default.
    pub fill_time: Option<String>,
}

/// Gives the bytes of an array from an offset on: its number in the recipe, the offset, the place.
pub type ReadPiece<'a, E> = &'a mut dyn FnMut(usize, u64, &mut [u8]) -> std::result::Result<(), E>;

/// A new HDF5 file.
#[derive(Debug)]
pub struct Writer {
    file: Id,
    links: Id,
    groups: Id,
}

/// A group or dataset of a new file.
#[derive(Debug)]
pub struct Object(Id);

impl Object {
    /// The dataspace of a dataset.
    fn space(&self) -> ObjectResult<Dataspace> {
        // SAFETY: the object is open; the library checks that it is a dataset.
        Dataspace::own(unsafe { H5Dget_space(self.0.raw()) })
    }
}

impl Writer {
    /// Makes the file at `path` anew.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn create(path: &Path) -> Result<Self> {
        let _lock = ids::lock();
        Self::make(path).map_err(|trouble| cannot_write(&path.display().to_string(), trouble))
    }

    fn make(path: &Path) -> ObjectResult<Self> {
        let (access, creation) = (list(*H5P_CLS_FILE_ACCESS)?, list(*H5P_CLS_FILE_CREATE)?);
        let order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
        let (links, groups) = (list(*H5P_CLS_LINK_CREATE)?, list(*H5P_CLS_GROUP_CREATE)?);
        let name = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        // SAFETY: all lists are open and of the class that each call wants; the name ends with NUL.
        let file = unsafe {
            check(H5Pset_file_locking(access.raw(), 0, 1))?;
            check(H5Pset_alignment(access.raw(), ALIGNED, 4096))?;
            // Keeps the order of the project; files that had another were loaded by name.
            check(H5Pset_link_creation_order(creation.raw(), order))?;
            check(H5Pset_link_creation_order(groups.raw(), order))?;
            check(H5Pset_char_encoding(links.raw(), H5T_cset_t::H5T_CSET_UTF8))?;
            check(H5Pset_create_intermediate_group(links.raw(), 1))?;
            Id::own(H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, creation.raw(), access.raw()))?
        };
        Ok(Self { file, links, groups })
    }

    /// The root group.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn root(&self) -> Result<Object> {
        let _lock = ids::lock();
        // SAFETY: the file is open, the name ends with NUL.
        let opened = Id::own(unsafe { H5Gopen2(self.file.raw(), c"/".as_ptr(), H5P_DEFAULT) });
        opened.map(Object).map_err(|trouble| cannot_write("/", trouble))
    }

    /// Makes a group.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn group(&self, at: &Object, name: &str) -> Result<Object> {
        let _lock = ids::lock();
        let make = || {
            let text = link_name(name)?;
            let (links, groups) = (self.links.raw(), self.groups.raw());
            // SAFETY: all is open, the name ends with NUL.
            Id::own(unsafe { H5Gcreate2(at.0.raw(), text.as_ptr(), links, groups, H5P_DEFAULT) })
        };
        make().map(Object).map_err(|trouble| cannot_write(name, trouble))
    }

    /// Creates a committed datatype from its encoding.
    ///
    /// # Errors
    /// Returns an error if libhdf5 does not accept the name or the type.
    pub fn commit(&self, at: &Object, name: &str, encoded: &[u8]) -> Result<Object> {
        let _lock = ids::lock();
        let commit = || {
            let (text, kind) = (link_name(name)?, Datatype::decode(encoded)?);
            let (at, links) = (at.0.raw(), self.links.raw());
            // SAFETY: all is open, the name ends with NUL.
            check(unsafe {
                H5Tcommit2(at, text.as_ptr(), kind.raw(), links, H5P_DEFAULT, H5P_DEFAULT)
            })?;
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
            let (file, kind) = (self.file.raw(), Datatype::decode(encoded)?);
            // SAFETY: file and type are open.
            check(unsafe { H5Tcommit_anon(file, kind.raw(), H5P_DEFAULT, H5P_DEFAULT) })?;
            Ok(kind.into_object())
        };
        commit().map(Object).map_err(|trouble| cannot_write("a committed datatype", trouble))
    }

    /// Gives an object another name.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn link(&self, object: &Object, at: &Object, name: &str) -> Result<()> {
        let _lock = ids::lock();
        let make = || {
            let text = link_name(name)?;
            let (object, at, links) = (object.0.raw(), at.0.raw(), self.links.raw());
            // SAFETY: all is open, the name ends with NUL.
            check(unsafe { hdf5_sys::h5o::H5Olink(object, at, text.as_ptr(), links, H5P_DEFAULT) })
        };
        make().map(|_| ()).map_err(|trouble| cannot_write(name, trouble))
    }

    /// Creates a dataset, without its data. Its type is the committed datatype `named`, if that is equal.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn dataset(
        &self,
        at: &Object,
        name: &str,
        recipe: &DatasetSpec,
        packing: &Packing,
        named: Option<&Object>,
    ) -> Result<Object> {
        let _lock = ids::lock();
        let make = || {
            let text = link_name(name)?;
            let space = match &packing.limits {
                Some(limits) => Dataspace::growing(&recipe.shape, limits)?,
                None => space(Some(&recipe.shape))?,
            };
            let creation = self.creation(recipe, packing)?;
            let kind = named_if_equal(named, &recipe.file_type);
            let links = self.links.raw();
            let (at, name) = (at.0.raw(), text.as_ptr());
            // SAFETY: all is open, the name ends with NUL.
            Id::own(unsafe {
                H5Dcreate2(at, name, kind, space.raw(), links, creation.raw(), H5P_DEFAULT)
            })
        };
        make().map(Object).map_err(|trouble| cannot_write(name, trouble))
    }

    /// The creation list of a dataset.
    fn creation(&self, recipe: &DatasetSpec, packing: &Packing) -> ObjectResult<Id> {
        let list = list(*H5P_CLS_DATASET_CREATE)?;
        let id = list.raw();
        let is_early = packing.chunk.is_none() && recipe.layout().is_some();
        // SAFETY: the list is open; the number of chunk extents is passed. The same holds below.
        unsafe {
            check(H5Pset_obj_track_times(id, 0))?;
            if is_early {
                check(H5Pset_alloc_time(id, H5D_alloc_time_t::H5D_ALLOC_TIME_EARLY))?;
            }
            if let Some(chunk) = &packing.chunk {
                let rank = i32::try_from(chunk.len()).unwrap_or(0);
                check(H5Pset_chunk(id, rank, chunk.as_ptr()))?;
            }
            if let Some(level) = packing.deflate {
                check(H5Pset_shuffle(id))?;
                check(H5Pset_deflate(id, c_uint::from(level)))?;
            }
        }
        match &packing.fill {
            Fill::Undefined => {
                // SAFETY: as above; without a value the type does not matter.
                check(unsafe { H5Pset_fill_value(id, recipe.file_type.raw(), std::ptr::null()) })?
            }
            Fill::Value(value) => {
                let kind = Datatype::decode(&packing.fill_type)?;
                let mut element = zeroed(1, kind.size()?)?;
                let mut unpacker = Unpacker::new(self.file.raw(), &str::to_owned);
                unpacker.elements(&kind, &mut &value[..], &mut element)?;
                // SAFETY: the buffer has one element of the type; its pointers lead into a living arena.
                check(unsafe { H5Pset_fill_value(id, kind.raw(), element.as_ptr().cast()) })?
            }
            Fill::Zero | Fill::Unknown => 0,
        };
        let element = recipe.node.size as u64;
        let bytes = recipe.shape.iter().fold(element, |all, &n| all.saturating_mul(n));
        let time = match packing.fill_time.as_deref() {
            // Every element is written anyway: to fill a large dataset first would double the work.
            _ if is_early && bytes > MAX_FILLED => H5D_fill_time_t::H5D_FILL_TIME_NEVER,
            Some("alloc") => H5D_fill_time_t::H5D_FILL_TIME_ALLOC,
            Some("never") => H5D_fill_time_t::H5D_FILL_TIME_NEVER,
            _ => H5D_fill_time_t::H5D_FILL_TIME_IFSET,
        };
        // SAFETY: as above.
        check(unsafe { H5Pset_fill_time(id, time) })?;
        Ok(list)
    }

    /// Where in the file a contiguous dataset's bytes lie; `None` when it has none.
    pub fn offset(&self, dataset: &Object) -> Option<u64> {
        let _lock = ids::lock();
        // SAFETY: the dataset is open.
        let offset = unsafe { H5Dget_offset(dataset.0.raw()) };
        (offset != u64::MAX).then_some(offset)
    }

    /// Writes a dataset block by block; `read` gets the number of an array, an offset in bytes, and
    /// the place for the bytes there.
    ///
    /// # Errors
    /// In HDF5's words; and what `read` fails with.
    pub fn write<E: From<Error>>(
        &self,
        dataset: &Object,
        name: &str,
        recipe: &DatasetSpec,
        read: ReadPiece<'_, E>,
    ) -> std::result::Result<(), E> {
        let width = |leaf: &&Field| leaf.per_element().saturating_mul(leaf.dtype.itemsize());
        let all: u64 = recipe.fields().iter().map(width).sum();
        let size = (recipe.node.size as u64).max(all);
        for block in Blocks::new(&recipe.shape, None, size) {
            let first = super::blocks::first_index(&recipe.shape, &block.start);
            let elements = block.elements();
            let wrong = |trouble| E::from(cannot_write(name, trouble));
            let mut buffer = zeroed(elements, recipe.node.size).map_err(wrong)?;
            let mut arena = Arena::default();
            for (number, leaf) in recipe.fields().iter().enumerate() {
                let width = width(leaf);
                let bytes = usize::try_from(width).unwrap_or(usize::MAX);
                let mut piece = zeroed(elements, bytes).map_err(wrong)?;
                read(number, first.saturating_mul(width), &mut piece)?;
                let keep = &mut |text: &[u8]| arena.text(text);
                scatter::gather(leaf, recipe.node.size, &piece, &mut buffer, keep);
            }
            let _lock = ids::lock();
            write_block(dataset, recipe, &block, &buffer).map_err(wrong)?;
        }
        Ok(())
    }

    /// Writes a chunk that has been through its filters; `skipped` has a bit for each that it has not.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn write_chunk(
        &self,
        dataset: &Object,
        start: &[u64],
        skipped: u32,
        bytes: &[u8],
    ) -> Result<()> {
        let _lock = ids::lock();
        let (id, data) = (dataset.0.raw(), bytes.as_ptr().cast());
        let write = || {
            if dataset.space()?.rank()? != start.len() {
                return damaged("a chunk of other dimensions than its dataset");
            }
            // SAFETY: the dataset is open, `start` has its rank, and the length of the bytes is passed.
            check(unsafe {
                H5Dwrite_chunk(id, H5P_DEFAULT, skipped, start.as_ptr(), bytes.len(), data)
            })
        };
        write().map(|_| ()).map_err(|trouble| cannot_write("a chunk", trouble))
    }

    /// Writes an attribute; `rename` returns the path in this file for a path that a reference has in the
    /// source. Its type is the committed datatype `named`, if that is equal. Returns how many references
    /// became null because the file lacks their objects.
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
        let made = self.make_attribute(object, attribute, rename, named);
        made.map_err(|trouble| cannot_write(&format!("@{}", attribute.name), trouble))
    }

    fn make_attribute(
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
        // Before the attribute exists: a damaged record leaves none.
        let mut buffer = zeroed(elements, kind.size()?)?;
        let mut unpacker = Unpacker::new(self.file.raw(), rename);
        unpacker.elements(&kind, &mut &attribute.data[..], &mut buffer)?;
        let creation = list(*H5P_CLS_ATTRIBUTE_CREATE)?;
        let (id, text) = (object.0.raw(), name.as_ptr());
        // SAFETY: all is open, the name ends with NUL.
        let made = Id::own(unsafe {
            check(H5Pset_char_encoding(creation.raw(), H5T_cset_t::H5T_CSET_UTF8))?;
            let file_type = named_if_equal(named, &kind);
            H5Acreate2(id, text, file_type, space.raw(), creation.raw(), H5P_DEFAULT)
        })?;
        if elements > 0 {
            // SAFETY: the buffer has every element; its pointers lead into the arena, which still lives.
            check(unsafe { H5Awrite(made.raw(), kind.raw(), buffer.as_ptr().cast()) })?;
        }
        Ok(unpacker.lost)
    }

    /// Writes all that is not yet written, and closes the file.
    ///
    /// # Errors
    /// In HDF5's words.
    pub fn close(self) -> Result<()> {
        let _lock = ids::lock();
        let (file, scope) = (self.file.raw(), hdf5_sys::h5f::H5F_scope_t::H5F_SCOPE_LOCAL);
        // SAFETY: the file is open. Closing it by dropping would not tell what failed.
        let flushed = check(unsafe { hdf5_sys::h5f::H5Fflush(file, scope) });
        flushed.map(|_| ()).map_err(|trouble| cannot_write("the file", trouble))
    }
}

impl RawAttribute {
    /// Whether it must wait until the objects that it refers to are there.
    pub fn refers(&self) -> bool {
        let _lock = ids::lock();
        let Ok(kind) = Datatype::decode(&self.kind) else { return false };
        // SAFETY: `kind` is open.
        unsafe { H5Tdetect_class(kind.raw(), H5T_class_t::H5T_REFERENCE) > 0 }
    }
}

fn list(class: hid_t) -> ObjectResult<Id> {
    // SAFETY: the class is one of the library's own.
    Id::own(unsafe { H5Pcreate(class) })
}

/// The committed datatype `named` if it describes the same bytes as `kind`, else `kind`.
fn named_if_equal(named: Option<&Object>, kind: &Datatype) -> hid_t {
    // SAFETY: both are open datatypes.
    let is_equal = |named: &&Object| unsafe { H5Tequal(named.0.raw(), kind.raw()) > 0 };
    named.filter(is_equal).map_or(kind.raw(), |named| named.0.raw())
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
        // SAFETY: a call without pointers.
        None => Dataspace::own(unsafe { H5Screate(H5S_class_t::H5S_NULL) }),
        // SAFETY: as above.
        Some([]) => Dataspace::own(unsafe { H5Screate(H5S_class_t::H5S_SCALAR) }),
        Some(shape) => Dataspace::simple(shape),
    }
}

fn write_block(
    dataset: &Object,
    recipe: &DatasetSpec,
    block: &super::blocks::Block,
    buffer: &[u8],
) -> ObjectResult<()> {
    let (id, kind, data) = (dataset.0.raw(), recipe.node.memory.raw(), buffer.as_ptr().cast());
    let file = dataset.space()?;
    if file.shape()?.as_ref() != Some(&recipe.shape) {
        return damaged("elements for a dataset of another shape");
    }
    if recipe.shape.is_empty() {
        // SAFETY: the buffer has the one element; its pointers lead into a living arena.
        check(unsafe { H5Dwrite(id, kind, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) })?;
        return Ok(());
    }
    file.select(block)?;
    let memory = Dataspace::simple(&block.count)?;
    // SAFETY: the buffer has as many elements as are selected; its pointers lead into a living arena.
    check(unsafe { H5Dwrite(id, kind, memory.raw(), file.raw(), H5P_DEFAULT, data) })?;
    Ok(())
}
