//! The one judge of a project's state: `list`, `show`, `load-hdf5`, `unlink` and `gc` all ask here.
//! Nothing is decided by a pid, and "cannot look" is never "dead".

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;

use indexmap::IndexMap;
use nix::sys::stat::FileStat;
use nix::unistd::Uid;
use serde::Serialize;

use super::directory::FileId;
use super::host;
use super::ledger::{File, Key, Ledger, Lifetime, Record};
use super::lock;
use super::metadata::{Mark, Metadata};
use super::name::{ProjectName, SegmentName, Token};
use super::place::Place;
use super::survey::Survey;
use crate::{Kind, Result};

/// The largest metadata file that is read.
pub const METADATA_LIMIT: u64 = 256 << 20;

/// What was found of a project (DESIGN section 2), in the order in which it is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Another user's, and it cannot be judged.
    Foreign,
    /// Marked by another host, or by this boot with another shm directory: never touched.
    Elsewhere,
    /// Metadata that cannot be parsed, or names what it may not name.
    Corrupt,
    /// Somebody is making it.
    Loading,
    /// Somebody is removing it.
    Removing,
    /// A load, a removal or a held project whose locks are free.
    Abandoned,
    /// Metadata and all its segments are there.
    Live,
    /// Every segment is provably gone.
    Stale,
    /// Some segments are gone.
    Broken,
    /// Segments and ledger are there, the metadata is gone.
    Detached,
    /// Segments that no metadata and no ledger claims.
    Orphan,
}

impl State {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Elsewhere => "elsewhere",
            Self::Corrupt => "corrupt",
            Self::Loading => "loading",
            Self::Removing => "removing",
            Self::Abandoned => "abandoned",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Broken => "broken",
            Self::Detached => "detached",
            Self::Orphan => "orphan",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A segment that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStat {
    /// Bytes of its array, as far as they are known; else its size.
    pub size: u64,
    /// Memory that it takes.
    pub resident: u64,
    /// Whose it is.
    pub uid: u32,
    /// Its inode in the shm directory.
    pub ino: u64,
    /// When its contents last changed, in seconds since 1970.
    pub mtime: i64,
}

impl SegmentStat {
    fn of(stat: &FileStat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            resident: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
            uid: stat.st_uid,
            ino: stat.st_ino,
            mtime: stat.st_mtime,
        }
    }
}

/// The metadata file as it was read when the project was judged.
#[derive(Debug, Clone)]
pub struct MetadataFile {
    /// Its text: removal compares it.
    pub text: String,
    /// When it was last written, in seconds since 1970.
    pub mtime: i64,
    /// Permission bits.
    pub mode: u32,
    /// Which file it was.
    pub id: FileId,
    /// It was read; what is no regular file, or has several names, is not.
    pub trusted: bool,
}

/// A judged project.
#[derive(Debug)]
pub struct Project {
    /// Name, and root and owner as a hash.
    pub key: Key,
    /// The owner.
    pub uid: u32,
    /// The verdict.
    pub state: State,
    /// Somebody holds the change lock of a live project.
    pub changing: bool,
    /// The reason for the verdict, where it needs one.
    pub why: Option<String>,
    /// The arrays: from the metadata file, or the ledger's copy when the file is gone.
    pub metadata: Option<Metadata>,
    /// The metadata file; `None` when it is not there or cannot be read.
    pub file: Option<MetadataFile>,
    /// The ledger of this owner.
    pub ledger: Option<Ledger>,
    /// The metadata's segments that are there.
    pub present: IndexMap<SegmentName, SegmentStat>,
    /// The metadata's segments that are gone, or too short for their array.
    pub missing: Vec<SegmentName>,
    /// Segments that the ledger owns but the metadata does not name, and all of an orphan.
    pub leftovers: IndexMap<SegmentName, SegmentStat>,
    /// An interrupted change left something beside the project: segments, or a ledger that is not at rest.
    pub unfinished: bool,
}

impl Project {
    /// The project's name.
    pub fn name(&self) -> &ProjectName {
        &self.key.project
    }

    /// The ledger's record of the load that the metadata describes.
    pub fn record(&self) -> Option<&Record> {
        let ledger = self.ledger.as_ref()?;
        let Some(mark) = self.metadata.as_ref().and_then(|metadata| metadata.mark.as_ref()) else {
            return if self.file.is_none() {
                ledger.current.as_ref().or(ledger.next.as_ref())
            } else {
                None
            };
        };
        let records = [&ledger.current, &ledger.next];
        records.into_iter().flatten().find(|record| record.token == mark.token)
    }

    /// Bytes of the arrays' segments that are there.
    pub fn size(&self) -> u64 {
        self.present.values().map(|segment| segment.size).sum()
    }

