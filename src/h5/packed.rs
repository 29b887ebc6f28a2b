//! Values and types as plain bytes that can be kept outside a file: types as HDF5 encodes them,
//! elements with their strings and sequences written out and references as paths.
#![allow(unsafe_code)]

use std::ffi::c_char;

use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5r::{H5R_type_t, H5Rcreate, H5Rget_name};
use hdf5_sys::h5t::{H5T_STD_REF_OBJ, H5T_class_t, H5Tdecode2, H5Tdetect_class, H5Tencode};

use super::datatype::Datatype;
use super::error::{Outcome, check, damaged, unsupported};
use super::file::text;
use super::strings::text_at;

/// The length that stands for "no string", which is not the empty one.
const NONE: u32 = u32::MAX;

impl Datatype {
    /// The library's own bytes for this type.
    pub(super) fn encode(&self) -> Outcome<Vec<u8>> {
        let mut size = 0;
        // SAFETY: without a buffer the call only tells the size.
        check(unsafe { H5Tencode(self.raw(), std::ptr::null_mut(), &raw mut size) })?;
        let mut bytes = vec![0_u8; size];
        // SAFETY: the buffer has the size that the library asked for.
        check(unsafe { H5Tencode(self.raw(), bytes.as_mut_ptr().cast(), &raw mut size) })?;
        Ok(bytes)
    }

    /// The type that [`Self::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Outcome<Self> {
        // SAFETY: the library is told how many bytes there are.
        Self::own(unsafe { H5Tdecode2(bytes.as_ptr().cast(), bytes.len()) })
    }

    /// Whether some part of it is of `class`.
    fn has(&self, class: H5T_class_t) -> Outcome<bool> {
        // SAFETY: `self` is an open datatype.
        check(unsafe { H5Tdetect_class(self.raw(), class) }).map(|found| found > 0)
    }

    /// Whether elements are nothing but their own bytes.
    fn is_flat(&self) -> Outcome<bool> {
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

    fn is_object_reference(&self) -> Outcome<bool> {
        self.equals(&Self::predefined(*H5T_STD_REF_OBJ)?)
    }
}

