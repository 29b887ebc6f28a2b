//! A shm directory and a root of a test's own, and the command that works in them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cute_shm::shm::format::metadata::Metadata;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::fixtures;
use super::process::{Done, Process};
use super::support::until;

/// The command under test.
pub const BIN: &str = env!("CARGO_BIN_EXE_cute-shm");

/// What is mounted is unmounted.
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

/// Directories, and what is to be removed at the end.
pub struct Sandbox {
    pub shm: PathBuf,
    pub root: PathBuf,
    /// The projects' names begin with it; in the real /dev/shm that tells them from others'.
    pub tag: String,
    mount: Option<Mount>,
    own_shm: Option<tempfile::TempDir>,
    scratch: tempfile::TempDir,
}

impl Sandbox {
    /// A folder of /dev/shm as the shm directory.
    pub fn new() -> Self {
        let shm = tempfile::Builder::new().prefix("faults-").tempdir_in("/dev/shm").expect("shm");
        let mut sandbox = Self::bare();
        shm.path().clone_into(&mut sandbox.shm);
        sandbox.own_shm = Some(shm);
        sandbox
    }

    /// A tmpfs of its own, with these mount options. Root only.
    pub fn tmpfs(options: &str) -> Self {
        let mut sandbox = Self::bare();
        sandbox.shm = sandbox.scratch.path().join("shm");
        sandbox.mount = Some(Mount::tmpfs(&sandbox.shm, options));
        sandbox
    }

    /// The real /dev/shm, which is the only place where the Python package looks.
    pub fn real() -> Self {
        let mut sandbox = Self::bare();
        sandbox.shm = "/dev/shm".into();
        sandbox
    }

    fn bare() -> Self {
        let scratch = tempfile::Builder::new().prefix("faults-").tempdir().expect("scratch");
        let number = getrandom::u64().expect("random numbers");
        let root = scratch.path().join("root");
        let (shm, tag) = (PathBuf::new(), format!("faults{number:016x}"));
        Self { shm, root, tag, mount: None, own_shm: None, scratch }
    }

    /// A path for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A small file full of `value`.
    pub fn file(&self, value: i64) -> PathBuf {
        let path = self.path(&format!("{value}.h5"));
        if !path.exists() {
            fixtures::small(&path, value);
        }
        path
    }

    /// A project's name with the tag.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.tag)
    }

    /// A command in this place, without what the caller's batch job would add.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(BIN);
        command.args(args);
        command
    }

    /// Another program in this place.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("CUTE_SHM_DIR", &self.shm).env("CUTE_SHM_ROOT", &self.root);
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        self.start(args).wait()
    }

    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Process {
        Process::start(&mut self.command(args))
    }

    /// Loads `file`, to stay.
    #[track_caller]
    pub fn load(&self, project: &str, file: &Path, more: &[&str]) -> Done {
        self.run(load_args(project, file, &[&["--persistent"], more].concat()))
    }

    /// Loads `file` and holds it; returns when it is there.
    #[track_caller]
    pub fn hold(&self, project: &str, file: &Path, more: &[&str]) -> Process {
        let mut keeper = self.start(load_args(project, file, more));
        until("it is held", || {
            assert!(keeper.is_running(), "the keeper ended: {:?}", keeper.so_far());
            keeper.said().contains("loaded")
        });
        keeper
    }

    /// The state that `list` tells of a project; `None` when it tells nothing.
    #[track_caller]
    pub fn state(&self, project: &str) -> Option<String> {
        let listed = self.run(["list", "-s", "--json"]).expect(0).json();
        let projects = listed["projects"].as_array().expect("projects").clone();
        let found = projects.into_iter().find(|found| found["name"] == project)?;
        Some(found["state"].as_str().expect("a state").to_owned())
    }

    /// Every file in both directories that bears the tag; all of them where the place is the test's own.
    pub fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        let real = self.shm == Path::new("/dev/shm");
        for (folder, all) in [(&self.shm, !real), (&self.root, true)] {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name());
            let names = names.map(|name| name.to_string_lossy().into_owned());
            files.extend(names.filter(|name| all || name.contains(&self.tag)));
        }
        files
    }

    #[track_caller]
    pub fn assert_nothing(&self) {
        assert_eq!(self.files(), BTreeSet::new(), "something was left");
    }

    pub fn metadata(&self, project: &str) -> PathBuf {
        self.root.join(format!("cute-shm.{project}.toml"))
    }

    /// The segments of a project's metadata, unless there is none.
    pub fn segments(&self, project: &str) -> Option<BTreeSet<String>> {
        let text = fs::read_to_string(self.metadata(project)).ok()?;
        let metadata = Metadata::parse(&text).unwrap_or_else(|e| panic!("half visible: {e}"));
        Some(metadata.arrays().into_iter().map(|(_, array)| array.segment.clone()).collect())
    }

    /// The number that a project is full of; `None` when there is none. Anything between is a failure:
    /// segments that are missing, of different loads, or filled in part.
    #[track_caller]
    pub fn whole(&self, project: &str) -> Option<i64> {
        let text = fs::read_to_string(self.metadata(project)).ok()?;
        self.try_whole(&text)
            .unwrap_or_else(|why| panic!("project '{project}' is not whole: {why}"))
    }

    /// As [`Self::whole`], for a metadata text; `Err` says what is wrong.
    pub fn try_whole(&self, text: &str) -> Result<Option<i64>, String> {
        let metadata = Metadata::parse(text)?;
        let mut found = None;
        for (path, array) in metadata.arrays() {
            let bytes = fs::read(self.shm.join(&array.segment))
                .map_err(|e| format!("{}: {e}", path.join("/")))?;
            let wanted = usize::try_from(array.nbytes().expect("i64")).expect("a small array");
            if bytes.len() < wanted {
                return Err(format!("{} is too short", path.join("/")));
            }
            for chunk in bytes[..wanted].chunks_exact(8) {
                let value = i64::from_ne_bytes(chunk.try_into().expect("8 bytes"));
                if *found.get_or_insert(value) != value {
                    return Err(format!("{} holds {value}, others {found:?}", path.join("/")));
                }
            }
        }
        Ok(Some(found.unwrap_or(0)))
    }

    /// Asserts that nothing is there but what belongs to this project, or nothing at all without it.
    #[track_caller]
    pub fn assert_only(&self, project: &str) {
        let Some(mut expected) = self.segments(project) else { return self.assert_nothing() };
        expected.insert(format!("cute-shm.{project}.toml"));
        let ours = |name: &String| {
            let rest = name.strip_prefix(&format!("cute-shm.{project}.")).unwrap_or("");
            rest.len() > 9 && (rest[8..] == *".ledger" || rest[8..] == *".lock")
        };
        let mut found = self.files();
        let records = found.iter().filter(|name| ours(name)).count();
        found.retain(|name| !ours(name));
        assert_eq!(found, expected, "more or less than the project");
        assert!(records == 2, "{records} ledgers and locks");
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.shm == Path::new("/dev/shm") {
            for name in self.files() {
                let _ = fs::remove_file(self.shm.join(name));
            }
        }
    }
}

/// The arguments of a load.
pub fn load_args(project: &str, file: &Path, more: &[&str]) -> Vec<String> {
    let mut args = vec!["load-hdf5".to_owned(), project.to_owned()];
    args.push(file.to_str().expect("a path of ours").to_owned());
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}
