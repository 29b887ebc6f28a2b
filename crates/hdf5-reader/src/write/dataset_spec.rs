//! The dataset that arrays become in an export: its type in the file, and the place of each array's values in an
//! element.

use numpy_dtype::{Class, Dtype};
use toml::Value;

use crate::error::{ObjectError, ObjectResult, unsupported};
use crate::ffi::datatype::{Datatype, TypeClass};
use crate::ffi::ids;
use crate::raw_attribute::RawAttribute;
use crate::types::element_type::{ElementClass, ElementType};
use crate::types::field_layout::{Content, Field, FieldLayout};
use crate::types::field_order::FieldOrder;
use crate::types::type_reader::TypeReader;

/// Type and shape of the array of a field path; `None` if there is no such array.
pub type Find<'a> = &'a dyn Fn(&[String]) -> Option<(Dtype, Vec<u64>)>;

/// A dataset to be written.
#[derive(Debug)]
pub struct DatasetSpec {
    pub(super) file_type: Datatype,
    pub(super) element: ElementType,
    pub(super) shape: Vec<u64>,
    form: FieldLayout,
}

impl DatasetSpec {
    /// The dataset of `shape` of the type that was recorded as `encoded`, with the arrays that `find` returns.
    /// Fields without an array are left out. `None` if the arrays do not fit the type.
    pub fn of_source(encoded: &[u8], shape: &[u64], find: Find) -> Option<Self> {
        let _lock = ids::lock();
        let whole = Datatype::decode(encoded).ok()?;
        let file_type = subset(&whole, &mut Vec::new(), find).ok()??;
        let spec = Self::new(file_type, shape).ok()?;
        spec.fit(find)
    }

    /// The dataset that h5py would write for an array of this dtype. Text of code points is given as UTF-8
    /// in `|S<n>`.
    ///
    /// # Errors
    /// Returns the reason if HDF5 has no such type.
    pub fn of_dtype(dtype: &Dtype, shape: &[u64]) -> Result<Self, String> {
        let _lock = ids::lock();
        let created = file_type(dtype).and_then(|file_type| Self::new(file_type, shape));
        let spec = created.map_err(ObjectError::into_reason)?;
        let found = (dtype.clone(), shape.to_vec());
        spec.fit(&|_| Some(found.clone())).ok_or_else(|| format!("{dtype} has no HDF5 type"))
    }

    /// A dataset of variable-length UTF-8 strings for an array of `|S<n>`.
    ///
    /// # Errors
    /// Returns the reason if the array is too large.
    pub fn of_text(bytes: &Dtype, shape: &[u64]) -> Result<Self, String> {
        let _lock = ids::lock();
        let created = Datatype::utf8().and_then(|file_type| Self::new(file_type, shape));
        let spec = created.map_err(ObjectError::into_reason)?;
        let found = (bytes.clone(), shape.to_vec());
        spec.fit(&|_| Some(found.clone())).ok_or_else(|| "too large".to_owned())
    }

    fn new(file_type: Datatype, shape: &[u64]) -> ObjectResult<Self> {
        let mut reader = TypeReader { writing: true, ..TypeReader::default() };
        let element = reader.node(&file_type, "")?;
        let form = FieldLayout::of(&element, shape)?;
        Ok(Self { file_type, element, shape: shape.to_vec(), form })
    }

    /// Sets the lengths of strings; `None` if an array does not fit the type.
    fn fit(mut self, find: Find) -> Option<Self> {
        fit(&mut self.form, &mut Vec::new(), find).then_some(self)
    }

    /// Its arrays in the order of the type.
    pub fn fields(&self) -> Vec<&Field> {
        self.form.fields()
    }

