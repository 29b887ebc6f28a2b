//! Listings of a directory with a bounded number of names. Any user can create millions of files in a directory that
//! all users share: beyond the limit, the files of the users with the most files are not read.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::error::{Error, Kind, Result};
use crate::os::directory::Directory;
use crate::os::lookup::Lookup;
use crate::shm::format::ledger::KeyName;
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::temporary_name;

/// The owner of a file that cannot be inspected. It is not a user id (chown(2)).
pub(crate) const UNKNOWN_UID: u32 = u32::MAX;

/// The largest number of names in one listing. Four projects with as many arrays as a metadata file can hold have as
/// many files.
pub(crate) const NAME_LIMIT: usize = 2_000_000;

/// The files of one user are read or left out in so many parts. All files of one project are in one part.
const PARTS: u64 = 64;

/// The names of this program's files in a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The names. If one file of a project is missing, all files of this user and project are missing.
    pub names: Vec<OsString>,
    /// The files that were left out.
    pub unread: Unread,
}

/// A user and a part of the project names.
type Part = (u32, u64);

/// Files that a listing left out.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    count: u64,
    parts: HashSet<Part>,
}

impl Unread {
    /// The number of files.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Their owners.
    pub(crate) fn users(&self) -> impl Iterator<Item = u32> {
        self.parts.iter().map(|(uid, _)| *uid)
    }

    /// Whether the files of user `uid`'s project are among them.
    pub(crate) fn has(&self, project: &ProjectName, uid: u32) -> bool {
        !self.parts.is_empty() && self.parts.contains(&(uid, number_of(project)))
    }
}

/// Lists the files of this program in `directory`.
///
/// # Errors
/// Returns an I/O error if the directory cannot be listed.
pub(crate) fn read(directory: &Directory) -> Result<Listing> {
    read_up_to(directory, NAME_LIMIT)
}

/// As [`read`], with another limit than [`NAME_LIMIT`].
///
/// # Errors
/// As [`read`].
pub(crate) fn read_up_to(directory: &Directory, limit: usize) -> Result<Listing> {
    let mut names = Vec::new();
    let mut is_over = false;
    directory.each_name(&mut |name| {
        if !is_over && project_of(name).is_some() {
            names.push(name.to_owned());
            is_over = names.len() > limit;
        }
    })?;
    if !is_over {
        return Ok(Listing { names, unread: Unread::default() });
    }
    drop(names);
    read_parts(directory, limit)
}

/// Counts the files of each part, then reads the parts of the users with the fewest files, and of the last of these
/// users the smallest parts.
fn read_parts(directory: &Directory, limit: usize) -> Result<Listing> {
    let mut counts: BTreeMap<Part, usize> = BTreeMap::new();
    directory.each_name(&mut |name| {
        if let Some(part) = part_of(directory, name) {
            *counts.entry(part).or_default() += 1;
        }
    })?;
    let chosen = choose(&counts, limit);
    let mut listing = Listing::default();
    directory.each_name(&mut |name| match part_of(directory, name) {
        Some(part) if !chosen.contains(&part) => {
            listing.unread.count += 1;
            listing.unread.parts.insert(part);
        }
        Some(_) if listing.names.len() <= limit => listing.names.push(name.to_owned()),
        Some(_) | None => {}
    })?;
    if listing.names.len() > limit {
        let shown = directory.path().display();
        let message =
            format!("'{shown}' has more than {limit} files, and other processes create more");
        return Err(Error::new(Kind::Busy, message));
    }
    Ok(listing)
}

fn choose(counts: &BTreeMap<Part, usize>, limit: usize) -> HashSet<Part> {
    let mut users: BTreeMap<u32, usize> = BTreeMap::new();
    for ((uid, _), count) in counts {
        *users.entry(*uid).or_default() += count;
    }
    let mut parts: Vec<_> = counts.iter().collect();
    parts.sort_by_key(|(part, count)| (users[&part.0], part.0, **count));
    let mut left = limit;
    let fits = |(_, count): &(&Part, &usize)| {
        let rest = left.checked_sub(**count);
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    parts.into_iter().take_while(fits).map(|(part, _)| *part).collect()
}

/// The part of a file; `None` for other programs' files, and for a file that does not exist any more.
fn part_of(directory: &Directory, name: &OsStr) -> Option<Part> {
    let project = project_of(name)?;
    let uid = match directory.stat_of(name) {
        Lookup::Absent => return None,
        Lookup::Present(stat) => stat.st_uid,
        Lookup::Unreadable(_) => UNKNOWN_UID,
    };
    Some((uid, number_of(&project)))
}

/// The number of the part that has the files of a project.
fn number_of(project: &ProjectName) -> u64 {
    let mut hasher = DefaultHasher::new();
    project.hash(&mut hasher);
    hasher.finish() % PARTS
}

/// The project in the name of a file of the root or of the shm directory.
fn project_of(name: &OsStr) -> Option<ProjectName> {
    KeyName::parse(name)
        .map(|(key, _)| key.project)
        .or_else(|| SegmentName::parse(name).map(|(project, _)| project))
        .or_else(|| temporary_name::parse_root_name(name).map(|(key, _)| key.project))
        .or_else(|| ProjectName::of_metadata(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(project: &str, number: u64) -> String {
        format!("cute-shm.{project}.aaaaa{number:05}")
    }

    fn directory_of(names: impl IntoIterator<Item = String>) -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        names.into_iter().for_each(|name| std::fs::write(temp.path().join(name), "").unwrap());
        let directory = Directory::open(temp.path()).unwrap();
        (temp, directory)
    }

    #[test]
    fn listing_below_the_limit_has_every_file_of_this_program_and_no_other() {
        let other = (0..50).map(|number| format!("other{number}"));
        let names = (0..10).map(|number| segment("p", number)).chain(other);
        let (_temp, directory) = directory_of(names);
        let listing = read_up_to(&directory, 10).unwrap();
        assert_eq!((listing.names.len(), listing.unread.count()), (10, 0));
    }

    #[test]
    fn listing_over_the_limit_has_all_files_of_a_project_or_none() {
        let projects: Vec<_> = (0..40).map(|number| format!("p{number}")).collect();
        let names =
            projects.iter().flat_map(|project| (0..5).map(|number| segment(project, number)));
        let (_temp, directory) = directory_of(names);
        let listing = read_up_to(&directory, 100).unwrap();
        assert!((1..=100).contains(&listing.names.len()), "{}", listing.names.len());
        assert_eq!(listing.names.len() as u64 + listing.unread.count(), 200);
        for project in &projects {
            let start = format!("cute-shm.{project}.");
            let is_of = |name: &&OsString| name.to_string_lossy().starts_with(&start);
            let count = listing.names.iter().filter(is_of).count();
            let name = ProjectName::existing(project.as_ref()).unwrap();
            let uid = nix::unistd::Uid::effective().as_raw();
            assert_eq!(count, if listing.unread.has(&name, uid) { 0 } else { 5 }, "{project}");
        }
    }

    #[test]
    fn files_of_the_user_with_the_most_files_are_left_out_first() {
        let hostile = (0..PARTS).map(|part| ((1, part), 1000));
        let honest = [(2, 0), (2, 7), (3, 0)].map(|part| (part, 500));
        let counts: BTreeMap<Part, usize> = hostile.chain(honest).collect();
        let chosen = choose(&counts, 5_600);
        assert!(honest.iter().all(|(part, _)| chosen.contains(part)), "{chosen:?}");
        assert_eq!(chosen.len(), honest.len() + 4);
        assert_eq!(choose(&counts, 100).len(), 0);
    }
}
