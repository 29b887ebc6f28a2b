//! Parses and prints the text of `str(numpy.dtype)`.
//! Source: <https://numpy.org/doc/stable/reference/arrays.dtypes.html>.

use std::fmt;

/// The meaning of the bytes of one element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Class {
    /// One byte, 0 or 1.
    Bool,
    /// Signed integer of 1, 2, 4 or 8 bytes.
    Int,
    /// Unsigned integer of 1, 2, 4 or 8 bytes.
    Uint,
    /// IEEE float of 2, 4 or 8 bytes, or the x87 long double in 16.
    Float,
    /// Two floats.
    Complex,
    /// Fixed-length byte string, padded with NUL: `|S<n>`.
    Bytes,
    /// Fixed-length text of 4-byte code points: `<U<n>`. Python code shares these; HDF5 has none.
    Text,
    /// Raw bytes: `|V<n>`.
    Void,
    /// 8-byte point in time of this unit, such as `ns` or `25s`; no unit when empty.
    Datetime(String),
    /// 8-byte span of time of this unit.
    Timedelta(String),
}

/// The type of one array element: class, size in bytes, byte order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dtype {
    class: Class,
    itemsize: u64,
    big_endian: bool,
}

impl Dtype {
    /// A type of `itemsize` bytes; byte order is ignored for classes that have none.
    pub fn new(class: Class, itemsize: u64, big_endian: bool) -> Self {
        let ordered = match class {
            Class::Bool | Class::Bytes | Class::Void => false,
            Class::Text => true,
            _ => itemsize > 1,
        };
        Self { class, itemsize, big_endian: big_endian && ordered }
    }

    /// One byte, true or false.
    pub fn bool() -> Self {
        Self::new(Class::Bool, 1, false)
    }

    /// `|S<n>`
    pub fn bytes(n: u64) -> Self {
        Self::new(Class::Bytes, n, false)
    }

    /// The class of the element.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// Bytes of one element.
    pub fn itemsize(&self) -> u64 {
        self.itemsize
    }

    /// Whether the most significant byte comes first.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Bytes of an array of this type; `None` when the number does not fit.
    pub fn nbytes(&self, shape: &[u64]) -> Option<u64> {
        if shape.contains(&0) {
            return Some(0);
        }
        shape.iter().try_fold(self.itemsize, |bytes, &n| bytes.checked_mul(n))
    }

    /// Parses the text that numpy prints (`float64`, `>f4`, `|S10`, `datetime64[ns]`) and its short codes
    /// (`<f8`, `|b1`); `None` for object, structured and unknown types.
    pub fn parse(text: &str) -> Option<Self> {
        let (order, rest) = match text.as_bytes().first()? {
            b'<' | b'=' | b'|' => (Some(false), &text[1..]),
            b'>' => (Some(true), &text[1..]),
            _ => (None, text),
        };
        let big = order.unwrap_or(false);
        if let Some(dtype) = parse_time(rest, big) {
            return Some(dtype);
        }
        match order {
            Some(_) => parse_code(rest, big),
            None => parse_name(rest).or_else(|| parse_code(rest, false)),
        }
    }
}

/// `M8[ns]`, `datetime64[ns]`, `m8`, `timedelta64[s]`
fn parse_time(text: &str, big: bool) -> Option<Dtype> {
    let (name, unit) = match text.split_once('[') {
        Some((name, unit)) => (name, unit.strip_suffix(']')?),
        None => (text, ""),
    };
    let class = match name {
        "M8" | "datetime64" => Class::Datetime(unit.to_owned()),
        "m8" | "timedelta64" => Class::Timedelta(unit.to_owned()),
        _ => return None,
    };
    Some(Dtype::new(class, 8, big))
}