    /// The field path of each array; one empty path for a dataset that is no compound.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        collect(&self.form, &mut Vec::new(), &mut paths);
        paths
    }

    /// The order of its fields; `None` if HDF5 must convert them, or has strings of variable length.
    pub fn layout(&self) -> Option<FieldOrder> {
        if !self.element.exact || self.element.has_pointers() {
            return None;
        }
        let leaves: Vec<Field> = self.fields().into_iter().cloned().collect();
        FieldOrder::new(leaves, self.element.size, &self.shape)
    }

    /// Whether elements contain strings of variable length.
    pub fn has_pointers(&self) -> bool {
        self.element.has_pointers()
    }

    /// Bytes of one element in the file, and the dataset's extents.
    pub fn extents(&self) -> (usize, &[u64]) {
        (self.element.size, &self.shape)
    }
}

/// The type `kind` reduced to the fields that have arrays, with the dtypes of these; `None` if there are none.
fn subset(kind: &Datatype, path: &mut Vec<String>, find: Find) -> ObjectResult<Option<Datatype>> {
    if let Some((dtype, _)) = find(path) {
        return converted(kind, &dtype).map(Some);
    }
    match kind.class() {
        TypeClass::Array => {
            let base = subset(&kind.base()?, path, find)?;
            let dims = kind.array_dims()?;
            base.map(|base| base.array(&dims)).transpose()
        }
        TypeClass::Compound => compound(kind, path, find),
        _ => Ok(None),
    }
}

/// `kind` itself, or the type of its values if the load converted them to `dtype`.
fn converted(kind: &Datatype, dtype: &Dtype) -> ObjectResult<Datatype> {
    if kind.class() == TypeClass::Array {
        return converted(&kind.base()?, dtype)?.array(&kind.array_dims()?);
    }
    let mut reader = TypeReader { writing: true, ..TypeReader::default() };
    match reader.node(kind, "")?.kind {
        ElementClass::Scalar(found, _) if found != *dtype => file_type(dtype),
        _ => kind.copy(),
    }
}

fn compound(kind: &Datatype, path: &mut Vec<String>, find: Find) -> ObjectResult<Option<Datatype>> {
    let mut fields = Vec::new();
    let mut whole = true;
    for index in 0..kind.members()? {
        let name = String::from_utf8_lossy(&kind.member_name(index)?).into_owned();
        let member = kind.member_type(index)?;
        path.push(name);
        let kept = subset(&member, path, find)?;
        let name = path.pop().unwrap_or_default();
        whole &= kept.as_ref().is_some_and(|kept| kept.equals(&member).unwrap_or(false));
        fields.extend(kept.map(|kept| (name, kept)));
    }
    if whole {
        return kind.copy().map(Some);
    }
    if fields.is_empty() {
        return Ok(None);
    }
    let mut size = 0;
    for (_, field) in &fields {
        size += field.size()?;
    }
    let created = Datatype::compound(size)?;
    let mut offset = 0;
    for (name, field) in &fields {
        created.insert(name, offset, field)?;
        offset += field.size()?;
    }
    Ok(Some(created))
}

fn fit(form: &mut FieldLayout, path: &mut Vec<String>, find: Find) -> bool {
    match form {
        FieldLayout::Array(leaf) => {
            let Some((dtype, shape)) = find(path).filter(|(_, shape)| *shape == leaf.shape) else {
                return false;
            };
            match leaf.content {
                Content::Text => {
                    *dtype.class() == Class::Bytes && leaf.set_length(dtype.itemsize()).is_ok()
                }
                Content::Value | Content::Spaced => {
                    leaf.dtype == dtype && dtype.nbytes(&shape).is_some()
                }
            }
        }
        FieldLayout::Table(fields) => fields.iter_mut().all(|(name, form)| {
            path.push(name.clone());
            let fits = fit(form, path, find);
            path.pop();
            fits
        }),
    }
}

fn collect(form: &FieldLayout, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match form {
        FieldLayout::Array(_) => paths.push(path.clone()),
        FieldLayout::Table(fields) => {
            for (name, form) in fields {
                path.push(name.clone());
                collect(form, path, paths);
                path.pop();
            }
        }
    }
}

