//! The project that a name means, found without a look at all others where that can be.

use nix::unistd::Uid;

use super::{Project, judge, keys_of_root, orphans};
use crate::shm::ledger::Key;
use crate::shm::name::ProjectName;
use crate::shm::place::Place;
use crate::shm::survey::{Survey, owner};
use crate::{Error, Kind, Result};

/// The judged project of this name; its orphans when there is nothing else of it.
///
/// # Errors
/// [`Kind::NotFound`] when there is nothing of it.
pub fn find(place: &Place, name: &ProjectName) -> Result<Project> {
    let survey = Survey::new(place);
    if let Some((key, uid)) = key_of(place, &survey, name)? {
        return judge(place, &survey, &key, uid);
    }
    let orphans = orphans(place, &survey, &[], |orphan| orphan == name)?;
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
pub fn key_of(
    place: &Place,
    survey: &Survey<'_>,
    name: &ProjectName,
) -> Result<Option<(Key, u32)>> {
    let Some(root) = &place.root else { return Ok(None) };
    let key = |uid| Key::new(name, root.id(), uid);
    if let Some(stat) = root.stat_of(&name.metadata_file())? {
        return Ok(Some((key(stat.st_uid), stat.st_uid)));
    }
    let mine = Uid::effective().as_raw();
    if owner(&place.shm, &key(mine))? == Some(mine) {
        return Ok(Some((key(mine), mine)));
    }
    Ok(keys_of_root(place, survey, |project| project == name)?.into_iter().next())
}
