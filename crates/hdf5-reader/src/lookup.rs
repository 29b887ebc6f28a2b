//! The paths at which libhdf5 expects a file that another file names, and the test whether a file may be opened.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The state of a path at the moment of a lookup. "Unusable" is never "absent".
#[derive(Debug, Clone)]
pub enum Presence {
    /// A regular file that can be opened for reading.
    Regular(Metadata),
    /// No such file.
    Absent,
    /// Something exists there, but it cannot be read.
    Unusable {
        /// The reason.
        reason: String,
        /// The system's error number, if a system call failed.
        errno: Option<i32>,
        /// Its metadata, if known.
        metadata: Option<Metadata>,
    },
}

/// A path that was tried, and the result.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The path.
    pub path: PathBuf,
    /// The result.
    pub presence: Presence,
}

/// Which link or layout names a file. Each has its own environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An external link.
    Link,
    /// A source of a virtual dataset.
    Virtual,
}

/// Opens a regular file for reading. Never blocks, and never opens a pipe, a socket or a device.
///
/// # Errors
/// Returns the reason as text for a file that is not regular, and the system's error otherwise.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let regular = |metadata: &Metadata| match describe(metadata) {
        None => Ok(()),
        Some(kind) => Err(io::Error::other(format!("it is {kind}, not a regular file"))),
    };
    // Before the call of open, which has an effect on some devices.
    regular(&std::fs::metadata(path)?)?;
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata))
}

/// The name of the type of a file that is not regular.
fn describe(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        Some("a special file")
    }
}

/// Looks at a path.
pub fn presence(path: &Path) -> Presence {
    match open_regular(path) {
        Ok((_, metadata)) => Presence::Regular(metadata),
        Err(error) => match error.raw_os_error() {
            // A name that no file can have is absent too.
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG) => Presence::Absent,
            errno => Presence::Unusable {
                reason: reason(&error, errno),
                errno,
                metadata: std::fs::metadata(path).ok(),
            },
        },
    }
}

/// The message of the system without the error number.
fn reason(error: &io::Error, code: Option<i32>) -> String {
    code.map_or_else(|| error.to_string(), |code| nix::Error::from_raw(code).desc().to_owned())
}

/// The paths at which libhdf5 expects the file `name` that the open file `primary` names, in its
/// order. Source: `H5F_prefix_open_file` in H5Fint.c of HDF5 2.0, and the reference manual of
/// `H5Lcreate_external` and `H5Pset_virtual_prefix`.
pub(crate) fn candidates(purpose: Purpose, name: &[u8], primary: &Path) -> Vec<PathBuf> {
    let variable = match purpose {
        Purpose::Link => "HDF5_EXT_PREFIX",
        Purpose::Virtual => "HDF5_VDS_PREFIX",
    };
    let prefixes = std::env::var_os(variable).filter(|value| !value.is_empty());
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut add = |path: PathBuf| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    let mut name = Path::new(OsStr::from_bytes(name));
    if name.is_absolute() {
        add(name.to_owned());
        // Then only its last component counts.
        name = name.file_name().map_or(Path::new(""), Path::new);
    }
    if name.as_os_str().is_empty() {
        return paths;
    }
    let folder = folder(primary);
    if let Some(prefixes) = &prefixes {
        for prefix in prefixes.as_bytes().split(|&byte| byte == b':').filter(|p| !p.is_empty()) {
            add(Path::new(OsStr::from_bytes(prefix)).join(name));
        }
        if purpose == Purpose::Virtual {
            add(expand(prefixes, &folder).join(name));
        }
    }
    add(folder.join(name));
    add(absolute(name));
    if let Some(actual) = primary.canonicalize().ok().as_deref().and_then(Path::parent) {
        add(actual.join(name));
    }
    paths
}

/// The directory before the names of external raw files, if the environment sets one.
pub(crate) fn raw_prefix(primary: &Path) -> Option<PathBuf> {
    let prefix = std::env::var_os("HDF5_EXTFILE_PREFIX")?;
    (!prefix.is_empty() && prefix != ".").then(|| expand(&prefix, &folder(primary)))
}

/// A prefix may begin with `${ORIGIN}`, the directory of the file.
fn expand(prefix: &OsStr, folder: &Path) -> PathBuf {
    match prefix.as_bytes().strip_prefix(b"${ORIGIN}") {
        Some(rest) => OsString::from_vec([folder.as_os_str().as_bytes(), rest].concat()).into(),
        None => PathBuf::from(prefix),
    }
}

/// The directory of a file, by the name under which it was opened.
pub(crate) fn folder(file: &Path) -> PathBuf {
    let file = absolute(file);
    file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_sockets_devices_and_directories_are_not_opened() {
        let temp = tempfile::tempdir().unwrap();
        let pipe = temp.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let socket = temp.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, word) in [
            (pipe.as_path(), "a pipe"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
            (temp.path(), "a directory"),
        ] {
            let Presence::Unusable { reason, metadata: Some(_), .. } = presence(path) else {
                panic!("{}", path.display())
            };
            assert!(reason.contains(word), "{reason}");
        }
        assert!(matches!(presence(&temp.path().join("none")), Presence::Absent));
        assert!(matches!(presence(&pipe.join("below")), Presence::Absent));
        let plain = temp.path().join("plain");
        std::fs::write(&plain, b"x").unwrap();
        assert!(matches!(presence(&plain), Presence::Regular(metadata) if metadata.len() == 1));
    }

    #[test]
    fn candidates_of_a_relative_name_are_beside_the_file_then_in_the_working_directory() {
        let here = std::env::current_dir().unwrap();
        let found = candidates(Purpose::Link, b"sub/x.h5", Path::new("/no/such/v.h5"));
        assert_eq!(found, [PathBuf::from("/no/such/sub/x.h5"), here.join("sub/x.h5")]);
    }

    #[test]
    fn candidates_of_an_absolute_name_include_its_last_component() {
        let here = std::env::current_dir().unwrap();
        let found = candidates(Purpose::Link, b"/data/x.h5", Path::new("/no/v.h5"));
        let wanted = [PathBuf::from("/data/x.h5"), PathBuf::from("/no/x.h5"), here.join("x.h5")];
        assert_eq!(found, wanted);
    }
}
