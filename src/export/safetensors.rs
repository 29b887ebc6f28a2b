//! safetensors: the length of a JSON header, the header, and all data without gaps.
//! Big-endian arrays are byte-swapped: the format knows little-endian numbers only.
//! Source: <https://github.com/huggingface/safetensors#format>.

use numpy_dtype::{Class, Dtype};
use serde_json::{Map, Value, json};

use super::{Advance, Content, Sink, lacks, no_dtype};
use crate::error::Result;
use crate::shm::format::tree::Array;

/// The name of the header's own entry.
const METADATA: &str = "__metadata__";

/// Returns the reason why the format cannot represent an array, or `None` if it can.
pub(super) fn reason(path: &str, array: &Array, dtype: &Dtype) -> Option<String> {
    if path == METADATA {
        return Some(format!("safetensors reserves the name '{METADATA}'"));
    }
    word(dtype).is_none().then(|| no_dtype("safetensors", array))
}

/// Writes every array under its path; [`reason`] returns `None` for each.
pub(super) fn write(content: &Content, sink: &mut Sink, advance: Advance) -> Result<()> {
    let mut arrays = Vec::new();
    for (path, array) in content.arrays() {
        let dtype = Dtype::parse(&array.dtype).ok_or_else(|| lacks("safetensors", &path, array))?;
        let word = word(&dtype).ok_or_else(|| lacks("safetensors", &path, array))?;
        arrays.push((path, array, dtype, word));
    }
    // The widest first, so that every tensor is aligned to its own elements.
    arrays.sort_by_key(|(_, _, dtype, _)| std::cmp::Reverse(dtype.itemsize()));
    sink.write(&header(&arrays))?;
    for (path, array, dtype, _) in &arrays {
        let source = content.source(path, array)?;
        if !dtype.is_big_endian() {
            sink.append(&source, advance)?;
            continue;
        }
        let item = usize::try_from(dtype.itemsize()).unwrap_or(1);
        // Real and imaginary part of a complex number are separate numbers.
        let item = if *dtype.class() == Class::Complex { item / 2 } else { item };
        let mut swap = |piece: &mut [u8]| piece.chunks_exact_mut(item).for_each(<[u8]>::reverse);
        sink.stream_pieces(&source, &mut swap, advance)?;
    }
    Ok(())
}

fn header(arrays: &[(String, &Array, Dtype, &str)]) -> Vec<u8> {
    let mut entries = Map::new();
    let mut end = 0;
    for (path, array, _, word) in arrays {
        let begin = end;
        end += array.nbytes().unwrap_or(0);
        let entry = json!({"dtype": word, "shape": array.shape, "data_offsets": [begin, end]});
        entries.insert(path.clone(), entry);
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text);
    out
}

fn word(dtype: &Dtype) -> Option<&'static str> {
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