    /// Memory that all segments take, leftovers too.
    pub fn resident(&self) -> u64 {
        self.present.values().chain(self.leftovers.values()).map(|segment| segment.resident).sum()
    }

    /// Every segment that goes when the project is removed.
    pub fn all_segments(&self) -> Vec<SegmentName> {
        self.present.keys().chain(&self.missing).chain(self.leftovers.keys()).cloned().collect()
    }
}

/// What reading the metadata file gave.
enum Found {
    Absent,
    Unreadable(String),
    Bad(MetadataFile, String),
    Good(MetadataFile, Metadata),
}

/// Judges the project `key` of user `uid`.
///
/// # Errors
/// As the system says; what can be told as a state is none.
pub fn judge(place: &Place, survey: &Survey, key: &Key, uid: u32) -> Result<Project> {
    let mut project = judge_as(place, survey, key, uid, false)?;
    // Segments that vanish while we look may have been replaced: then there is other metadata by now.
    for _ in 0..3 {
        if project.missing.is_empty() || !was_replaced(place, &project)? {
            break;
        }
        project = judge_as(place, survey, key, uid, false)?;
    }
    Ok(project)
}

/// Whether the metadata file is another than the one that was judged.
fn was_replaced(place: &Place, project: &Project) -> Result<bool> {
    let now = match read_metadata(place, project)? {
        Found::Good(file, _) | Found::Bad(file, _) => Some(file.text),
        Found::Absent | Found::Unreadable(_) => None,
    };
    Ok(now.as_ref() != project.file.as_ref().map(|file| &file.text))
}

/// As [`judge`], by the holder of the change lock: the lock is free then, but for itself.
///
/// # Errors
/// As [`judge`].
pub fn judge_locked(place: &Place, survey: &Survey, key: &Key, uid: u32) -> Result<Project> {
    judge_as(place, survey, key, uid, true)
}

fn judge_as(place: &Place, survey: &Survey, key: &Key, uid: u32, holder: bool) -> Result<Project> {
    let mut project = Project {
        key: key.clone(),
        uid,
        state: State::Corrupt,
        changing: false,
        why: None,
        metadata: None,
        file: None,
        ledger: None,
        present: IndexMap::new(),
        missing: Vec::new(),
        leftovers: IndexMap::new(),
        unfinished: false,
    };
    let found = read_metadata(place, &project)?;
    let ledger = Ledger::read(&place.shm, key);
    let mut unseen = false;
    let mut bad_ledger = None;
    match ledger {
        Ok(ledger) => project.ledger = ledger.map(|(ledger, _)| ledger),
        Err(error) if error.kind() == Kind::Permission => unseen = true,
        Err(error) => bad_ledger = Some(error.to_string()),
    }
    let verdict = match found {
        Found::Unreadable(why) => (State::Foreign, Some(why)),
        Found::Bad(file, why) => {
            project.file = Some(file);
            collect_leftovers(place, survey, &mut project)?;
            (State::Corrupt, Some(why))
        }
        Found::Good(file, metadata) => {
            project.file = Some(file);
            project.metadata = Some(metadata);
            judge_with_metadata(place, survey, &mut project, unseen, holder)?
        }
        Found::Absent => judge_without_metadata(place, survey, &mut project, unseen, holder)?,
    };
    (project.state, project.why) = match bad_ledger {
        Some(why) if !matches!(verdict.0, State::Foreign | State::Elsewhere) => {
            (State::Corrupt, Some(why))
        }
        _ => verdict,
    };
    Ok(project)
}

type Verdict = (State, Option<String>);

fn judge_with_metadata(
    place: &Place,
    survey: &Survey,
    project: &mut Project,
    unseen: bool,
    holder: bool,
) -> Result<Verdict> {
    let mark = project.metadata.as_ref().and_then(|metadata| metadata.mark.clone());
    if unseen && mark.is_some() {
        return Ok((State::Foreign, Some("its ledger cannot be read".to_owned())));
    }
    if let Some(why) = mark.as_ref().and_then(|mark| is_elsewhere(place, mark)) {
        return Ok((State::Elsewhere, Some(why)));
    }
    let wrong = collect_segments(place, project)?;
    collect_leftovers(place, survey, project)?;
    if let Some(why) = wrong {
        return Ok((State::Corrupt, Some(why)));
    }
    let whole = project.missing.is_empty();
    let unfinished = is_unfinished(place, project)?;
    match lock::is_changing(&place.shm, &project.key)? {
        None => return Ok((State::Foreign, Some("its lock cannot be looked at".to_owned()))),
        Some(true) if !holder => {
            project.changing = true;
            return Ok((if whole { State::Live } else { busy_state(project) }, None));
        }
        Some(_) => project.unfinished = unfinished,
    }
    if project.ledger.as_ref().is_some_and(|ledger| ledger.removing.is_some()) {
        return Ok((State::Abandoned, Some("its removal was interrupted".to_owned())));
    }
    if let Some(verdict) = dead_keeper(place, project)? {
        return Ok(verdict);
    }
    Ok(judge_segments(place, project, mark.as_ref()))
}

