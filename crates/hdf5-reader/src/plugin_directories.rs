//! The directories where libhdf5 searches for plugins: those of `HDF5_PLUGIN_PATH` and no other.
//!
//! The library has a default directory, which is below the folder that it was built in. A library that
//! another user puts there would run in the loader.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The environment variable with the directories, separated by colons.
const VARIABLE: &str = "HDF5_PLUGIN_PATH";

/// The directories that are not used, and the reasons.
static REFUSED: OnceLock<Vec<String>> = OnceLock::new();

/// Returns the directories to search, and records those that are refused. Root uses only directories whose
/// content no other user can change.
pub(crate) fn used() -> Vec<PathBuf> {
    let (mut used, mut refused) = (Vec::new(), Vec::new());
    let path = std::env::var_os(VARIABLE).unwrap_or_default();
    let is_root = nix::unistd::geteuid().is_root();
    // An empty name is skipped, as the library does.
    for name in path.as_bytes().split(|&byte| byte == b':').filter(|name| !name.is_empty()) {
        let directory = Path::new(std::ffi::OsStr::from_bytes(name));
        match if is_root { safe(directory) } else { Ok(directory.to_owned()) } {
            Ok(directory) => used.push(directory),
            Err(reason) => refused.push(format!("'{}' {reason}", directory.display())),
        }
    }
    REFUSED.get_or_init(|| refused);
    used
}

/// The end of the message about a missing filter: the refused directories. Empty if there are none.
pub(crate) fn refused() -> String {
    match REFUSED.get().map(Vec::as_slice) {
        None | Some([]) => String::new(),
        Some(all) => format!("; of {VARIABLE}, root does not use {}", all.join(", ")),
    }
}

/// Returns the resolved directory if only root can change it, the directories above it, and the files in it.
fn safe(directory: &Path) -> Result<PathBuf, String> {
    let cannot = |error: std::io::Error| format!("({error})");
    let directory = directory.canonicalize().map_err(cannot)?;
    for above in directory.ancestors() {
        check_owner(above)?;
    }
    for entry in directory.read_dir().map_err(cannot)? {
        // The target of a link decides.
        let file = entry.and_then(|entry| entry.path().canonicalize()).map_err(cannot)?;
        for above in file.ancestors() {
            check_owner(above)?;
        }
    }
    Ok(directory)
}

fn check_owner(path: &Path) -> Result<(), String> {
    let metadata = path.metadata().map_err(|error| format!("({error})"))?;
    match (metadata.uid(), metadata.mode() & 0o022) {
        (0, 0) => Ok(()),
        (0, _) => Err(format!("(other users can write to '{}')", path.display())),
        (uid, _) => Err(format!("('{}' belongs to user {uid})", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_directory_that_another_user_can_change_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        // The directory of temporary files is open to everyone, which refuses all below it.
        let temp = tempfile::tempdir().unwrap();
        assert!(safe(temp.path()).unwrap_err().contains("other users can write"));
        // One below the root directory is not.
        let base = tempfile::tempdir_in("/").unwrap();
        let plugins = base.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        assert_eq!(safe(&plugins).unwrap(), plugins);
        let file = plugins.join("libx.so");
        std::fs::write(&file, "").unwrap();
        assert!(safe(&plugins).is_ok());
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&file, 0o664);
        assert!(safe(&plugins).is_err());
        mode(&file, 0o644);
        mode(base.path(), 0o777);
        assert!(safe(&plugins).is_err());
        mode(base.path(), 0o755);
        std::os::unix::fs::chown(&plugins, Some(65_534), None).unwrap();
        assert!(safe(&plugins).unwrap_err().contains("belongs to user 65534"));
        std::fs::remove_dir_all(&plugins).unwrap();
        // A link in a safe directory to a file elsewhere.
        std::fs::create_dir(&plugins).unwrap();
        std::fs::write(temp.path().join("liby.so"), "").unwrap();
        std::os::unix::fs::symlink(temp.path().join("liby.so"), plugins.join("liby.so")).unwrap();
        assert!(safe(&plugins).is_err());
        assert!(safe(&base.path().join("missing")).is_err());
    }
}
