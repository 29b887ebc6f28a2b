//! Files that one user has created under a name that belongs to another user's project. They have no power over
//! it, but the name is taken: root removes them.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::Uid;

use crate::error::Result;
use crate::os::credentials::act_as;
use crate::shm::format::ledger::Key;
use crate::shm::format::name::ProjectName;
use crate::shm::store::blocked::remove;
use crate::shm::store::gc::decide::is_allowed;
use crate::shm::store::gc::inventory::Inventory;
use crate::shm::store::gc::outcome::{Action, Options, Outcome};
use crate::shm::store::node_dirs::NodeDirs;

/// A ledger or lock file whose name is that of another user's file.
#[derive(Debug)]
struct Squatter {
    project: ProjectName,
    hash: String,
    file: OsString,
    owner: u32,
    victim: u32,
}

/// Removes the ledgers and lock files in the shm directory that block another user's project of the root in
/// force, and takes them off the inventory. Only root does this.
pub(crate) fn clear(
    dirs: &NodeDirs,
    inventory: &mut Inventory,
    options: &Options,
    report: &mut dyn FnMut(Outcome),
) {
    if !Uid::effective().is_root() {
        return;
    }
    for found in find(dirs, inventory, options.user) {
        if !is_allowed(found.owner, options) && !is_allowed(found.victim, options) {
            continue;
        }
        if let Some(group) = inventory.groups.get_mut(&(found.project.clone(), found.owner)) {
            group.hashes.remove(&found.hash);
        }
        let shown = dirs.shm.join(&found.file);
        let reason = format!(
            "'{}' of user {} blocks a file of user {}",
            shown.display(),
            found.owner,
            found.victim
        );
        let done = match options.dry_run {
            true => Ok(()),
            false => act_as(found.owner, || remove(&dirs.shm, &found.file)),
        };
        let root = dirs.root.as_ref().map(|root| root.path().to_owned());
        let outcome = Outcome::kept(&(found.project, found.owner), root, reason);
        report(Outcome { action: Action::Clear, error: done.err(), ..outcome });
    }
}

/// Removes the files that block the project name `name` for any user in the root of `dirs`. Returns the number of files.
///
/// # Errors
/// Returns an I/O error if a directory cannot be listed or a file cannot be removed.
pub(crate) fn clear_name(dirs: &NodeDirs, name: &ProjectName, dry_run: bool) -> Result<usize> {
    let mut inventory = Inventory::read(dirs)?;
    inventory.groups.retain(|(project, _), _| project == name);
    let found = find(dirs, &inventory, None);
    for squatter in found.iter().filter(|_| !dry_run) {
        act_as(squatter.owner, || remove(&dirs.shm, &squatter.file))?;
    }
    Ok(found.len())
}

fn find(dirs: &NodeDirs, inventory: &Inventory, asked: Option<u32>) -> Vec<Squatter> {
    let Some(root) = &dirs.root else { return Vec::new() };
    let mut users = active_users();
    users.extend(&inventory.owners);
    users.extend(asked);
    let mut found = Vec::new();
    let mut victims: HashMap<String, u32> = HashMap::new();
    for ((project, owner), group) in &inventory.groups {
        if victims.is_empty() {
            // The hash depends on root and owner only.
            victims.extend(users.iter().map(|uid| (Key::new(project, root.id(), *uid).hash, *uid)));
        }
        for (hash, files) in &group.hashes {
            let Some(victim) = victims.get(hash).filter(|victim| *victim != owner) else {
                continue;
            };
            found.extend(files.iter().map(|file| Squatter {
                project: project.clone(),
                hash: hash.clone(),
                file: file.clone(),
                owner: *owner,
                victim: *victim,
            }));
        }
    }
    found
}

/// The owners of all processes: a user whose project is blocked may have no file yet.
fn active_users() -> BTreeSet<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
    let is_pid = |name: &OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let processes = processes.flatten().filter(|entry| is_pid(&entry.file_name()));
    processes.filter_map(|entry| Some(entry.metadata().ok()?.uid())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_users_include_this_process() {
        assert!(active_users().contains(&Uid::effective().as_raw()));
    }
}
