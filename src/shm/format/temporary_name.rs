//! Random names of temporary files in the root. In a directory that every user can write, no other user can occupy
//! them in advance. They contain the key, so that recovery and gc find them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::error::Result;
use crate::shm::format::ledger::{Key, KeyName};
use crate::shm::format::name::{PREFIX, Token};

/// The purpose of a temporary file in the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Metadata before publication.
    Publication,
    /// Metadata during removal.
    Removal,
}

impl Purpose {
    fn suffix(self) -> &'static str {
        match self {
            Self::Publication => ".new",
            Self::Removal => ".aside",
        }
    }
}

/// Returns a new random name in the root. Python's pattern for metadata files does not match it.
///
/// # Errors
/// Returns `Kind::Io` if the system has no random numbers.
pub(crate) fn root_name(key: &Key, purpose: Purpose) -> Result<OsString> {
    let (hash, random) = (&key.hash, Token::random()?);
    let mut name = OsString::from(".");
    name.push(key.project.file(&format!(".{hash}.{random}{}", purpose.suffix())));
    Ok(name)
}

/// Parses a file name of the root that [`root_name`] returned.
pub(crate) fn parse_root_name(name: &OsStr) -> Option<(KeyName, Purpose)> {
    let rest = name.as_bytes().strip_prefix(b".")?.strip_prefix(PREFIX.as_bytes())?;
    [Purpose::Publication, Purpose::Removal].into_iter().find_map(|purpose| {
        let stem = rest.strip_suffix(purpose.suffix().as_bytes())?;
        Some((KeyName::parse_random(stem)?, purpose))
    })
}

/// Whether one name is that of a metadata file and the other a temporary name of the same project. Where
/// `Directory::rename_new` has to link, a kill leaves both names of one file.
pub(crate) fn is_rename_of_metadata(one: &OsStr, other: &OsStr) -> bool {
    let is_pair = |temporary: &OsStr, metadata: &OsStr| {
        parse_root_name(temporary).is_some_and(|(key, _)| key.project.metadata_file() == metadata)
    };
    is_pair(one, other) || is_pair(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::directory::FileId;
    use crate::shm::format::name::ProjectName;

    fn key() -> Key {
        let project = ProjectName::new(OsStr::new("a.b")).unwrap();
        Key::new(&project, FileId { dev: 1, ino: 2 }, 3)
    }

    #[test]
    fn random_names_are_parsed_back_to_their_key() {
        let key = key();
        for purpose in [Purpose::Publication, Purpose::Removal] {
            let name = root_name(&key, purpose).unwrap();
            let (of, parsed) = parse_root_name(&name).unwrap();
            assert!(of.is_of(&key) && parsed == purpose, "{name:?}");
            assert_ne!(name, root_name(&key, purpose).unwrap());
        }
        for name in
            [".cute-shm.a.01234567.new", "cute-shm.a.01234567.aaaaa.new", ".cute-shm.a.x.new"]
        {
            assert!(parse_root_name(OsStr::new(name)).is_none(), "{name}");
        }
    }
}
