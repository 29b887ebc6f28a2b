//! From an HDF5 type to what its elements look like in memory: numpy's dtype where there is one,
//! and the HDF5 type to read them with, which is the file's own wherever the bytes are the same.

use std::ffi::c_uint;

use hdf5_filters::Conversion;
use hdf5_sys::h5t::H5T_class_t;
use numpy_dtype::{Class, Dtype};

use super::datatype::Datatype;
use super::error::{ObjectError, ObjectResult, unsupported};
use super::numbers;

/// How deep types may nest.
const MAX_DEPTH: u32 = 32;

/// One element, or a part of one, as it lies in memory.
#[derive(Debug)]
pub(crate) struct ElementType {
    pub(crate) kind: ElementClass,
    /// The type to read with.
    pub(crate) memory: Datatype,
    /// Bytes of one in memory.
    pub(crate) size: usize,
    /// Whether that is also how the file has it.
    pub(crate) exact: bool,
    /// Where it is not: how the file's become that, if that takes no libhdf5.
    pub(crate) convert: Option<Conversion>,
}

/// What a [`ElementType`] is.
#[derive(Debug)]
pub(crate) enum ElementClass {
    /// One value; with the names of its values if it is an enum.
    Scalar(Dtype, Vec<(String, i128)>),
    /// A pointer to a NUL-terminated string.
    Text,
    /// Several of the same.
    Array(Vec<u64>, Box<ElementType>),
    /// Fields with their offsets.
    Table(Vec<(String, usize, ElementType)>),
    /// A length and a pointer: in attributes only.
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

    /// Whether elements can be had without libhdf5.
    pub(crate) fn is_known(&self) -> bool {
        self.exact || self.convert.is_some()
    }

    /// Bytes of one in the file, where it can be had without libhdf5.
    pub(crate) fn file_size(&self) -> usize {
        self.convert.as_ref().map_or(self.size, Conversion::file_size)
    }

    /// How the file's become that; `None` if it takes libhdf5.
    fn conversion(&self) -> Option<Conversion> {
        if self.exact { Some(Conversion::same(self.size)) } else { self.convert.clone() }
    }

    /// Whether it is a string that must end with spaces: HDF5 would end it at the first NUL.
    pub(crate) fn is_spaced(&self) -> bool {
        let is_string = self.memory.class() == H5T_class_t::H5T_STRING;
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

/// Reads types, and remembers the fields that had to be left out.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Whether variable-length sequences are wanted.
    pub(crate) ragged: bool,
    /// Whether the types are for writing: strings then keep the padding that the file wants.
    pub(crate) writing: bool,
    /// Path below the dataset, and reason, of each field left out.
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) depth: u32,
}

