//! Element types: the Rust types whose bytes are what numpy has for the dtype of the same name.
#![allow(unsafe_code)]

use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};

use numpy_dtype::Dtype;

/// A type of array elements: `bool`, the integers from `i8` to `u64`, `f32`, `f64`; with the feature
/// `half` also `half::f16`, with `num-complex` also `Complex<f32>` and `Complex<f64>`.
///
/// The trait is sealed: that every one of these is plain bytes without padding is what the views of
/// this crate rely on.
///
/// # Examples
/// ```
/// use cute_shm::Element;
/// assert_eq!(f32::DTYPE, "float32");
/// assert_eq!(bool::DTYPE, "bool");
/// ```
pub trait Element:
    sealed::Plain + Copy + Debug + Send + Sync + UnwindSafe + RefUnwindSafe + 'static
{
    /// What `str(numpy.dtype)` gives for it: `float32`, `bool`, `complex64`.
    const DTYPE: &'static str;
}

mod sealed {
    /// Bytes without padding.
    ///
    /// # Safety
    /// The type has no padding, no pointers and no drop; all its bits may be zero. Unless `CHECKED`,
    /// any bits are a value of it.
    pub unsafe trait Plain: Sized {
        /// Bytes of the numbers it is made of: the byte order is theirs.
        const PART: usize = size_of::<Self>();
        /// Only the bytes 0 and 1 are values.
        const CHECKED: bool = false;
        /// All bits zero.
        const ZERO: Self;
    }
}

macro_rules! element {
    ($($type:ty, $dtype:literal, $zero:expr;)*) => {$(
        // SAFETY: a number of the machine: no padding, any bits.
        unsafe impl sealed::Plain for $type {
            const ZERO: Self = $zero;
        }
        impl Element for $type {
            const DTYPE: &'static str = $dtype;
        }
    )*};
}

element! {
    i8, "int8", 0; i16, "int16", 0; i32, "int32", 0; i64, "int64", 0;
    u8, "uint8", 0; u16, "uint16", 0; u32, "uint32", 0; u64, "uint64", 0;
    f32, "float32", 0.0; f64, "float64", 0.0;
}

#[cfg(feature = "half")]
element! { half::f16, "float16", half::f16::ZERO; }

// SAFETY: one byte; that it is 0 or 1 is checked wherever bytes are taken for it.
unsafe impl sealed::Plain for bool {
    const CHECKED: bool = true;
    const ZERO: Self = false;
}

impl Element for bool {
    const DTYPE: &'static str = "bool";
}

#[cfg(feature = "num-complex")]
macro_rules! complex {
    ($($part:ty, $dtype:literal;)*) => {$(
        // SAFETY: `repr(C)` with two floats of the same size: no padding, any bits.
        unsafe impl sealed::Plain for num_complex::Complex<$part> {
            const PART: usize = size_of::<$part>();
            const ZERO: Self = Self::new(0.0, 0.0);
        }
        impl Element for num_complex::Complex<$part> {
            const DTYPE: &'static str = $dtype;
        }
    )*};
}

#[cfg(feature = "num-complex")]
complex! { f32, "complex64"; f64, "complex128"; }

/// Whether the elements of an array of this dtype are of type `T`, in the machine's byte order.
pub(super) fn is<T: Element>(dtype: &Dtype) -> bool {
    Dtype::parse(T::DTYPE).as_ref() == Some(dtype) && cfg!(target_endian = "little")
}

/// As [`is`], but with the most significant byte first.
pub(super) fn is_swapped<T: Element>(dtype: &Dtype) -> bool {
    dtype.is_big_endian() && is::<T>(&Dtype::new(dtype.class().clone(), dtype.itemsize(), false))
}

/// The elements' bytes.
pub(super) fn bytes_of<T: Element>(elements: &[T]) -> &[u8] {
    // SAFETY: no element has padding, and every byte is a `u8`; length and lifetime are the slice's.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), size_of_val(elements)) }
}

/// The bytes of words, to write: memory that is aligned for every element.
pub(super) fn words_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: as above, and any bytes are a value of these words.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

/// The bytes as elements; `None` when they are not whole, aligned ones, or no values of `T`.
pub(super) fn elements<T: Element>(bytes: &[u8]) -> Option<&[T]> {
    check::<T>(bytes)?;
    // SAFETY: aligned, whole, and values of `T`, which `check` has seen; lifetime as before.
    Some(unsafe { std::slice::from_raw_parts(start::<T>(bytes), bytes.len() / size_of::<T>()) })
}