/// Whether a change that did not come to its end left something: told only while nobody is at it.
fn is_unfinished(place: &Place, project: &Project) -> Result<bool> {
    let is_there = |file| Ok(place.shm.stat_of(&project.key.file(file))?.is_some());
    if !project.leftovers.is_empty() || is_there(File::LedgerTemporary)? {
        return Ok(true);
    }
    let Some(ledger) = &project.ledger else { return is_there(File::Lock) };
    let metadata = project.metadata.as_ref();
    let replaced = metadata.is_some_and(|metadata| {
        let token = metadata.mark.as_ref().map(|mark| &mark.token);
        let current = ledger.current.as_ref().map(|current| &current.token);
        current.is_some() && token != current && !metadata.arrays().is_empty()
    });
    Ok(ledger.next.is_some() || !ledger.retiring.is_empty() || replaced)
}

/// A held project lives as long as its life lock is held.
fn dead_keeper(place: &Place, project: &Project) -> Result<Option<Verdict>> {
    let Some(record) = project.record() else { return Ok(None) };
    if record.lifetime != Lifetime::Held {
        return Ok(None);
    }
    Ok(match lock::is_kept(&place.shm, &project.key, &record.token)? {
        Some(true) => None,
        Some(false) => Some((
            State::Abandoned,
            Some(format!("its keeper, process {}, is gone", record.keeper.pid)),
        )),
        None => Some((State::Foreign, Some("its lock cannot be looked at".to_owned()))),
    })
}

fn judge_segments(place: &Place, project: &Project, mark: Option<&Mark>) -> Verdict {
    if project.missing.is_empty() {
        return (State::Live, None);
    }
    let total = project.missing.len() + project.present.len();
    let missing = format!("{} of {total} segments are gone", project.missing.len());
    if !project.present.is_empty() {
        return (State::Broken, Some(missing));
    }
    let written = project.file.as_ref().map_or(i64::MAX, |file| file.mtime);
    match prove_stale(place, mark, written) {
        Some(proof) => (State::Stale, Some(format!("all segments are gone, {proof}"))),
        None => (State::Broken, Some(format!("{missing}, or lie elsewhere"))),
    }
}

/// Why it is certain that the segments were in this shm directory and are gone; `None` when it is not.
fn prove_stale(place: &Place, mark: Option<&Mark>, written: i64) -> Option<String> {
    let Some(mark) = mark else {
        let local = place.root.as_ref().is_some_and(host::is_local);
        return match host::is_shm_of_process_1(&place.shm) {
            Some(true) if local => Some("and they can only have been here".to_owned()),
            // Whoever cannot look at process 1 still knows what a reboot does.
            None if local
                && written < place.host.boot_time
                && place.shm.path() == OsStr::new("/dev/shm") =>
            {
                Some("the metadata is older than this boot".to_owned())
            }
            _ => None,
        };
    };
    if mark.boot != place.host.boot {
        return Some("loaded before this boot".to_owned());
    }
    (mark.shm == place.shm.id().to_string()).then(|| "removed by somebody else".to_owned())
}

fn judge_without_metadata(
    place: &Place,
    survey: &Survey,
    project: &mut Project,
    unseen: bool,
    holder: bool,
) -> Result<Verdict> {
    if unseen {
        return Ok((State::Foreign, Some("its ledger cannot be read".to_owned())));
    }
    let copy = project.ledger.as_ref().and_then(|ledger| ledger.current.as_ref()?.metadata.clone());
    project.metadata = copy.as_deref().and_then(|text| Metadata::parse(text).ok());
    let wrong = collect_segments(place, project)?;
    collect_leftovers(place, survey, project)?;
    if let Some(why) = wrong {
        return Ok((State::Corrupt, Some(why)));
    }
    match lock::is_changing(&place.shm, &project.key)? {
        None => return Ok((State::Foreign, Some("its lock cannot be looked at".to_owned()))),
        Some(true) if !holder => return Ok((busy_state(project), None)),
        Some(_) => {}
    }
    let Some(ledger) = &project.ledger else {
        return Ok((State::Abandoned, Some("a load ended before it began".to_owned())));
    };
    if ledger.removing.is_some() {
        return Ok((State::Abandoned, Some("its removal was interrupted".to_owned())));
    }
    if ledger.current.is_none() {
        return Ok((State::Abandoned, Some("its load was interrupted".to_owned())));
    }
    if let Some(verdict) = dead_keeper(place, project)? {
        return Ok(verdict);
    }
    Ok(match (project.present.is_empty(), project.missing.is_empty()) {
        (_, true) => (State::Detached, Some("its metadata file is gone".to_owned())),
        (true, false) => {
            (State::Abandoned, Some("its metadata and all its segments are gone".to_owned()))
        }
        (false, false) => {
            (State::Broken, Some("its metadata file and some of its segments are gone".to_owned()))
        }
    })
}

