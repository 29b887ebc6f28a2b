//! Elements in memory with their strings and sequences.
//!
//! libhdf5 puts a pointer where a type has a variable-length string or sequence. Here the pointers are collected in a
//! [`Heap`], and the element contains a handle instead: the number of the value in the heap. No other code reads a
//! pointer of libhdf5. For a write the handles become pointers again.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;
use std::sync::Arc;

use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5t::H5Treclaim;

use super::dataspace::Dataspace;
use super::datatype::{Datatype, TypeClass};
use super::ids::lock;
use crate::buffer::zeroed;
use crate::error::{ObjectError, ObjectResult, damaged, unsupported};

/// How deep types with pointers may nest.
const MAX_DEPTH: usize = 32;

const NO_PLACES: &str = "no memory for the places of strings";

/// Bytes of a handle, and of a pointer.
const HANDLE: usize = size_of::<usize>();

/// A value of a heap, in memory that belongs to the heap and that nothing changes while it lives.
#[derive(Debug)]
struct Value {
    start: *const u8,
    length: usize,
    /// Whether a NUL follows it.
    has_end: bool,
}

/// The strings and sequences of elements.
#[derive(Debug)]
pub(crate) struct Heap {
    /// The handle of the first value is 1.
    values: Vec<Value>,
    /// The values that this program added; a NUL follows each.
    added: Vec<Box<[u8]>>,
    /// The memory of libhdf5.
    _read: Option<ReadElements>,
}

// SAFETY: the pointers lead to memory of the heap itself, which is only read until it is dropped.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

static EMPTY: Heap = Heap::new();

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    const fn new() -> Self {
        Self { values: Vec::new(), added: Vec::new(), _read: None }
    }

    /// Adds a value and returns its handle. The handles of a sequence's own strings must be of this heap.
    ///
    /// # Errors
    /// Returns [`ObjectError::NoMemory`] if there is no room for it.
    pub(crate) fn add(&mut self, value: &[u8]) -> ObjectResult<usize> {
        let mut copy = zeroed(value.len() as u64 + 1, 1)?;
        copy[..value.len()].copy_from_slice(value);
        if self.added.try_reserve(1).is_err() {
            return Err(ObjectError::NoMemory(NO_PLACES.to_owned()));
        }
        self.added.push(copy.into_boxed_slice());
        // From its place in the list: moving a box invalidates pointers into it.
        let start = self.added.last().map_or(std::ptr::null(), |copy| copy.as_ptr());
        self.note(Value { start, length: value.len(), has_end: true })
    }

    /// Records a value in memory that belongs to the heap, and returns its handle.
    fn note(&mut self, value: Value) -> ObjectResult<usize> {
        if self.values.try_reserve(1).is_err() {
            return Err(ObjectError::NoMemory(NO_PLACES.to_owned()));
        }
        self.values.push(value);
        Ok(self.values.len())
    }

    fn find(&self, handle: &[u8]) -> Option<&Value> {
        let number = usize::from_ne_bytes(handle.try_into().ok()?).checked_sub(1)?;
        self.values.get(number)
    }

    /// The value of a handle, given as the bytes in an element; `None` for a null pointer.
    fn get(&self, handle: &[u8]) -> Option<&[u8]> {
        let &Value { start, length, .. } = self.find(handle)?;
        // SAFETY: the value is in memory that the heap owns, and that nothing changes while it lives.
        Some(unsafe { std::slice::from_raw_parts(start, length) })
    }

    /// The start of a string that ends with NUL; null for any other handle.
    fn text_start(&self, handle: &[u8]) -> *const u8 {
        let text = self.find(handle).filter(|value| value.has_end);
        text.map_or(std::ptr::null(), |text| text.start)
    }
}

/// Elements with pointers as libhdf5 read them. Dropping it frees the memory that libhdf5 allocated for them.
#[derive(Debug)]
struct ReadElements {
    bytes: Vec<u8>,
    kind: Datatype,
    space: Dataspace,
}

impl Drop for ReadElements {
    fn drop(&mut self) {
        let _lock = lock();
        let (kind, space) = (self.kind.raw(), self.space.raw());
        // SAFETY: HDF5 filled the bytes through this type and space. The heap that has pointers to the memory is
        // dropped, too.
        unsafe { H5Treclaim(kind, space, H5P_DEFAULT, self.bytes.as_mut_ptr().cast()) };
    }
}

