//! Writes the attributes of an HDF5 file, with the types of the sources if the ledger has a record.

use std::rc::Rc;

use hdf5_reader::{Object, attribute};

use super::file::{Hdf5Export, ReferenceAttribute};
use crate::error::{Error, Kind, Result};
use crate::shm::format::ledger::Note;
use crate::shm::format::origin::Attribute;

impl Hdf5Export<'_, '_> {
    /// Writes the attributes of a group or a compound.
    pub(super) fn write_all_attributes(
        &mut self,
        at: &Rc<Object>,
        raw: &[Attribute],
        path: &str,
    ) -> Result<()> {
        self.write_raw_attributes(at, raw, path)?;
        let content = self.content;
        self.write_other_attributes(at, raw, content.group_attrs(path), path);
        Ok(())
    }

    /// Writes the attributes that are in the metadata but not in the ledger, because they are too large.
    pub(super) fn write_other_attributes<'t>(
        &mut self,
        at: &Object,
        raw: &[Attribute],
        attrs: impl Iterator<Item = (&'t String, &'t toml::Value)>,
        path: &str,
    ) {
        let is_raw = |name: &String| raw.iter().any(|attribute| attribute.name == *name);
        self.write_toml_attributes(at, attrs.filter(|(name, _)| !is_raw(name)), path);
    }

    /// Writes attributes with the types and bytes of the source. Defers those with references.
    pub(super) fn write_raw_attributes(
        &mut self,
        object: &Rc<Object>,
        attributes: &[Attribute],
        path: &str,
    ) -> Result<()> {
        let Some(origin) = &self.content.origin else { return Ok(()) };
        for attribute in
            attributes.iter().filter_map(|attribute| origin.decode_attribute(attribute))
        {
            let named = attribute.named_type.map(|number| self.commit_type(number)).transpose()?;
            let named = named.flatten();
            if attribute.refers() {
                let (object, path) = (Rc::clone(object), path.to_owned());
                let prefix = self.prefix(&path);
                self.references.push(ReferenceAttribute { object, attribute, named, prefix, path });
                continue;
            }
            let rename = &str::to_owned;
            if let Err(error) = self.writer.attribute(object, &attribute, rename, named.as_deref())
            {
                self.notes.push(note(path, &attribute.name, &error.into()));
            }
        }
        (self.check_interrupt)()
    }

    /// Writes attributes from their values in the metadata.
    pub(super) fn write_toml_attributes<'t>(
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
                None => Err(Error::new(Kind::Unsupported, "HDF5 cannot represent the value")),
            };
            if let Err(error) = written {
                self.notes.push(note(path, name, &error));
            }
        }
    }

    /// Returns the path in the project of the root of the file that an object is from.
    fn prefix(&self, path: &str) -> String {
        let first = path.split('/').nth(1).unwrap_or_default();
        let is_file = self.content.source_groups.iter().any(|group| group == first);
        if is_file { format!("/{first}") } else { String::new() }
    }

    /// Writes the attributes with references, after all objects are in the file.
    pub(super) fn write_references(&mut self) {
        for reference in std::mem::take(&mut self.references) {
            let ReferenceAttribute { object, attribute, named, prefix, path } = reference;
            let rename = |target: &str| format!("{prefix}{target}");
            let reason = match self.writer.attribute(&object, &attribute, &rename, named.as_deref())
            {
                Ok(0) => continue,
                Ok(1) => "1 reference is null: its object is not in the file".to_owned(),
                Ok(lost) => {
                    format!("{lost} references are null: their objects are not in the file")
                }
                Err(error) => error.to_string(),
            };
            self.notes.push(Note::new(format!("{path}@{}", attribute.name), reason));
        }
    }
}

/// The note for an attribute.
fn note(path: &str, name: &str, error: &Error) -> Note {
    Note::new(format!("{path}@{name}"), error.to_string())
}
