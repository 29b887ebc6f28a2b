//! Finds the format of a file without an HDF5 signature by its first bytes, and an instruction for the user: a
//! wrong format or an incomplete download is more frequent than damage.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::{Advice, Cause, Error};

/// The number of bytes that identify every format here.
const HEAD: u64 = 1024;

/// The name of a format and the instruction, which contains `FILE` in place of the quoted path.
type Format = (&'static str, &'static str);

/// Formats by how their files begin.
const FORMATS: &[(&[u8], Format)] = &[
    (b"\x89HDF", ("damaged by a transfer in text mode", "transfer FILE again in binary mode")),
    (
        b"version https://git-lfs.github.com/spec/",
        ("a Git LFS pointer, not the HDF5 file itself", "fetch the content with 'git lfs pull'"),
    ),
    (b"/annex/objects/", ANNEX),
    (b"../.git/annex/objects/", ANNEX),
    (b"CDF\x01", NETCDF),
    (b"CDF\x02", NETCDF),
    (b"CDF\x05", NETCDF),
    (b"\x1f\x8b", ("a gzip file", "decompress it with 'gunzip -k FILE'")),
    (b"BZh", ("a bzip2 file", "decompress it with 'bunzip2 -k FILE'")),
    (b"\xfd7zXZ\0", ("an xz file", "decompress it with 'unxz -k FILE'")),
    (b"\x28\xb5\x2f\xfd", ("a zstd file", "decompress it with 'unzstd FILE'")),
    (b"\x04\x22\x4d\x18", ("an lz4 file", "decompress it with 'unlz4 FILE'")),
    (b"7z\xbc\xaf\x27\x1c", ("a 7-Zip archive", "extract it with '7z x FILE'")),
    (b"\x93NUMPY", ("a numpy file", NUMPY)),
    (
        b"MATLAB 5.0 MAT-file",
        ("a MATLAB 5 file", "save it as HDF5 with save(NAME, '-v7.3') in MATLAB"),
    ),
    (b"SIMPLE  =", ("a FITS file", "convert it to HDF5, for example with astropy and h5py")),
    (b"PAR1", ("a Parquet file", TABLE)),
    (b"ARROW1", ("an Arrow file", TABLE)),
    (b"GRIB", ("a GRIB file", "convert it to netCDF-4 with 'cdo -f nc4 copy FILE OUT'")),
    (b"\x0e\x03\x13\x01", ("an HDF4 file", "convert it with 'h4toh5 FILE OUT'")),
    (b"SQLite format 3\0", ("an SQLite database", "export its tables to HDF5")),
    (b"%PDF-", ("a PDF document", AGAIN)),
];

const ANNEX: Format = (
    "a git-annex pointer, not the HDF5 file itself",
    "fetch the content with 'git annex get FILE'",
);
const NETCDF: Format =
    ("a netCDF classic file, not netCDF-4", "convert it with 'nccopy -k nc4 FILE OUT'");
const NUMPY: &str = "share its arrays from Python with cute_shm.arrays_to_shm(PROJECT, ARRAYS)";
const TABLE: &str = "convert it to HDF5, for example with pandas.DataFrame.to_hdf";
const AGAIN: &str = "download the file again, and check its address";

/// The format of a file without a signature, for a message.
pub(crate) fn format_of(path: &Path) -> &'static str {
    look(path).0
}

/// The error for a file in which HDF5 finds no signature.
pub(crate) fn not_hdf5(path: &Path) -> Error {
    let shown = path.display();
    let (what, hint) = look(path);
    Error::new(Cause::Damage, format!("'{shown}' is {what}"))
        .with_subject(shown.to_string())
        .with_advice(Advice::Convert(hint))
}

fn look(path: &Path) -> Format {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    let found = read.ok().and_then(|_| recognize(&head, path));
    found.unwrap_or(("not an HDF5 file", "name its format with 'file FILE'"))
}

fn recognize(head: &[u8], path: &Path) -> Option<Format> {
    if head.is_empty() {
        return Some(("empty", "write or download it again"));
    }
    if let Some((_, format)) = FORMATS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*format);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(zip(path));
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", "extract it with 'tar -xf FILE'"));
    }
    if head.iter().all(|&byte| byte == 0) {
        let what = "not an HDF5 file: it begins with zeros, as an incomplete download does";
        return Some((what, AGAIN));
    }
    document(head)
}

/// A zip archive, which several programs use as their own format.
fn zip(path: &Path) -> Format {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    match suffix.as_deref() {
        Some("keras") => (
            "a Keras archive (zip)",
            "extract its HDF5 file with 'unzip FILE model.weights.h5' and load that",
        ),
        Some("npz") => ("a numpy archive (zip)", NUMPY),
        Some("pt" | "pth") => ("a PyTorch file (zip)", NUMPY),
        _ => ("a zip archive", "extract it with 'unzip FILE'"),
    }
}

/// The answer of a web server instead of the file.
fn document(head: &[u8]) -> Option<Format> {
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let begins = |with: &str| {
        text.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with.as_bytes()))
    };
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        return Some(("an HTML page, probably the error page of a download", AGAIN));
    }
    if begins("<?xml") {
        return Some(("an XML document, perhaps the error message of a download", AGAIN));
    }
    if begins("{\"") || begins("{\n") {
        return Some(("a JSON document, perhaps the error message of a download", AGAIN));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, bytes: &[u8]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = not_hdf5(&path);
        assert_eq!(error.cause(), Cause::Damage);
        let Some(Advice::Convert(hint)) = error.advice() else { panic!("{error:?}") };
        let strip = |text: &str| text.replace(&path.to_string_lossy().into_owned(), name);
        (strip(&error.to_string()), hint.replace("FILE", name))
    }

    #[test]
    fn formats_are_named_by_their_first_bytes() {
        let cases: [(&str, &[u8], &str, &str); 13] = [
            ("a.h5", b"", "'a.h5' is empty", "again"),
            ("a.h5", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS", "git lfs pull"),
            ("a.nc", b"CDF\x01\0\0", "netCDF classic", "'nccopy -k nc4 a.nc OUT'"),
            ("a.nc", b"CDF\x02\0\0", "netCDF classic", "nccopy"),
            ("a.nc", b"CDF\x05\0\0", "netCDF classic", "nccopy"),
            ("a.h5.gz", b"\x1f\x8b\x08", "a gzip file", "'gunzip -k a.h5.gz'"),
            ("m.keras", b"PK\x03\x04..", "a Keras archive", "unzip m.keras model.weights.h5"),
            ("m.NPZ", b"PK\x03\x04..", "a numpy archive", "arrays_to_shm"),
            ("m.h5", b"PK\x05\x06..", "a zip archive", "unzip m.h5"),
            ("m.mat", b"MATLAB 5.0 MAT-file, Platform", "MATLAB 5", "-v7.3"),
            ("x.h5", b"\n<!DOCTYPE html><html>", "an HTML page", "download"),
            ("x.h5", &[0; 4096], "begins with zeros", "download"),
            ("x.h5", b"some text", "'x.h5' is not an HDF5 file", "'file x.h5'"),
        ];
        for (name, bytes, what, hint) in cases {
            let found = message(name, bytes);
            assert!(found.0.contains(what) && found.1.contains(hint), "{found:?}");
        }
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(message("a.tar", &tar).0.contains("a tar archive"));
    }
}