impl Reader {
    /// What `file` looks like in memory; `path` is where it stands below the dataset.
    pub(crate) fn node(&mut self, file: &Datatype, path: &str) -> ObjectResult<ElementType> {
        if self.depth >= MAX_DEPTH {
            return unsupported(format!("types nested deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let node = self.of_class(file, path);
        self.depth -= 1;
        node
    }

    fn of_class(&mut self, file: &Datatype, path: &str) -> ObjectResult<ElementType> {
        match file.class() {
            H5T_class_t::H5T_INTEGER => numbers::integer(file),
            H5T_class_t::H5T_FLOAT => numbers::float(file),
            H5T_class_t::H5T_BITFIELD => numbers::bitfield(file),
            H5T_class_t::H5T_ENUM => self.enumeration(file),
            H5T_class_t::H5T_COMPLEX => numbers::complex(file),
            H5T_class_t::H5T_STRING => string(file, self.writing),
            H5T_class_t::H5T_OPAQUE => opaque(file),
            H5T_class_t::H5T_ARRAY => self.array(file, path),
            H5T_class_t::H5T_COMPOUND => self.compound(file, path),
            H5T_class_t::H5T_VLEN if self.ragged => self.sequence(file, path),
            H5T_class_t::H5T_VLEN => unsupported("ragged array (variable-length sequences)"),
            H5T_class_t::H5T_REFERENCE => unsupported("references to objects or regions"),
            H5T_class_t::H5T_TIME => unsupported("the deprecated time type H5T_TIME"),
            _ => unsupported("an unknown class of type"),
        }
    }

    fn enumeration(&mut self, file: &Datatype) -> ObjectResult<ElementType> {
        let mut node = numbers::enumeration(file)?;
        // HDF5 reads an enum of odd precision as an integer, but does not write it as one.
        if self.writing && node.size == file.size()? {
            (node.memory, node.exact) = (file.copy()?, true);
        }
        Ok(node)
    }

    fn array(&mut self, file: &Datatype, path: &str) -> ObjectResult<ElementType> {
        let dims = file.array_dims()?;
        let of = self.node(&file.base()?, path)?;
        let exact = of.exact;
        let memory = if exact { file.copy()? } else { of.memory.array(&dims)? };
        let size = memory.size()?;
        let count = dims.iter().try_fold(1_u64, |all, &n| all.checked_mul(n));
        let bytes = count.and_then(|n| n.checked_mul(of.size as u64));
        if bytes != Some(size as u64) {
            return unsupported("an array type whose size does not follow from its parts");
        }
        let convert = count.filter(|_| !exact).and_then(|count| of.conversion()?.array(count));
        Ok(ElementType {
            kind: ElementClass::Array(dims, Box::new(of)),
            memory,
            size,
            exact,
            convert,
        })
    }

    fn sequence(&mut self, file: &Datatype, path: &str) -> ObjectResult<ElementType> {
        let of = self.node(&file.base()?, path)?;
        let memory = of.memory.ragged()?;
        let size = memory.size()?;
        Ok(ElementType {
            kind: ElementClass::Ragged(Box::new(of)),
            memory,
            size,
            exact: false,
            convert: None,
        })
    }

    fn compound(&mut self, file: &Datatype, path: &str) -> ObjectResult<ElementType> {
        let before = self.skipped.len();
        let mut fields = Vec::new();
        for index in 0..file.members()? {
            let name = file.member_name(index)?;
            let shown = format!("{path}/{}", String::from_utf8_lossy(&name));
            match self.field(file, index, name, &shown) {
                Ok((name, node)) => fields.push((name, file.member_offset(index), node)),
                Err(ObjectError::Unsupported(reason)) => self.skipped.push((shown, reason)),
                Err(trouble) => return Err(trouble),
            }
        }
        let whole = self.skipped.len() == before;
        if fields.is_empty() {
            let reason = self.skipped.pop().map_or_else(String::new, |(_, reason)| reason);
            self.skipped.truncate(before);
            return unsupported(format!("no field of the compound can be loaded: {reason}"));
        }
        if whole && let Some(node) = numbers::complex_pair(file, &fields)? {
            return Ok(node);
        }
        if whole && fields.iter().all(|(_, _, node)| node.exact) {
            let (memory, size) = (file.copy()?, file.size()?);
            return Ok(ElementType {
                kind: ElementClass::Table(fields),
                memory,
                size,
                exact: true,
                convert: None,
            });
        }
        packed(file.size()?, fields)
    }

    fn field(
        &mut self,
        file: &Datatype,
        index: c_uint,
        name: Vec<u8>,
        shown: &str,
    ) -> ObjectResult<(String, ElementType)> {
        let Ok(name) = String::from_utf8(name) else {
            return unsupported("a field name that is not UTF-8");
        };
        if name == "shm_name" {
            return unsupported("the name 'shm_name' would mislead every reader");
        }
        let node = self.node(&file.member_type(index)?, shown)?;
        Ok((name, node))
    }
}

/// A compound of our own, field after field without gaps.
fn packed(
    file_size: usize,
    mut fields: Vec<(String, usize, ElementType)>,
) -> ObjectResult<ElementType> {
    let mut size = 0_usize;
    let mut conversions = Vec::new();
    for (_, offset, node) in &mut fields {
        conversions.push(node.conversion().map(|convert| (*offset, size, convert)));
        *offset = size;
        size = match size.checked_add(node.size) {
            Some(size) => size,
            None => return unsupported("elements too large for this machine"),
        };
    }
    let memory = Datatype::compound(size)?;
    for (name, offset, node) in &fields {
        memory.insert(name, *offset, &node.memory)?;
    }
    let convert = Conversion::table((file_size, size), conversions);
    Ok(ElementType { kind: ElementClass::Table(fields), memory, size, exact: false, convert })
}

/// Fixed strings keep their length; others are read as pointers.
fn string(file: &Datatype, writing: bool) -> ObjectResult<ElementType> {
    use hdf5_sys::h5t::H5T_cset_t::{H5T_CSET_ASCII, H5T_CSET_UTF8};
    if !matches!(file.charset(), H5T_CSET_ASCII | H5T_CSET_UTF8) {
        return unsupported("strings in an unknown character set");
    }
    if file.is_variable_string()? {
        let memory = file.variable_string()?;
        let size = memory.size()?;
        return Ok(ElementType {
            kind: ElementClass::Text,
            memory,
            size,
            exact: false,
            convert: None,
        });
    }
    // HDF5 would end a null-terminated string with NUL even where the source had none to spare.
    let memory = match writing {
        true => file.copy()?,
        false => file.null_padded()?,
    };
    let size = file.size()?;
    let mut node = ElementType::scalar(file, memory, Dtype::bytes(size as u64))?;
    if !node.exact {
        node.convert = match file.is_space_padded() {
            true => Some(Conversion::spaced(size)),
            false => Some(Conversion::terminated(size)),
        };
    }
    Ok(node)
}

/// Raw bytes; h5py's tag may say which numpy type they are.
fn opaque(file: &Datatype) -> ObjectResult<ElementType> {
    let size = file.size()? as u64;
    let tag = file.tag()?;
    let told = tag.strip_prefix(b"NUMPY:").and_then(|text| std::str::from_utf8(text).ok());
    let dtype = told.and_then(Dtype::parse).filter(|dtype| dtype.itemsize() == size);
    let dtype = dtype.unwrap_or_else(|| Dtype::new(Class::Void, size, false));
    ElementType::scalar(file, file.copy()?, dtype)
}
