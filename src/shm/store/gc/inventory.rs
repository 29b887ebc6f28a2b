//! One listing of both directories, grouped by project name and owner, and the order in which `gc` handles the
//! groups. It reads names and sizes only, so that the first removal does not wait for the content of any file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;

use nix::sys::stat::FileStat;

use crate::error::Result;
use crate::os::directory::Directory;
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::{Key, KeyName};
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::temporary_name;
use crate::shm::store::listing;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::Settled;

/// Cost of one group besides its text files, in bytes of text that take as long to read.
const GROUP_COST: u64 = 1 << 16;
/// Cost of one segment, in the same unit.
const SEGMENT_COST: u64 = 1 << 8;

/// Everything of one project name that one user owns.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Memory of its segments, in bytes.
    pub bytes: u64,
    /// Whether this user owns the metadata file of that name in the root.
    pub has_metadata: bool,
    /// Hashes in the names of its ledgers and lock files, with these files.
    pub hashes: BTreeMap<String, Vec<OsString>>,
    /// Whether it has segments.
    pub has_segments: bool,
    cost: u64,
}

/// A project name and the owner of the files.
pub(crate) type GroupId = (ProjectName, u32);

/// The groups, and the users that own any of them.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The groups by name and owner.
    pub groups: HashMap<GroupId, Group>,
    /// Owners of files of this program in either directory.
    pub owners: BTreeSet<u32>,
}

impl Inventory {
    /// Lists both directories.
    ///
    /// # Errors
    /// Returns an I/O error if a directory cannot be listed.
    pub(crate) fn read(dirs: &NodeDirs) -> Result<Self> {
        let mut inventory = Self::default();
        for (name, stat) in files(&dirs.shm)? {
            if let Some((key, _)) = KeyName::parse(&name) {
                let group = inventory.group(&key.project, &stat);
                group.cost += allocated(&stat);
                group.hashes.entry(key.hash).or_default().push(name);
            } else if let Some((project, _)) = SegmentName::parse(&name) {
                let group = inventory.group(&project, &stat);
                group.cost += SEGMENT_COST;
                group.bytes += allocated(&stat);
                group.has_segments = true;
            }
        }
        if let Some(root) = &dirs.root {
            for (name, stat) in files(root)? {
                if let Some(project) = ProjectName::of_metadata(&name) {
                    let group = inventory.group(&project, &stat);
                    group.cost += allocated(&stat);
                    group.has_metadata = true;
                } else if let Some((key, _)) = temporary_name::parse_root_name(&name)
                    && key.is_of(&Key::new(&key.project, root.id(), stat.st_uid))
                {
                    inventory.group(&key.project, &stat).hashes.entry(key.hash).or_default();
                }
            }
        }
        Ok(inventory)
    }

    /// Observes the projects of the users that `is_wanted` accepts, before the next listing: with it, many
    /// projects are removed without a listing for each.
    pub(crate) fn settled(
        &self,
        dirs: &NodeDirs,
        is_wanted: impl Fn(u32) -> bool,
    ) -> HashMap<Key, Settled> {
        let groups = self.groups.iter().filter(|((_, uid), _)| is_wanted(*uid));
        let keys = groups.flat_map(|((project, uid), group)| {
            let (project, uid) = (project.clone(), *uid);
            let root = dirs.root.as_ref().filter(|_| group.has_metadata);
            let ours = root.map(|root| Key::new(&project, root.id(), uid));
            let keys = group.hashes.keys().cloned();
            keys.map(move |hash| Key { project: project.clone(), hash, uid }).chain(ours)
        });
        keys.filter_map(|key| {
            let settled = Settled::before_listing(&dirs.shm, &key)?;
            Some((key, settled))
        })
        .collect()
    }

    fn group(&mut self, project: &ProjectName, stat: &FileStat) -> &mut Group {
        self.owners.insert(stat.st_uid);
        self.groups.entry((project.clone(), stat.st_uid)).or_default()
    }

    /// The groups in the order in which they are handled: each owner's groups by memory, largest first. The
    /// owners take turns by the amount of text that their groups make `gc` read, so that the files of one user
    /// do not delay the removal of another user's.
    pub(crate) fn into_queue(self) -> Vec<(GroupId, Group)> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_by(|(a, one), (b, other)| {
            (Reverse(one.bytes), a).cmp(&(Reverse(other.bytes), b))
        });
        let mut spent: HashMap<u32, u64> = HashMap::new();
        let mut queue: Vec<_> = groups
            .into_iter()
            .map(|(id, group)| {
                let spent = spent.entry(id.1).or_default();
                let turn = *spent;
                *spent = spent.saturating_add(GROUP_COST).saturating_add(group.cost);
                (turn, id, group)
            })
            .collect();
        // Stable: equal turns keep the order by memory.
        queue.sort_by_key(|(turn, _, _)| *turn);
        queue.into_iter().map(|(_, id, group)| (id, group)).collect()
    }
}

/// The files of this program in a directory. A file that vanishes during the listing is absent.
pub(crate) fn files(directory: &Directory) -> Result<impl Iterator<Item = (OsString, FileStat)>> {
    Ok(listing::read(directory)?.names.into_iter().filter_map(|name| {
        match directory.stat_of(&name) {
            Lookup::Present(stat) => Some((name, stat)),
            Lookup::Absent | Lookup::Unreadable(_) => None,
        }
    }))
}

fn allocated(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn add(inventory: &mut Inventory, name: &str, uid: u32, bytes: u64, cost: u64) {
        let id = (ProjectName::new(OsStr::new(name)).unwrap(), uid);
        inventory.groups.insert(id, Group { bytes, cost, ..Group::default() });
    }

    fn order(inventory: Inventory) -> Vec<String> {
        inventory.into_queue().into_iter().map(|((name, _), _)| name.to_text()).collect()
    }

    #[test]
    fn queue_of_one_owner_is_sorted_by_memory_then_name() {
        let mut inventory = Inventory::default();
        for (name, bytes) in [("small", 1), ("large", 1 << 30), ("b", 7), ("a", 7)] {
            add(&mut inventory, name, 1, bytes, 0);
        }
        assert_eq!(order(inventory), ["large", "a", "b", "small"]);
    }

    #[test]
    fn queue_alternates_between_owners_by_cost() {
        let mut inventory = Inventory::default();
        for number in 0..1000 {
            add(&mut inventory, &format!("hostile{number:04}"), 1, 1 << 20, 1 << 20);
        }
        for name in ["a", "b", "c"] {
            add(&mut inventory, name, 2, 0, 0);
        }
        let order = order(inventory);
        for (name, latest) in [("a", 1), ("b", 2), ("c", 3)] {
            let position = order.iter().position(|found| found == name).unwrap();
            assert!(position <= latest, "'{name}' is at position {position}");
        }
    }
}