/// `i4`, `S10`, `b1`: a letter and a number
fn parse_code(text: &str, big: bool) -> Option<Dtype> {
    let size: u64 = text.get(1..)?.parse().ok()?;
    let class = match text.as_bytes()[0] {
        b'b' if size == 1 => Class::Bool,
        b'i' if matches!(size, 1 | 2 | 4 | 8) => Class::Int,
        b'u' if matches!(size, 1 | 2 | 4 | 8) => Class::Uint,
        b'f' if matches!(size, 2 | 4 | 8 | 16) => Class::Float,
        b'c' if matches!(size, 8 | 16 | 32) => Class::Complex,
        b'S' => Class::Bytes,
        b'V' => Class::Void,
        b'U' => return Some(Dtype::new(Class::Text, size.checked_mul(4)?, big)),
        _ => return None,
    };
    Some(Dtype::new(class, size, big))
}

/// `float64`: a word and a number of bits
fn parse_name(text: &str) -> Option<Dtype> {
    if text == "bool" {
        return Some(Dtype::bool());
    }
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let bits: u64 = text[digits..].parse().ok()?;
    let (class, sizes): (_, &[u64]) = match &text[..digits] {
        "int" => (Class::Int, &[8, 16, 32, 64]),
        "uint" => (Class::Uint, &[8, 16, 32, 64]),
        "float" => (Class::Float, &[16, 32, 64, 128]),
        "complex" => (Class::Complex, &[64, 128, 256]),
        _ => return None,
    };
    sizes.contains(&bits).then(|| Dtype::new(class, bits / 8, false))
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.itemsize;
        let code = |letter: char| format!(">{letter}{size}");
        let named = |word: &str, letter: char| match self.big_endian {
            true => code(letter),
            false => format!("{word}{}", size * 8),
        };
        let unit = |unit: &str| if unit.is_empty() { String::new() } else { format!("[{unit}]") };
        let text = match &self.class {
            Class::Bool => "bool".to_owned(),
            Class::Int => named("int", 'i'),
            Class::Uint => named("uint", 'u'),
            Class::Float => named("float", 'f'),
            Class::Complex => named("complex", 'c'),
            Class::Bytes => format!("|S{size}"),
            Class::Void => format!("|V{size}"),
            Class::Text => format!("{}U{}", if self.big_endian { '>' } else { '<' }, size / 4),
            Class::Datetime(u) if self.big_endian => format!(">M8{}", unit(u)),
            Class::Datetime(u) => format!("datetime64{}", unit(u)),
            Class::Timedelta(u) if self.big_endian => format!(">m8{}", unit(u)),
            Class::Timedelta(u) => format!("timedelta64{}", unit(u)),
        };
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_display_are_inverse() {
        for text in [
            "bool",
            "int8",
            "uint64",
            "float16",
            "float128",
            "complex256",
            ">i2",
            ">f16",
            ">c8",
            "|S10",
            "|V5",
            "<U3",
            ">U3",
            "datetime64[ns]",
            ">M8[25s]",
            "timedelta64",
            "|S0",
        ] {
            assert_eq!(Dtype::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn parse_accepts_short_codes() {
        for (code, name) in [("<f8", "float64"), ("|b1", "bool"), ("i4", "int32"), (">u1", "uint8")]
        {
            assert_eq!(Dtype::parse(code).unwrap().to_string(), name);
        }
    }

    #[test]
    fn parse_rejects_types_without_a_fixed_size() {
        for text in ["object", "O", "", "f", "float12", "[('a', '<i4')]", "<i3", "S", "é4", "<é4"]
        {
            assert_eq!(Dtype::parse(text), None, "{text}");
        }
    }

    #[test]
    fn nbytes_detects_overflow() {
        let dtype = Dtype::parse("float64").unwrap();
        assert_eq!(dtype.nbytes(&[2, 3]), Some(48));
        assert_eq!(dtype.nbytes(&[]), Some(8));
        assert_eq!(dtype.nbytes(&[u64::MAX, 0, u64::MAX]), Some(0));
        assert_eq!(dtype.nbytes(&[u64::MAX, 2]), None);
    }
}
