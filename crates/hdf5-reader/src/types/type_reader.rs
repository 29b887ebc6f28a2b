//! Reads an HDF5 type: the type of its elements in memory, and the fields that numpy cannot represent.

use std::ffi::c_uint;

use hdf5_filters::Conversion;
use numpy_dtype::{Class, Dtype};

use super::element_type::{ElementClass, ElementType};
use super::numbers;
use crate::error::{ObjectError, ObjectResult, unsupported};
use crate::ffi::datatype::{CharSet, Datatype, TypeClass};

/// How deep types may nest.
const MAX_DEPTH: u32 = 32;

/// Reads types, and records the fields that are left out.
#[derive(Debug, Default)]
pub(crate) struct TypeReader {
    /// Whether variable-length sequences are wanted.
    pub(crate) ragged: bool,
    /// Whether the types are for writing: strings then keep the padding that the file wants.
    pub(crate) writing: bool,
    /// Path below the dataset, and reason, of each field left out.
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) depth: u32,
}

impl TypeReader {
    /// The type in memory of elements of the type `file`; `path` is its place below the dataset.
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
            TypeClass::Integer => numbers::integer(file),
            TypeClass::Float => numbers::float(file),
            TypeClass::Bitfield => numbers::bitfield(file),
            TypeClass::Enum => self.enumeration(file),
            TypeClass::Complex => numbers::complex(file),
            TypeClass::String => string(file, self.writing),
            TypeClass::Opaque => opaque(file),
            TypeClass::Array => self.array(file, path),
            TypeClass::Compound => self.compound(file, path),
            TypeClass::Sequence if self.ragged => self.sequence(file, path),
            TypeClass::Sequence => unsupported("ragged array (variable-length sequences)"),
            TypeClass::Reference => unsupported("references to objects or regions"),
            TypeClass::Time => unsupported("the deprecated time type H5T_TIME"),
            TypeClass::Unknown => unsupported("an unknown class of type"),
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

/// A compound in memory: its fields follow each other without gaps.
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

/// Fixed strings keep their length.
fn string(file: &Datatype, writing: bool) -> ObjectResult<ElementType> {
    if file.charset() == CharSet::Unknown {
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

/// Raw bytes; h5py's tag may name their numpy type.
fn opaque(file: &Datatype) -> ObjectResult<ElementType> {
    let size = file.size()? as u64;
    let tag = file.tag()?;
    let named = tag.strip_prefix(b"NUMPY:").and_then(|text| std::str::from_utf8(text).ok());
    let dtype = named.and_then(Dtype::parse).filter(|dtype| dtype.itemsize() == size);
    let dtype = dtype.unwrap_or_else(|| Dtype::new(Class::Void, size, false));
    ElementType::scalar(file, file.copy()?, dtype)
}
