//! The safetensors format: the length of a JSON header, the header, and all data without gaps.
//! The byte order of big-endian arrays is swapped, because the format has only little-endian numbers.
//! Source: <https://github.com/huggingface/safetensors#format>.

use numpy_dtype::{Class, Dtype};
use serde_json::{Map, Value, json};

use super::byte_writer::ByteWriter;
use super::content::Content;
use super::format::Format;
use super::interrupt::CheckInterrupt;
use crate::error::Result;
use crate::shm::format::tree::{self, Array};

/// The reserved name in the header.
const METADATA: &str = "__metadata__";

/// Returns the reason why the format cannot represent an array, or `None` if it can.
pub(super) fn unsupported_reason(path: &str, array: &Array, dtype: &Dtype) -> Option<String> {
    if path[1..] == *METADATA {
        return Some(format!("safetensors reserves the name '{METADATA}'"));
    }
    type_name(dtype).is_none().then(|| Format::Safetensors.dtype_reason(array))
}

/// Writes every array under its path. [`unsupported_reason`] must return `None` for each.
///
/// # Errors
/// Returns an I/O error if a read or a write fails, and the errors of `check_interrupt`.
pub(super) fn write(
    content: &Content,
    writer: &mut ByteWriter,
    check_interrupt: CheckInterrupt,
) -> Result<()> {
    let mut arrays = Vec::new();
    for (path, array) in tree::arrays(&content.root) {
        let named = Dtype::parse(&array.dtype).and_then(|dtype| Some((type_name(&dtype)?, dtype)));
        let unsupported = || Format::Safetensors.unsupported_dtype(&path, array);
        let (type_name, dtype) = named.ok_or_else(unsupported)?;
        arrays.push((path, array, dtype, type_name));
    }
    // The largest elements first, so that every tensor is aligned to the size of its elements.
    arrays.sort_by_key(|(_, _, dtype, _)| std::cmp::Reverse(dtype.itemsize()));
    writer.write(&header(&arrays))?;
    for (path, array, dtype, _) in &arrays {
        let source = content.open_array(path, array)?;
        if !dtype.is_big_endian() {
            writer.append(&source, check_interrupt)?;
            continue;
        }
        let item = usize::try_from(dtype.itemsize()).unwrap_or(1);
        // The real and the imaginary part of a complex number are swapped separately.
        let item = if *dtype.class() == Class::Complex { item / 2 } else { item };
        let mut swap = |block: &mut [u8]| block.chunks_exact_mut(item).for_each(<[u8]>::reverse);
        writer.append_blocks(&source, &mut swap, check_interrupt)?;
    }
    Ok(())
}

fn header(arrays: &[(String, &Array, Dtype, &str)]) -> Vec<u8> {
    let mut entries = Map::new();
    let mut end = 0;
    for (path, array, _, type_name) in arrays {
        let begin = end;
        end += array.nbytes().unwrap_or(0);
        let entry = json!({"dtype": type_name, "shape": array.shape, "data_offsets": [begin, end]});
        entries.insert(path[1..].to_owned(), entry);
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text);
    out
}

/// Returns the name of a dtype in the format.
fn type_name(dtype: &Dtype) -> Option<&'static str> {
    Some(match (dtype.class(), dtype.itemsize()) {
        (Class::Bool, _) => "BOOL",
        (Class::Uint, 1) => "U8",
        (Class::Uint, 2) => "U16",
        (Class::Uint, 4) => "U32",
        (Class::Uint, 8) => "U64",
        (Class::Int, 1) => "I8",
        (Class::Int, 2) => "I16",
        (Class::Int, 4) => "I32",
        (Class::Int, 8) => "I64",
        (Class::Float, 2) => "F16",
        (Class::Float, 4) => "F32",
        (Class::Float, 8) => "F64",
        (Class::Complex, 8) => "C64",
        _ => return None,
    })
}
