//! Elements in memory as TOML values: arrays nested by shape, as numpy prints them.

use numpy_dtype::{Class, Dtype};
use toml::Value;

use crate::error::{ObjectResult, damaged, unsupported};
use crate::ffi::elements::Elements;
use crate::types::element_type::{ElementClass, ElementType};

/// More values than this in one ragged row are left out.
const MOST_VALUES: usize = 65_536;

/// Fails for values that TOML cannot represent.
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

/// The number of values of one element.
pub(crate) fn count(node: &ElementType) -> u64 {
    match &node.kind {
        ElementClass::Array(dims, of) => {
            dims.iter().fold(count(of), |all, &n| all.saturating_mul(n))
        }
        _ => 1,
    }
}

/// The elements of an array of `shape`; one value where there are no dimensions.
pub(crate) fn array(
    node: &ElementType,
    shape: &[u64],
    elements: Elements<'_>,
) -> ObjectResult<Value> {
    let Some((&length, rest)) = shape.split_first() else { return value(node, elements) };
    let each = rest.iter().try_fold(node.size as u64, |all, &n| all.checked_mul(n));
    let Some(each) = each.and_then(|each| usize::try_from(each).ok()) else {
        return unsupported("large array");
    };
    let rows = usize::try_from(length).unwrap_or(usize::MAX);
    if rows > MOST_VALUES {
        return unsupported("large array");
    }
    let place = |number: usize| {
        let start = number.checked_mul(each)?;
        elements.get(start..start.checked_add(each)?)
    };
    let row = |number: usize| match place(number) {
        Some(row) => array(node, rest, row),
        None => damaged("an attribute shorter than its shape"),
    };
    (0..rows).map(row).collect::<ObjectResult<Vec<_>>>().map(Value::Array)
}

fn value(node: &ElementType, element: Elements<'_>) -> ObjectResult<Value> {
    match &node.kind {
        ElementClass::Scalar(dtype, _) => scalar(dtype, element.bytes()),
        ElementClass::Text => text(element.value(element.bytes()).unwrap_or_default()),
        ElementClass::Array(dims, of) => array(of, dims, element),
        ElementClass::Ragged(of) => ragged(of, element),
        ElementClass::Table(_) => unsupported("compound"),
    }
}

fn text(bytes: &[u8]) -> ObjectResult<Value> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Value::String(text.to_owned())),
        Err(_) => unsupported("bytes that are not UTF-8"),
    }
}

/// A sequence: its length, and the handle of its elements.
fn ragged(of: &ElementType, element: Elements<'_>) -> ObjectResult<Value> {
    let bytes = element.bytes();
    let (Some(length), Some(handle)) = (bytes.first_chunk(), bytes.get(8..16)) else {
        return damaged("a sequence without a length");
    };
    let length = usize::from_ne_bytes(*length);
    if length > MOST_VALUES {
        return unsupported("large array");
    }
    match element.value(handle).filter(|_| length > 0) {
        Some(row) => array(of, &[length as u64], element.with_bytes(row)),
        None => Ok(Value::Array(Vec::new())),
    }
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

/// Removes the padding of fixed strings.
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
