//! What lies in the shm directory, read once, and only when somebody asks: most questions about one
//! project need no look at all others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use super::directory::Directory;
use super::ledger::{File, Key};
use super::name::{ProjectName, SegmentName};
use super::place::Place;
use crate::Result;

/// The names found, sorted by what they are.
#[derive(Debug)]
pub struct Survey<'p> {
    shm: &'p Directory,
    found: OnceLock<Found>,
}

#[derive(Debug, Default)]
struct Found {
    keys: BTreeSet<Key>,
    segments: BTreeMap<ProjectName, Vec<SegmentName>>,
}

impl<'p> Survey<'p> {
    /// A look at this place; nothing is read yet.
    pub fn new(place: &'p Place) -> Self {
        Self { shm: &place.shm, found: OnceLock::new() }
    }

    fn found(&self) -> Result<&Found> {
        if self.found.get().is_none() {
            let found = look(self.shm)?;
            return Ok(self.found.get_or_init(|| found));
        }
        Ok(self.found.get_or_init(Found::default))
    }

    /// Ledgers and locks, of whatever root.
    ///
    /// # Errors
    /// As the system says.
    pub fn keys(&self) -> Result<&BTreeSet<Key>> {
        Ok(&self.found()?.keys)
    }

    /// Segments by the project that their names tell.
    ///
    /// # Errors
    /// As the system says.
    pub fn segments(&self) -> Result<&BTreeMap<ProjectName, Vec<SegmentName>>> {
        Ok(&self.found()?.segments)
    }

    /// The segments whose names tell this project.
    ///
    /// # Errors
    /// As the system says.
    pub fn segments_of(&self, project: &ProjectName) -> Result<&[SegmentName]> {
        Ok(self.segments()?.get(project).map_or(&[], Vec::as_slice))
    }

    /// The owner of each wanted project's files, as far as they are there still.
    ///
    /// # Errors
    /// As the system says.
    pub fn owners(&self, wanted: impl Fn(&ProjectName) -> bool) -> Result<HashMap<Key, u32>> {
        let mut owners = HashMap::new();
        for key in self.keys()?.iter().filter(|key| wanted(&key.project)) {
            if let Some(uid) = owner(self.shm, key)? {
                owners.insert(key.clone(), uid);
            }
        }
        Ok(owners)
    }
}

/// The projects that have a metadata file in the root.
///
/// # Errors
/// As the system says.
pub fn metadata_in(root: &Directory) -> Result<BTreeSet<ProjectName>> {
    Ok(root.names()?.iter().filter_map(|name| ProjectName::of_metadata(name)).collect())
}

/// The owner of a key's files; `None` when none of them is there.
///
/// # Errors
/// As the system says.
pub fn owner(shm: &Directory, key: &Key) -> Result<Option<u32>> {
    for file in [File::Ledger, File::Lock, File::LedgerTemporary] {
        if let Some(stat) = shm.stat_of(&key.file(file))? {
            return Ok(Some(stat.st_uid));
        }
    }
    Ok(None)
}

fn look(shm: &Directory) -> Result<Found> {
    let mut found = Found::default();
    for name in shm.names()? {
        if let Some((key, _)) = Key::parse(&name) {
            found.keys.insert(key);
        } else if let Some((project, segment)) = SegmentName::parse(&name) {
            found.segments.entry(project).or_default().push(segment);
        }
    }
    for segments in found.segments.values_mut() {
        segments.sort();
    }
    Ok(found)
}
