//! Every project of a root, the one that a name means, and what nothing claims.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use nix::unistd::Uid;

use super::{Project, SegmentStat, State, judge};
use crate::Result;
use crate::shm::ledger::{Key, Ledger};
use crate::shm::name::{ProjectName, SegmentName, Token};
use crate::shm::place::Place;
use crate::shm::survey::Survey;

/// Judges every project of the root: those with metadata, and those that only a ledger or a lock tells.
///
/// # Errors
/// As the system says.
pub fn judge_all(place: &Place, survey: &Survey) -> Result<Vec<Project>> {
    let mut projects = Vec::new();
    for (key, uid) in keys_of_root(place, survey)? {
        projects.push(judge(place, survey, &key, uid)?);
    }
    Ok(projects)
}

/// Every key that belongs to the root, with its owner, sorted by name.
///
/// # Errors
/// As the system says.
pub fn keys_of_root(place: &Place, survey: &Survey) -> Result<Vec<(Key, u32)>> {
    let Some(root) = &place.root else { return Ok(Vec::new()) };
    let mut keys = IndexMap::new();
    for project in &survey.metadata {
        if let Some(stat) = root.stat_of(&project.metadata_file())? {
            keys.insert(Key::new(project, root.id(), stat.st_uid), stat.st_uid);
        }
    }
    for (key, uid) in survey.owners(&place.shm)? {
        if key == Key::new(&key.project, root.id(), uid) {
            keys.insert(key, uid);
        }
    }
    keys.sort_keys();
    Ok(keys.into_iter().collect())
}

/// The key that `name` means to this user: the metadata's owner, else one's own, else any.
///
/// # Errors
/// As the system says.
pub fn find(place: &Place, survey: &Survey, name: &ProjectName) -> Result<Option<(Key, u32)>> {
    let mine = Uid::effective().as_raw();
    let mut keys = keys_of_root(place, survey)?;
    keys.retain(|(key, _)| key.project == *name);
    if survey.metadata.contains(name) {
        let stat = place.root()?.stat_of(&name.metadata_file())?;
        keys.retain(|(_, uid)| stat.is_none_or(|stat| stat.st_uid == *uid));
    } else if keys.iter().any(|(_, uid)| *uid == mine) {
        keys.retain(|(_, uid)| *uid == mine);
    }
    Ok(keys.into_iter().next())
}

/// Segments that no metadata of this root and no ledger claims, by project and owner.
///
/// # Errors
/// As the system says.
pub fn orphans(place: &Place, survey: &Survey, judged: &[Project]) -> Result<Vec<Project>> {
    let claimed: HashSet<&SegmentName> = judged
        .iter()
        .flat_map(|project| {
            project.present.keys().chain(&project.missing).chain(project.leftovers.keys())
        })
        .collect();
    let mut owned: HashMap<&ProjectName, Vec<Token>> = HashMap::new();
    for key in &survey.keys {
        let tokens = owned.entry(&key.project).or_default();
        match judged.iter().find(|project| project.key == *key) {
            Some(project) => tokens.extend(project.ledger.iter().flat_map(Ledger::tokens).cloned()),
            None => match Ledger::read(&place.shm, key) {
                Ok(ledger) => tokens.extend(ledger.iter().flat_map(|(l, _)| l.tokens()).cloned()),
                // A ledger that cannot be read may claim any segment of its project.
                Err(_) => {
                    tokens.extend(survey.segments_of(&key.project).iter().map(SegmentName::token));
                }
            },
        }
    }
    let mut found: IndexMap<(ProjectName, u32), Project> = IndexMap::new();
    for (name, segments) in &survey.segments {
        let unknown =
            |p: &Project| matches!(p.state, State::Foreign | State::Elsewhere | State::Corrupt);
        let foreign = judged.iter().any(|project| project.name() == name && unknown(project));
        for segment in segments {
            let owned =
                owned.get(name).is_some_and(|tokens| tokens.iter().any(|t| segment.bears(t)));
            if foreign || owned || claimed.contains(segment) {
                continue;
            }
            let Some(stat) = place.shm.stat_of(segment.as_os_str())? else { continue };
            let orphan = found.entry((name.clone(), stat.st_uid)).or_insert_with(|| Project {
                key: Key { project: name.clone(), hash: String::new() },
                uid: stat.st_uid,
                state: State::Orphan,
                changing: false,
                why: Some("no metadata and no ledger claims these segments".to_owned()),
                metadata: None,
                file: None,
                ledger: None,
                present: IndexMap::new(),
                missing: Vec::new(),
                leftovers: IndexMap::new(),
                unfinished: false,
            });
            orphan.leftovers.insert(segment.clone(), SegmentStat::of(&stat));
        }
    }
    Ok(found.into_values().collect())
}
