//! HDF5 as it was: what the ledger keeps of the sources gives back types, compounds and attributes;
//! without it, what h5py would write for the same arrays.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use hdf5_reader::{
    DatasetSpec, FieldOrder, Fill, Object, Packing, RawAttribute, Writer, attribute,
};
use numpy_dtype::{Class, Dtype};

use super::copy::{self, Spot};
use super::source::Source;
use super::{Advance, Content, deflate};
use crate::error::{Error, Kind, Result};
use crate::shm::format::ledger::Note;
use crate::shm::format::origin::{Attribute, FillValue};
use crate::shm::format::tree::{Array, Group, Node, arrays};
use crate::shm::segment::published::PublishedSegment;

/// Writes `content` to the empty file at `path`, which `spot` has open. Returns a note for everything that the
/// file does not restore, and the paths of the arrays that HDF5 cannot represent, without the leading slash.
pub(super) fn write(
    content: &Content,
    path: &Path,
    spot: Spot,
    advance: Advance,
) -> Result<(Vec<Note>, HashSet<String>)> {
    let writer = Writer::create(path)?;
    let mut export = Export {
        content,
        writer: &writer,
        uses: HashMap::new(),
        known: HashMap::new(),
        later: Vec::new(),
        references: Vec::new(),
        notes: lost(content),
        skipped: HashSet::new(),
        groups: HashMap::new(),
        types: HashMap::new(),
        advance,
    };
    for (_, array) in content.arrays() {
        *export.uses.entry(array.segment.clone()).or_default() += 1;
    }
    let root = Rc::new(writer.root()?);
    export.groups.insert(String::new(), Rc::clone(&root));
    // Before the datasets: netCDF reads a file in the order of creation.
    for &number in &content.named_types {
        export.named_type(number)?;
    }
    export.group(&root, &content.root, "")?;
    drop(root);
    let Export { later, references, mut notes, skipped, known, groups, types, advance, .. } =
        export;
    drop((groups, types));
    for Waiting { object, attribute, named, prefix, path } in references {
        let rename = |target: &str| format!("{prefix}{target}");
        let lost = match writer.attribute(&object, &attribute, &rename, named.as_deref()) {
            Ok(0) => continue,
            Ok(1) => "1 reference is null: its object is not in the file".to_owned(),
            Ok(lost) => format!("{lost} references are null: their objects are not in the file"),
            Err(error) => error.to_string(),
        };
        notes.push(Note::new(format!("{path}@{}", attribute.name), lost));
    }
    drop(known);
    writer.close()?;
    // Beside the library, which would copy every byte once more.
    for later in later {
        let source = source(content, &later.path, &later.arrays, &later.layout)?;
        copy::copy(&source, Spot { offset: later.offset, ..spot }, advance)?;
    }
    Ok((notes, skipped))
}

/// A dataset whose place in the file is reserved.
struct Later {
    path: String,
    arrays: Vec<Array>,
    layout: FieldOrder,
    offset: u64,
}

/// An attribute with references, which is written after all objects.
struct Waiting {
    object: Rc<Object>,
    attribute: RawAttribute,
    /// The committed datatype that is its type.
    named: Option<Rc<Object>>,
    /// The path of the source file's root in the project.
    prefix: String,
    path: String,
}

struct Export<'a, 'w> {
    content: &'a Content<'a>,
    writer: &'w Writer,
    /// How many paths each segment has.
    uses: HashMap<String, usize>,
    /// Datasets that further paths may lead to, by their segments.
    known: HashMap<Vec<String>, Rc<Object>>,
    later: Vec<Later>,
    references: Vec<Waiting>,
    notes: Vec<Note>,
    /// Arrays that HDF5 cannot represent.
    skipped: HashSet<String>,
    /// Groups that were created for the committed datatypes in them, and the root, by path.
    groups: HashMap<String, Rc<Object>>,
    /// Committed datatypes, or `None` for one that cannot be restored, by number.
    types: HashMap<usize, Option<Rc<Object>>>,
    advance: Advance<'a>,
}

