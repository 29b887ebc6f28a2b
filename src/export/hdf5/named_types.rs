//! Creates the committed datatypes of an HDF5 file, and the groups that contain them.

use std::rc::Rc;

use hdf5_reader::Object;

use super::file::Hdf5Export;
use crate::error::Result;
use crate::shm::format::ledger::Note;

impl Hdf5Export<'_, '_> {
    /// Creates a committed datatype at all its paths, once.
    pub(super) fn commit_type(&mut self, number: usize) -> Result<Option<Rc<Object>>> {
        if let Some(created) = self.types.get(&number) {
            return Ok(created.clone());
        }
        self.types.insert(number, None);
        let Some(origin) = &self.content.origin else { return Ok(None) };
        let Some(named) = origin.named_types.get(number) else { return Ok(None) };
        let encoded = origin.encoded_type(named.kind).unwrap_or_default();
        let mut object: Option<Rc<Object>> = None;
        for path in &named.paths {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let written = self.ensure_group(parent).and_then(|at| {
                if let Some(object) = &object {
                    return Ok(self.writer.link(object, &at, name)?);
                }
                object = Some(Rc::new(self.writer.commit(&at, name, &encoded)?));
                Ok(())
            });
            if let Err(error) = written {
                self.notes.push(Note::new(path, error.to_string()));
            }
        }
        if named.paths.is_empty() {
            match self.writer.commit_without_path(&encoded) {
                Ok(committed) => object = Some(Rc::new(committed)),
                Err(error) => self.notes.push(Note::new("/", error.to_string())),
            }
        }
        // Before its attributes: their type can be this one.
        self.types.insert(number, object.clone());
        if let Some(object) = &object {
            let path = named.paths.first().map_or("", String::as_str);
            self.write_raw_attributes(object, &named.attrs, path)?;
        }
        Ok(object)
    }

    /// Creates a group, unless a committed datatype was created in it before.
    pub(super) fn create_group(&self, at: &Object, name: &str, path: &str) -> Result<Rc<Object>> {
        match self.groups.get(path) {
            Some(created) => Ok(Rc::clone(created)),
            None => Ok(Rc::new(self.writer.group(at, name)?)),
        }
    }

    /// Returns the group at a path. Creates it and its parents if they do not exist.
    fn ensure_group(&mut self, path: &str) -> Result<Rc<Object>> {
        if let Some(created) = self.groups.get(path) {
            return Ok(Rc::clone(created));
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.ensure_group(parent)?;
        let created = Rc::new(self.writer.group(&parent, name)?);
        self.groups.insert(path.to_owned(), Rc::clone(&created));
        Ok(created)
    }
}