/// As [`elements`], to write.
pub(super) fn elements_mut<T: Element>(bytes: &mut [u8]) -> Option<&mut [T]> {
    check::<T>(bytes)?;
    let count = bytes.len() / size_of::<T>();
    let start = match bytes.is_empty() {
        true => std::ptr::NonNull::<T>::dangling().as_ptr(),
        false => bytes.as_mut_ptr().cast(),
    };
    // SAFETY: as above; every value of `T` is bytes again, so that whatever is written is whole.
    Some(unsafe { std::slice::from_raw_parts_mut(start, count) })
}

/// New elements whose bytes `fill` writes; whatever it writes for a `bool` that is not 0 is true.
pub(super) fn collect<T: Element>(count: usize, fill: impl FnOnce(&mut [u8])) -> Vec<T> {
    let mut found = vec![T::ZERO; count];
    let size = size_of_val(found.as_slice());
    // SAFETY: no element has padding; for `bool`, whose bytes must be 0 or 1 when they are looked at
    // as such again, that is made sure of below.
    let bytes = unsafe { std::slice::from_raw_parts_mut(found.as_mut_ptr().cast::<u8>(), size) };
    let mut repair = Repair(bytes, T::CHECKED);
    fill(repair.0);
    repair.now();
    std::mem::forget(repair);
    found
}

/// Turns the order of the bytes of every number around.
pub(super) fn swap<T: Element>(bytes: &mut [u8]) {
    for number in bytes.chunks_exact_mut(T::PART) {
        number.reverse();
    }
}

/// Makes bytes values of `bool` again, also when whoever wrote them panics.
struct Repair<'a>(&'a mut [u8], bool);

impl Repair<'_> {
    fn now(&mut self) {
        if self.1 {
            for byte in &mut *self.0 {
                *byte = u8::from(*byte != 0);
            }
        }
    }
}

impl Drop for Repair<'_> {
    fn drop(&mut self) {
        self.now();
    }
}

fn check<T: Element>(bytes: &[u8]) -> Option<()> {
    let whole = bytes.len().is_multiple_of(size_of::<T>());
    let aligned = bytes.is_empty() || bytes.as_ptr().cast::<T>().is_aligned();
    let valued = !T::CHECKED || bytes.iter().all(|byte| *byte < 2);
    (whole && aligned && valued).then_some(())
}

/// Where the elements begin; an empty slice of bytes may begin anywhere.
fn start<T>(bytes: &[u8]) -> *const T {
    match bytes.is_empty() {
        true => std::ptr::NonNull::<T>::dangling().as_ptr(),
        false => bytes.as_ptr().cast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_bytes_and_bytes_are_elements() {
        let numbers = [1.5_f64, -0.0, f64::NAN];
        let bytes = bytes_of(&numbers).to_vec();
        let again: Vec<f64> = collect(3, |out| out.copy_from_slice(&bytes));
        assert_eq!(bytes_of(&again), bytes);
        assert_eq!(elements::<f64>(bytes_of(&again)).unwrap()[0].to_bits(), 1.5_f64.to_bits());
        assert!(elements::<f64>(&bytes_of(&again)[..7]).is_none());
        assert!(elements::<f64>(&[]).unwrap().is_empty());
        assert!(elements_mut::<u64>(&mut []).unwrap().is_empty());
    }

    #[test]
    fn a_byte_that_is_no_bool_is_never_seen_as_one() {
        assert!(elements::<bool>(&[0, 1, 2]).is_none());
        assert_eq!(elements::<bool>(&[0, 1]).unwrap(), [false, true]);
        assert_eq!(collect::<bool>(3, |out| out.copy_from_slice(&[0, 7, 1])), [false, true, true]);
    }

    #[test]
    fn byte_order_is_that_of_the_numbers() {
        let mut bytes = 258_u32.to_be_bytes().to_vec();
        swap::<u32>(&mut bytes);
        assert_eq!(elements::<u8>(&bytes).unwrap(), 258_u32.to_le_bytes());
        let dtype = Dtype::parse(">f4").unwrap();
        assert!(is_swapped::<f32>(&dtype) && !is::<f32>(&dtype) && !is_swapped::<i32>(&dtype));
        assert!(is::<i8>(&Dtype::parse("int8").unwrap()));
    }
}
