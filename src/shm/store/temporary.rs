//! Temporary files of a project: metadata and ledgers before they are renamed into place, and metadata that is being
//! removed.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;

use nix::sys::stat::fstat;

use crate::error::{Error, Kind, Result};
use crate::os::directory::{Access, Directory, FileId};
use crate::shm::format::ledger::{Key, KeyName};
use crate::shm::format::temporary_name::{Purpose, parse_root_name, root_name};
use crate::shm::store::scan::Scan;

/// How many random names are tried before the directory counts as unusable.
const MAX_ATTEMPTS: usize = 16;

/// A file with contents and access under a temporary name. Dropping it removes it.
#[derive(Debug)]
pub struct Temporary<'d> {
    directory: &'d Directory,
    name: OsString,
    id: FileId,
    renamed: bool,
}

impl<'d> Temporary<'d> {
    /// Writes and syncs `text` under a name that `random_name` returns.
    ///
    /// # Errors
    /// Returns the error of `random_name` and of every failed call; no file remains then.
    pub fn write(
        directory: &'d Directory,
        random_name: impl Fn() -> Result<OsString>,
        text: &str,
        access: &Access,
    ) -> Result<Self> {
        let (mut file, mut temporary) = Self::create(directory, random_name)?;
        let shown = directory.join(&temporary.name);
        let stat =
            fstat(&file).map_err(|e| Error::io(format!("cannot stat '{}'", shown.display()), e))?;
        temporary.id = FileId::of(&stat);
        file.write_all(text.as_bytes())
            .map_err(|e| Error::io(format!("cannot write '{}'", shown.display()), e))?;
        access.apply(&file, &shown)?;
        file.sync_data().map_err(|e| Error::io(format!("cannot sync '{}'", shown.display()), e))?;
        Ok(temporary)
    }

