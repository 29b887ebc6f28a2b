//! The directories of one test: a root, a shm directory, and a folder for its files. How a test runs the command in them
//! stands in further `impl` blocks of each test program.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// The shared memory of this node: the only place where the Python package looks.
const REAL_SHM: &str = "/dev/shm";

/// A mount. Dropping it unmounts.
pub struct Mount(PathBuf);

impl Mount {
    /// A tmpfs with these options.
    pub fn tmpfs(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).expect("a mount point");
        let kind = Some("tmpfs");
        mount(kind, at, kind, MsFlags::empty(), Some(options)).expect("to mount a tmpfs");
        Self(at.to_owned())
    }

    /// `from`, visible at `at` too.
    pub fn bind(from: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).expect("a mount point");
        let none = None::<&str>;
        mount(Some(from), at, none, MsFlags::MS_BIND, none).expect("to bind a folder");
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// The directories of one test, removed at its end.
pub struct Sandbox {
    root: PathBuf,
    shm: PathBuf,
    work: PathBuf,
    tag: String,
    // Unmounted before the folders are removed.
    mount: Option<Mount>,
    temp: Vec<TempDir>,
    /// Projects to unlink at the end of the test.
    pub loaded: Vec<OsString>,
    /// Whether the test leaves files in the shm directory on purpose.
    pub may_leave: bool,
    /// Runs when a test ends without a failure.
    at_end: Option<fn(&mut Self)>,
}

impl Sandbox {
    /// All directories in memory, and open to other users. They are removed after `at_end`.
    pub fn in_memory(at_end: Option<fn(&mut Self)>) -> Self {
        let mut builder = tempfile::Builder::new();
        builder.prefix("test-of-cute-shm-");
        let temp = builder.tempdir_in(REAL_SHM).or_else(|_| builder.tempdir()).unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (shm, work) = (temp.path().join("shm"), temp.path().join("work"));
        fs::create_dir(&shm).unwrap();
        fs::set_permissions(&shm, fs::Permissions::from_mode(0o1777)).unwrap();
        fs::create_dir(&work).unwrap();
        let mut sandbox = Self::with(shm, work, temp);
        sandbox.at_end = at_end;
        sandbox
    }

    /// The shm directory in memory; root and files on the disk.
    pub fn on_disk() -> Self {
        let shm = tempfile::Builder::new().prefix("faults-").tempdir_in(REAL_SHM).expect("shm");
        let mut sandbox = Self::with_shm(shm.path().to_owned());
        sandbox.temp.push(shm);
        sandbox
    }

    /// A tmpfs with these mount options as the shm directory; root and files on the disk. Root only.
    pub fn on_tmpfs(options: &str) -> Self {
        let mut sandbox = Self::with_shm(PathBuf::new());
        sandbox.shm = sandbox.work.join("shm");
        sandbox.mount = Some(Mount::tmpfs(&sandbox.shm, options));
        sandbox
    }

    /// The shared memory of this node as the shm directory; root and files on the disk.
    pub fn on_node() -> Self {
        Self::with_shm(REAL_SHM.into())
    }

    fn with_shm(shm: PathBuf) -> Self {
        let temp = tempfile::Builder::new().prefix("faults-").tempdir().expect("a folder");
        Self::with(shm, temp.path().to_owned(), temp)
    }

    fn with(shm: PathBuf, work: PathBuf, temp: TempDir) -> Self {
        let number = getrandom::u64().expect("random numbers");
        let (root, tag) = (temp.path().join("root"), format!("faults{number:016x}"));
        let (loaded, temp) = (Vec::new(), vec![temp]);
        Self { root, shm, work, tag, mount: None, temp, loaded, may_leave: false, at_end: None }
    }

    /// The directory of the metadata. It does not exist before the first load.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of segments, ledgers and locks.
    pub fn shm(&self) -> &Path {
        &self.shm
    }

    /// The directory of the test's own files.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Uses the root of another sandbox.
    pub fn share_root(&mut self, other: &Self) {
        other.root.clone_into(&mut self.root);
    }

    /// The path of a file of the test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// The path of a project's metadata file.
    pub fn metadata(&self, project: &str) -> PathBuf {
        self.root.join(format!("cute-shm.{project}.toml"))
    }

    /// The names in the shm directory, sorted. In this node's own, those that contain the tag.
    pub fn in_shm(&self) -> Vec<String> {
        let is_ours = |name: &String| !self.is_on_node() || name.contains(&self.tag);
        names(&self.shm).into_iter().filter(is_ours).collect()
    }

    /// The names in the root, sorted.
    pub fn in_root(&self) -> Vec<String> {
        names(&self.root)
    }

    /// A project's name that no other test has, for the shared memory of this node.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.tag)
    }

    /// Whether the shm directory is that of this node.
    fn is_on_node(&self) -> bool {
        self.shm == Path::new(REAL_SHM)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !std::thread::panicking()
            && let Some(at_end) = self.at_end
        {
            at_end(self);
        }
        if self.is_on_node() {
            for name in self.in_shm() {
                let _ = fs::remove_file(self.shm.join(name));
            }
        }
    }
}

/// The names in a directory, sorted; none if it does not exist.
pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
