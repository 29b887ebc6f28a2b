//! What is found of a project: its metadata file, the segments that it names, and those that only its
//! ledger knows.

use nix::sys::stat::FileStat;

use super::{METADATA_LIMIT, MetadataFile, Project, SegmentStat};
use crate::shm::directory::FileId;
use crate::shm::metadata::Metadata;
use crate::shm::name::SegmentName;
use crate::shm::place::Place;
use crate::shm::survey::Survey;
use crate::{Kind, Result};

/// What reading the metadata file gave.
pub(super) enum Found {
    Absent,
    Unreadable(String),
    Bad(MetadataFile, String),
    Good(MetadataFile, Metadata),
}

pub(super) fn read_metadata(place: &Place, project: &Project) -> Result<Found> {
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
pub(super) fn collect_segments(place: &Place, project: &mut Project) -> Result<Option<String>> {
    let Some(metadata) = &project.metadata else { return Ok(None) };
    for (number, array) in metadata.leaves().into_iter().enumerate() {
        let Some(segment) = SegmentName::parse_for(&project.key.project, array.segment.as_ref())
        else {
            let shown = metadata.arrays().get(number).map_or_else(String::new, |a| a.0.join("/"));
            return Ok(Some(format!(
                "its metadata names '{}' for '/{shown}', which is no segment of this project",
                array.segment.escape_debug()
            )));
        };
        if project.present.contains_key(&segment) || project.missing.contains(&segment) {
            continue;
        }
        match place.shm.stat_of(segment.as_os_str())?.as_ref() {
            None => drop(project.missing.insert(segment)),
            Some(stat) if !crate::shm::directory::is_regular(stat) => {
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
                    project.missing.insert(segment);
                } else {
                    // An empty array's segment has a byte that is not the array's.
                    project.present.insert(segment, SegmentStat { size: bytes, ..there });
                }
            }
        }
    }
    Ok(None)
}

/// Looks for segments that bear the ledger's tokens but are not the metadata's. A load at rest has none: it
/// named all of its segments when it was published.
pub(super) fn collect_leftovers(
    place: &Place,
    survey: &Survey<'_>,
    project: &mut Project,
) -> Result<()> {
    let Some(ledger) = &project.ledger else { return Ok(()) };
    let mark = project.metadata.as_ref().and_then(|metadata| metadata.mark.as_ref());
    let tokens = ledger.tokens();
    if ledger.is_at_rest() && mark.is_some_and(|mark| tokens == [&mark.token]) {
        return Ok(());
    }
    for segment in survey.segments_of(&project.key.project)? {
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
