//! The type of an element in memory: numpy's dtype where there is one, and the HDF5 type to read it with, which is
//! the file's own wherever the bytes are the same.

use hdf5_filters::Conversion;
use numpy_dtype::Dtype;

use crate::error::ObjectResult;
use crate::ffi::datatype::{Datatype, TypeClass};

/// One element, or a part of one, in memory.
#[derive(Debug)]
pub(crate) struct ElementType {
    pub(crate) kind: ElementClass,
    /// The type to read with.
    pub(crate) memory: Datatype,
    /// Bytes of one in memory.
    pub(crate) size: usize,
    /// Whether that is also how the file has it.
    pub(crate) exact: bool,
    /// Where it is not: the conversion of the file's bytes, if that needs no libhdf5.
    pub(crate) convert: Option<Conversion>,
}

/// The class of an [`ElementType`].
#[derive(Debug)]
pub(crate) enum ElementClass {
    /// One value; with the names of its values if it is an enum.
    Scalar(Dtype, Vec<(String, i128)>),
    /// A string of variable length.
    Text,
    /// Several of the same.
    Array(Vec<u64>, Box<ElementType>),
    /// Fields with their offsets.
    Table(Vec<(String, usize, ElementType)>),
    /// A sequence of variable length: in attributes only.
    Ragged(Box<ElementType>),
}

impl ElementType {
    /// One value that is read as `memory`.
    pub(crate) fn scalar(file: &Datatype, memory: Datatype, dtype: Dtype) -> ObjectResult<Self> {
        let exact = file.equals(&memory)?;
        let size = memory.size()?;
        Ok(Self {
            kind: ElementClass::Scalar(dtype, Vec::new()),
            memory,
            size,
            exact,
            convert: None,
        })
    }

    /// Whether elements can be read without libhdf5.
    pub(crate) fn is_known(&self) -> bool {
        self.exact || self.convert.is_some()
    }

    /// Bytes of one in the file, if elements can be read without libhdf5.
    pub(crate) fn file_size(&self) -> usize {
        self.convert.as_ref().map_or(self.size, Conversion::file_size)
    }

    /// The conversion from the file's bytes; `None` if it needs libhdf5.
    pub(super) fn conversion(&self) -> Option<Conversion> {
        if self.exact { Some(Conversion::same(self.size)) } else { self.convert.clone() }
    }

    /// Whether it is a string that must end with spaces: HDF5 would end it at the first NUL.
    pub(crate) fn is_spaced(&self) -> bool {
        let is_string = self.memory.class() == TypeClass::String;
        is_string && !self.has_pointers() && self.memory.is_space_padded()
    }

    /// Whether HDF5 allocates memory for each element.
    pub(crate) fn has_pointers(&self) -> bool {
        match &self.kind {
            ElementClass::Scalar(..) => false,
            ElementClass::Text | ElementClass::Ragged(_) => true,
            ElementClass::Array(_, of) => of.has_pointers(),
            ElementClass::Table(fields) => fields.iter().any(|(_, _, node)| node.has_pointers()),
        }
    }
}
