//! Element types as plain bytes: the safe conversions between bytes and slices of numbers.
#![allow(unsafe_code)]

/// A type whose values are bytes without padding.
///
/// # Safety
/// The type has no padding, no pointers and no destructor, and the bytes 0 are a value of it. Unless `CHECKED`, all
/// bytes are a value of it.
pub unsafe trait Plain: Copy {
    /// Size in bytes of each number in a value. The byte order applies to these numbers.
    const PART: usize = size_of::<Self>();
    /// Whether only the bytes 0 and 1 are values.
    const CHECKED: bool = false;
    /// The value whose bytes are 0.
    const ZERO: Self;
}

macro_rules! plain {
    ($($type:ty, $zero:expr;)*) => {$(
        // SAFETY: a number of the machine has no padding, and all bytes are values.
        unsafe impl Plain for $type {
            const ZERO: Self = $zero;
        }
    )*};
}

plain! { i8, 0; i16, 0; i32, 0; i64, 0; u8, 0; u16, 0; u32, 0; u64, 0; f32, 0.0; f64, 0.0; }

#[cfg(feature = "half")]
plain! { half::f16, half::f16::ZERO; }

// SAFETY: a `bool` is one byte. Functions that convert bytes test that they are 0 or 1.
unsafe impl Plain for bool {
    const CHECKED: bool = true;
    const ZERO: Self = false;
}

#[cfg(feature = "num-complex")]
macro_rules! complex {
    ($($part:ty;)*) => {$(
        // SAFETY: `repr(C)` with two floats of the same size has no padding, and all bytes are values.
        unsafe impl Plain for num_complex::Complex<$part> {
            const PART: usize = size_of::<$part>();
            const ZERO: Self = Self::new(0.0, 0.0);
        }
    )*};
}

#[cfg(feature = "num-complex")]
complex! { f32; f64; }

/// Returns the bytes of the elements.
pub(crate) fn bytes_of<T: Plain>(elements: &[T]) -> &[u8] {
    // SAFETY: no element has padding, and every byte is a `u8`; length and lifetime are the slice's.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), size_of_val(elements)) }
}

/// Returns the writable bytes of words. They are aligned for every element type.
pub(crate) fn words_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: as above, and any bytes are a value of these words.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

/// Returns the bytes as elements; `None` if they are not whole, not aligned, or not values of `T`.
pub(crate) fn elements<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    check::<T>(bytes)?;
    // SAFETY: aligned, whole, and values of `T`, as `check` tests; the lifetime is that of `bytes`.
    Some(unsafe { std::slice::from_raw_parts(start::<T>(bytes), bytes.len() / size_of::<T>()) })
}

/// Returns the bytes as writable elements, see [`elements`].
pub(crate) fn elements_mut<T: Plain>(bytes: &mut [u8]) -> Option<&mut [T]> {
    check::<T>(bytes)?;
    let count = bytes.len() / size_of::<T>();
    let start = match bytes.is_empty() {
        true => std::ptr::NonNull::<T>::dangling().as_ptr(),
        false => bytes.as_mut_ptr().cast(),
    };
    // SAFETY: as above; every value of `T` is bytes again, so that whatever is written is whole.
    Some(unsafe { std::slice::from_raw_parts_mut(start, count) })
}

/// Returns new elements whose bytes `fill` writes. A `bool` is true for every byte but 0.
pub(crate) fn collect<T: Plain>(count: usize, fill: impl FnOnce(&mut [u8])) -> Vec<T> {
    let mut found = vec![T::ZERO; count];
    let size = size_of_val(found.as_slice());
    // SAFETY: no element has padding; `repair` makes the bytes of a `bool` 0 or 1 before
    // they are used as `bool`.
    let bytes = unsafe { std::slice::from_raw_parts_mut(found.as_mut_ptr().cast::<u8>(), size) };
    let mut repair = Repair(bytes, T::CHECKED);
    fill(repair.0);
    repair.now();
    std::mem::forget(repair);
    found
}

/// Reverses the byte order of every number.
pub(crate) fn swap<T: Plain>(bytes: &mut [u8]) {
    for number in bytes.chunks_exact_mut(T::PART) {
        number.reverse();
    }
}

/// Changes bytes to valid values of `bool`, also if the function that wrote them panics.
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

fn check<T: Plain>(bytes: &[u8]) -> Option<()> {
    let whole = bytes.len().is_multiple_of(size_of::<T>());
    let aligned = bytes.is_empty() || bytes.as_ptr().cast::<T>().is_aligned();
    let valued = !T::CHECKED || bytes.iter().all(|byte| *byte < 2);
    (whole && aligned && valued).then_some(())
}

/// Returns the start of the elements. An empty slice of bytes need not be aligned.
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
    fn bytes_other_than_0_and_1_are_not_bools() {
        assert!(elements::<bool>(&[0, 1, 2]).is_none());
        assert_eq!(elements::<bool>(&[0, 1]).unwrap(), [false, true]);
        assert_eq!(collect::<bool>(3, |out| out.copy_from_slice(&[0, 7, 1])), [false, true, true]);
    }

    #[test]
    fn swap_reverses_the_bytes_of_each_number() {
        let mut bytes = 258_u32.to_be_bytes().to_vec();
        swap::<u32>(&mut bytes);
        assert_eq!(bytes, 258_u32.to_le_bytes());
    }
}