    fn create(
        directory: &'d Directory,
        random_name: impl Fn() -> Result<OsString>,
    ) -> Result<(std::fs::File, Self)> {
        let mut attempts = 0;
        loop {
            let name = random_name()?;
            attempts += 1;
            match directory.create(&name, 0o600) {
                Ok(file) => {
                    let id = directory.id();
                    return Ok((file, Self { directory, name, id, renamed: false }));
                }
                Err(error) if error.kind() == Kind::Exists && attempts < MAX_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The identity of the file, to compare with the published one.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Renames the file to `to`, and replaces an existing file.
    ///
    /// # Errors
    /// Returns the error of `renameat`; the temporary file is removed then.
    pub fn replace(mut self, to: &OsStr) -> Result<()> {
        self.directory.rename(&self.name, to)?;
        self.renamed = true;
        Ok(())
    }

    /// Renames the file to `to`; returns false, and removes the file, if that name exists.
    ///
    /// # Errors
    /// Returns the error of `renameat2` or `linkat`; the temporary file is removed then.
    pub fn publish_new(mut self, to: &OsStr) -> Result<bool> {
        self.renamed = self.directory.rename_new(&self.name, to)?;
        Ok(self.renamed)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // If this fails, recovery and gc find the file by its name.
            let _ = self.directory.remove(&self.name);
        }
    }
}

/// Renames `name` to a random name for removal, and returns that name. The rename is one step on every file
/// system, unlike one that must not replace: a kill never leaves both names.
///
/// # Errors
/// Returns `Kind::NotFound` if `name` does not exist, and the error of a failed rename.
pub(crate) fn move_aside(root: &Directory, key: &Key, name: &OsStr) -> Result<OsString> {
    for _ in 0..MAX_ATTEMPTS {
        let aside = root_name(key, Purpose::Removal)?;
        if root.stat_of(&aside).known()?.is_none() {
            root.rename(name, &aside)?;
            return Ok(aside);
        }
    }
    let message =
        format!("cannot rename '{}': every temporary name exists", root.join(name).display());
    Err(Error::new(Kind::Exists, message))
}

/// Returns the temporary files of `key` in the root that its owner created, from the listing if there is one of
/// this root.
///
/// # Errors
/// Returns an I/O error if the root cannot be listed or a file cannot be inspected.
pub(crate) fn in_root(
    root: &Directory,
    key: &Key,
    listed: Option<&Scan<'_>>,
) -> Result<Vec<(OsString, Purpose)>> {
    let names = match listed {
        Some(scan) => scan.temporary_metadata(root, key)?,
        None => None,
    };
    let parse = |name: &OsStr| {
        let (of, purpose) = parse_root_name(name)?;
        of.is_of(key).then(|| (name.to_owned(), purpose))
    };
    let candidates: Vec<_> = match names {
        Some(names) => names.iter().filter_map(|name| parse(name)).collect(),
        None => root.filter_names(parse)?,
    };
    let mut found = Vec::new();
    for (name, purpose) in candidates {
        if is_owned(root, &name, key.uid)? {
            found.push((name, purpose));
        }
    }
    Ok(found)
}

/// Removes the interrupted ledger replacements that the owner of `key` left in the shm directory, from the listing
/// if there is one.
///
/// # Errors
/// Returns an I/O error if the directory cannot be listed or a file cannot be removed.
pub(crate) fn remove_ledgers(shm: &Directory, key: &Key, listed: Option<&Scan<'_>>) -> Result<()> {
    let is_wanted =
        |name: &OsStr| matches!(KeyName::parse(name), Some((of, None)) if of.is_of(key));
    let names = match listed {
        // The scan selects by the same key.
        Some(scan) => scan.temporary_ledgers(key)?,
        None => shm.filter_names(|name| is_wanted(name).then(|| name.to_owned()))?,
    };
    for name in names {
        shm.remove_owned(&name, key.uid)?;
    }
    Ok(())
}

fn is_owned(directory: &Directory, name: &OsStr, uid: u32) -> Result<bool> {
    Ok(directory.stat_of(name).known()?.is_some_and(|stat| stat.st_uid == uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::shm::format::name::ProjectName;
    use crate::shm::format::temporary_name::is_rename_of_metadata;

    fn key(directory: &Directory) -> Key {
        let project = ProjectName::new(OsStr::new("a.b")).unwrap();
        Key::new(&project, directory.id(), nix::unistd::Uid::effective().as_raw())
    }

    #[test]
    fn temporary_file_is_removed_unless_it_is_renamed() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap();
        let key = key(&directory);
        let write = || {
            let name = || root_name(&key, Purpose::Publication);
            Temporary::write(&directory, name, "text", &Access::default()).unwrap()
        };
        drop(write());
        assert_eq!(directory.names().unwrap().len(), 0);
        let published = write();
        let id = published.id();
        assert!(published.publish_new(OsStr::new("a")).unwrap());
        let stat = directory.stat_of(OsStr::new("a")).known().unwrap().unwrap();
        assert_eq!(FileId::of(&stat), id);
        assert!(!write().publish_new(OsStr::new("a")).unwrap());
        write().replace(OsStr::new("a")).unwrap();
        assert_eq!(directory.names().unwrap(), ["a"]);
    }

    #[test]
    fn interrupted_rename_by_linking_is_readable_under_both_names() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap();
        let directory = directory.with_linked_names(is_rename_of_metadata);
        let key = key(&directory);
        let metadata = key.project.metadata_file();
        for purpose in [Purpose::Publication, Purpose::Removal] {
            let name = root_name(&key, purpose).unwrap();
            std::fs::write(directory.join(&name), "text").unwrap();
            std::fs::hard_link(directory.join(&name), directory.join(&metadata)).unwrap();
            for name in [&name, &metadata] {
                assert_eq!(directory.read_text(name, 10).known().unwrap().unwrap().0, "text");
            }
            // A link under any other name is refused.
            let other = directory.join(OsStr::new("other"));
            std::fs::rename(directory.join(&name), &other).unwrap();
            assert!(directory.read_text(&metadata, 10).known().is_err());
            std::fs::remove_file(other).unwrap();
            std::fs::remove_file(directory.join(&metadata)).unwrap();
        }
    }
}
