//! Casts numbers to another type with the results of numpy's `astype` on x86: integers wrap, floats are rounded to
//! the nearest, and truncated when they become integers.

use numpy_dtype::{Class, Dtype, double_to_half, half_to_single};

/// Whether numbers of this type can be cast.
pub(crate) fn is_known(dtype: &Dtype) -> bool {
    match dtype.class() {
        Class::Bool | Class::Int | Class::Uint => true,
        Class::Float => dtype.itemsize() <= 8,
        Class::Complex => matches!(dtype.itemsize(), 8 | 16),
        _ => false,
    }
}

/// A number between the two types.
trait Number: Copy {
    fn wrapped(self) -> i64;
    fn single(self) -> f32;
    fn double(self) -> f64;
    fn is_float() -> bool;
    /// Truncates to an integer. Beyond 64 bits, all bits but the first are 0, as in the processor.
    fn cut(self) -> i64;
    /// Truncates to 32 bits in the same way.
    fn cut_short(self) -> i32;
    fn cut_unsigned(self) -> u64;
    fn is_true(self) -> bool;
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_lossless)]
        #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)] // this function casts
        impl Number for $kind {
            fn wrapped(self) -> i64 { self as i64 }
            fn single(self) -> f32 { self as f32 }
            fn double(self) -> f64 { self as f64 }
            fn is_float() -> bool { false }
            fn cut(self) -> i64 { self as i64 }
            fn cut_short(self) -> i32 { self as i32 }
            fn cut_unsigned(self) -> u64 { self as u64 }
            fn is_true(self) -> bool { self != 0 }
        }
    )*};
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($kind:ty),*) => {$(
        #[allow(clippy::cast_possible_truncation, clippy::cast_lossless, clippy::cast_sign_loss)]
        #[allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, clippy::float_cmp)]
        impl Number for $kind {
            fn wrapped(self) -> i64 { self.cut() }
            fn single(self) -> f32 { self as f32 }
            fn double(self) -> f64 { self as f64 }
            fn is_float() -> bool { true }
            fn cut(self) -> i64 {
                let least = i64::MIN as $kind;
                if self >= least && self < -least { self as i64 } else { i64::MIN }
            }
            fn cut_short(self) -> i32 {
                let whole = f64::from(self).trunc();
                if (-2_147_483_648.0..=2_147_483_647.0).contains(&whole) {
                    whole as i32
                } else {
                    i32::MIN
                }
            }
            fn cut_unsigned(self) -> u64 {
                let half = -(i64::MIN as $kind);
                if self >= half {
                    ((self - half).cut() as u64) ^ (1 << 63)
                } else {
                    self.cut() as u64
                }
            }
            fn is_true(self) -> bool { self != 0.0 }
        }
    )*};
}
floats!(f32, f64);

/// Whether numbers of one type can be cast to another. Complex numbers would lose their imaginary part.
pub(crate) fn is_possible(from: &Dtype, to: &Dtype) -> bool {
    let is_complex = |dtype: &Dtype| *dtype.class() == Class::Complex;
    is_known(from) && is_known(to) && (is_complex(to) || !is_complex(from))
}

/// The parts of a complex number.
fn part(dtype: &Dtype) -> Dtype {
    Dtype::new(Class::Float, dtype.itemsize() / 2, false)
}

/// Casts little-endian values, as [`is_possible`] allows.
pub(crate) fn cast(from: &Dtype, source: &[u8], to: &Dtype, target: &mut Vec<u8>) {
    match (from.class(), to.class()) {
        (Class::Complex, Class::Complex) => return cast(&part(from), source, &part(to), target),
        (_, Class::Complex) => {
            let mut real = Vec::new();
            cast(from, source, &part(to), &mut real);
            target.clear();
            let size = usize::try_from(part(to).itemsize()).unwrap_or(8);
            for number in real.chunks_exact(size) {
                target.extend_from_slice(number);
                target.extend_from_slice(&[0; 8][..size]);
            }
            return;
        }
        _ => {}
    }
    match (from.class(), from.itemsize()) {
        (Class::Int, 1) => from_all(source, i8::from_le_bytes, to, target),
        (Class::Int, 2) => from_all(source, i16::from_le_bytes, to, target),
        (Class::Int, 4) => from_all(source, i32::from_le_bytes, to, target),
        (Class::Int, _) => from_all(source, i64::from_le_bytes, to, target),
        (Class::Bool, _) => from_all(source, |[byte]: [u8; 1]| u8::from(byte != 0), to, target),
        (Class::Uint, 1) => from_all(source, u8::from_le_bytes, to, target),
        (Class::Uint, 2) => from_all(source, u16::from_le_bytes, to, target),
        (Class::Uint, 4) => from_all(source, u32::from_le_bytes, to, target),
        (Class::Uint, _) => from_all(source, u64::from_le_bytes, to, target),
        (Class::Float, 2) => {
            from_all(source, |bytes| half_to_single(u16::from_le_bytes(bytes)), to, target);
        }
        (Class::Float, 4) => from_all(source, f32::from_le_bytes, to, target),
        _ => from_all(source, f64::from_le_bytes, to, target),
    }
}