/// Writes out the elements that HDF5 put into `bytes`; `object` is any open object of the file.
///
/// # Safety
/// HDF5 must have filled `bytes` with elements of `kind`, not reclaimed yet.
pub(super) unsafe fn pack(
    kind: &Datatype,
    bytes: &[u8],
    object: hid_t,
    out: &mut Vec<u8>,
) -> Outcome<()> {
    if kind.is_flat()? {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    for element in bytes.chunks_exact(kind.size()?) {
        // SAFETY: each part of the elements is as the caller promised.
        unsafe { pack_one(kind, element, object, out)? };
    }
    Ok(())
}

unsafe fn pack_one(kind: &Datatype, bytes: &[u8], object: hid_t, out: &mut Vec<u8>) -> Outcome<()> {
    match kind.class() {
        H5T_class_t::H5T_STRING if kind.is_variable_string()? => {
            if bytes.iter().all(|&byte| byte == 0) {
                out.extend(NONE.to_le_bytes());
                return Ok(());
            }
            // SAFETY: the caller's promise: a pointer to a string of HDF5's.
            counted(unsafe { text_at(bytes) }, out)
        }
        H5T_class_t::H5T_REFERENCE => counted(&target(kind, bytes, object)?, out),
        // SAFETY: the caller's promise, for every part.
        H5T_class_t::H5T_ARRAY => unsafe { pack(&kind.base()?, bytes, object, out) },
        H5T_class_t::H5T_COMPOUND => {
            for index in 0..kind.members()? {
                let (member, offset) = (kind.member_type(index)?, kind.member_offset(index));
                let Some(part) = bytes.get(offset..offset + member.size()?) else {
                    return damaged("a field outside of its compound");
                };
                // SAFETY: as above.
                unsafe { pack(&member, part, object, out)? };
            }
            Ok(())
        }
        H5T_class_t::H5T_VLEN => {
            let (length, address) = (word(bytes, 0), word(bytes, 8));
            let base = kind.base()?;
            let size = length.checked_mul(base.size()?).filter(|&size| size <= 64 << 20);
            let Some(size) = size else { return unsupported("large array") };
            if length == 0 || address == 0 {
                out.extend(0_u32.to_le_bytes());
                return Ok(());
            }
            out.extend(u32::try_from(length).unwrap_or(0).to_le_bytes());
            // SAFETY: HDF5 filled in this sequence, of `length` elements of the base type.
            let row = unsafe { std::slice::from_raw_parts(address as *const u8, size) };
            // SAFETY: as above.
            unsafe { pack(&base, row, object, out) }
        }
        _ => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) -> Outcome<()> {
    let Ok(length) = u32::try_from(bytes.len()) else { return unsupported("large array") };
    out.extend(length.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, usize::from_ne_bytes)
}

/// The path of what a reference to an object leads to; empty when it leads nowhere.
fn target(kind: &Datatype, bytes: &[u8], object: hid_t) -> Outcome<Vec<u8>> {
    if !kind.is_object_reference()? {
        return unsupported("a reference to a region, or of the newer sort");
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(Vec::new());
    }
    let place = bytes.as_ptr().cast();
    // SAFETY: the bytes are one reference; the library writes as many bytes as it is told.
    let name = text(|buffer: *mut c_char, size| unsafe {
        H5Rget_name(object, H5R_type_t::H5R_OBJECT1, place, buffer, size)
    });
    // One that dangles is written as one that leads nowhere.
    Ok(name.unwrap_or_default())
}

/// Memory that pointers in unpacked elements lead to.
#[derive(Debug, Default)]
pub(super) struct Arena(Vec<Box<[u64]>>);

impl Arena {
    /// Room for `size` bytes that stays where it is, aligned for every type.
    fn room(&mut self, size: usize) -> &mut [u8] {
        self.0.push(vec![0_u64; size.div_ceil(8)].into_boxed_slice());
        let last: &mut [u64] = self.0.last_mut().map_or(&mut [], |last| last);
        // SAFETY: any bytes are sound, and the slice has at least `size` of them.
        unsafe { std::slice::from_raw_parts_mut(last.as_mut_ptr().cast(), size) }
    }

    /// The address of a copy of `text` with a NUL after it.
    pub(super) fn text(&mut self, text: &[u8]) -> usize {
        let room = self.room(text.len() + 1);
        room[..text.len()].copy_from_slice(text);
        room.as_ptr() as usize
    }
}

/// Makes `count` elements of `kind` again from what [`pack`] wrote. References are made to objects of
/// the open `file`, whose paths `rename` tells; one to what is not there leads nowhere.
pub(super) struct Unpacker<'a> {
    pub(super) file: hid_t,
    pub(super) rename: &'a dyn Fn(&str) -> String,
    pub(super) arena: Arena,
}

impl Unpacker<'_> {
    pub(super) fn elements(
        &mut self,
        kind: &Datatype,
        packed: &mut &[u8],
        out: &mut [u8],
    ) -> Outcome<()> {
        if kind.is_flat()? {
            out.copy_from_slice(take(packed, out.len())?);
            return Ok(());
        }
        for element in out.chunks_exact_mut(kind.size()?) {
            self.one(kind, packed, element)?;
        }
        Ok(())
    }

    fn one(&mut self, kind: &Datatype, packed: &mut &[u8], out: &mut [u8]) -> Outcome<()> {
        match kind.class() {
            H5T_class_t::H5T_STRING if kind.is_variable_string()? => {
                if let Some(text) = take_counted(packed)? {
                    let address = self.arena.text(text);
                    out.copy_from_slice(&address.to_ne_bytes());
                }
                Ok(())
            }
            H5T_class_t::H5T_REFERENCE => {
                let path = take_counted(packed)?.unwrap_or_default();
                self.refer(&String::from_utf8_lossy(path), out);
                Ok(())
            }
            H5T_class_t::H5T_ARRAY => self.elements(&kind.base()?, packed, out),
            H5T_class_t::H5T_COMPOUND => {
                for index in 0..kind.members()? {
                    let (member, offset) = (kind.member_type(index)?, kind.member_offset(index));
                    let Some(part) = out.get_mut(offset..offset + member.size()?) else {
                        return damaged("a field outside of its compound");
                    };
                    self.elements(&member, packed, part)?;
                }
                Ok(())
            }
            H5T_class_t::H5T_VLEN => {
                let length = take(packed, 4)?.try_into().map_or(0, u32::from_le_bytes) as usize;
                let base = kind.base()?;
                let mut inner = vec![0; length.saturating_mul(base.size()?).min(64 << 20)];
                self.elements(&base, packed, &mut inner)?;
                let room = self.arena.room(inner.len());
                room.copy_from_slice(&inner);
                let address = if length == 0 { 0 } else { room.as_ptr() as usize };
                out[..8].copy_from_slice(&length.to_ne_bytes());
                out[8..16].copy_from_slice(&address.to_ne_bytes());
                Ok(())
            }
            _ => {
                out.copy_from_slice(take(packed, out.len())?);
                Ok(())
            }
        }
    }

    fn refer(&self, path: &str, out: &mut [u8]) {
        let path = if path.is_empty() { String::new() } else { (self.rename)(path) };
        let Ok(name) = std::ffi::CString::new(path) else { return };
        let mut room = [0_u64; 8];
        if name.is_empty() || out.len() > 64 {
            return;
        }
        let (place, kind) = (room.as_mut_ptr().cast(), H5R_type_t::H5R_OBJECT1);
        // SAFETY: the file is open, the name ends with NUL, the room is larger than any reference.
        if unsafe { H5Rcreate(place, self.file, name.as_ptr(), kind, -1) } >= 0 {
            for (to, from) in out.iter_mut().zip(room.iter().flat_map(|word| word.to_ne_bytes())) {
                *to = from;
            }
        }
    }
}

fn take<'a>(packed: &mut &'a [u8], size: usize) -> Outcome<&'a [u8]> {
    match packed.split_at_checked(size) {
        Some((head, tail)) => {
            *packed = tail;
            Ok(head)
        }
        None => damaged("an attribute's record is too short"),
    }
}

fn take_counted<'a>(packed: &mut &'a [u8]) -> Outcome<Option<&'a [u8]>> {
    let length = take(packed, 4)?.try_into().map_or(0, u32::from_le_bytes);
    if length == NONE {
        return Ok(None);
    }
    take(packed, length as usize).map(Some)
}
