//! The attributes of an object as TOML values. An attribute that cannot be read is left out with the reason.

use std::ffi::CStr;

use crate::attribute_values;
use crate::error::{ObjectResult, unsupported};
use crate::ffi::attributes::{Attribute, names};
use crate::ffi::ids::Id;
use crate::ffi::object::Token;
use crate::raw_attribute::{self, RawAttribute};
use crate::serialized::with_paths;
use crate::types::type_reader::TypeReader;

/// The most values of an attribute in TOML.
const MOST_VALUES: u64 = 65_536;

/// The largest attribute in TOML, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// The attributes of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// Name to value.
    pub values: toml::Table,
    /// Name and reason of each that TOML cannot hold, or that cannot be read.
    pub left_out: Vec<(String, String)>,
    /// Each with its HDF5 type, for an export; large ones and references to regions are missing.
    pub exact: Vec<RawAttribute>,
    /// References in `exact` that have no path yet; none once the walk has ended.
    pub(crate) references: Vec<raw_attribute::References>,
    /// Index in `exact` and token of each committed datatype that has no number yet; none once the walk has
    /// ended.
    pub(crate) committed: Vec<(usize, Token)>,
}

/// All attributes of an open object.
pub(crate) fn read(object: &Id) -> Attributes {
    let mut attributes = Attributes::default();
    let names = match names(object) {
        Ok(names) => names,
        Err(trouble) => {
            attributes.left_out.push((String::new(), trouble.into_reason()));
            return attributes;
        }
    };
    for name in names {
        let value = match name.to_str() {
            Ok(_) => value(object, &name),
            Err(_) => unsupported("a name that is not UTF-8"),
        };
        if name.to_str().is_ok() {
            attributes.add_exact(raw_attribute::read(object, &name));
        }
        let name = name.to_string_lossy().into_owned();
        match value {
            Ok(value) => drop(attributes.values.insert(name, value)),
            Err(trouble) => attributes.left_out.push((name, trouble.into_reason())),
        }
    }
    attributes
}

impl Attributes {
    fn add_exact(&mut self, read: ObjectResult<raw_attribute::Unresolved>) {
        let Ok(raw_attribute::Unresolved { attribute, references, committed }) = read else {
            return;
        };
        let number = self.exact.len();
        if !references.is_empty() {
            self.references
                .push(raw_attribute::References { attribute: number, places: references });
        }
        self.committed.extend(committed.map(|token| (number, token)));
        self.exact.push(attribute);
    }

    /// The tokens of the committed datatypes that have no number yet.
    pub(crate) fn committed_tokens(&self) -> impl Iterator<Item = Token> {
        self.committed.iter().map(|(_, token)| *token)
    }

    /// Sets the committed datatypes of the attributes to the numbers that `number` returns for their tokens.
    pub(crate) fn resolve_types(&mut self, number: impl Fn(Token) -> Option<usize>) {
        for (attribute, token) in std::mem::take(&mut self.committed) {
            self.exact[attribute].named_type = number(token);
        }
    }
}

fn value(object: &Id, name: &CStr) -> ObjectResult<toml::Value> {
    let attribute = Attribute::open(object, name)?;
    let (space, kind) = (attribute.space()?, attribute.datatype()?);
    let Some(shape) = space.shape()? else { return unsupported("empty") };
    let mut reader = TypeReader { ragged: true, ..TypeReader::default() };
    let node = reader.node(&kind, "")?;
    attribute_values::check_form(&node)?;
    let elements = shape.iter().try_fold(1_u64, |all, &n| all.checked_mul(n)).unwrap_or(u64::MAX);
    let size = node.size as u64;
    if elements.saturating_mul(attribute_values::count(&node)) > MOST_VALUES
        || elements.saturating_mul(size) > MOST_BYTES
    {
        return unsupported("large array");
    }
    attribute_values::array(&node, &shape, attribute.read(&node.memory)?.elements())
}

/// Inserts the paths of objects into the attributes that refer to them, by the address of each object. An
/// attribute that becomes too large is dropped, as one that is too large in the file. `left` limits the
/// bytes of the paths of a whole load: many short references can have long paths.
pub(crate) fn resolve_references<'p>(
    attributes: &mut Attributes,
    left: &mut usize,
    path: impl Fn(u64) -> &'p str,
) {
    let most = usize::try_from(raw_attribute::MOST_BYTES).unwrap_or(usize::MAX);
    // Backwards, so that the indices of those before a dropped one stay as they are.
    for raw_attribute::References { attribute, places } in
        std::mem::take(&mut attributes.references).iter().rev()
    {
        let Some(exact) = attributes.exact.get_mut(*attribute) else { continue };
        let room = most.min(exact.data.len().saturating_add(*left));
        match with_paths(&exact.data, places, room, &path) {
            Some(data) => {
                *left = left.saturating_sub(data.len() - exact.data.len());
                exact.data = data;
            }
            None => drop(attributes.exact.remove(*attribute)),
        }
    }
}
