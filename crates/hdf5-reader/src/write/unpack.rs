//! Restores elements from the bytes that [`pack`] wrote.

use std::ffi::CString;

use crate::error::{ObjectResult, damaged};
use crate::ffi::create;
use crate::ffi::datatype::{Datatype, TypeClass};
use crate::ffi::elements::Heap;
use crate::ffi::ids::Id;
#[allow(unused_imports)] // for the documentation
use crate::serialized::pack;
use crate::serialized::{MAX_BYTES, NONE};

/// Restores elements from the bytes that [`pack`] wrote. References lead to objects of the open `file` at the paths
/// that `rename` returns.
pub(super) struct Unpacker<'a> {
    file: &'a Id,
    rename: &'a dyn Fn(&str) -> String,
    /// The strings and sequences of the elements.
    pub(super) heap: Heap,
    /// References that became null because the file lacks their objects.
    pub(super) lost: usize,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(file: &'a Id, rename: &'a dyn Fn(&str) -> String) -> Self {
        Self { file, rename, heap: Heap::default(), lost: 0 }
    }
}

impl Unpacker<'_> {
    pub(super) fn elements(
        &mut self,
        kind: &Datatype,
        packed: &mut &[u8],
        out: &mut [u8],
    ) -> ObjectResult<()> {
        if kind.is_flat()? {
            out.copy_from_slice(take(packed, out.len())?);
            return Ok(());
        }
        for element in out.chunks_exact_mut(kind.size()?) {
            self.one(kind, packed, element)?;
        }
        Ok(())
    }

    fn one(&mut self, kind: &Datatype, packed: &mut &[u8], out: &mut [u8]) -> ObjectResult<()> {
        match kind.class() {
            TypeClass::String if kind.is_variable_string()? => {
                if let Some(text) = take_counted(packed)? {
                    put(out, &self.heap.add(text)?.to_ne_bytes())?;
                }
                Ok(())
            }
            TypeClass::Reference if kind.is_object_reference()? => {
                let path = take_counted(packed)?.map(String::from_utf8_lossy);
                let is_null = path.as_deref().is_some_and(str::is_empty);
                if !is_null && path.and_then(|path| self.refer(&path, out)).is_none() {
                    self.lost += 1;
                }
                Ok(())
            }
            TypeClass::Array => self.elements(&kind.base()?, packed, out),
            TypeClass::Compound => {
                for index in 0..kind.members()? {
                    let (member, offset) = (kind.member_type(index)?, kind.member_offset(index));
                    let Some(part) = out.get_mut(offset..offset.saturating_add(member.size()?))
                    else {
                        return damaged("a field outside of its compound");
                    };
                    self.elements(&member, packed, part)?;
                }
                Ok(())
            }
            TypeClass::Sequence => {
                let length = take(packed, 4)?.try_into().map_or(0, u32::from_le_bytes) as usize;
                let base = kind.base()?;
                let size = length.checked_mul(base.size()?).filter(|&size| size <= MAX_BYTES);
                let Some(size) = size else { return damaged("a sequence that is too long") };
                let mut inner = vec![0; size];
                self.elements(&base, packed, &mut inner)?;
                let handle = if length == 0 { 0 } else { self.heap.add(&inner)? };
                put(out, [length.to_ne_bytes(), handle.to_ne_bytes()].as_flattened())
            }
            // The library would take these bytes for pointers.
            _ => damaged("a type with references or sequences in an unexpected place"),
        }
    }

    /// Creates a reference to the object at a path of the source; `None` if the file has no such object.
    fn refer(&self, path: &str, out: &mut [u8]) -> Option<()> {
        let name = CString::new((self.rename)(path)).ok()?;
        let reference = create::reference(self.file, &name)?;
        out.copy_from_slice(reference.get(..out.len())?);
        Some(())
    }
}

/// Fills an element, which must be exactly as long.
fn put(out: &mut [u8], bytes: &[u8]) -> ObjectResult<()> {
    if out.len() != bytes.len() {
        return damaged("an element of another size than its type");
    }
    out.copy_from_slice(bytes);
    Ok(())
}

fn take<'a>(packed: &mut &'a [u8], size: usize) -> ObjectResult<&'a [u8]> {
    match packed.split_at_checked(size) {
        Some((head, tail)) => {
            *packed = tail;
            Ok(head)
        }
        None => damaged("an attribute's record is too short"),
    }
}

fn take_counted<'a>(packed: &mut &'a [u8]) -> ObjectResult<Option<&'a [u8]>> {
    let length = take(packed, 4)?.try_into().map_or(0, u32::from_le_bytes);
    if length == NONE {
        return Ok(None);
    }
    take(packed, length as usize).map(Some)
}
