//! Functions for the fuzz targets: metadata, ledgers, names of files, and rows.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::shm::format::fast_toml;
use crate::shm::format::ledger::{Key, KeyName, Ledger};
use crate::shm::format::metadata::{Metadata, parse_any};
use crate::shm::format::name::{ProjectName, SegmentName};
use crate::shm::format::rows::Rows;

/// Reads metadata. What is read is the same once it was written and read again.
///
/// # Panics
/// If metadata that was printed is parsed differently.
pub fn metadata(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Metadata::parse(text) else { return };
    let again = Metadata::parse(&read.to_toml());
    assert_eq!(again.map(|read| format!("{read:?}")), Ok(format!("{read:?}")), "{text}");
}

/// Reads TOML with our reader: what it reads is what the crate `toml` reads.
///
/// # Panics
/// If the result differs from that of the crate `toml`.
pub fn toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(table) = fast_toml::table(text) {
        let theirs = text.parse::<toml::Table>().map(|theirs| format!("{theirs:?}"));
        assert_eq!(theirs.ok(), Some(format!("{table:?}")), "{text}");
    }
    if let Some(arrays) = fast_toml::arrays(text) {
        let theirs = parse_any(text).map(|theirs| format!("{theirs:?}"));
        assert_eq!(theirs.ok(), Some(format!("{arrays:?}")), "{text}");
    }
}

/// Reads a ledger, and lists what it owns.
///
/// # Panics
/// If a ledger that was printed is parsed differently.
pub fn ledger(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(ledger) = Ledger::parse(text) {
        let _tokens = ledger.tokens();
        let written = toml::to_string(&ledger).unwrap_or_default();
        let again = Ledger::parse(&written).ok().map(|ledger| format!("{ledger:?}"));
        assert_eq!(again, Some(format!("{ledger:?}")), "{text}");
    }
}

/// Reads names of projects, segments and ledgers. A name is written as it was read.
///
/// # Panics
/// If a parsed name is printed differently.
pub fn names(data: &[u8]) {
    let name = OsStr::from_bytes(data);
    if let Some((project, segment)) = SegmentName::parse(name) {
        assert_eq!(segment.as_os_str(), name);
        assert!(SegmentName::parse_for(&project, name).is_some());
    }
    if let Some((KeyName { project, hash }, Some(file))) = KeyName::parse(name) {
        assert_eq!(Key { project, hash, uid: 0 }.file(file), name);
    }
    if let Some(project) = ProjectName::of_metadata(name) {
        assert_eq!(project.metadata_file(), name);
    }
    let _valid = ProjectName::new(name);
}

/// Reads `START:STOP` and `I/N`. The shards of an axis follow each other and cover it.
///
/// # Panics
/// If the rows leave the extent.
pub fn rows(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, all) = text.split_once('\0').unwrap_or((&text, "1000"));
    let all = all.parse().unwrap_or(u64::MAX);
    if let Ok(rows) = Rows::parse_range(text) {
        let wanted = rows.of(all);
        assert!(wanted.start <= wanted.end && wanted.end <= all);
        assert_eq!(rows.to_string().parse(), Ok(rows));
    }
    if let Ok(rows @ Rows::Shard(index, count)) = Rows::parse_shard(text) {
        let wanted = rows.of(all);
        let next =
            if index + 1 < count { Rows::Shard(index + 1, count).of(all).start } else { all };
        assert!(wanted.start <= wanted.end && wanted.end == next);
    }
}
