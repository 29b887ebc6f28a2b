//! What lies in root and shm directory, read once: which projects there may be, and which segments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::directory::Directory;
use super::ledger::Key;
use super::name::{ProjectName, SegmentName};
use super::place::Place;
use crate::Result;

/// The names found in both directories, sorted by what they are.
#[derive(Debug, Default)]
pub struct Survey {
    /// Projects that have a metadata file in the root.
    pub metadata: BTreeSet<ProjectName>,
    /// Ledgers and locks in the shm directory, of whatever root.
    pub keys: BTreeSet<Key>,
    /// Segments by the project that their names tell.
    pub segments: BTreeMap<ProjectName, Vec<SegmentName>>,
}

impl Survey {
    /// Reads both directories.
    ///
    /// # Errors
    /// As the system says.
    pub fn take(place: &Place) -> Result<Self> {
        let mut survey = Self::default();
        if let Some(root) = &place.root {
            survey.metadata = metadata_in(root)?;
        }
        for name in place.shm.names()? {
            if let Some((key, _)) = Key::parse(&name) {
                survey.keys.insert(key);
            } else if let Some((project, segment)) = SegmentName::parse(&name) {
                survey.segments.entry(project).or_default().push(segment);
            }
        }
        for segments in survey.segments.values_mut() {
            segments.sort();
        }
        Ok(survey)
    }

    /// The segments whose names tell this project.
    pub fn segments_of(&self, project: &ProjectName) -> &[SegmentName] {
        self.segments.get(project).map_or(&[], Vec::as_slice)
    }

    /// The owner of each key's files, as far as they are there still.
    ///
    /// # Errors
    /// As the system says.
    pub fn owners(&self, shm: &Directory) -> Result<HashMap<Key, u32>> {
        use super::ledger::File;
        let mut owners = HashMap::new();
        for key in &self.keys {
            for file in [File::Ledger, File::Lock, File::LedgerTemporary] {
                if let Some(stat) = shm.stat_of(&key.file(file))? {
                    owners.insert(key.clone(), stat.st_uid);
                    break;
                }
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
