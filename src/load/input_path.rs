//! The input files as the user names them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hdf5_reader::lookup::open_regular;

use super::plan::not_regular;
use crate::error::{Error, Kind, Result};

/// Splits `NAME=FILE`, unless a file with that whole name exists.
pub(crate) fn named(file: &OsString) -> (Option<String>, PathBuf) {
    let whole = PathBuf::from(file);
    match file.to_str().and_then(|text| text.split_once('=')) {
        Some((name, path)) if !name.contains('/') && !whole.exists() => {
            (Some(name.to_owned()), path.into())
        }
        _ => (None, whole),
    }
}

/// Fails if an input is not a readable file, before anything is started.
pub(crate) fn check_readable(path: &Path) -> Result<()> {
    let shown = path.display();
    let cannot =
        |e| Error::io(format!("cannot open '{shown}'"), e).with_subject(path.to_string_lossy());
    let stat = std::fs::metadata(path).map_err(cannot)?;
    if stat.is_dir() {
        return Err(Error::new(
            Kind::Corrupt,
            format!("'{shown}' is a directory, not an HDF5 file"),
        )
        .with_subject(path.to_string_lossy()));
    }
    let opened = open_regular(path);
    opened.map(drop).map_err(|e| if stat.is_file() { cannot(e) } else { not_regular(path, &e) })
}
