//! Elements as values: the bytes of any dtype as something that can be printed or compared.

use numpy_dtype::{Class, Dtype};

use super::floats::Float;

/// One element.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `True` or `False`.
    Bool(bool),
    /// An integer of any width.
    Integer(i128),
    /// A float.
    Float(Float),
    /// Real and imaginary part.
    Complex(Float, Float),
    /// A byte string.
    Bytes(Vec<u8>),
    /// Raw bytes.
    Raw(Vec<u8>),
    /// Text.
    Text(String),
    /// A point in time, printed.
    Time(String),
    /// A span of time in its unit; `None` is "not a time".
    Span(Option<i64>),
}

/// Reads one element.
pub(crate) fn value(dtype: &Dtype, bytes: &[u8]) -> Value {
    let mut little = bytes.to_vec();
    if dtype.is_big_endian() {
        match dtype.class() {
            Class::Complex => little.chunks_exact_mut(bytes.len() / 2).for_each(<[u8]>::reverse),
            Class::Text => little.chunks_exact_mut(4).for_each(<[u8]>::reverse),
            _ => little.reverse(),
        }
    }
    match dtype.class() {
        Class::Bool => Value::Bool(bytes.iter().any(|&byte| byte != 0)),
        Class::Int => Value::Integer(integer(&little, true)),
        Class::Uint => Value::Integer(integer(&little, false)),
        Class::Float => Value::Float(float(&little)),
        Class::Complex => {
            let (real, imaginary) = little.split_at(little.len() / 2);
            Value::Complex(float(real), float(imaginary))
        }
        Class::Bytes => {
            let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            Value::Bytes(bytes[..end].to_vec())
        }
        Class::Void => Value::Raw(bytes.to_vec()),
        Class::Text => {
            let points = little.as_chunks::<4>().0.iter().map(|point| u32::from_le_bytes(*point));
            let text: String = points
                .map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            Value::Text(text.trim_end_matches('\0').to_owned())
        }
        Class::Datetime(unit) => Value::Time(time(number(&little), unit)),
        Class::Timedelta(_) => Value::Span(Some(number(&little)).filter(|&n| n != i64::MIN)),
    }
}

fn number(little: &[u8]) -> i64 {
    little.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

fn integer(little: &[u8], signed: bool) -> i128 {
    let negative = signed && little.last().is_some_and(|&top| top >= 128);
    let mut wide = [if negative { 255 } else { 0 }; 16];
    for (place, &byte) in wide.iter_mut().zip(little) {
        *place = byte;
    }
    i128::from_le_bytes(wide)
}

/// A float from little-endian bytes; the x87 format is rounded to 64 bits.
pub(crate) fn float(little: &[u8]) -> Float {
    let first = |range: std::ops::Range<usize>| little.get(range).unwrap_or(&[]);
    let value = match little.len() {
        2 => {
            let bits = u16::from_le_bytes(first(0..2).try_into().unwrap_or_default());
            f64::from(numpy_dtype::half_to_single(bits))
        }
        4 => f64::from(f32::from_le_bytes(first(0..4).try_into().unwrap_or_default())),
        8 => f64::from_le_bytes(first(0..8).try_into().unwrap_or_default()),
        _ => extended(
            u64::from_le_bytes(first(0..8).try_into().unwrap_or_default()),
            u16::from_le_bytes(first(8..10).try_into().unwrap_or_default()),
        ),
    };
    Float { value, size: little.len() }
}

/// 64 bits of fraction with its first bit, 15 of exponent, sign.
fn extended(fraction: u64, top: u16) -> f64 {
    let sign = if top >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(top & 0x7fff);
    if exponent == 0x7fff {
        return if fraction << 1 == 0 { sign * f64::INFINITY } else { f64::NAN };
    }
    let power = exponent - 16_446;
    #[allow(clippy::cast_precision_loss)] // rounds once
    let value = fraction as f64;
    sign * value * 2_f64.powi(power / 2) * 2_f64.powi(power - power / 2)
}

/// A point in time as numpy prints it, as precise as its unit: `2024-02-29T12:00:00`.
fn time(count: i64, unit: &str) -> String {
    if count == i64::MIN {
        return "NaT".to_owned();
    }
    let digits = unit.find(|c: char| !c.is_ascii_digit()).unwrap_or(unit.len());
    let (times, unit) = unit.split_at(digits);
    let Some(count) = count.checked_mul(times.parse().unwrap_or(1)) else { return "?".to_owned() };
    let day = |days: i64| {
        let date = jiff::civil::date(1970, 1, 1);
        date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
    };
    let text = match unit {
        "Y" => Some(format!("{}", 1970 + count)),
        "M" => Some(format!("{}-{:02}", 1970 + count.div_euclid(12), count.rem_euclid(12) + 1)),
        "W" => count.checked_mul(7).and_then(day).map(|date| date.to_string()),
        "D" => day(count).map(|date| date.to_string()),
        _ => clock(count, unit, &day),
    };
    text.unwrap_or_else(|| "?".to_owned())
}

fn clock(count: i64, unit: &str, day: &dyn Fn(i64) -> Option<jiff::civil::Date>) -> Option<String> {
    // How many of the unit a second has, or how many seconds it has; and digits of the fraction.
    let (per_second, seconds, digits) = match unit {
        "h" => (1, 3600, 0),
        "m" => (1, 60, 0),
        "s" => (1, 1, 0),
        "ms" => (1000, 1, 3),
        "us" | "μs" => (1_000_000, 1, 6),
        "ns" => (1_000_000_000, 1, 9),
        "ps" => (1_000_000_000_000, 1, 12),
        _ => return None,
    };
    let second = count.div_euclid(per_second).checked_mul(seconds)?;
    let (date, within) = (day(second.div_euclid(86_400))?, second.rem_euclid(86_400));
    let (hour, minute, s) = (within / 3600, within / 60 % 60, within % 60);
    Some(match (unit, digits) {
        ("h", _) => format!("{date}T{hour:02}"),
        ("m", _) => format!("{date}T{hour:02}:{minute:02}"),
        (_, 0) => format!("{date}T{hour:02}:{minute:02}:{s:02}"),
        _ => {
            let part = count.rem_euclid(per_second);
            format!("{date}T{hour:02}:{minute:02}:{s:02}.{part:0digits$}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_precise_as_their_unit() {
        assert_eq!(time(1_709_208_000, "s"), "2024-02-29T12:00:00");
        assert_eq!(time(-1, "D"), "1969-12-31");
        assert_eq!(time(-1, "M"), "1969-12");
        assert_eq!(time(1500, "ms"), "1970-01-01T00:00:01.500");
        assert_eq!(time(i64::MIN, "ns"), "NaT");
    }
}