fn busy_state(project: &Project) -> State {
    match &project.ledger {
        Some(ledger) if ledger.removing.is_some() => State::Removing,
        _ => State::Loading,
    }
}

/// Where else the marked segments are; `None` when it is here, or was before a reboot.
fn is_elsewhere(place: &Place, mark: &Mark) -> Option<String> {
    if mark.boot == place.host.boot {
        return (mark.shm != place.shm.id().to_string())
            .then(|| "loaded with another shm directory (a container?)".to_owned());
    }
    (mark.host != place.host.name).then(|| format!("loaded on host '{}'", mark.host))
}

fn read_metadata(place: &Place, project: &Project) -> Result<Found> {
    let Some(root) = &place.root else { return Ok(Found::Absent) };
    let name = project.name().metadata_file();
    let Some(stat) = root.stat_of(&name)? else { return Ok(Found::Absent) };
    if stat.st_uid != project.uid {
        // Somebody else's metadata: not what this key is about.
        return Ok(Found::Absent);
    }
    let file = |text: String, stat: &FileStat| MetadataFile {
        text,
        id: FileId::of(stat),
        trusted: true,
        mtime: stat.st_mtime,
        mode: stat.st_mode & 0o7777,
    };
    match root.read_text(&name, METADATA_LIMIT) {
        Ok(None) => Ok(Found::Absent),
        Ok(Some((text, stat))) => Ok(match Metadata::parse(&text) {
            Ok(metadata) => Found::Good(file(text, &stat), metadata),
            Err(why) => {
                Found::Bad(file(text, &stat), format!("its metadata is no TOML of ours: {why}"))
            }
        }),
        Err(error) if error.errno() == Some(libc::EACCES) => {
            Ok(Found::Unreadable("its metadata cannot be read".to_owned()))
        }
        Err(error) if matches!(error.kind(), Kind::Corrupt | Kind::Permission) => {
            let trusted = error.kind() == Kind::Corrupt;
            let file = MetadataFile { trusted, ..file(String::new(), &stat) };
            Ok(Found::Bad(file, error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Looks for every segment of the metadata; `Some` says what it names but may not.
fn collect_segments(place: &Place, project: &mut Project) -> Result<Option<String>> {
    let Some(metadata) = &project.metadata else { return Ok(None) };
    let mut named = HashSet::new();
    for (path, array) in metadata.arrays() {
        let Some(segment) = SegmentName::parse_for(project.name(), OsStr::new(&array.segment))
        else {
            let shown = path.join("/");
            return Ok(Some(format!(
                "its metadata names '{}' for '/{shown}', which is no segment of this project",
                array.segment.escape_debug()
            )));
        };
        if !named.insert(segment.clone()) {
            continue;
        }
        match place.shm.stat_of(segment.as_os_str())?.as_ref() {
            None => project.missing.push(segment),
            Some(stat) if !super::directory::is_regular(stat) => {
                return Ok(Some(format!("its segment '{segment}' is no regular file")));
            }
            Some(stat) if stat.st_uid != project.uid => {
                return Ok(Some(format!(
                    "its segment '{segment}' belongs to user {}",
                    stat.st_uid
                )));
            }
            Some(stat) => {
                let there = SegmentStat::of(stat);
                let bytes = array.nbytes().unwrap_or(there.size);
                if bytes > there.size {
                    project.missing.push(segment);
                } else {
                    // An empty array's segment has a byte that is not the array's.
                    project.present.insert(segment, SegmentStat { size: bytes, ..there });
                }
            }
        }
    }
    Ok(None)
}

/// Looks for segments that bear the ledger's tokens but are not the metadata's.
fn collect_leftovers(place: &Place, survey: &Survey, project: &mut Project) -> Result<()> {
    let Some(ledger) = &project.ledger else { return Ok(()) };
    let tokens = ledger.tokens();
    for segment in survey.segments_of(&project.key.project) {
        let named = project.present.contains_key(segment) || project.missing.contains(segment);
        if named || !tokens.iter().any(|token| segment.bears(token)) {
            continue;
        }
        if let Some(stat) = place.shm.stat_of(segment.as_os_str())?
            && stat.st_uid == project.uid
        {
            project.leftovers.insert(segment.clone(), SegmentStat::of(&stat));
        }
    }
    Ok(())
}

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
