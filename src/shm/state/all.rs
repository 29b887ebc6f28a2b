//! Every project of a root, and what nothing claims.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

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
pub fn judge_all(
    place: &Place,
    survey: &Survey<'_>,
    wanted: impl Fn(&ProjectName) -> bool,
) -> Result<Vec<Project>> {
    let mut projects = Vec::new();
    for (key, uid) in keys_of_root(place, survey)? {
        if wanted(&key.project) {
            projects.push(judge(place, survey, &key, uid)?);
        }
    }
    Ok(projects)
}

/// Every key that belongs to the root, with its owner, sorted by name.
///
/// # Errors
/// As the system says.
pub fn keys_of_root(place: &Place, survey: &Survey<'_>) -> Result<Vec<(Key, u32)>> {
    let Some(root) = &place.root else { return Ok(Vec::new()) };
    let mut keys = IndexMap::new();
    for name in root.names()? {
        if let Some(project) = ProjectName::of_metadata(&name)
            && let Some(stat) = root.stat_of(&name)?
        {
            keys.insert(Key::new(&project, root.id(), stat.st_uid), stat.st_uid);
        }
    }
    for (key, uid) in survey.owners()? {
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
    let claims = Claims::of(survey, judged)?;
    let mut found: IndexMap<(ProjectName, u32), Project> = IndexMap::new();
    for (name, segments) in survey.segments()? {
        if !wanted(name) || claims.unknown.contains(name) {
            continue;
        }
        let mut tokens = None;
        for segment in segments {
            if claims.segments.contains(segment) {
                continue;
            }
            // Read only for a project that has a segment of which nothing is known yet.
            let tokens = match &tokens {
                Some(tokens) => tokens,
                None => tokens.insert(claims.tokens(place, survey, name)?),
            };
            if tokens.iter().any(|token| segment.bears(token)) {
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

/// What judged projects claim.
struct Claims<'j> {
    segments: HashSet<&'j SegmentName>,
    /// Projects that may have any segment of their name.
    unknown: HashSet<&'j ProjectName>,
    ledgers: HashMap<&'j Key, Option<&'j Ledger>>,
    keys: HashMap<&'j ProjectName, Vec<&'j Key>>,
}

impl<'j> Claims<'j> {
    fn of(survey: &'j Survey<'_>, judged: &'j [Project]) -> Result<Self> {
        let segments = |project: &'j Project| {
            project.present.keys().chain(&project.missing).chain(project.leftovers.keys())
        };
        let unknown =
            |p: &&Project| matches!(p.state, State::Foreign | State::Elsewhere | State::Corrupt);
        let mut keys: HashMap<_, Vec<&Key>> = HashMap::new();
        for key in survey.keys()? {
            keys.entry(&key.project).or_default().push(key);
        }
        Ok(Self {
            segments: judged.iter().flat_map(segments).collect(),
            unknown: judged.iter().filter(unknown).map(Project::name).collect(),
            ledgers: judged.iter().map(|p| (&p.key, p.ledger.as_ref())).collect(),
            keys,
        })
    }

    /// The loads whose segments some ledger of this name owns.
    fn tokens(&self, place: &Place, survey: &Survey<'_>, name: &ProjectName) -> Result<Vec<Token>> {
        let mut tokens = Vec::new();
        for key in self.keys.get(name).into_iter().flatten() {
            match self.ledgers.get(key) {
                Some(ledger) => tokens.extend(ledger.iter().flat_map(|l| l.tokens()).cloned()),
                None => match Ledger::read(&place.shm, key) {
                    Ok(ledger) => {
                        tokens.extend(ledger.iter().flat_map(|(l, _)| l.tokens()).cloned());
                    }
                    // A ledger that cannot be read may claim any segment of its project.
                    Err(_) => {
                        tokens.extend(survey.segments_of(name)?.iter().map(SegmentName::token));
                    }
                },
            }
        }
        Ok(tokens)
    }
}