/// The HDF5 type that h5py writes for a numpy dtype.
fn file_type(dtype: &Dtype) -> ObjectResult<Datatype> {
    let (size, big) = (dtype.itemsize(), dtype.is_big_endian());
    let bytes = usize::try_from(size).unwrap_or(0);
    match dtype.class() {
        Class::Bool => Datatype::boolean(),
        Class::Int => Datatype::integer(bytes, true, big),
        Class::Uint => Datatype::integer(bytes, false, big),
        Class::Float => Datatype::float(bytes, big),
        Class::Complex => {
            let part = Datatype::float(bytes / 2, big)?;
            let pair = Datatype::compound(bytes)?;
            pair.insert("r", 0, &part)?;
            pair.insert("i", bytes / 2, &part)?;
            Ok(pair)
        }
        Class::Bytes if bytes > 0 => Datatype::fixed_string(bytes),
        Class::Void if bytes > 0 => Datatype::opaque(bytes, ""),
        Class::Datetime(unit) => Datatype::opaque(bytes, &time_tag("M8", unit, big)),
        Class::Timedelta(unit) => Datatype::opaque(bytes, &time_tag("m8", unit, big)),
        _ => unsupported(format!("{dtype} has no HDF5 type")),
    }
}

/// The tag by which h5py marks a datetime: `NUMPY:<M8[ns]`.
fn time_tag(code: &str, unit: &str, big: bool) -> String {
    let order = if big { '>' } else { '<' };
    let unit = if unit.is_empty() { String::new() } else { format!("[{unit}]") };
    format!("NUMPY:{order}{code}{unit}")
}

/// The attribute that h5py would write for a TOML value; `None` for values that HDF5 cannot represent, such as tables
/// and arrays of unequal rows.
pub fn attribute(name: &str, value: &Value) -> Option<RawAttribute> {
    let _lock = ids::lock();
    let mut shape = Vec::new();
    let mut first = value;
    while let Value::Array(items) = first {
        shape.push(items.len() as u64);
        first = items.first()?;
    }
    let mut values = Vec::new();
    flatten(value, &shape, &mut values)?;
    let floats = values.iter().any(|value| matches!(value, Value::Float(_)));
    let mut data = Vec::new();
    for value in values {
        match (first, value) {
            (Value::String(_), Value::String(text)) => {
                data.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
                data.extend(text.as_bytes());
            }
            (Value::Boolean(_), Value::Boolean(truth)) => data.push(u8::from(*truth)),
            (Value::Integer(_) | Value::Float(_), Value::Float(number)) => {
                data.extend(number.to_ne_bytes());
            }
            #[allow(clippy::cast_precision_loss)] // a mixed array is one of floats for numpy too
            (_, Value::Integer(number)) if floats => data.extend((*number as f64).to_ne_bytes()),
            (Value::Integer(_), Value::Integer(number)) => data.extend(number.to_ne_bytes()),
            _ => return None,
        }
    }
    let kind = match first {
        Value::String(_) => Datatype::utf8(),
        Value::Boolean(_) => Datatype::boolean(),
        Value::Integer(_) if !floats => Datatype::native_int64(),
        _ => Datatype::native_double(),
    };
    let kind = kind.and_then(|kind| kind.encode()).ok()?;
    let name = name.to_owned();
    Some(RawAttribute { name, kind, shape: Some(shape), data, named_type: None })
}

fn flatten<'a>(value: &'a Value, shape: &[u64], out: &mut Vec<&'a Value>) -> Option<()> {
    match (value, shape.split_first()) {
        (Value::Array(items), Some((&n, rest))) if items.len() as u64 == n => {
            items.iter().try_for_each(|item| flatten(item, rest, out))
        }
        (Value::Array(_), _) | (_, Some(_)) => None,
        (value, None) => {
            out.push(value);
            Some(())
        }
    }
}