/// Elements, and the values that their handles refer to.
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    heap: &'a Heap,
}

impl<'a> From<&'a [u8]> for Elements<'a> {
    /// Elements without strings and sequences of variable length.
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, heap: &EMPTY }
    }
}

impl<'a> Elements<'a> {
    /// Elements with handles of this heap.
    pub(crate) fn new(bytes: &'a [u8], heap: &'a Heap) -> Self {
        Self { bytes, heap }
    }

    /// The bytes, with a handle in place of each pointer.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements in a range of bytes.
    pub fn get(&self, range: Range<usize>) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(range)?, heap: self.heap })
    }

    /// Parts of this many bytes, as [`slice::chunks`] returns them.
    pub fn chunks(self, bytes: usize) -> impl Iterator<Item = Self> {
        self.bytes.chunks(bytes).map(move |bytes| Self { bytes, heap: self.heap })
    }

    /// Parts of exactly this many bytes.
    pub(crate) fn chunks_exact(self, bytes: usize) -> impl Iterator<Item = Self> {
        self.bytes.chunks_exact(bytes).map(move |bytes| Self { bytes, heap: self.heap })
    }

    /// Other bytes with handles of the same heap.
    pub(crate) fn with_bytes(&self, bytes: &'a [u8]) -> Self {
        Self { bytes, heap: self.heap }
    }

    /// The string or sequence of a handle, given as the bytes in an element; `None` for a null pointer.
    pub(crate) fn value(&self, handle: &[u8]) -> Option<&'a [u8]> {
        self.heap.get(handle)
    }
}

/// A buffer with elements that libhdf5 read.
#[derive(Debug, Clone)]
pub struct ElementBuffer {
    bytes: Vec<u8>,
    heap: Arc<Heap>,
}

impl ElementBuffer {
    /// The elements.
    pub fn elements(&self) -> Elements<'_> {
        Elements { bytes: &self.bytes, heap: &self.heap }
    }

    /// One element of this size whose bytes are zero.
    pub(crate) fn zeroed(size: usize) -> ObjectResult<Self> {
        Ok(Self { bytes: zeroed(1, size)?, heap: Arc::default() })
    }

    /// The bytes, if there are neither strings nor sequences of variable length among them.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The same elements this many times.
    pub fn repeat(&self, times: usize) -> Self {
        Self { bytes: self.bytes.repeat(times), heap: Arc::clone(&self.heap) }
    }
}

/// Receives the place of a pointer in an element, and for a sequence the type and the size of its elements.
type VisitPointer<'a> = dyn FnMut(Option<(&Pointers, usize)>, &mut [u8]) -> ObjectResult<()> + 'a;

/// Where the elements of a type contain pointers.
enum Pointers {
    Nowhere,
    /// A pointer to a string that ends with NUL.
    Text,
    /// The number of elements and a pointer to them; the size of one.
    Sequence(Box<Pointers>, usize),
    /// Several parts of this size.
    Array(Box<Pointers>, usize),
    /// Fields with offset and size.
    Compound(Vec<(usize, usize, Pointers)>),
}

impl Pointers {
    fn of(kind: &Datatype, depth: usize) -> ObjectResult<Self> {
        if kind.is_flat()? {
            return Ok(Self::Nowhere);
        }
        if depth == MAX_DEPTH {
            return unsupported(format!("a type nested deeper than {MAX_DEPTH} levels"));
        }
        let base = || {
            let base = kind.base()?;
            Ok((Box::new(Self::of(&base, depth + 1)?), base.size()?))
        };
        match kind.class() {
            TypeClass::String => Ok(Self::Text),
            TypeClass::Array => match base()? {
                (base, _) if base.is_nowhere() => Ok(Self::Nowhere),
                (base, size) => Ok(Self::Array(base, size)),
            },
            TypeClass::Sequence => base().map(|(base, size)| Self::Sequence(base, size)),
            TypeClass::Compound => {
                let field = |index| {
                    let member = kind.member_type(index)?;
                    let pointers = Self::of(&member, depth + 1)?;
                    Ok((kind.member_offset(index), member.size()?, pointers))
                };
                let mut fields =
                    (0..kind.members()?).map(field).collect::<ObjectResult<Vec<_>>>()?;
                fields.sort_unstable_by_key(|(offset, ..)| *offset);
                // A pointer that another field has overwritten must not be followed.
                let overlap = |pair: &[(usize, usize, Self)]| {
                    pair[0].0.checked_add(pair[0].1).is_none_or(|end| end > pair[1].0)
                };
                if fields.windows(2).any(overlap) {
                    return damaged("fields of its compound datatype overlap");
                }
                fields.retain(|(_, _, pointers)| !pointers.is_nowhere());
                Ok(if fields.is_empty() { Self::Nowhere } else { Self::Compound(fields) })
            }
            // The bytes of a reference are not read as a pointer.
            _ => Ok(Self::Nowhere),
        }
    }

    fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }

    /// Calls `visit` for each string and sequence in elements of `size` bytes.
    fn each(
        &self,
        size: usize,
        bytes: &mut [u8],
        visit: &mut VisitPointer<'_>,
    ) -> ObjectResult<()> {
        if self.is_nowhere() || size == 0 {
            return Ok(());
        }
        for element in bytes.chunks_exact_mut(size) {
            match self {
                Self::Nowhere => {}
                Self::Text => visit(None, element)?,
                Self::Sequence(base, size) => visit(Some((base, *size)), element)?,
                Self::Array(base, size) => base.each(*size, element, visit)?,
                Self::Compound(fields) => {
                    for (offset, size, pointers) in fields {
                        let end = offset.checked_add(*size);
                        let Some(part) = end.and_then(|end| element.get_mut(*offset..end)) else {
                            return damaged("a field outside of its compound");
                        };
                        pointers.each(*size, part, visit)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Records the values behind the pointers in the heap, and replaces the pointers with handles.
    ///
    /// # Safety
    /// HDF5 must have filled `bytes` with elements of the type of these pointers, and must not reclaim them before
    /// the heap is dropped.
    unsafe fn take(&self, size: usize, bytes: &mut [u8], heap: &mut Heap) -> ObjectResult<()> {
        self.each(size, bytes, &mut |sequence, place| {
            let Some((base, size)) = sequence else {
                let address = word(place, 0) as *const c_char;
                if address.is_null() {
                    return Ok(());
                }
                // SAFETY: the caller's promise makes it a pointer to a string that ends with NUL.
                let text = unsafe { CStr::from_ptr(address) };
                let (start, length) = (address.cast(), text.count_bytes());
                let handle = heap.note(Value { start, length, has_end: true })?;
                return put(place, 0, handle);
            };
            let (count, address) = (word(place, 0), word(place, HANDLE));
            let Some(length) = count.checked_mul(size) else { return unsupported("large array") };
            if length == 0 || address == 0 {
                put(place, 0, 0)?;
                return put(place, HANDLE, 0);
            }
            if base.is_nowhere() {
                let start = address as *const u8;
                let handle = heap.note(Value { start, length, has_end: false })?;
                return put(place, HANDLE, handle);
            }
            let mut copy = zeroed(length as u64, 1)?;
            // SAFETY: the caller's promise: HDF5 filled in this sequence of `count` elements of the base type.
            copy.copy_from_slice(unsafe {
                std::slice::from_raw_parts(address as *const u8, length)
            });
            // SAFETY: as above: the elements of the sequence are of the base type.
            unsafe { base.take(size, &mut copy, heap)? };
            put(place, HANDLE, heap.add(&copy)?)
        })
    }

    /// Replaces handles with pointers: to strings in the heap, and to copies of sequences in `copies`.
    fn give(
        &self,
        size: usize,
        bytes: &mut [u8],
        heap: &Heap,
        copies: &mut Vec<Box<[u64]>>,
    ) -> ObjectResult<()> {
        self.each(size, bytes, &mut |sequence, place| {
            let Some((base, size)) = sequence else {
                let text = heap.text_start(&place[..HANDLE.min(place.len())]);
                return put(place, 0, text as usize);
            };
            let value = place.get(HANDLE..2 * HANDLE).and_then(|handle| heap.get(handle));
            let (count, value) = (word(place, 0), value.unwrap_or_default());
            if count.checked_mul(size) != Some(value.len()) {
                return damaged("a sequence of another length than its elements");
            }
            if value.is_empty() {
                return put(place, HANDLE, 0);
            }
            // Aligned for every type.
            copies.push(vec![0_u64; value.len().div_ceil(8)].into_boxed_slice());
            let copy = copies.last_mut().map_or(std::ptr::null_mut(), |copy| copy.as_mut_ptr());
            // SAFETY: any bytes are valid numbers, the copy has at least as many bytes, and the list only grows.
            let inner = unsafe { std::slice::from_raw_parts_mut(copy.cast::<u8>(), value.len()) };
            inner.copy_from_slice(value);
            base.give(size, inner, heap, copies)?;
            put(place, HANDLE, copy as usize)
        })
    }
}

/// Whether elements of a type contain pointers in memory. The newer references are pointers too.
pub(super) fn has_pointers(kind: &Datatype) -> ObjectResult<bool> {
    Ok(!kind.is_flat()? && (!Pointers::of(kind, 0)?.is_nowhere() || kind.has_references()?))
}

/// A number in an element; 0 outside of it.
fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..at + HANDLE).and_then(|word| word.try_into().ok());
    word.map_or(0, usize::from_ne_bytes)
}

fn put(place: &mut [u8], at: usize, number: usize) -> ObjectResult<()> {
    match place.get_mut(at..at + HANDLE) {
        Some(word) => word.copy_from_slice(&number.to_ne_bytes()),
        None => return damaged("an element of another size than its type"),
    }
    Ok(())
}

/// Takes elements that libhdf5 has read. The memory that it allocated for them is freed with the result.
///
/// # Safety
/// HDF5 must have filled `bytes`, or left it zero, through the type `kind`: one element for each of `space`.
pub(super) unsafe fn take_over(
    kind: &Datatype,
    space: &Dataspace,
    bytes: Vec<u8>,
) -> ObjectResult<ElementBuffer> {
    let plain = |bytes| Ok(ElementBuffer { bytes, heap: Arc::default() });
    if bytes.is_empty() || !has_pointers(kind)? {
        return plain(bytes);
    }
    // From here on an error frees the memory, too.
    let read = ReadElements { bytes, kind: kind.share()?, space: space.share()? };
    let pointers = Pointers::of(kind, 0)?;
    let mut bytes = zeroed(read.bytes.len() as u64, 1)?;
    bytes.copy_from_slice(&read.bytes);
    let mut heap = Heap { _read: Some(read), ..Heap::default() };
    // SAFETY: the caller's promise; the heap owns the memory.
    unsafe { pointers.take(kind.size()?, &mut bytes, &mut heap)? };
    Ok(ElementBuffer { bytes, heap: Arc::new(heap) })
}

/// Calls `write` with elements as libhdf5 expects them: with pointers in place of handles. They are valid during
/// the call.
///
/// # Errors
/// Returns [`ObjectError::Unsupported`] for references that are not addresses, and [`ObjectError::Damaged`] for
/// sequences without their elements.
pub(super) fn with_pointers<T>(
    kind: &Datatype,
    elements: Elements<'_>,
    write: impl FnOnce(*const c_void) -> ObjectResult<T>,
) -> ObjectResult<T> {
    if kind.is_flat()? {
        return write(elements.bytes.as_ptr().cast());
    }
    kind.check_references(MAX_DEPTH)?;
    let mut bytes = zeroed(elements.len() as u64, 1)?;
    bytes.copy_from_slice(elements.bytes);
    let mut copies = Vec::new();
    Pointers::of(kind, 0)?.give(kind.size()?, &mut bytes, elements.heap, &mut copies)?;
    write(bytes.as_ptr().cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_that_the_heap_lacks_has_no_value() {
        let mut heap = Heap::new();
        let handle = heap.add(b"text").unwrap();
        assert!(!heap.text_start(&handle.to_ne_bytes()).is_null());
        assert!(heap.text_start(&(handle + 1).to_ne_bytes()).is_null());
        let elements = Elements::new(&[], &heap);
        assert_eq!(elements.value(&handle.to_ne_bytes()), Some(&b"text"[..]));
        for handle in [0, handle + 1, usize::MAX] {
            assert_eq!(elements.value(&handle.to_ne_bytes()), None);
        }
        assert_eq!(elements.value(&[1]), None);
    }
}
