//! The project that a name means, found without a look at all others where that can be.

use nix::unistd::Uid;

use super::{Project, judge, keys_of_root, orphans};
use crate::shm::ledger::Key;
use crate::shm::name::ProjectName;
use crate::shm::place::Place;
use crate::shm::survey::{Survey, is_known};
use crate::{Error, Kind, Result};

/// The judged project of this name; its orphans when there is nothing else of it.
///
/// # Errors
/// [`Kind::NotFound`] when there is nothing of it.
pub fn find(place: &Place, name: &ProjectName) -> Result<Project> {
    let survey = Survey::new(place);
    match key_of(place, &survey, name)? {
        Some(key) => Ok(judge(place, &survey, &key)),
        None => find_orphans(place, &survey, name),
    }
}

/// As [`find`], but the caller's own project comes first: metadata of another user must not keep the caller from
/// removing its own project of the same name.
///
/// # Errors
/// As [`find`].
pub fn find_own(place: &Place, name: &ProjectName) -> Result<Project> {
    if let Some(root) = &place.root {
        let key = Key::new(name, root.id(), Uid::effective().as_raw());
        if is_known(&place.shm, &key)? {
            return Ok(judge(place, &Survey::new(place), &key));
        }
    }
    find(place, name)
}

fn find_orphans(place: &Place, survey: &Survey<'_>, name: &ProjectName) -> Result<Project> {
    let orphans = orphans(place, survey, &[], |orphan| orphan == name)?;
    if let Some(orphan) = orphans.into_iter().next() {
        return Ok(orphan);
    }
    let shown = name.to_text();
    Err(Error::new(Kind::NotFound, format!("there is no project '{shown}'"))
        .about(shown)
        .with_hint("'cute-shm list -s' shows the projects of this node"))
}

/// The key that `name` means to this user: the metadata's owner, else one's own, else any.
///
/// # Errors
/// As the system says.
pub fn key_of(place: &Place, survey: &Survey<'_>, name: &ProjectName) -> Result<Option<Key>> {
    let Some(root) = &place.root else { return Ok(None) };
    let key = |uid| Key::new(name, root.id(), uid);
    if let Some(stat) = root.stat_of(&name.metadata_file()).known()? {
        return Ok(Some(key(stat.st_uid)));
    }
    let mine = key(Uid::effective().as_raw());
    if is_known(&place.shm, &mine)? {
        return Ok(Some(mine));
    }
    Ok(keys_of_root(place, survey, |project| project == name)?.into_iter().next())
}
