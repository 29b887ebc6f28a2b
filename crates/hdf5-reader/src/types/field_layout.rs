//! The arrays that a dataset becomes: one, or a table with one for each field.

use indexmap::IndexMap;
use numpy_dtype::Dtype;

use super::element_type::{ElementClass, ElementType};
use crate::error::{ObjectResult, unsupported};

/// One array, or a table of them by field name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldLayout {
    /// An array.
    Array(Field),
    /// A compound's fields in the file's order.
    Table(IndexMap<String, FieldLayout>),
}

/// The representation of a field in an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The value itself.
    Value,
    /// A string of variable length.
    Text,
    /// A string to be written with spaces after it.
    Spaced,
}

/// One array: its type and shape, and where its values lie in each element that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The array's type.
    pub dtype: Dtype,
    /// The dataset's shape and then that of array types around the value.
    pub shape: Vec<u64>,
    /// The names of an enum's values.
    pub enum_members: Vec<(String, i128)>,
    /// The first value's offset in an element.
    pub offset: usize,
    /// Count and stride in bytes of each array dimension within an element, outermost first.
    pub steps: Vec<(u64, usize)>,
    /// Bytes of one value as it is read.
    pub size: usize,
    /// The representation of a value.
    pub content: Content,
    nbytes: u64,
}

impl Field {
    /// Bytes of the whole array.
    pub fn nbytes(&self) -> u64 {
        self.nbytes
    }

    /// The number of values in each element of the dataset.
    pub fn per_element(&self) -> u64 {
        self.steps.iter().map(|(count, _)| count).product()
    }

    /// Sets the length of strings, which is known once they were read.
    pub(crate) fn set_length(&mut self, length: u64) -> ObjectResult<()> {
        self.dtype = Dtype::bytes(length);
        self.nbytes = checked_nbytes(&self.dtype, &self.shape)?;
        Ok(())
    }
}

impl FieldLayout {
    /// The arrays, depth first.
    pub fn fields(&self) -> Vec<&Field> {
        match self {
            Self::Array(leaf) => vec![leaf],
            Self::Table(fields) => fields.values().flat_map(Self::fields).collect(),
        }
    }

    /// The number of arrays and tables, and the bytes of the names of fields and of enum values.
    pub(crate) fn extent(&self) -> (u64, u64) {
        let names =
            |names: &[(String, i128)]| names.iter().map(|(name, _)| name.len() as u64).sum();
        match self {
            Self::Array(leaf) => (1, names(&leaf.enum_members)),
            Self::Table(fields) => fields.iter().fold((1, 0), |(count, bytes), (name, form)| {
                let below = form.extent();
                (count + below.0, bytes + below.1 + name.len() as u64)
            }),
        }
    }

    /// The arrays for elements like `node` in a dataset of `shape`.
    pub(crate) fn of(node: &ElementType, shape: &[u64]) -> ObjectResult<Self> {
        let spot = Spot { shape: shape.to_vec(), offset: 0, steps: Vec::new() };
        spot.form(node)
    }
}

/// The place of the next node in an element.
#[derive(Clone)]
struct Spot {
    shape: Vec<u64>,
    offset: usize,
    steps: Vec<(u64, usize)>,
}

impl Spot {
    fn form(self, node: &ElementType) -> ObjectResult<FieldLayout> {
        match &node.kind {
            ElementClass::Scalar(dtype, names) => {
                let content = if node.is_spaced() { Content::Spaced } else { Content::Value };
                self.leaf(dtype.clone(), node.size, content, names.clone())
            }
            ElementClass::Text => self.leaf(Dtype::bytes(1), node.size, Content::Text, Vec::new()),
            ElementClass::Array(dims, of) => self.within_array(dims, of),
            ElementClass::Table(fields) => self.table(fields),
            ElementClass::Ragged(_) => unsupported("ragged array (variable-length sequences)"),
        }
    }

    fn leaf(
        self,
        dtype: Dtype,
        size: usize,
        content: Content,
        enum_members: Vec<(String, i128)>,
    ) -> ObjectResult<FieldLayout> {
        let nbytes = checked_nbytes(&dtype, &self.shape)?;
        let Self { shape, offset, steps } = self;
        Ok(FieldLayout::Array(Field {
            dtype,
            shape,
            enum_members,
            offset,
            steps,
            size,
            content,
            nbytes,
        }))
    }

    fn within_array(mut self, dims: &[u64], of: &ElementType) -> ObjectResult<FieldLayout> {
        let mut stride = of.size;
        let mut steps = Vec::new();
        for &count in dims.iter().rev() {
            steps.push((count, stride));
            let next = usize::try_from(count).ok().and_then(|count| stride.checked_mul(count));
            let Some(next) = next else { return unsupported("an array type too large to hold") };
            stride = next;
        }
        self.steps.extend(steps.into_iter().rev());
        self.shape.extend(dims);
        self.form(of)
    }

    fn table(self, fields: &[(String, usize, ElementType)]) -> ObjectResult<FieldLayout> {
        let mut table = IndexMap::new();
        for (name, offset, node) in fields {
            let mut spot = self.clone();
            let Some(offset) = spot.offset.checked_add(*offset) else {
                return unsupported("elements too large for this machine");
            };
            spot.offset = offset;
            table.insert(name.clone(), spot.form(node)?);
        }
        Ok(FieldLayout::Table(table))
    }
}

/// The bytes of an array, all its extents being numbers that TOML and numpy can hold.
fn checked_nbytes(dtype: &Dtype, shape: &[u64]) -> ObjectResult<u64> {
    let holds = |n: u64| i64::try_from(n).is_ok();
    match dtype.nbytes(shape).filter(|&bytes| holds(bytes) && shape.iter().all(|&n| holds(n))) {
        Some(bytes) => Ok(bytes),
        None => unsupported(format!("too large to address: {shape:?} of {dtype}")),
    }
}