/// Casts from one type to any other.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // this function casts
fn from_all<const N: usize, T: Number>(
    source: &[u8],
    read: impl Fn([u8; N]) -> T + Copy,
    to: &Dtype,
    target: &mut Vec<u8>,
) {
    let float = T::is_float();
    match (to.class(), to.itemsize()) {
        (Class::Bool, _) => each(source, target, |b| [u8::from(read(b).is_true())]),
        (Class::Int | Class::Uint, 1) if float => {
            each(source, target, |b| [read(b).cut_short() as u8]);
        }
        (Class::Int | Class::Uint, 2) if float => {
            each(source, target, |b| (read(b).cut_short() as u16).to_le_bytes());
        }
        (Class::Int, 4) if float => each(source, target, |b| read(b).cut_short().to_le_bytes()),
        (Class::Int | Class::Uint, 1) => each(source, target, |b| [read(b).wrapped() as u8]),
        (Class::Int | Class::Uint, 2) => {
            each(source, target, |b| (read(b).wrapped() as u16).to_le_bytes());
        }
        (Class::Int | Class::Uint, 4) => {
            each(source, target, |b| (read(b).wrapped() as u32).to_le_bytes());
        }
        (Class::Int, _) => each(source, target, |b| read(b).cut().to_le_bytes()),
        (Class::Uint, _) => each(source, target, |b| read(b).cut_unsigned().to_le_bytes()),
        (_, 2) if float => {
            each(source, target, |b| double_to_half(read(b).double()).to_le_bytes());
        }
        (_, 2) => {
            let half = |value: T| double_to_half(f64::from(value.single()));
            each(source, target, |b| half(read(b)).to_le_bytes());
        }
        (_, 4) => each(source, target, |b| read(b).single().to_le_bytes()),
        _ => each(source, target, |b| read(b).double().to_le_bytes()),
    }
}

/// Casts with sizes known to the compiler, which then generates vector code.
fn each<const N: usize, const M: usize>(
    source: &[u8],
    target: &mut Vec<u8>,
    convert: impl Fn([u8; N]) -> [u8; M],
) {
    let values = source.as_chunks::<N>().0;
    target.resize(values.len() * M, 0);
    for (value, place) in values.iter().zip(target.as_chunks_mut::<M>().0) {
        *place = convert(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_cut_and_integers_wrap() {
        let dtype = |name| Dtype::parse(name).unwrap();
        let cast = |from, bytes: &[u8], to| {
            let mut target = Vec::new();
            super::cast(&dtype(from), bytes, &dtype(to), &mut target);
            target
        };
        assert_eq!(cast("f8", &(-1.9_f64).to_le_bytes(), "i1"), [255]);
        assert_eq!(cast("f8", &3e9_f64.to_le_bytes(), "u4"), 3_000_000_000_u32.to_le_bytes());
        assert_eq!(cast("f8", &1e19_f64.to_le_bytes(), "u8"), 10_u64.pow(19).to_le_bytes());
        assert_eq!(cast("f4", &f32::NAN.to_le_bytes(), "i4"), i32::MIN.to_le_bytes());
        assert_eq!(cast("i8", &300_i64.to_le_bytes(), "u1"), [44]);
        assert_eq!(cast("u8", &u64::MAX.to_le_bytes(), "f4"), 1.844_674_4e19_f32.to_le_bytes());
        assert_eq!(cast("f4", &0.5_f32.to_le_bytes(), "bool"), [1]);
        let pair = [1.5_f64, -2.0].map(f64::to_le_bytes).concat();
        assert_eq!(cast("c16", &pair, "c8"), [1.5_f32, -2.0].map(f32::to_le_bytes).concat());
        assert_eq!(cast("i2", &[3, 0], "c16"), [3.0_f64, 0.0].map(f64::to_le_bytes).concat());
        assert!(
            is_possible(&dtype("f4"), &dtype("c8")) && !is_possible(&dtype("c8"), &dtype("f4"))
        );
    }
}
