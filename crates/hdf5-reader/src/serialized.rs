//! Values and types as plain bytes that can be kept outside a file: types as HDF5 encodes them,
//! elements with their strings and sequences written out and references as paths.
#![allow(unsafe_code)]

use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5r::{H5R_type_t, H5Rcreate};
use hdf5_sys::h5t::{H5T_STD_REF_OBJ, H5T_class_t, H5Tdecode2, H5Tdetect_class, H5Tencode};

use super::datatype::Datatype;
use super::error::{ObjectResult, check, damaged, unsupported};
use super::strings::text_at;

/// The length that stands for "no string", which is not the empty one.
const NONE: u32 = u32::MAX;

/// More bytes than this are not packed.
const MAX_BYTES: usize = 64 << 20;

/// Types are nested no deeper than this in practice.
const MAX_DEPTH: usize = 32;

impl Datatype {
    /// The library's own bytes for this type.
    pub(crate) fn encode(&self) -> ObjectResult<Vec<u8>> {
        let mut size = 0;
        // SAFETY: without a buffer the call only tells the size.
        check(unsafe { H5Tencode(self.raw(), std::ptr::null_mut(), &raw mut size) })?;
        let mut bytes = vec![0_u8; size];
        // SAFETY: the buffer has the size that the library asked for.
        check(unsafe { H5Tencode(self.raw(), bytes.as_mut_ptr().cast(), &raw mut size) })?;
        Ok(bytes)
    }

    /// The type that [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> ObjectResult<Self> {
        // SAFETY: the library is told how many bytes there are.
        Self::own(unsafe { H5Tdecode2(bytes.as_ptr().cast(), bytes.len()) })
    }

    /// Whether some part of it is of `class`.
    fn has(&self, class: H5T_class_t) -> ObjectResult<bool> {
        // SAFETY: `self` is an open datatype.
        check(unsafe { H5Tdetect_class(self.raw(), class) }).map(|found| found > 0)
    }

    /// Whether elements are nothing but their own bytes.
    fn is_flat(&self) -> ObjectResult<bool> {
        // A variable-length string counts as a string for the library, not as a sequence.
        let strings = self.has(H5T_class_t::H5T_STRING)? && self.class() != H5T_class_t::H5T_STRING;
        let variable = match self.class() {
            H5T_class_t::H5T_STRING => self.is_variable_string()?,
            _ => strings,
        };
        Ok(!variable
            && !self.has(H5T_class_t::H5T_VLEN)?
            && !self.has(H5T_class_t::H5T_REFERENCE)?)
    }

    /// Whether a type of the class of references is one to an object. By its size: a reference within a type
    /// that was decoded is not equal to the predefined type, because it does not count as one in memory.
    fn is_object_reference(&self) -> ObjectResult<bool> {
        Ok(self.size()? == Self::predefined(*H5T_STD_REF_OBJ)?.size()?)
    }
}

