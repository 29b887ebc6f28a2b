//! The numeric HDF5 types in numpy's terms, by the rules of h5py 3.16.
//! A type that numpy lacks is widened to the next type that holds every value.

use hdf5_filters::{Conversion, Resizing, Widening};
use numpy_dtype::{Class, Dtype};

use super::element_type::{ElementClass, ElementType};
use crate::error::{ObjectResult, unsupported};
use crate::ffi::datatype::{ByteOrder, Datatype, FloatFields, TypeClass};

/// A numpy float: bytes, mantissa bits, greatest and least exponent as `numpy.finfo` has them.
struct Float {
    size: usize,
    mantissa: usize,
    max_exponent: i128,
    min_exponent: i128,
}

/// float16, float32, float64 and x87 long double.
const FLOATS: [Float; 4] = [
    Float { size: 2, mantissa: 10, max_exponent: 16, min_exponent: -14 },
    Float { size: 4, mantissa: 23, max_exponent: 128, min_exponent: -126 },
    Float { size: 8, mantissa: 52, max_exponent: 1024, min_exponent: -1022 },
    Float { size: 16, mantissa: 64, max_exponent: 16384, min_exponent: -16382 },
];

/// Whether the first byte is the most significant; VAX and mixed orders have no numpy type.
fn is_big_endian(file: &Datatype) -> ObjectResult<bool> {
    match file.order() {
        ByteOrder::Little | ByteOrder::None => Ok(false),
        ByteOrder::Big => Ok(true),
        ByteOrder::Other => unsupported("numbers in VAX or mixed byte order"),
    }
}

/// An integer; of a size that numpy lacks, the next larger native one.
pub(crate) fn integer(file: &Datatype) -> ObjectResult<ElementType> {
    let size = file.size()?;
    let (size, big) = match size {
        1 | 2 | 4 | 8 => (size, is_big_endian(file)?),
        3 => (4, false),
        5..=7 => (8, false),
        _ => return unsupported(format!("integers of {size} bytes")),
    };
    let signed = file.is_signed();
    let class = if signed { Class::Int } else { Class::Uint };
    let memory = Datatype::integer(size, signed, big)?;
    let mut node = ElementType::scalar(file, memory, Dtype::new(class, size as u64, big))?;
    if !node.exact {
        let (from, bits) = (file.size()?, file.bits()?);
        node.convert = match size == from {
            // The library reverses the order of one byte, which changes nothing, and ignores its bits.
            true if size == 1 && big && bits.1 == 0 => Some(Conversion::same(1)),
            true => Widening::new(size, (big, signed), bits).map(Conversion::widened),
            false => {
                let big_endian = is_big_endian(file)?;
                Conversion::resized(Resizing { from, to: size, big_endian, signed, bits })
            }
        };
    }
    Ok(node)
}

/// Bits without a meaning of their own: the unsigned integer of the same bytes.
pub(crate) fn bitfield(file: &Datatype) -> ObjectResult<ElementType> {
    let size = file.size()?;
    if !matches!(size, 1 | 2 | 4 | 8) {
        return unsupported(format!("bitfields of {size} bytes"));
    }
    let dtype = Dtype::new(Class::Uint, size as u64, is_big_endian(file)?);
    ElementType::scalar(file, file.copy()?, dtype)
}

/// The first numpy float that is as large, as precise and as wide.
pub(crate) fn float(file: &Datatype) -> ObjectResult<ElementType> {
    let (size, fields, big) = (file.size()?, file.float_fields()?, is_big_endian(file)?);
    let Some(float) = FLOATS.iter().find(|float| holds(float, size, fields)) else {
        return unsupported(format!("floats of {size} bytes that no numpy type can hold"));
    };
    let memory = Datatype::float(float.size, big)?;
    ElementType::scalar(file, memory, Dtype::new(Class::Float, float.size as u64, big))
}

fn holds(float: &Float, size: usize, fields: FloatFields) -> bool {
    let Ok(exponent) = u32::try_from(fields.exponent_bits) else { return false };
    let Ok(bias) = i128::try_from(fields.bias) else { return false };
    let Some(range) = 1_i128.checked_shl(exponent).filter(|_| exponent < 64) else { return false };
    float.size >= size
        && fields.mantissa_bits <= float.mantissa
        && range - bias - 1 <= float.max_exponent
        && 1 - bias >= float.min_exponent
}

/// An enum: a boolean if it is h5py's, else its integers and their names.
pub(crate) fn enumeration(file: &Datatype) -> ObjectResult<ElementType> {
    let base = file.base()?;
    if base.class() != TypeClass::Integer {
        return unsupported("an enum whose values are no integers");
    }
    let mut names = Vec::new();
    for index in 0..file.members()? {
        let name = String::from_utf8_lossy(&file.member_name(index)?).into_owned();
        names.push((name, file.member_value(index)?));
    }
    if is_boolean(&names) {
        return ElementType::scalar(file, Datatype::boolean()?, Dtype::bool());
    }
    let mut node = integer(&base)?;
    node.convert = None;
    if node.exact {
        node.memory = file.copy()?;
    }
    if let ElementClass::Scalar(_, members) = &mut node.kind {
        *members = names;
    }
    Ok(node)
}

fn is_boolean(names: &[(String, i128)]) -> bool {
    let has = |name: &str, value| names.iter().any(|(n, v)| n == name && *v == value);
    names.len() == 2 && has("FALSE", 0) && has("TRUE", 1)
}

/// HDF5's own complex numbers; their parts are converted to the floats of numpy's of that size.
pub(crate) fn complex(file: &Datatype) -> ObjectResult<ElementType> {
    let size = file.size()?;
    let big = is_big_endian(file)?;
    if !matches!(size, 8 | 16 | 32) {
        return unsupported(format!("complex numbers of {size} bytes"));
    }
    let part = Datatype::float(size / 2, big)?;
    let dtype = Dtype::new(Class::Complex, size as u64, big);
    let whole = part.complex()?;
    // As h5py does: IEEE quads are copied byte for byte, as if they were long doubles.
    let memory = if size == 32 { file.copy()? } else { whole };
    ElementType::scalar(file, memory, dtype)
}

/// The complex number for a compound of two equal floats, `r` and `i`.
pub(crate) fn complex_pair(
    file: &Datatype,
    fields: &[(String, usize, ElementType)],
) -> ObjectResult<Option<ElementType>> {
    let [(r, _, real), (i, _, imaginary)] = fields else { return Ok(None) };
    let (ElementClass::Scalar(dtype, _), ElementClass::Scalar(other, _)) =
        (&real.kind, &imaginary.kind)
    else {
        return Ok(None);
    };
    let is_pair = r == "r" && i == "i" && dtype == other && *dtype.class() == Class::Float;
    if !is_pair || dtype.itemsize() < 4 {
        return Ok(None);
    }
    let memory = pair(&real.memory, real.size)?;
    let complex = Dtype::new(Class::Complex, dtype.itemsize() * 2, dtype.is_big_endian());
    ElementType::scalar(file, memory, complex).map(Some)
}

fn pair(part: &Datatype, size: usize) -> ObjectResult<Datatype> {
    let memory = Datatype::compound(size * 2)?;
    memory.insert("r", 0, part)?;
    memory.insert("i", size, part)?;
    Ok(memory)
}
