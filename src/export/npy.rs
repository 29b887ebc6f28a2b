//! The npy format: a header and the bytes of one array. Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use numpy_dtype::{Class, Dtype};

use super::byte_writer::ByteWriter;
use super::content::Content;
use super::format::Format;
use super::interrupt::CheckInterrupt;
use crate::error::{Error, Kind, Result};
use crate::shm::format::tree::{self, Array};

/// Writes the only array of `content`.
///
/// # Errors
/// Returns [`Kind::Usage`] if `content` does not have exactly one array, [`Kind::Unsupported`] if the format cannot
/// represent its dtype, an I/O error if a read or a write fails, and the errors of `check_interrupt`.
pub(super) fn write(
    content: &Content,
    writer: &mut ByteWriter,
    check_interrupt: CheckInterrupt,
) -> Result<()> {
    let arrays = tree::arrays(&content.root);
    let [(path, array)] = &arrays[..] else {
        let message = format!("an npy file holds one array, but {} are selected", arrays.len());
        return Err(Error::new(Kind::Usage, message).with_hint(
            "select one: 'cute-shm export PROJECT /group/name -o FILE.npy', or use npz",
        ));
    };
    let header = header(path, array)?;
    let source = content.open_array(path, array)?;
    writer.write(&header)?;
    writer.append(&source, check_interrupt)
}

/// Returns the header of an array.
///
/// # Errors
/// Returns [`Kind::Unsupported`] if the dtype is unknown.
pub(super) fn header(path: &str, array: &Array) -> Result<Vec<u8>> {
    let dtype =
        Dtype::parse(&array.dtype).ok_or_else(|| Format::Npy.unsupported_dtype(path, array))?;
    let shape: Vec<String> = array.shape.iter().map(u64::to_string).collect();
    let shape = match &shape[..] {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.join(", ")),
    };
    let code = type_code(&dtype);
    let text = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': {shape}, }}");
    Ok(frame(&text))
}

/// Adds magic, version and length to the text of a header, and pads it to a multiple of 64 bytes.
fn frame(text: &str) -> Vec<u8> {
    let long = text.len() + 1 + 64 > usize::from(u16::MAX);
    let prefix = if long { 12 } else { 10 };
    let padding = (64 - (prefix + text.len() + 1) % 64) % 64;
    let length = text.len() + padding + 1;
    let mut header = b"\x93NUMPY".to_vec();
    if long {
        header.extend([2, 0]);
        header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    } else {
        header.extend([1, 0]);
        header.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    }
    header.extend(text.as_bytes());
    header.extend(std::iter::repeat_n(b' ', padding));
    header.push(b'\n');
    header
}

/// Returns numpy's code of a dtype: `<f8`, `|S10`, `<M8[ns]`.
fn type_code(dtype: &Dtype) -> String {
    let size = dtype.itemsize();
    let order = match (dtype.is_big_endian(), size) {
        (true, _) => '>',
        (false, 1) => '|',
        (false, _) => '<',
    };
    let unit = |unit: &str| if unit.is_empty() { String::new() } else { format!("[{unit}]") };
    match dtype.class() {
        Class::Bool => "|b1".to_owned(),
        Class::Int => format!("{order}i{size}"),
        Class::Uint => format!("{order}u{size}"),
        Class::Float => format!("{order}f{size}"),
        Class::Complex => format!("{order}c{size}"),
        Class::Bytes => format!("|S{size}"),
        Class::Void => format!("|V{size}"),
        Class::Text => format!("{}U{}", if dtype.is_big_endian() { '>' } else { '<' }, size / 4),
        Class::Datetime(u) => format!("{order}M8{}", unit(u)),
        Class::Timedelta(u) => format!("{order}m8{}", unit(u)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_equals_that_of_numpy() {
        let [segment, dtype] = ["s", ">f4"].map(str::to_owned);
        let array = Array { segment, shape: vec![2, 3], dtype, attrs: toml::Table::new() };
        let header = header("/a", &array).unwrap();
        assert_eq!(header.len() % 64, 0);
        assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&header[10..]).unwrap().trim_end();
        assert_eq!(text, "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }");
    }

    #[test]
    fn long_header_has_version_2() {
        let header = frame(&"x".repeat(70_000));
        assert_eq!((&header[6..8], header.len() % 64), (&b"\x02\x00"[..], 0));
    }

    #[test]
    fn type_code_has_byte_order_kind_size_and_unit() {
        for (text, expected) in [
            ("bool", "|b1"),
            ("int8", "|i1"),
            ("float128", "<f16"),
            (">U3", ">U3"),
            ("datetime64[25s]", "<M8[25s]"),
            ("|V5", "|V5"),
            ("complex64", "<c8"),
        ] {
            assert_eq!(type_code(&Dtype::parse(text).unwrap()), expected);
        }
    }
}