/// How to pack the elements of one type. Computed once for each attribute: to ask the library about the
/// type of each element takes far longer than to copy the element.
enum Packer {
    /// The bytes themselves.
    Flat,
    /// A pointer to a variable-length string.
    Text,
    /// A reference to an object.
    Reference,
    Array(Box<Packer>, usize),
    /// Fields with offset and size.
    Compound(Vec<(usize, usize, Packer)>),
    /// A length and a pointer to elements of this size.
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
            H5T_class_t::H5T_STRING => Ok(Self::Text),
            H5T_class_t::H5T_REFERENCE if kind.is_object_reference()? => Ok(Self::Reference),
            H5T_class_t::H5T_REFERENCE => {
                unsupported("a reference to a region, or of the newer sort")
            }
            H5T_class_t::H5T_ARRAY => base().map(|(base, size)| Self::Array(base, size)),
            H5T_class_t::H5T_VLEN => base().map(|(base, size)| Self::Sequence(base, size)),
            H5T_class_t::H5T_COMPOUND => {
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

/// Writes out the elements that HDF5 put into `bytes`.
///
/// # Safety
/// HDF5 must have filled `bytes` with elements of `kind`, not reclaimed yet.
pub(crate) unsafe fn pack(kind: &Datatype, bytes: &[u8]) -> ObjectResult<Packed> {
    let mut packed = Packed::default();
    let (plan, size) = (Packer::new(kind, 0)?, kind.size()?);
    // SAFETY: the caller's promise.
    unsafe { packed.all(&plan, size, bytes)? };
    Ok(packed)
}

impl Packed {
    /// # Safety
    /// As [`pack`], for elements of `size` bytes that `packer` was made for.
    unsafe fn all(&mut self, packer: &Packer, size: usize, bytes: &[u8]) -> ObjectResult<()> {
        if let Packer::Flat = packer {
            self.data.extend_from_slice(bytes);
            return Ok(());
        }
        for element in bytes.chunks_exact(size) {
            // SAFETY: each part of the elements is as the caller promised.
            unsafe { self.one(packer, element)? };
        }
        Ok(())
    }

    unsafe fn one(&mut self, packer: &Packer, bytes: &[u8]) -> ObjectResult<()> {
        if self.data.len() > MAX_BYTES {
            return unsupported("large array");
        }
        match packer {
            Packer::Flat => self.data.extend_from_slice(bytes),
            Packer::Text => {
                if bytes.iter().all(|&byte| byte == 0) {
                    self.data.extend(NONE.to_le_bytes());
                    return Ok(());
                }
                // SAFETY: the caller's promise: a pointer to a string of HDF5's.
                self.counted(unsafe { text_at(bytes) })?;
            }
            Packer::Reference => match number(bytes) {
                0 => self.counted(b"")?,
                address => self.references.push((self.data.len(), address)),
            },
            // SAFETY: the caller's promise, for every part.
            Packer::Array(base, size) => unsafe { self.all(base, *size, bytes)? },
            Packer::Compound(fields) => {
                for (offset, size, packer) in fields {
                    let end = offset.checked_add(*size);
                    let Some(part) = end.and_then(|end| bytes.get(*offset..end)) else {
                        return damaged("a field outside of its compound");
                    };
                    // SAFETY: as above.
                    unsafe { self.one(packer, part)? };
                }
            }
            Packer::Sequence(base, size) => {
                let (length, address) = (word(bytes, 0), word(bytes, 8));
                let bytes = length.checked_mul(*size).filter(|&bytes| bytes <= MAX_BYTES);
                let Some(bytes) = bytes else { return unsupported("large array") };
                let length = if address == 0 { 0 } else { length };
                self.data.extend(u32::try_from(length).unwrap_or(0).to_le_bytes());
                if length > 0 {
                    // SAFETY: HDF5 filled in this sequence, of `length` elements of the base type.
                    let row = unsafe { std::slice::from_raw_parts(address as *const u8, bytes) };
                    // SAFETY: as above.
                    unsafe { self.all(base, *size, row)? };
                }
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

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, usize::from_ne_bytes)
}

/// Memory that pointers in unpacked elements lead to.
#[derive(Debug, Default)]
pub(crate) struct Arena(Vec<Box<[u64]>>);

impl Arena {
    /// Room for `size` bytes that stays where it is, aligned for every type.
    fn room(&mut self, size: usize) -> &mut [u8] {
        self.0.push(vec![0_u64; size.div_ceil(8)].into_boxed_slice());
        let last: &mut [u64] = self.0.last_mut().map_or(&mut [], |last| last);
        // SAFETY: any bytes are sound, and the slice has at least `size` of them.
        unsafe { std::slice::from_raw_parts_mut(last.as_mut_ptr().cast(), size) }
    }

    /// The address of a copy of `text` with a NUL after it.
    pub(crate) fn text(&mut self, text: &[u8]) -> usize {
        let room = self.room(text.len() + 1);
        room[..text.len()].copy_from_slice(text);
        room.as_ptr() as usize
    }
}

/// Restores elements from what [`pack`] wrote. References lead to objects of the open `file` at the paths
/// that `rename` returns.
pub(crate) struct Unpacker<'a> {
    pub(crate) file: hid_t,
    pub(crate) rename: &'a dyn Fn(&str) -> String,
    pub(crate) arena: Arena,
    /// References that became null because the file lacks their objects.
    pub(crate) lost: usize,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(file: hid_t, rename: &'a dyn Fn(&str) -> String) -> Self {
        Self { file, rename, arena: Arena::default(), lost: 0 }
    }
}

impl Unpacker<'_> {
    pub(crate) fn elements(
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
            H5T_class_t::H5T_STRING if kind.is_variable_string()? => {
                if let Some(text) = take_counted(packed)? {
                    put(out, &self.arena.text(text).to_ne_bytes())?;
                }
                Ok(())
            }
            H5T_class_t::H5T_REFERENCE if kind.is_object_reference()? => {
                let path = take_counted(packed)?.map(String::from_utf8_lossy);
                let is_null = path.as_deref().is_some_and(str::is_empty);
                if !is_null && path.and_then(|path| self.refer(&path, out)).is_none() {
                    self.lost += 1;
                }
                Ok(())
            }
            H5T_class_t::H5T_ARRAY => self.elements(&kind.base()?, packed, out),
            H5T_class_t::H5T_COMPOUND => {
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
            H5T_class_t::H5T_VLEN => {
                let length = take(packed, 4)?.try_into().map_or(0, u32::from_le_bytes) as usize;
                let base = kind.base()?;
                let size = length.checked_mul(base.size()?).filter(|&size| size <= MAX_BYTES);
                let Some(size) = size else { return damaged("a sequence that is too long") };
                let mut inner = vec![0; size];
                self.elements(&base, packed, &mut inner)?;
                let room = self.arena.room(inner.len());
                room.copy_from_slice(&inner);
                let address = if length == 0 { 0 } else { room.as_ptr() as usize };
                put(out, [length.to_ne_bytes(), address.to_ne_bytes()].as_flattened())
            }
            // The library would take these bytes for pointers.
            _ => damaged("a type with references or sequences in an unexpected place"),
        }
    }

    /// Creates a reference to the object at a path of the source; `None` if the file has no such object.
    fn refer(&self, path: &str, out: &mut [u8]) -> Option<()> {
        let name = std::ffi::CString::new((self.rename)(path)).ok()?;
        let mut room = [0_u64; 8];
        (out.len() <= 64).then_some(())?;
        let (place, kind) = (room.as_mut_ptr().cast(), H5R_type_t::H5R_OBJECT1);
        // SAFETY: the file is open, the name ends with NUL, the room is larger than any reference.
        let status = unsafe { H5Rcreate(place, self.file, name.as_ptr(), kind, -1) };
        (status >= 0).then_some(())?;
        for (to, from) in out.iter_mut().zip(room.iter().flat_map(|word| word.to_ne_bytes())) {
            *to = from;
        }
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
