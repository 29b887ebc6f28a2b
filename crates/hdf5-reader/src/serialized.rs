//! Elements as bytes that can be kept outside of a file, with their strings and sequences written out and
//! references as paths.

use crate::error::{ObjectResult, damaged, unsupported};
use crate::ffi::datatype::{Datatype, TypeClass};
use crate::ffi::elements::Elements;

/// The length of a null string, which is not the empty one.
pub(crate) const NONE: u32 = u32::MAX;

/// The most bytes that are serialized.
pub(crate) const MAX_BYTES: usize = 64 << 20;

/// Types are nested no deeper than this in practice.
const MAX_DEPTH: usize = 32;

/// The plan to serialize the elements of one type. Computed once for each attribute: calls of the library for each
/// element take longer than to copy the element.
enum Packer {
    /// The bytes themselves.
    Flat,
    /// A variable-length string.
    Text,
    /// A reference to an object.
    Reference,
    Array(Box<Packer>, usize),
    /// Fields with offset and size.
    Compound(Vec<(usize, usize, Packer)>),
    /// A sequence of elements of this size.
    Sequence(Box<Packer>, usize),
}

impl Packer {
    fn new(kind: &Datatype, depth: usize) -> ObjectResult<Self> {
        if kind.is_flat()? {
            return Ok(Self::Flat);
        }
        if depth == MAX_DEPTH {
            return unsupported(format!("a type nested deeper than {MAX_DEPTH} levels"));
        }
        let base = || {
            let base = kind.base()?;
            Ok((Box::new(Self::new(&base, depth + 1)?), base.size()?))
        };
        match kind.class() {
            TypeClass::String => Ok(Self::Text),
            TypeClass::Reference if kind.is_object_reference()? => Ok(Self::Reference),
            TypeClass::Reference => unsupported("a reference to a region, or of the newer sort"),
            TypeClass::Array => base().map(|(base, size)| Self::Array(base, size)),
            TypeClass::Sequence => base().map(|(base, size)| Self::Sequence(base, size)),
            TypeClass::Compound => {
                let field = |index| {
                    let member = kind.member_type(index)?;
                    let packer = Self::new(&member, depth + 1)?;
                    Ok((kind.member_offset(index), member.size()?, packer))
                };
                (0..kind.members()?).map(field).collect::<ObjectResult<_>>().map(Self::Compound)
            }
            _ => unsupported("references or sequences in an unexpected place"),
        }
    }
}

/// Packed elements, without the paths of the objects that they refer to.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) data: Vec<u8>,
    /// For each reference to an object: where in `data` its path belongs, and the object's address.
    pub(crate) references: Vec<(usize, u64)>,
}

/// Writes out elements of the type `kind`.
pub(crate) fn pack(kind: &Datatype, elements: Elements<'_>) -> ObjectResult<Packed> {
    let mut packed = Packed::default();
    packed.all(&Packer::new(kind, 0)?, kind.size()?, elements)?;
    Ok(packed)
}

impl Packed {
    fn all(&mut self, packer: &Packer, size: usize, elements: Elements<'_>) -> ObjectResult<()> {
        if let Packer::Flat = packer {
            self.data.extend_from_slice(elements.bytes());
            return Ok(());
        }
        elements.chunks_exact(size).try_for_each(|element| self.one(packer, element))
    }

    fn one(&mut self, packer: &Packer, element: Elements<'_>) -> ObjectResult<()> {
        let bytes = element.bytes();
        if self.data.len() > MAX_BYTES {
            return unsupported("large array");
        }
        match packer {
            Packer::Flat => self.data.extend_from_slice(bytes),
            Packer::Text => match element.value(bytes) {
                Some(text) => self.counted(text)?,
                None => self.data.extend(NONE.to_le_bytes()),
            },
            Packer::Reference => match number(bytes) {
                0 => self.counted(b"")?,
                address => self.references.push((self.data.len(), address)),
            },
            Packer::Array(base, size) => self.all(base, *size, element)?,
            Packer::Compound(fields) => {
                for (offset, size, packer) in fields {
                    let end = offset.checked_add(*size);
                    let Some(part) = end.and_then(|end| element.get(*offset..end)) else {
                        return damaged("a field outside of its compound");
                    };
                    self.one(packer, part)?;
                }
            }
            Packer::Sequence(base, size) => {
                let row = bytes.get(8..16).and_then(|handle| element.value(handle));
                let row = row.unwrap_or_default();
                if row.len() > MAX_BYTES {
                    return unsupported("large array");
                }
                let length = row.len().checked_div(*size).unwrap_or(0);
                self.data.extend(u32::try_from(length).unwrap_or(0).to_le_bytes());
                self.all(base, *size, element.with_bytes(row))?;
            }
        }
        Ok(())
    }

    fn counted(&mut self, bytes: &[u8]) -> ObjectResult<()> {
        let Ok(length) = u32::try_from(bytes.len()) else { return unsupported("large array") };
        self.data.extend(length.to_le_bytes());
        self.data.extend_from_slice(bytes);
        Ok(())
    }
}

/// Packed elements with the paths that `path` returns for the addresses of `references`; an empty path
/// marks an object that was not loaded. `None` if that takes more than `most` bytes.
pub(crate) fn with_paths<'p>(
    data: &[u8],
    references: &[(usize, u64)],
    most: usize,
    path: impl Fn(u64) -> &'p str,
) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(data.len());
    let mut done = 0;
    for &(at, address) in references {
        let path = path(address);
        whole.extend_from_slice(data.get(done..at)?);
        let length = if path.is_empty() { NONE } else { u32::try_from(path.len()).ok()? };
        whole.extend(length.to_le_bytes());
        whole.extend_from_slice(path.as_bytes());
        done = at;
        (whole.len() <= most).then_some(())?;
    }
    whole.extend_from_slice(data.get(done..)?);
    (whole.len() <= most).then_some(whole)
}

/// The address in a reference to an object, as the bytes of the object's token begin with it.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
