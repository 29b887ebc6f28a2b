//! A whole text as groups and arrays: the metadata.

use std::borrow::Cow;

use indexmap::map::Entry;
use toml::Table;

use crate::shm::format::fast_toml::reader::{Header, Reader};
use crate::shm::format::tree::{ARRAY_KEY, Array, Group, Node};

/// Reads metadata in the canonical form.
pub(crate) fn arrays(text: &str) -> Option<Group> {
    let (mut reader, mut path) = (Reader::new(text), Vec::new());
    let mut root = Group::new();
    while reader.more()? {
        let raw = reader.raw_header()?;
        if reader.header(&mut path)? != Some(Header::Table) {
            return None;
        }
        // A table with a table of that name is no array, and not a group either.
        if path.iter().any(|name| name == ARRAY_KEY) {
            return None;
        }
        let (last, above) = path.split_last()?;
        let Entry::Vacant(place) = below(&mut root, above)?.entry(last.to_string()) else {
            return None;
        };
        place.insert(match array(&mut reader, raw)? {
            Some(array) => Node::Array(array),
            None => Node::Group(Group::new()),
        });
    }
    Some(root)
}

/// The group at `path`, made where it is not there.
fn below<'r>(mut group: &'r mut Group, path: &[Cow<'_, str>]) -> Option<&'r mut Group> {
    for name in path {
        if !group.contains_key(&**name) {
            group.insert(name.to_string(), Node::Group(Group::new()));
        }
        group = match group.get_mut(&**name)? {
            Node::Group(inner) => inner,
            Node::Array(_) => return None,
        };
    }
    Some(group)
}

/// The array below the header `raw` with its attributes; `Some(None)` when nothing stands there.
fn array(reader: &mut Reader<'_>, raw: &str) -> Option<Option<Array>> {
    let (mut segment, mut private, mut dtype, mut shape) = (None, false, None, None);
    while let Some(key) = reader.name()? {
        let twice = match &*key {
            ARRAY_KEY => segment.replace(reader.string()?.into_owned()).is_some(),
            "shm_private_name" => {
                reader.string()?;
                std::mem::replace(&mut private, true)
            }
            "shape" => shape.replace(reader.list(Reader::size)?).is_some(),
            "dtype" => dtype.replace(reader.string()?.into_owned()).is_some(),
            _ => return None,
        };
        reader.end_of_line()?;
        if twice {
            return None;
        }
    }
    if segment.is_none() && !private && shape.is_none() && dtype.is_none() {
        return Some(None);
    }
    let mut attrs = Table::new();
    let header = reader.more()?.then(|| reader.raw_header()).flatten();
    if header.and_then(|header| header.strip_suffix(".attrs")) == Some(raw) {
        reader.header(&mut Vec::new())?;
        reader.pairs(&mut attrs)?;
    }
    Some(Some(Array { segment: segment?, shape: shape?, dtype: dtype?, attrs }))
}
