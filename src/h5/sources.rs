//! The other files that a dataset takes its bytes from: external raw storage and virtual sources.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr, c_char, c_uint};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hdf5_sys::h5p::{
    H5Pget_external, H5Pget_external_count, H5Pget_virtual_count, H5Pget_virtual_filename,
};

use super::error::{Outcome, check, damaged};
use super::file;
use super::ids::Id;

/// How many files a pattern of virtual sources (`part-%b.h5`) is followed to.
const MOST_BLOCKS: u32 = 100_000;

/// The raw files of a dataset, and whether they lie beside the HDF5 file, where the library looks
/// only when it is told to.
#[derive(Debug, Default)]
pub(super) struct RawFiles {
    pub(super) paths: Vec<PathBuf>,
    pub(super) beside: bool,
}

/// Finds the raw files: as the library does, from the working directory, else beside the file.
pub(super) fn raw_files(dcpl: &Id, file: &Path) -> Outcome<RawFiles> {
    // SAFETY: `dcpl` is an open dataset creation list.
    let count = check(unsafe { H5Pget_external_count(dcpl.raw()) })?;
    let names = (0..count.unsigned_abs()).map(|index| raw_file(dcpl, index));
    let names: Vec<PathBuf> = names.collect::<Outcome<_>>()?;
    if names.iter().all(|name| name.is_file()) || std::env::var_os("HDF5_EXTFILE_PREFIX").is_some()
    {
        return Ok(RawFiles { paths: names, beside: false });
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match paths.iter().find(|path| !path.is_file()) {
        Some(path) => damaged(format!("external raw file '{}' is missing", path.display())),
        None => Ok(RawFiles { paths, beside: true }),
    }
}

fn raw_file(dcpl: &Id, index: c_uint) -> Outcome<PathBuf> {
    let mut name = [0 as c_char; 8192];
    let (mut offset, mut size) = (0, 0);
    // SAFETY: the buffer is longer than the library is told, so that it ends with NUL.
    let name = unsafe {
        let (place, room) = (name.as_mut_ptr(), name.len() - 1);
        check(H5Pget_external(dcpl.raw(), index, room, place, &raw mut offset, &raw mut size))?;
        CStr::from_ptr(name.as_ptr()).to_bytes()
    };
    Ok(PathBuf::from(OsStr::from_bytes(name)))
}

/// The files that a virtual dataset takes its data from, as far as they are there.
pub(super) fn virtual_files(dcpl: &Id, file: &Path) -> Outcome<Vec<PathBuf>> {
    let mut count = 0;
    // SAFETY: `dcpl` is an open dataset creation list, and the count outlives the call.
    check(unsafe { H5Pget_virtual_count(dcpl.raw(), &raw mut count) })?;
    let mut names = BTreeSet::new();
    for index in 0..count {
        // SAFETY: the library writes at most as many bytes as it is told.
        names.insert(file::text(|buffer, size| unsafe {
            H5Pget_virtual_filename(dcpl.raw(), index, buffer, size)
        })?);
    }
    let own = names.remove(&b"."[..]);
    let mut found: Vec<PathBuf> = own.then(|| file.to_owned()).into_iter().collect();
    for name in &names {
        found.extend(expand(name, file));
    }
    Ok(found)
}

/// The files of a name in which `%b` counts from 0 until one is missing.
fn expand(name: &[u8], file: &Path) -> Vec<PathBuf> {
    let text = String::from_utf8_lossy(name);
    if !text.contains("%b") {
        return file::resolve(&unescape(name), file).into_iter().collect();
    }
    let numbered = |number: u32| text.replace("%b", &number.to_string()).replace("%%", "%");
    let paths = (0..MOST_BLOCKS).map(|n| file::resolve(numbered(n).as_bytes(), file));
    paths.map_while(|path| path).collect()
}

/// A literal percent sign is written twice.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter().peekable();
    while let Some(&byte) = bytes.next() {
        plain.push(byte);
        if byte == b'%' {
            bytes.next_if(|&&next| next == b'%');
        }
    }
    plain
}
