//! The evidence about a project: its metadata file, the segments that it names, and segments that only its ledger
//! claims.

use nix::fcntl::OFlag;
use nix::sys::stat::FileStat;

use crate::error::{Kind, Result};
use crate::os::directory::{FileId, is_regular};
use crate::os::lookup::Lookup;
use crate::shm::format::metadata::{METADATA_LIMIT, Metadata};
use crate::shm::format::name::SegmentName;
use crate::shm::format::tree::Array;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::scan::Scan;
use crate::shm::store::state::{MetadataFile, Project, SegmentStat, digest};

/// A metadata file of the project's owner.
pub(crate) enum Read {
    /// Its text is damaged, or it is not a regular file.
    Bad(MetadataFile, String),
    /// It is whole.
    Good(MetadataFile, Metadata),
}

/// Reads the metadata file. A file of another user is absent: it says nothing about this project.
pub(crate) fn read_metadata(dirs: &NodeDirs, project: &Project) -> Lookup<Read> {
    let Some(root) = &dirs.root else { return Lookup::Absent };
    let name = project.name().metadata_file();
    let stat = match root.stat_of(&name) {
        Lookup::Present(stat) if stat.st_uid == project.uid => stat,
        Lookup::Present(_) | Lookup::Absent => return Lookup::Absent,
        Lookup::Unreadable(error) => return Lookup::Unreadable(error),
    };
    match root.read_text(&name, METADATA_LIMIT) {
        Lookup::Absent => Lookup::Absent,
        Lookup::Present((_, stat)) if stat.st_uid != project.uid => Lookup::Absent,
        Lookup::Present((text, stat)) => {
            let file = file_of(&text, &stat);
            Lookup::Present(match Metadata::parse(&text) {
                Ok(metadata) => Read::Good(file, metadata),
                Err(why) => Read::Bad(file, format!("its metadata is invalid: {why}")),
            })
        }
        Lookup::Unreadable(error) => {
            // Damaged, or a link, a FIFO, a file with several names. A failed system call proves neither.
            let is_bad = error.kind() == Kind::Corrupt || !is_one_file(&stat);
            if !is_bad {
                return Lookup::Unreadable(error);
            }
            let trusted = error.kind() == Kind::Corrupt;
            let file = MetadataFile { trusted, ..file_of("", &stat) };
            Lookup::Present(Read::Bad(file, error.to_string()))
        }
    }
}

fn is_one_file(stat: &FileStat) -> bool {
    is_regular(stat) && stat.st_nlink == 1
}

fn file_of(text: &str, stat: &FileStat) -> MetadataFile {
    MetadataFile {
        digest: digest(text),
        id: FileId::of(stat),
        trusted: true,
        mtime: stat.st_mtime,
        mode: stat.st_mode & 0o7777,
    }
}

/// Inspects every segment of the metadata. Returns the reason if it names a segment that it must not name.
pub(crate) fn collect_segments(dirs: &NodeDirs, project: &mut Project) -> Result<Option<String>> {
    let Some(metadata) = &project.metadata else { return Ok(None) };
    for (number, array) in metadata.leaves().into_iter().enumerate() {
        let Some(segment) = SegmentName::parse_for(&project.key.project, array.segment.as_ref())
        else {
            let shown = metadata.arrays().get(number).map_or_else(String::new, |a| a.0.join("/"));
            return Ok(Some(format!(
                "its metadata names '{}' for '/{shown}', which is not a segment of this project",
                array.segment.escape_debug()
            )));
        };
        if project.present.contains_key(&segment) || project.missing.contains(&segment) {
            continue;
        }
        let Some(stat) = dirs.shm.stat_of(segment.as_os_str()).known()? else {
            project.missing.insert(segment);
            continue;
        };
        if !is_regular(&stat) {
            return Ok(Some(format!("its segment '{segment}' is not a regular file")));
        }
        if stat.st_uid != project.uid {
            return Ok(Some(format!("its segment '{segment}' belongs to user {}", stat.st_uid)));
        }
        match segment_of(array, &stat) {
            Some(there) => drop(project.present.insert(segment, there)),
            None => drop(project.missing.insert(segment)),
        }
    }
    Ok(None)
}

/// The segment of an array; `None` if it is too short.
fn segment_of(array: &Array, stat: &FileStat) -> Option<SegmentStat> {
    let there = SegmentStat::of(stat);
    let bytes = array.nbytes().unwrap_or(there.size);
    // An empty array's segment has a byte that is not the array's.
    (bytes <= there.size).then_some(SegmentStat { size: bytes, ..there })
}

/// Why this user cannot read a segment of the project; `None` if all are readable.
pub(crate) fn unreadable_segment(dirs: &NodeDirs, project: &Project) -> Option<String> {
    project.present.keys().find_map(|segment| {
        match dirs.shm.open_file(segment.as_os_str(), OFlag::O_RDONLY) {
            Lookup::Present(_) => None,
            Lookup::Absent => Some(format!("its segment '{segment}' is missing")),
            Lookup::Unreadable(error) => Some(error.to_string()),
        }
    })
}

/// Looks for segments that bear the ledger's tokens but are not the metadata's. A load at rest has none: it
/// named all of its segments when it was published.
pub(crate) fn collect_leftovers(
    dirs: &NodeDirs,
    scan: &Scan<'_>,
    project: &mut Project,
) -> Result<()> {
    let Some(ledger) = &project.ledger else { return Ok(()) };
    let mark = project.metadata.as_ref().and_then(|metadata| metadata.mark.as_ref());
    let tokens = ledger.tokens();
    if ledger.is_at_rest() && mark.is_some_and(|mark| tokens == [&mark.token]) {
        return Ok(());
    }
    for segment in scan.segments_of(&project.key.project, project.uid)? {
        let named = project.present.contains_key(segment) || project.missing.contains(segment);
        if named || !tokens.iter().any(|token| segment.bears(token)) {
            continue;
        }
        if let Some(stat) = dirs.shm.stat_of(segment.as_os_str()).known()?
            && stat.st_uid == project.uid
        {
            project.leftovers.insert(segment.clone(), SegmentStat::of(&stat));
        }
    }
    Ok(())
}