impl Export<'_, '_> {
    fn group(&mut self, at: &Rc<Object>, group: &Group, path: &str) -> Result<()> {
        let shown = if path.is_empty() { "/" } else { path };
        let content = self.content;
        match &content.origin {
            Some(origin) => self.all_attributes(at, origin.group(shown), shown)?,
            None => self.attributes(at, content.group_attrs(shown), shown),
        }
        for (name, node) in group {
            let path = format!("{path}/{name}");
            match node {
                Node::Array(array) => {
                    let written = self.array(at, name, array, &path);
                    self.skip_unsupported(written, &path, [&*path])?;
                }
                Node::Group(inner) if self.compound(at, name, inner, &path)? => {}
                Node::Group(inner) => match self.new_group(at, name, &path) {
                    Ok(made) => self.group(&made, inner, &path)?,
                    Err(error) => {
                        let below = arrays(inner).into_iter();
                        let below: Vec<_> =
                            below.map(|(name, _)| format!("{path}{name}")).collect();
                        let arrays = below.iter().map(String::as_str);
                        self.skip_unsupported(Err(error.with_subject(&path)), &path, arrays)?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Turns [`Kind::Unsupported`] into a note: the object and the arrays in it are left out.
    fn skip_unsupported<'p>(
        &mut self,
        written: Result<()>,
        path: &str,
        arrays: impl IntoIterator<Item = &'p str>,
    ) -> Result<()> {
        match written {
            Err(error) if error.kind() == Kind::Unsupported => {
                self.notes.push(Note::new(path, error.to_string()));
                let arrays = arrays.into_iter().map(|path| path.trim_start_matches('/').to_owned());
                self.skipped.extend(arrays);
                Ok(())
            }
            written => written,
        }
    }

    fn array(&mut self, at: &Object, name: &str, array: &Array, path: &str) -> Result<()> {
        let key = vec![array.segment.clone()];
        if let Some(known) = self.known.get(&key) {
            return Ok(self.writer.link(known, at, name)?);
        }
        let unsupported = |reason: String| Error::new(Kind::Unsupported, reason).with_subject(path);
        let Some(dtype) = Dtype::parse(&array.dtype).filter(|_| array.nbytes().is_some()) else {
            return Err(unsupported(format!("unknown dtype '{}'", array.dtype)));
        };
        let stored = self.content.origin.as_ref().and_then(|origin| origin.dataset(path));
        let as_it_was = stored.and_then(|stored| {
            let encoded = self.content.origin.as_ref()?.encoded_type(stored.kind)?;
            let found = (dtype.clone(), array.shape.clone());
            let find = |path: &[String]| path.is_empty().then(|| found.clone());
            DatasetSpec::of_source(&encoded, &stored.shape, &find)
        });
        if stored.is_some() && as_it_was.is_none() {
            self.notes.push(Note::new(path, "its HDF5 type cannot be restored"));
        }
        let text = *dtype.class() == Class::Text;
        let recipe = match as_it_was {
            Some(recipe) => recipe,
            // UTF-8 needs at most as many bytes as code points of four do.
            None if text => {
                let bytes = Dtype::bytes(dtype.itemsize());
                DatasetSpec::of_text(&bytes, &array.shape).map_err(unsupported)?
            }
            None => DatasetSpec::of_dtype(&dtype, &array.shape).map_err(unsupported)?,
        };
        let object = self.dataset(at, name, &recipe, &[array], path, &dtype)?;
        match stored {
            Some(stored) => {
                self.exact(&object, &stored.attrs, path)?;
                self.others(&object, &stored.attrs, array.attrs.iter(), path);
            }
            None => self.attributes(&object, array.attrs.iter(), path),
        }
        self.remember(key, object);
        Ok(())
    }

    /// Puts a compound's table together again; false when it is an ordinary group.
    fn compound(&mut self, at: &Object, name: &str, table: &Group, path: &str) -> Result<bool> {
        let Some(origin) = &self.content.origin else { return Ok(false) };
        let Some(stored) = origin.dataset(path) else { return Ok(false) };
        let find = |path: &[String]| {
            let array = field(table, path)?;
            Some((Dtype::parse(&array.dtype)?, array.shape.clone()))
        };
        let recipe = origin
            .encoded_type(stored.kind)
            .and_then(|encoded| DatasetSpec::of_source(&encoded, &stored.shape, &find));
        let Some(recipe) = recipe else {
            self.notes.push(Note::new(path, "its compound type cannot be restored"));
            return Ok(false);
        };
        let paths = recipe.paths();
        let arrays: Option<Vec<&Array>> = paths.iter().map(|path| field(table, path)).collect();
        let Some(arrays) = arrays else { return Ok(false) };
        let key: Vec<String> = arrays.iter().map(|array| array.segment.clone()).collect();
        if let Some(known) = self.known.get(&key) {
            self.writer.link(known, at, name)?;
            return Ok(true);
        }
        let object = self.dataset(at, name, &recipe, &arrays, path, &Dtype::bool())?;
        self.all_attributes(&object, &stored.attrs, path)?;
        self.remember(key, object);
        Ok(true)
    }

    fn dataset(
        &mut self,
        at: &Object,
        name: &str,
        recipe: &DatasetSpec,
        arrays: &[&Array],
        path: &str,
        dtype: &Dtype,
    ) -> Result<Rc<Object>> {
        let (item, shape) = recipe.extents();
        let mut packing = self.packing(recipe, path);
        let origin = self.content.origin.as_ref();
        let number = origin.and_then(|origin| origin.dataset(path)?.named_type);
        let named = number.map(|number| self.named_type(number)).transpose()?.flatten();
        let mut object = self.writer.dataset(at, name, recipe, &packing, named.as_deref());
        let is_filled = packing.fill != Fill::Zero || packing.fill_time.is_some();
        if packing.fill == Fill::Unknown || is_filled && object.is_err() {
            self.notes.push(Note::new(path, "its fill value cannot be restored"));
        }
        if is_filled && object.is_err() {
            packing = Packing { fill: Fill::Zero, fill_time: None, ..packing };
            object = self.writer.dataset(at, name, recipe, &packing, named.as_deref());
        }
        let object = object.map_err(|error| Error::from(error).with_subject(path))?;
        if arrays.iter().any(|array| array.nbytes() == Some(0)) && shape.contains(&0) {
            return Ok(Rc::new(object));
        }
        let path = path.trim_start_matches('/');
        let Some(layout) = recipe.layout() else {
            self.write_elements(&object, name, recipe, arrays, path, dtype)?;
            return Ok(Rc::new(object));
        };
        let arrays: Vec<Array> = arrays.iter().map(|&array| array.clone()).collect();
        let level = packing.deflate;
        match (packing.chunk, self.writer.offset(&object)) {
            (Some(chunk), _) => {
                let source = source(self.content, path, &arrays, &layout)?;
                let grid = deflate::Grid { shape: shape.to_vec(), chunk, item };
                deflate::write(self.writer, &object, &source, &grid, level, self.advance)?;
            }
            (None, Some(offset)) => {
                self.later.push(Later { path: path.to_owned(), arrays, layout, offset });
            }
            (None, None) => {
                let arrays: Vec<&Array> = arrays.iter().collect();
                self.write_elements(&object, name, recipe, &arrays, path, dtype)?;
            }
        }
        Ok(Rc::new(object))
    }

    /// Creates a committed datatype under all its paths, once.
    fn named_type(&mut self, number: usize) -> Result<Option<Rc<Object>>> {
        if let Some(known) = self.types.get(&number) {
            return Ok(known.clone());
        }
        self.types.insert(number, None);
        let Some(origin) = &self.content.origin else { return Ok(None) };
        let Some(named) = origin.named_types.get(number) else { return Ok(None) };
        let mut object: Option<Rc<Object>> = None;
        for path in &named.paths {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let written = self.group_at(above).and_then(|at| {
                if let Some(object) = &object {
                    return Ok(self.writer.link(object, &at, name)?);
                }
                let encoded = origin.encoded_type(named.kind).unwrap_or_default();
                object = Some(Rc::new(self.writer.commit(&at, name, &encoded)?));
                Ok(())
            });
            if let Err(error) = written {
                self.notes.push(Note::new(path, error.to_string()));
            }
        }
        if named.paths.is_empty() {
            let encoded = origin.encoded_type(named.kind).unwrap_or_default();
            match self.writer.commit_without_path(&encoded) {
                Ok(committed) => object = Some(Rc::new(committed)),
                Err(error) => self.notes.push(Note::new("/", error.to_string())),
            }
        }
        // Before its attributes, which may be of this type.
        self.types.insert(number, object.clone());
        if let Some(object) = &object {
            let path = named.paths.first().map_or("", String::as_str);
            self.exact(object, &named.attrs, path)?;
        }
        Ok(object)
    }

    /// Creates a group, unless a committed datatype was created in it before.
    fn new_group(&self, at: &Object, name: &str, path: &str) -> Result<Rc<Object>> {
        match self.groups.get(path) {
            Some(known) => Ok(Rc::clone(known)),
            None => Ok(Rc::new(self.writer.group(at, name)?)),
        }
    }

    /// The group at a path; creates it and those above it if they do not exist yet.
    fn group_at(&mut self, path: &str) -> Result<Rc<Object>> {
        if let Some(known) = self.groups.get(path) {
            return Ok(Rc::clone(known));
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.group_at(above)?;
        let made = Rc::new(self.writer.group(&above, name)?);
        self.groups.insert(path.to_owned(), Rc::clone(&made));
        Ok(made)
    }

    /// How the file stores a dataset: as its source, where that is known.
    fn packing(&self, recipe: &DatasetSpec, path: &str) -> Packing {
        let origin = self.content.origin.as_ref();
        let stored = origin.and_then(|origin| origin.dataset(path));
        let (item, shape) = recipe.extents();
        let mut packing = Packing {
            deflate: self.content.gzip.filter(|_| !recipe.has_pointers() && !shape.is_empty()),
            ..Packing::default()
        };
        let mut chunk = None;
        if let Some(stored) = stored {
            let fits = |limits: &Vec<u64>| {
                limits.len() == shape.len() && limits.iter().zip(shape).all(|(limit, n)| limit >= n)
            };
            packing.limits = stored.limits.clone().filter(fits);
            packing.fill = stored.fill.as_ref().map(FillValue::fill).unwrap_or_default();
            packing.fill_type =
                origin.and_then(|origin| origin.encoded_type(stored.kind)).unwrap_or_default();
            packing.fill_time.clone_from(&stored.fill_time);
            chunk = stored.chunk.clone().filter(|chunk| chunk.len() == shape.len());
        }
        if packing.deflate.is_some() || packing.limits.is_some() || chunk.is_some() {
            let largest = packing.limits.as_deref().unwrap_or(shape);
            // HDF5 has no chunks of a dimension that is and stays empty, nor chunks of 4 GiB.
            let clamp = |chunk: Vec<u64>| -> Option<Vec<u64>> {
                let chunk: Vec<u64> = chunk.iter().zip(largest).map(|(c, n)| *c.min(n)).collect();
                let bytes = chunk.iter().fold(item as u64, |all, &n| all.saturating_mul(n));
                (bytes > 0 && bytes < u64::from(u32::MAX)).then_some(chunk)
            };
            let usual = || {
                let shape: Vec<u64> = shape.iter().map(|&n| n.max(1)).collect();
                deflate::chunk(&shape, item as u64).and_then(clamp)
            };
            packing.chunk = chunk.and_then(clamp).or_else(usual);
        }
        if packing.chunk.is_none() {
            (packing.deflate, packing.limits) = (None, None);
        }
        packing
    }

    /// Through the library: what needs conversion, or strings elsewhere.
    fn write_elements(
        &mut self,
        object: &Object,
        name: &str,
        recipe: &DatasetSpec,
        arrays: &[&Array],
        path: &str,
        dtype: &Dtype,
    ) -> Result<()> {
        let open = |array: &&Array| self.content.open(path, array);
        let sources: Vec<Arc<PublishedSegment>> = arrays.iter().map(open).collect::<Result<_>>()?;
        let advance = &mut *self.advance;
        let text = *dtype.class() == Class::Text && recipe.has_pointers();
        let mut read = |number: usize, offset: u64, into: &mut [u8]| {
            sources[number].read_at(offset, into)?;
            if text {
                to_utf8(into, dtype);
            }
            advance(into.len() as u64)
        };
        self.writer.write(object, name, recipe, &mut read)
    }

    /// The attributes of a group or a compound.
    fn all_attributes(&mut self, at: &Rc<Object>, exact: &[Attribute], path: &str) -> Result<()> {
        self.exact(at, exact, path)?;
        let content = self.content;
        self.others(at, exact, content.group_attrs(path), path);
        Ok(())
    }

    /// Attributes that were too large to be remembered as they were, but have a value in TOML.
    fn others<'t>(
        &mut self,
        at: &Object,
        exact: &[Attribute],
        attrs: impl Iterator<Item = (&'t String, &'t toml::Value)>,
        path: &str,
    ) {
        let is_exact = |name: &String| exact.iter().any(|attribute| attribute.name == *name);
        self.attributes(at, attrs.filter(|(name, _)| !is_exact(name)), path);
    }

    /// Attributes as they were; those that refer to objects wait until all objects are there.
    fn exact(&mut self, object: &Rc<Object>, attributes: &[Attribute], path: &str) -> Result<()> {
        let Some(origin) = &self.content.origin else { return Ok(()) };
        for attribute in attributes.iter().filter_map(|attribute| origin.exact(attribute)) {
            let named = attribute.named_type.map(|number| self.named_type(number)).transpose()?;
            let named = named.flatten();
            if attribute.refers() {
                let (object, path) = (Rc::clone(object), path.to_owned());
                let prefix = self.prefix(&path);
                self.references.push(Waiting { object, attribute, named, prefix, path });
                continue;
            }
            let rename = &str::to_owned;
            if let Err(error) = self.writer.attribute(object, &attribute, rename, named.as_deref())
            {
                self.notes.push(note(path, &attribute.name, &error.into()));
            }
        }
        (self.advance)(0)
    }

    fn attributes<'t>(
        &mut self,
        object: &Object,
        attrs: impl Iterator<Item = (&'t String, &'t toml::Value)>,
        path: &str,
    ) {
        for (name, value) in attrs {
            let written = match attribute(name, value) {
                Some(attribute) => self
                    .writer
                    .attribute(object, &attribute, &str::to_owned, None)
                    .map_err(Error::from),
                None => Err(Error::new(Kind::Unsupported, "HDF5 has no such value")),
            };
            if let Err(error) = written {
                self.notes.push(note(path, name, &error));
            }
        }
    }

    /// Where the file that an object came from begins in the project.
    fn prefix(&self, path: &str) -> String {
        let first = path.split('/').nth(1).unwrap_or_default();
        let is_file = self.content.source_groups.iter().any(|group| group == first);
        if is_file { format!("/{first}") } else { String::new() }
    }

    fn remember(&mut self, key: Vec<String>, object: Rc<Object>) {
        let uses = key.first().and_then(|segment| self.uses.get(segment));
        if uses.is_some_and(|&uses| uses > 1) {
            self.known.insert(key, object);
        }
    }
}

/// What the load left out, but for the attributes that are remembered all the same.
fn lost(content: &Content) -> Vec<Note> {
    let origin = content.origin.as_ref();
    let is_alive = |note: &Note| {
        origin.is_some_and(|origin| {
            note.path.match_indices('@').any(|(at, _)| {
                let (object, name) = (&note.path[..at], &note.path[at + 1..]);
                let stored = origin.dataset(object).map(|stored| &stored.attrs[..]);
                let attributes = stored.unwrap_or_else(|| origin.group(object));
                attributes.iter().any(|attribute| attribute.name == name)
            })
        })
    };
    content.left_out.iter().filter(|note| !is_alive(note)).cloned().collect()
}

/// What a dataset's bytes are made of.
fn source(content: &Content, path: &str, arrays: &[Array], layout: &FieldOrder) -> Result<Source> {
    let open = |array: &Array| content.open(path, array);
    let mut segments: Vec<_> = arrays.iter().map(open).collect::<Result<_>>()?;
    Ok(match segments.pop() {
        Some(only) if layout.is_plain() => Source::Segment(only),
        last => {
            segments.extend(last);
            Source::Fields(layout.clone(), segments)
        }
    })
}

fn note(path: &str, name: &str, error: &Error) -> Note {
    Note::new(format!("{path}@{name}"), error.to_string())
}

/// The array of a field.
fn field<'a>(table: &'a Group, path: &[String]) -> Option<&'a Array> {
    let (last, groups) = path.split_last()?;
    let mut table = table;
    for name in groups {
        let Node::Group(inner) = table.get(name)? else { return None };
        table = inner;
    }
    match table.get(last)? {
        Node::Array(array) => Some(array),
        Node::Group(_) => None,
    }
}

/// Code points of four bytes to UTF-8, each value in its place and padded with NUL.
fn to_utf8(values: &mut [u8], dtype: &Dtype) {
    let Ok(size) = usize::try_from(dtype.itemsize()) else { return };
    for value in values.chunks_exact_mut(size.max(1)) {
        let point = |bytes: &[u8; 4]| match dtype.is_big_endian() {
            true => u32::from_be_bytes(*bytes),
            false => u32::from_le_bytes(*bytes),
        };
        let points = value.as_chunks::<4>().0.iter().map(point);
        let text: String = points
            .map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        value.fill(0);
        value[..text.len()].copy_from_slice(text.as_bytes());
    }
}
