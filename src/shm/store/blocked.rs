//! Removes files of any type that block the name of a file of this program.

use std::ffi::OsStr;

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{Error, Kind, Result};
use crate::os::credentials::act_as;
use crate::os::directory::{Directory, FileId};
use crate::shm::format::name::Token;
use crate::shm::store::ledger_store::LedgerStore;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::state::Project;

/// Removes a metadata file that is not a regular file with one name. The file that it points to is unknown: only the
/// name is removed, under the change lock of the project, and only if it still is the judged file.
///
/// # Errors
/// Returns [`Kind::Busy`] if another process changes the project or has replaced the file, and an I/O error if the
/// file cannot be removed.
pub(crate) fn clear_metadata(dirs: &NodeDirs, project: &Project) -> Result<()> {
    let (Some(root), Some(judged)) = (&dirs.root, &project.file) else { return Ok(()) };
    let name = project.name().metadata_file();
    act_as(project.uid, || {
        let store = LedgerStore::begin_for(dirs, &project.key, &mut || Ok(false))?;
        let stat = root.stat_of(&name).known()?;
        if stat.is_some_and(|stat| FileId::of(&stat) != judged.id) {
            let name = project.name().to_text();
            let message = format!("the metadata of '{name}' was replaced by another process");
            return Err(Error::new(Kind::Busy, message).with_subject(name));
        }
        remove(root, &name)?;
        store.finish()
    })
}

/// Removes a file or an empty directory. Renames a directory that contains files, because only its name is in the way.
///
/// # Errors
/// Returns the I/O error of the removal.
pub(crate) fn remove(directory: &Directory, name: &OsStr) -> Result<()> {
    match directory.remove(name) {
        Err(error) if matches!(error.errno(), Some(libc::EISDIR | libc::EPERM)) => {}
        removed => return removed.map(drop),
    }
    match unlinkat(directory, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::ENOTEMPTY) => {
            let aside = format!(".cute-shm.{}{}.blocked", Token::random()?, Token::random()?);
            directory.rename(name, OsStr::new(&aside))
        }
        Err(errno) => {
            let shown = directory.join(name);
            Err(Error::io(format!("cannot remove the directory '{}'", shown.display()), errno))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remove_clears_files_links_and_directories() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap();
        std::fs::write(temp.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", temp.path().join("link")).unwrap();
        std::fs::create_dir(temp.path().join("empty")).unwrap();
        std::fs::create_dir_all(temp.path().join("full/inner")).unwrap();
        for name in ["file", "link", "empty", "full", "absent"] {
            remove(&directory, OsStr::new(name)).unwrap();
            assert!(!temp.path().join(name).exists(), "{name}");
        }
    }
}
