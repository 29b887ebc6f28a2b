//! Every project of a root, and what nothing claims.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{Project, SegmentStat, State, judge};
use crate::Result;
use crate::shm::ledger::{Key, Ledger};
use crate::shm::name::{ProjectName, SegmentName, Token};
use crate::shm::place::Place;
use crate::shm::survey::Survey;
use crate::shm::threads;

/// A thread of its own is worth its start for so many projects.
const SHARE: usize = 8;

/// Judges every project of the root: those with metadata, and those that only a ledger or a lock tells.
///
/// # Errors
/// As the system says.
pub fn judge_all(
    place: &Place,
    survey: &Survey<'_>,
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<Project>> {
    let keys = keys_of_root(place, survey, wanted)?;
    threads::each(&keys, SHARE, |(key, uid)| judge(place, survey, key, *uid)).into_iter().collect()
}

/// Judges every project of the root, and what nothing claims, sorted by name.
///
/// # Errors
/// As the system says.
pub fn everything(
    place: &Place,
    wanted: impl Fn(&ProjectName) -> bool + Copy,
) -> Result<Vec<Project>> {
    let survey = Survey::new(place);
    let mut projects = judge_all(place, &survey, wanted)?;
    let orphans = orphans(place, &survey, &projects, wanted)?;
    projects.extend(orphans);
    projects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(projects)
}

/// Every wanted key that belongs to the root, with its owner, sorted by name.
///
/// # Errors
/// As the system says.
pub fn keys_of_root(
    place: &Place,
    survey: &Survey<'_>,
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<(Key, u32)>> {
    let Some(root) = &place.root else { return Ok(Vec::new()) };
    let mut keys = IndexMap::new();
    for name in root.names()? {
        if let Some(project) = ProjectName::of_metadata(&name)
            && wanted(&project)
            && let Some(stat) = root.stat_of(&name)?
        {
            keys.insert(Key::new(&project, root.id(), stat.st_uid), stat.st_uid);
        }
    }
    for (key, uid) in survey.owners(wanted)? {
        if key == Key::new(&key.project, root.id(), uid) {
            keys.insert(key, uid);
        }
    }
    keys.sort_keys();
    Ok(keys.into_iter().collect())
}

/// Segments that no metadata of this root and no ledger claims, by project and owner.
///
/// # Errors
/// As the system says.
pub fn orphans(
    place: &Place,
    survey: &Survey<'_>,
    judged: &[Project],
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<Project>> {
    let mut by_name: HashMap<&ProjectName, Vec<&Project>> = HashMap::new();
    for project in judged {
        by_name.entry(project.name()).or_default().push(project);
    }
    let mut found: IndexMap<(ProjectName, u32), Project> = IndexMap::new();
    for (name, segments) in survey.segments()? {
        let known = by_name.get(name).map_or(&[][..], Vec::as_slice);
        if !wanted(name) || known.iter().any(|project| may_have_any(project)) {
            continue;
        }
        let ledgers = known.iter().filter_map(|project| project.ledger.as_ref());
        let tokens: Vec<&Token> = ledgers.flat_map(Ledger::tokens).collect();
        let mut others = None;
        for segment in segments {
            let named = || known.iter().any(|project| project.has(segment));
            if tokens.iter().any(|token| segment.bears(token)) || named() {
                continue;
            }
            // Read only for a project that has a segment of which nothing is known yet.
            let others = match &others {
                Some(others) => others,
                None => others.insert(other_tokens(place, survey, name, known)?),
            };
            if others.iter().any(|token| segment.bears(token)) {
                continue;
            }
            let Some(stat) = place.shm.stat_of(segment.as_os_str())? else { continue };
            let key = Key { project: name.clone(), hash: String::new() };
            let orphan = found.entry((name.clone(), stat.st_uid)).or_insert_with(|| Project {
                state: State::Orphan,
                why: Some("no metadata and no ledger claims these segments".to_owned()),
                ..Project::unjudged(key, stat.st_uid)
            });
            orphan.leftovers.insert(segment.clone(), SegmentStat::of(&stat));
        }
    }
    Ok(found.into_values().collect())
}

/// A project of which not all is known may have any segment of its name.
fn may_have_any(project: &Project) -> bool {
    matches!(project.state, State::Foreign | State::Elsewhere | State::Corrupt)
}

/// The loads that ledgers of this name own, but for those of judged projects: ledgers of other roots.
fn other_tokens(
    place: &Place,
    survey: &Survey<'_>,
    name: &ProjectName,
    judged: &[&Project],
) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let first = Key { project: name.clone(), hash: String::new() };
    for key in survey.keys()?.range(first..).take_while(|key| key.project == *name) {
        if judged.iter().any(|project| project.key == *key) {
            continue;
        }
        match Ledger::read(&place.shm, key) {
            Ok(ledger) => tokens.extend(ledger.iter().flat_map(|(l, _)| l.tokens()).cloned()),
            // A ledger that cannot be read may claim any segment of its project.
            Err(_) => tokens.extend(survey.segments_of(name)?.iter().map(SegmentName::token)),
        }
    }
    Ok(tokens)
}
