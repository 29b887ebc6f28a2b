//! Bytes as HDF5 put them into memory, as TOML values: arrays nested by shape, as numpy prints them.
#![allow(unsafe_code)]

use numpy_dtype::{Class, Dtype};
use toml::Value;

use super::error::{ObjectResult, damaged, unsupported};
use super::strings;
use super::types::{ElementClass, ElementType};

/// More values than this in one ragged row are left out.
const MOST_VALUES: usize = 65_536;

/// Fails for what has no form in TOML.
pub(crate) fn check_form(node: &ElementType) -> ObjectResult<()> {
    match &node.kind {
        ElementClass::Text => Ok(()),
        ElementClass::Array(_, of) | ElementClass::Ragged(of) => check_form(of),
        ElementClass::Table(_) => unsupported("compound"),
        ElementClass::Scalar(dtype, _) => match dtype.class() {
            Class::Complex => unsupported("complex"),
            Class::Void | Class::Datetime(_) | Class::Timedelta(_) => unsupported("opaque"),
            _ => Ok(()),
        },
    }
}

/// How many values one element has.
pub(crate) fn count(node: &ElementType) -> u64 {
    match &node.kind {
        ElementClass::Array(dims, of) => {
            dims.iter().fold(count(of), |all, &n| all.saturating_mul(n))
        }
        _ => 1,
    }
}

/// The elements of an array of `shape`; one value where there are no dimensions.
pub(crate) fn array(node: &ElementType, shape: &[u64], bytes: &[u8]) -> ObjectResult<Value> {
    let Some((&length, rest)) = shape.split_first() else { return value(node, bytes) };
    let each = rest.iter().try_fold(node.size as u64, |all, &n| all.checked_mul(n));
    let Some(each) = each.and_then(|each| usize::try_from(each).ok()) else {
        return unsupported("large array");
    };
    let rows = usize::try_from(length).unwrap_or(usize::MAX);
    if rows > MOST_VALUES {
        return unsupported("large array");
    }
    let row = |number: usize| match number.checked_mul(each).and_then(|at| bytes.get(at..)) {
        Some(tail) if tail.len() >= each => array(node, rest, &tail[..each]),
        _ => damaged("an attribute shorter than its shape"),
    };
    (0..rows).map(row).collect::<ObjectResult<Vec<_>>>().map(Value::Array)
}

fn value(node: &ElementType, bytes: &[u8]) -> ObjectResult<Value> {
    match &node.kind {
        ElementClass::Scalar(dtype, _) => scalar(dtype, bytes),
        // SAFETY: the caller's bytes were filled by HDF5 through this node's memory type, and are
        // reclaimed only after all values were copied.
        ElementClass::Text => text(unsafe { strings::text_at(bytes) }),
        ElementClass::Array(dims, of) => array(of, dims, bytes),
        ElementClass::Ragged(of) => ragged(of, bytes),
        ElementClass::Table(_) => unsupported("compound"),
    }
}

fn text(bytes: &[u8]) -> ObjectResult<Value> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Value::String(text.to_owned())),
        Err(_) => unsupported("bytes that are not UTF-8"),
    }
}

/// A row that HDF5 allocated: its length, and a pointer to its elements.
fn ragged(of: &ElementType, bytes: &[u8]) -> ObjectResult<Value> {
    let word = |range| bytes.get(range).and_then(|word: &[u8]| word.try_into().ok());
    let (Some(length), Some(address)) = (word(0..8), word(8..16)) else {
        return damaged("a sequence without a length");
    };
    let (length, address) = (usize::from_ne_bytes(length), usize::from_ne_bytes(address));
    if length == 0 || address == 0 {
        return Ok(Value::Array(Vec::new()));
    }
    let Some(size) = length.checked_mul(of.size).filter(|_| length <= MOST_VALUES) else {
        return unsupported("large array");
    };
    // SAFETY: HDF5 filled in this sequence, of `length` elements of the memory type, and it is
    // reclaimed only after the values were copied.
    let row = unsafe { std::slice::from_raw_parts(address as *const u8, size) };
    array(of, &[length as u64], row)
}

