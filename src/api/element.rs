//! Element types: the Rust types that have the same bytes as the numpy dtype of the same name.

use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};

use numpy_dtype::Dtype;

use crate::shm::segment::plain::Plain;

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
    Plain + Copy + Debug + Send + Sync + UnwindSafe + RefUnwindSafe + 'static
{
    /// What `str(numpy.dtype)` gives for it: `float32`, `bool`, `complex64`.
    const DTYPE: &'static str;
}

macro_rules! element {
    ($($type:ty, $dtype:literal;)*) => {$(
        impl Element for $type {
            const DTYPE: &'static str = $dtype;
        }
    )*};
}

element! {
    i8, "int8"; i16, "int16"; i32, "int32"; i64, "int64";
    u8, "uint8"; u16, "uint16"; u32, "uint32"; u64, "uint64";
    f32, "float32"; f64, "float64"; bool, "bool";
}

#[cfg(feature = "half")]
element! { half::f16, "float16"; }

#[cfg(feature = "num-complex")]
element! { num_complex::Complex<f32>, "complex64"; num_complex::Complex<f64>, "complex128"; }

/// Whether the elements of an array of this dtype are of type `T`, in the machine's byte order.
pub(super) fn is<T: Element>(dtype: &Dtype) -> bool {
    Dtype::parse(T::DTYPE).as_ref() == Some(dtype) && cfg!(target_endian = "little")
}

/// As [`is`], but with the most significant byte first.
pub(super) fn is_swapped<T: Element>(dtype: &Dtype) -> bool {
    dtype.is_big_endian() && is::<T>(&Dtype::new(dtype.class().clone(), dtype.itemsize(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtype_matches_an_element_type_in_one_byte_order() {
        let dtype = Dtype::parse(">f4").unwrap();
        assert!(is_swapped::<f32>(&dtype) && !is::<f32>(&dtype) && !is_swapped::<i32>(&dtype));
        assert!(is::<i8>(&Dtype::parse("int8").unwrap()));
    }
}