fn scalar(dtype: &Dtype, bytes: &[u8]) -> ObjectResult<Value> {
    let mut little = bytes.to_vec();
    if dtype.is_big_endian() {
        little.reverse();
    }
    match dtype.class() {
        Class::Bool => Ok(Value::Boolean(bytes.first().is_some_and(|&byte| byte != 0))),
        Class::Bytes => text(bytes.trim_suffix_nul()),
        Class::Float => Ok(Value::Float(float(&little))),
        Class::Int | Class::Uint => integer(dtype, &little),
        _ => unsupported("opaque"),
    }
}

fn integer(dtype: &Dtype, little: &[u8]) -> ObjectResult<Value> {
    let negative = *dtype.class() == Class::Int && little.last().is_some_and(|&top| top >= 128);
    let mut wide = [if negative { 255 } else { 0 }; 16];
    for (place, &byte) in wide.iter_mut().zip(little) {
        *place = byte;
    }
    match i64::try_from(i128::from_le_bytes(wide)) {
        Ok(number) => Ok(Value::Integer(number)),
        Err(_) => unsupported("an integer of more than 64 bits with sign"),
    }
}

/// The nearest 64-bit float.
fn float(little: &[u8]) -> f64 {
    match little.len() {
        2 => half(u16::from_le_bytes(first(little))),
        4 => f64::from(f32::from_le_bytes(first(little))),
        8 => f64::from_le_bytes(first(little)),
        16 => {
            let top = little.get(8..).map_or([0; 2], first);
            extended(u64::from_le_bytes(first(little)), u16::from_le_bytes(top))
        }
        _ => f64::NAN,
    }
}

/// The first bytes; zeros where there are too few.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let mantissa = f64::from(bits & 0x3ff);
    sign * match i32::from(bits >> 10 & 0x1f) {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + mantissa) * 2_f64.powi(exponent - 25),
    }
}

/// The x87 format: 64 bits of mantissa with an explicit first bit, 15 of exponent, sign.
fn extended(mantissa: u64, top: u16) -> f64 {
    let sign = if top >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(top & 0x7fff);
    if exponent == 0x7fff {
        return if mantissa << 1 == 0 { sign * f64::INFINITY } else { f64::NAN };
    }
    // Rounds once, to the nearest; two factors keep the power of two within range.
    #[allow(clippy::cast_precision_loss)]
    let value = mantissa as f64;
    let power = exponent - 16_383 - 63;
    sign * value * 2_f64.powi(power / 2) * 2_f64.powi(power - power / 2)
}

/// Taking off the padding of fixed strings.
trait TrimNul {
    fn trim_suffix_nul(&self) -> &Self;
}

impl TrimNul for [u8] {
    fn trim_suffix_nul(&self) -> &Self {
        let end = self.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &self[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_of_float_is_read() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(float(&0x3e00_u16.to_le_bytes()), 1.5));
        assert!(near(float(&1_u16.to_le_bytes()), 5.960_464_477_539_063e-8));
        let mut quarter = 0x8000_0000_0000_0000_u64.to_le_bytes().to_vec();
        quarter.extend(0x3ffd_u16.to_le_bytes());
        quarter.extend([0; 6]);
        assert!(near(float(&quarter), 0.25));
        assert!(float(&0x7c01_u16.to_le_bytes()).is_nan());
    }

    #[test]
    fn integers_keep_their_sign_and_their_limits() {
        let read = |text, bytes: &[u8]| scalar(&Dtype::parse(text).unwrap(), bytes);
        assert_eq!(read(">i2", &[255, 254]), Ok(Value::Integer(-2)));
        assert_eq!(read("uint8", &[254]), Ok(Value::Integer(254)));
        assert!(read("uint64", &[255; 8]).is_err());
    }
}
